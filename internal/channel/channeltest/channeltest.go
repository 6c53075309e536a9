// Package channeltest holds the laws every channel layer keeps.
package channeltest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/channel"
)

// Run checks the laws. Open returns a fresh layer that delivers to the sink.
func Run(t *testing.T, open func(t *testing.T, sink channel.Sink) channel.Layer) {
	t.Helper()
	t.Run("it has a name", func(t *testing.T) {
		t.Parallel()
		if open(t, &recorder{}).Name() == "" {
			t.Error("no name")
		}
	})
	t.Run("what one node publishes reaches it unchanged and in order", func(t *testing.T) {
		t.Parallel()
		sink := &recorder{}
		layer := open(t, sink)
		var want []thor.Event
		for seq := range uint64(20) {
			batch := []thor.Event{event("positions:A", seq+1), event("global_market", seq+1)}
			want = append(want, batch...)
			if err := layer.Publish(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, sink.wait(t, len(want))); diff != "" {
			t.Errorf("delivered (-published +got):\n%s", diff)
		}
	})
	t.Run("concurrent publishers of different streams keep each stream in order", func(t *testing.T) {
		t.Parallel()
		sink := &recorder{}
		layer := open(t, sink)
		const publishers, rounds = 8, 50
		var wg sync.WaitGroup
		for p := range publishers {
			wg.Go(func() {
				for seq := range uint64(rounds) {
					id := thor.NewStreamID("positions", fmt.Sprint(p))
					if err := layer.Publish(t.Context(), []thor.Event{event(id, seq+1)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		last := map[thor.StreamID]uint64{}
		for _, e := range sink.wait(t, publishers*rounds) {
			if e.Version.Seq != last[e.Stream]+1 {
				t.Fatalf("%s: %d after %d", e.Stream, e.Version.Seq, last[e.Stream])
			}
			last[e.Stream] = e.Version.Seq
		}
	})
	t.Run("a probe succeeds", func(t *testing.T) {
		t.Parallel()
		if err := open(t, &recorder{}).Probe(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func event(id thor.StreamID, seq uint64) thor.Event {
	return thor.Event{
		Stream: id, Version: thor.Version{Epoch: "e", Seq: seq}, Type: "positions", Key: "k", Final: seq%2 == 0,
		Time: time.UnixMilli(1_800_000_000_000).UTC(), Data: fmt.Appendf(nil, `{"seq":%d}`, seq),
	}
}

// recorder is a sink that remembers.
type recorder struct {
	mu     sync.Mutex // guards events
	events []thor.Event
}

func (r *recorder) Append(_ context.Context, events []thor.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, events...)
	return nil
}

// wait returns what was delivered once there are n events.
func (r *recorder) wait(t *testing.T, n int) []thor.Event {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		r.mu.Lock()
		events := r.events
		r.mu.Unlock()
		if len(events) >= n {
			return events
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%d events were delivered, want %d", len(events), n)
		}
	}
}
