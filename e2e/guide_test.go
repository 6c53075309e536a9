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

// TestAFifthFeature builds what docs/integration-guide.md shows, to the letter,
// and looks whether it gives what the guide promises.
func TestAFifthFeature(t *testing.T) {
	t.Parallel()
	s := serveWith(t, buildWith(t, guideFiles(t)), t.TempDir(), "127.0.0.1:0")
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

// guideFiles reads the files and lines of the guide.
func guideFiles(t *testing.T) map[string]string {
	t.Helper()
	guide, err := os.ReadFile("../docs/integration-guide.md")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	block := regexp.MustCompile("(?s)<!-- (file|line): (\\S+)(?: (after|before) (.*?))? -->\n```go\n(.*?)```")
	for _, m := range block.FindAllStringSubmatch(string(guide), -1) {
		kind, path, where, line, code := m[1], filepath.Join(root, m[2]), m[3], m[4], m[5]
		if kind == "file" {
			files[path] = code
			continue
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		with := line + "\n" + code
		if where == "before" {
			with = strings.TrimPrefix(code, "\t") + "\t" + line + "\n"
		}
		files[path] = strings.Replace(string(before), line+"\n", with, 1)
		if files[path] == string(before) {
			t.Fatalf("%s has no line %q", m[2], line)
		}
	}
	if len(files) != 4 {
		t.Fatalf("the guide has %d files, want 4", len(files))
	}
	return files
}
