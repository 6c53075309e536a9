package hub

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"thor"
)

// page is a log that tests read.
type page struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

func logger(p *page) *slog.Logger { return slog.New(slog.NewTextHandler(p, nil)) }

func TestPanic(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]string{
		"while a command is done": `{"type":"subscribe","streams":["positions:A"],"client":"boom"}`,
		"in what others gave":     `{"type":"cutover_ack","feature":"positions","rev":1,"switched_ms":1}`,
	} {
		log := &page{}
		environments(t, "a panic "+name+" ends that connection with 1011 and no other", func(c *Config) {
			c.Logger = logger(log)
			c.Shards = 1
			c.Features = func(client string) map[string]FeatureState {
				if client == "boom" {
					panic("planted")
				}
				return map[string]FeatureState{"positions": {Stage: thor.StageCanary, Rev: 1}}
			}
			c.Ack = func(Ack) { panic("planted") }
		}, func(t *testing.T, w *world) {
			w.publish(t, draft("positions:A", 1))
			other := w.dial(t)
			other.want("hello", "snapshot positions:A/1")
			c := w.dial(t)
			c.want("hello")
			c.send(say)
			c.want("close 1011")
			w.publish(t, draft("positions:A", 2))
			other.want("positions:A/2")
			if got := w.Stats().Panics; got != 1 {
				t.Errorf("%d panics are counted", got)
			}
			if said := log.String(); !strings.Contains(said, "panic=planted") || !strings.Contains(said, "panic_test.go") {
				t.Errorf("the log says %q, want the panic and its stack", said)
			}
		})
	}
	virtual(t, "one that panics again at its end is dropped", func(c *Config) { c.Shards = 1 }, func(t *testing.T, w *world) {
		other := w.dial(t)
		other.want("hello")
		w.fakeWith(t, &fakeTransport{taken: func([]byte) { panic("planted") }})
		time.Sleep(time.Second)
		if got := w.Stats(); got.Connections != 1 || got.Panics != 1 {
			t.Errorf("%d connections are left after %d panics, want the other one", got.Connections, got.Panics)
		}
		other.send(`{"type":"ping"}`)
		other.want("pong")
	})
	environments(t, "a panic in the store is a resume that does not recover", func(c *Config) { c.History = brokenStore{} }, func(t *testing.T, w *world) {
		epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2))[0].Version.Epoch
		w.forget(t, "positions:A")
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["positions:A"],"resume":{"positions:A":{"epoch":"` + epoch + `","seq":1}}}`)
		if told := data[subscribedData](t, c.want("subscribed", "snapshot positions:A/2")[0]).Streams["positions:A"]; *told.Recovered {
			t.Errorf("told %+v", told)
		}
	})
}

// brokenStore panics when it is asked.
type brokenStore struct{}

func (brokenStore) Since(context.Context, thor.StreamID, uint64, int) ([]thor.Event, error) {
	panic("planted")
}
