//go:build !unix

package sqlite

import "path/filepath"

// fileID names a file by its path, where there is no inode.
func fileID(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	return abs
}
