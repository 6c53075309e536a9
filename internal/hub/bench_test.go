package hub

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thor"
	"thor/internal/auth"
	"thor/internal/stream"
)

// benchHub is a hub with n connections that follow one stream and take
// everything; received counts the bytes.
func benchHub(b *testing.B, n int) (h *Hub, logs *stream.Logs, received *atomic.Int64) {
	b.Helper()
	logs = &stream.Logs{Store: noStore{}}
	if err := logs.Open(b.Context(), "global_market"); err != nil {
		b.Fatal(err)
	}
	h = New(Config{
		Logs: logs, History: noStore{}, Door: &auth.Door{}, Window: -1,
		Features: func(string) map[string]FeatureState { return nil },
		Cadence:  func(thor.StreamID) time.Duration { return time.Second },
	})
	logs.Changed = h.Wake
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	received = &atomic.Int64{}
	for range n {
		h.connect(guest{principal: local()}, func(post func(event)) starter {
			asked := false
			return &fakeTransport{taken: func(p []byte) {
				received.Add(int64(len(p)))
				if !asked { // hello has come
					asked = true
					go post(event{kind: eventReadable, data: said(`{"type":"subscribe","streams":["global_market"]}`)})
				}
			}}
		})
	}
	for last := int64(-1); received.Load() != last || last == 0; time.Sleep(100 * time.Millisecond) { // every one is greeted and subscribed
		last = received.Load()
	}
	return h, logs, received
}

// BenchmarkDeliver is one event to many connections, until all have it.
func BenchmarkDeliver(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			_, logs, received := benchHub(b, n)
			e := thor.Event{
				Stream: "global_market", Version: thor.Version{Epoch: "e1", Seq: manyDigits}, Type: "market_status", Key: "XNYS",
				Time: time.UnixMilli(1_800_000_000_123), Data: []byte(`{"pad":"` + strings.Repeat("x", 250) + `"}`),
			}
			size := len(stream.EncodeFrames([]thor.Event{e}))
			for b.Loop() {
				e.Version.Seq++
				want := received.Load() + int64(n*size)
				if err := logs.Append(b.Context(), []thor.Event{e}); err != nil {
					b.Fatal(err)
				}
				for received.Load() < want {
					time.Sleep(time.Microsecond)
				}
			}
		})
	}
}
