package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"thor"
)

func TestLayerWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sick error
		var told []string
		w := &layerWatch{
			probe: func(context.Context) error { return sick },
			lost:  func() { told = append(told, "lost") }, found: func() { told = append(told, "found") },
			logger: slog.New(slog.DiscardHandler),
		}
		probe := func(times int) {
			for range times {
				if err := w.run(t.Context()); err != nil {
					t.Errorf("the job failed: %v", err)
				}
				time.Sleep(probeEvery)
			}
		}
		want := func(what string) {
			t.Helper()
			if got := strings.Join(told, " "); got != what {
				t.Errorf("told %q, want %q", got, what)
			}
		}
		probe(5)
		sick = errors.New("away")
		probe(3) // 0, 5 and 10 seconds
		want("")
		sick = nil
		probe(1)
		sick = errors.New("away")
		probe(3)
		want("") // a probe in between begins it anew
		probe(5)
		want("lost")
		sick = nil
		probe(5)
		want("lost found")
	})
}

// deafLayer is a channel layer that delivers nothing.
type deafLayer struct{ sick error }

func (*deafLayer) Name() string                                { return "deaf" }
func (*deafLayer) Publish(context.Context, []thor.Event) error { return nil }
func (l *deafLayer) Probe(context.Context) error               { return l.sick }

// TestLayerLost takes the channel layer away from a server: a client is told so
// with 4503, and served again when the layer is back.
func TestLayerLost(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	layer := &deafLayer{sick: errors.New("away")}
	a.layer = layer
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.hub.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(a.api)
	t.Cleanup(server.Close)
	first := func() ws.Frame {
		t.Helper()
		conn, br, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws/")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() }) //nolint:errcheck // a test
		var f ws.Frame
		if br != nil {
			f, err = ws.ReadFrame(br)
		} else {
			f, err = ws.ReadFrame(conn)
		}
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	watch := a.watchLayer()
	watch.failing = time.Now().Add(-lostAfter)
	if err := watch.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, reason := ws.ParseCloseFrameData(first().Payload); code != 4503 || !strings.Contains(reason, "REST") {
		t.Errorf("closed with %d %q, want 4503", code, reason)
	}
	layer.sick = nil
	if err := watch.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f := first(); !strings.HasPrefix(string(f.Payload), `{"type":"hello"`) {
		t.Errorf("got %q, want hello", f.Payload)
	}
}
