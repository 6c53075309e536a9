package thor_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// architecture says what each package, its tests aside, may import besides the
// standard library:
// packages of this module by their path below it, and modules by their path.
// The root package is "thor"; "*" is every package of this module.
var architecture = map[string][]string{
	"thor": {"github.com/shopspring/decimal"},

	// What speaks the vocabulary alone.
	"internal/auth":      {"thor", "github.com/golang-jwt/jwt/v5", "golang.org/x/time"},
	"internal/calendar":  {"thor"},
	"internal/channel":   {"thor"},
	"internal/cutover":   {"thor", "github.com/twmb/murmur3"},
	"internal/heartbeat": {},
	"internal/metrics":   {"github.com/prometheus/client_golang"},
	"internal/pipeline":  {"thor"},
	"internal/source":    {"thor", "golang.org/x/sync"},
	"internal/store":     {"thor"},
	"internal/stream":    {"thor", "github.com/gobwas/ws"},
	"jobs":               {"thor", "internal/source"},

	// Adapters know their contract and their driver.
	"internal/channel/memory": {"thor", "internal/channel"},
	"internal/source/replay":  {"thor", "internal/source"},
	"internal/source/sim":     {"thor", "internal/source"},
	"internal/source/upstream": {
		"thor", "internal/source", "github.com/BurntSushi/toml", "golang.org/x/sync",
	},
	"internal/store/sqlite": {"thor", "internal/store", "modernc.org/sqlite", "github.com/gofrs/flock", "golang.org/x/sys"},

	// A double of what people have, over any source.
	"internal/legacy": {"thor", "internal/source", "github.com/golang-jwt/jwt/v5"},

	// Laws are for tests.
	"internal/channel/channeltest": {"thor", "internal/channel", "github.com/google/go-cmp"},
	"internal/source/sourcetest":   {"thor", "internal/source", "github.com/google/go-cmp"},
	"internal/store/storetest":     {"thor", "internal/store", "github.com/google/go-cmp"},

	// The edges: what clients speak to. Never an adapter.
	"internal/hub":       {"thor", "internal/auth", "internal/stream", "github.com/gobwas/ws", "golang.org/x/sync", "golang.org/x/sys", "golang.org/x/time"},
	"internal/api":       {"thor", "internal/auth", "internal/cutover", "github.com/danielgtaylor/huma/v2"},
	"internal/frontdoor": {"thor"},
	"internal/client":    {"thor", "internal/api", "github.com/gobwas/ws"},

	// The whole.
	"internal/app": {"*", "golang.org/x/sync"},
	"internal/gen": {"thor", "internal/api", "internal/app"},
	"web":          {},
	"e2e":          {}, // its tests see the server from outside
	"cmd/thor": {
		"thor", "internal/api", "internal/app", "internal/auth", "internal/calendar", "internal/client",
		"github.com/alecthomas/kong", "github.com/BurntSushi/toml",
	},
}

func TestWhoMayImportWhom(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, p := range listPackages(t) {
		name := local(p.ImportPath)
		listed[name] = true
		allowed, known := architecture[name]
		if !known {
			t.Errorf("%s is not in the table: say what it may import", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if !mayImport(allowed, imported) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
	for name := range architecture {
		if !listed[name] {
			t.Errorf("%s is in the table and does not exist", name)
		}
	}
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

// listPackages lists every package of the module, for every system it is built
// for.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	all := map[string]goPackage{}
	for _, system := range []string{"linux", "darwin", "windows"} {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
		cmd.Env = append(cmd.Environ(), "GOOS="+system)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
			var p goPackage
			if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			p.Imports = append(p.Imports, all[p.ImportPath].Imports...)
			all[p.ImportPath] = p
		}
	}
	var list []goPackage
	for _, p := range all {
		list = append(list, p)
	}
	return list
}

// local is the path of a package below the module; the root stays "thor".
func local(path string) string { return strings.TrimPrefix(path, "thor/") }

func mayImport(allowed []string, imported string) bool {
	if imported == "thor" || strings.HasPrefix(imported, "thor/") {
		return slices.Contains(allowed, "*") || slices.Contains(allowed, local(imported))
	}
	if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
		return true // the standard library
	}
	return slices.ContainsFunc(allowed, func(module string) bool {
		return imported == module || strings.HasPrefix(imported, module+"/")
	})
}
