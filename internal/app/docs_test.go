package app

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
)

func operations(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestSettingsAreDocumented holds docs/operations.md to the tags of Config.
func TestSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	page := operations(t)
	v := reflect.ValueOf(Default())
	for i, field := range reflect.VisibleFields(v.Type()) {
		name := field.Tag.Get("name")
		if name == "" {
			continue
		}
		shown := fmt.Sprint(v.Field(i).Interface())
		if shown == "" || shown == "[]" {
			shown = ""
		} else {
			shown = "`" + shown + "` "
		}
		row := fmt.Sprintf("| `%s` | `%s` | %s| %s |", name, field.Tag.Get("env"), shown, field.Tag.Get("help"))
		if !strings.Contains(page, row+"\n") {
			t.Errorf("docs/operations.md has no row\n%s", row)
		}
		if want := "${" + strings.ReplaceAll(name, "-", "_") + "}"; field.Tag.Get("default") != want {
			t.Errorf("the default of %s is not Default's", name)
		}
	}
}

// TestMetricsAreDocumented holds docs/operations.md to what /metrics serves.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	page := operations(t)
	c := Default()
	c.Addr, c.Data = "localhost:0", t.TempDir()
	a, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	a.served("positions", "other") // so that every metric has a value
	a.tap(nil)
	a.metrics.FeedEvents.WithLabelValues("positions").Inc()
	a.metrics.FeedAge.WithLabelValues("positions").Set(1)
	a.metrics.ObserveRun("positions", 0, 0, 0, nil)
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost"
	answer := httptest.NewRecorder()
	a.api.ServeHTTP(answer, r)
	found := 0
	for line := range strings.Lines(answer.Body.String()) {
		rest, ok := strings.CutPrefix(line, "# HELP ")
		name, help, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if !ok || strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		found++
		row := ""
		for candidate := range strings.Lines(page) {
			if strings.HasPrefix(candidate, "| `"+name+"` |") {
				row = candidate
			}
		}
		if !strings.HasSuffix(row, "| "+help+" |\n") {
			t.Errorf("docs/operations.md says of %s: %q, want %q", name, row, help)
		}
	}
	if documented := strings.Count(page, "_total` |") + strings.Count(page, "_seconds` |"); found < documented {
		t.Errorf("%d metrics are served, and more are documented", found)
	}
}
