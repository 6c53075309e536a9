//go:build unix

package sqlite

import (
	"fmt"
	"os"
	"syscall"
)

// fileID names a file by device and inode: a copy has another.
func fileID(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
