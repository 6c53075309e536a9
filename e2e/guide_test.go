//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const guide = "docs/integration-guide.md"

// TestTheGuide does what the guide says, from its first line to its last, and
// looks whether the feature it ends with is what it promises.
func TestTheGuide(t *testing.T) {
	t.Parallel()
	r := readerOf(t, guide)
	r.walk()
	aFifthFeature(t, serveWith(t, filepath.Join(r.dir, "bin", "thor"), t.TempDir(), "127.0.0.1:0"))
}

func aFifthFeature(t *testing.T, s *server) {
	t.Helper()
	c := connect(t, s)
	list, ok := c.until(5*time.Second, func(m message) bool { return m.Type == "orders" && !m.Snapshot })
	if !ok {
		t.Fatal("no orders over WebSocket")
	}
	last := list[len(list)-1]
	if last.Stream != "orders:PAPER-1" || !strings.Contains(string(last.Data), `"limit":270.5000`) {
		t.Errorf("got %s %s", last.Stream, last.Data)
	}
	// The page finds it by the same means as any feature it has no panel for.
	if !strings.Contains(string(list[0].Data), `"orders":{"stage":"shadow"`) {
		t.Errorf("hello does not name it: %s", list[0].Data)
	}
	response, body := s.get("/api/orders?account_id=PAPER-1")
	if response.StatusCode != 200 || !strings.HasPrefix(string(body), `{"account_id":"PAPER-1","orders":[{"symbol":"EQ.AAPL"`) {
		t.Errorf("REST: %d %s", response.StatusCode, body)
	}
	if out, _ := s.thor("status"); !regexp.MustCompile(`(?m)^orders +shadow +REST \(Shadow\) `).MatchString(out) {
		t.Errorf("status:\n%s", out)
	}
	if out, code := s.thor("cutover", "promote", "orders"); code != 0 || !strings.Contains(out, "orders: shadow → canary") {
		t.Errorf("promote: %d\n%s", code, out)
	}
	var features struct {
		Features []struct{ Feature, Stage string }
	}
	_, body = s.get("/api/features")
	if err := json.Unmarshal(body, &features); err != nil || len(features.Features) != 5 || features.Features[4].Stage != "canary" {
		t.Errorf("features: %s, %v", body, err)
	}
	_, body = s.get("/metrics")
	if !strings.Contains(string(body), `feed_events_total{feature="orders"}`) {
		t.Error("no metrics of it")
	}
}

// TestAFifthFeatureKeepsTheLaws runs the tests of the vocabulary, the jobs and
// the stages over what the guide shows: a new feature makes none of them fail
// but that its golden file is not there yet.
func TestAFifthFeatureKeepsTheLaws(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "test", "-overlay", overlayOf(t, guideFiles(t)),
		"-skip", "//its_wire_form_is_the_golden_one", "thor", "thor/jobs", "thor/internal/cutover", "thor/internal/api")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// guideFiles are the files of the server the guide writes and edits.
func guideFiles(t *testing.T) map[string]string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, b := range readPage(t, guide).blocks {
		kind, mark, _ := strings.Cut(b.mark, ": ")
		switch {
		case b.lang != "go" || kind == "from":
		case kind == "file":
			files[filepath.Join(root, mark)] = b.text
		default:
			path, edited, err := b.edit(mark, func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(root, path)) })
			if err != nil {
				t.Fatalf("%s:%d: %v", guide, b.line, err)
			}
			files[filepath.Join(root, path)] = string(edited)
		}
	}
	if len(files) != 4 {
		t.Fatalf("the guide has %d files, want 4", len(files))
	}
	return files
}
