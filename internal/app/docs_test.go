package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"thor"
	"thor/internal/heartbeat"
	"thor/internal/hub"
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
	for _, field := range reflect.VisibleFields(v.Type()) {
		name := field.Tag.Get("name")
		if name == "" {
			continue
		}
		shown := fmt.Sprint(v.FieldByIndex(field.Index).Interface())
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

// newApp opens a server that does not run.
func newApp(t *testing.T) *App {
	t.Helper()
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
	return a
}

// TestMetricsAreDocumented holds docs/operations.md to what /metrics serves.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	page := operations(t)
	a := newApp(t)
	a.served("positions", "other") // so that every metric has a value
	a.tap(nil)
	a.acked(hub.Ack{Feature: "positions", Rev: 1})
	a.metrics.SwitchSeconds.WithLabelValues("positions").Observe(0.1)
	a.reported(hub.Report{Feature: "positions", Matched: 1})
	a.metrics.FeedEvents.WithLabelValues("positions").Inc()
	events, err := a.store.Append(t.Context(), time.Now(), []thor.Event{{
		Stream: "positions:A", Type: "positions", Key: "A", Data: []byte(`{}`),
	}})
	if err := errors.Join(err, a.layer.Publish(t.Context(), events)); err != nil {
		t.Fatal(err)
	}
	a.beat.Observe(heartbeat.Run{Job: "positions", Err: errors.New("no")}) // as the beat tells of every run
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost"
	answer := httptest.NewRecorder()
	a.api.ServeHTTP(answer, r)
	rows := map[string]string{}
	_, section, _ := strings.Cut(page, "\n## Metrics\n")
	for row := range strings.Lines(section) {
		if name, ok := strings.CutPrefix(row, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			rows[name] = row
		}
	}
	for line := range strings.Lines(answer.Body.String()) {
		rest, ok := strings.CutPrefix(line, "# HELP ")
		name, help, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if !ok || strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		if !strings.HasSuffix(rows[name], "| "+help+" |\n") {
			t.Errorf("docs/operations.md says of %s: %q, want %q", name, rows[name], help)
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("docs/operations.md has a metric %s that is not served", name)
	}
}
