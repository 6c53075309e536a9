// Command gen writes what other languages need to know of this one: the
// TypeScript types of the payloads, and the OpenAPI document. `make generate`
// runs it; CI checks that nothing changes.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"thor/internal/api"
	"thor/internal/app"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen DIRECTORY")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run writes the files below the root of the project.
func run(root string) error {
	openapi, err := api.New(api.Config{Version: app.Version}).OpenAPI()
	if err != nil {
		return err
	}
	var types bytes.Buffer
	if err := typescript(&types); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"docs/openapi.json":           append(openapi, '\n'),
		"web/client/src/generated.ts": types.Bytes(),
	} {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a directory of the project
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil { //nolint:gosec // a file of the project
			return err
		}
	}
	return nil
}
