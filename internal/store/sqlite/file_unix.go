//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// seal is the time the file system last changed the file, "" when there is no
// file. No program can set it, so a copy or a restored file has another.
func seal(path string) string {
	var stat unix.Stat_t
	if unix.Stat(path, &stat) != nil {
		return ""
	}
	return fmt.Sprintf("%d.%09d", stat.Ctim.Sec, stat.Ctim.Nsec)
}

// syncDir makes a rename in the directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // our own directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
