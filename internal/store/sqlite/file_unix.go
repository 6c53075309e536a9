//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

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

// outliveSeal waits until the file system would give another seal. Its clock goes
// in steps of some milliseconds, and a copy that is made within the step of the
// last change would have the same. Where it does not go on, as on a full disk,
// the file is left as it is: the seal is no worse than before.
func outliveSeal(path string) {
	sealed := seal(path)
	if sealed == "" {
		return
	}
	probe, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return
	}
	defer os.Remove(probe.Name()) //nolint:errcheck // it is a probe
	defer probe.Close()           //nolint:errcheck // nothing is in it
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range maxSteps {
		if probe.Chmod(0o600) != nil || seal(probe.Name()) != sealed { // that is a change
			return
		}
		<-tick.C
	}
}

// maxSteps bounds the wait for the file system's clock, in milliseconds.
const maxSteps = 100

// syncDir makes a rename in the directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // our own directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
