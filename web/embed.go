// Package web holds the built page. Its sources are the npm workspaces beside
// this file; `make ui` builds them into dist, which is committed so that
// building the server needs Go alone.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Dist is the built page.
func Dist() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the directory is embedded
	}
	return files
}
