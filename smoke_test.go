package thor_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryFuzzTargetIsInSmoke holds that make smoke tries every fuzz target.
func TestEveryFuzzTargetIsInSmoke(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(f \*testing\.F\)`)
	found := 0
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git"):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range target.FindAllStringSubmatch(string(text), -1) {
			found++
			dir := "."
			if path != entry.Name() {
				dir = "./" + filepath.ToSlash(filepath.Dir(path))
			}
			if !strings.Contains(string(makefile), "-fuzz '^"+m[1]+"$$' "+dir+"\n") {
				t.Errorf("make smoke does not try %s of %s", m[1], dir)
			}
		}
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("%d targets found, %v", found, err)
	}
}
