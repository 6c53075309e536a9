package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// farewells are what a crowd of clients was told at the end, and when.
type farewells struct {
	mu     sync.Mutex // guards what follows
	advice []time.Duration
	told   []time.Time
	closed []time.Time
}

// crowd connects so many clients.
func (w *world) crowd(t *testing.T, n int) *farewells {
	t.Helper()
	f := &farewells{}
	for range n {
		got := &inbox{}
		w.fakeWith(t, &fakeTransport{taken: func(b []byte) {
			got.take(b)
			f.note(t, got.frames())
		}})
	}
	time.Sleep(time.Second) // they are greeted
	return f
}

func (f *farewells) note(t *testing.T, frames []ws.Frame) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, frame := range frames {
		if frame.Header.OpCode == ws.OpClose {
			if code, _ := ws.ParseCloseFrameData(frame.Payload); code != closeRestarting {
				t.Errorf("closed with %d", code)
			}
			f.closed = append(f.closed, time.Now())
			continue
		}
		if !bytes.HasPrefix(frame.Payload, []byte(`{"type":"server_shutdown"`)) {
			continue
		}
		var m message
		if err := json.Unmarshal(frame.Payload, &m); err == nil {
			f.advice = append(f.advice, time.Duration(data[shutdownData](t, m).ReconnectInMS)*time.Millisecond)
			f.told = append(f.told, time.Now())
		}
	}
}

func TestDrainInBatches(t *testing.T) {
	t.Parallel()
	const limit = 3 * time.Second
	drain := func(t *testing.T, w *world) (began time.Time) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		began = time.Now()
		w.Drain(ctx)
		if took := time.Since(began); took > limit || w.Stats().Connections != 0 {
			t.Errorf("it took %v and left %d connections, want none within %v", took, w.Stats().Connections, limit)
		}
		return began
	}
	virtual(t, "a few go at once", nil, func(t *testing.T, w *world) {
		f := w.crowd(t, drainAtOnce)
		began := drain(t, w)
		for _, at := range f.closed {
			if at.Sub(began) > 10*time.Millisecond {
				t.Fatalf("one was closed after %v", at.Sub(began))
			}
		}
		if len(f.closed) != drainAtOnce || len(f.advice) != drainAtOnce {
			t.Errorf("%d were closed and %d told", len(f.closed), len(f.advice))
		}
	})
	virtual(t, "thousands are told at once, and go in batches within the deadline", nil, func(t *testing.T, w *world) {
		const n = 4000
		f := w.crowd(t, n)
		began := drain(t, w)
		if len(f.closed) != n || len(f.advice) != n {
			t.Fatalf("%d of %d were closed, %d told", len(f.closed), n, len(f.advice))
		}
		for _, at := range f.told {
			if at.Sub(began) > 10*time.Millisecond {
				t.Fatalf("one was told after %v", at.Sub(began))
			}
		}
		batches := map[time.Duration]int{}
		for _, at := range f.closed {
			batches[at.Sub(began).Round(drainBatch)]++
		}
		spread := limit - drainSettle - drainBatch
		want := int(spread/drainBatch) + 1
		if len(batches) < want-1 || len(batches) > want+1 {
			t.Errorf("%d batches, want about %d", len(batches), want)
		}
		for at, size := range batches {
			if size > 2*n/want || at > spread+drainBatch {
				t.Errorf("%d were closed after %v; want about %d a batch, up to %v", size, at, n/want, spread)
			}
		}
		fifths := make([]int, 5) // of the window they are to come back in
		for _, in := range f.advice {
			fifths[min(int(in*5/jitter), 4)]++
		}
		for i, size := range fifths {
			if size < n/5*8/10 || size > n/5*12/10 {
				t.Errorf("%d of %d come back in fifth %d of the window", size, n, i)
			}
		}
	})
	virtual(t, "without time to spread all go at once", nil, func(t *testing.T, w *world) {
		f := w.crowd(t, 1000)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		w.Drain(ctx)
		for _, at := range f.closed {
			if at.Sub(began) > 10*time.Millisecond {
				t.Fatalf("one was closed after %v", at.Sub(began))
			}
		}
		if len(f.closed) != 1000 || time.Since(began) > time.Second {
			t.Errorf("%d were closed in %v", len(f.closed), time.Since(began))
		}
	})
	virtual(t, "until its turn a connection gets what there is", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1))
		last := w.dial(t)
		last.want("hello", "snapshot positions:A/1")
		w.crowd(t, 2*drainAtOnce)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.Drain(t.Context())
		}()
		last.want("server_shutdown")
		for i := 2; ; i++ {
			w.deliver(t, draft("positions:A", i))
			m := last.next()
			if m.Close == closeRestarting {
				break
			}
			if m.Seq != uint64(i) {
				t.Fatalf("got %s, want %d", m.brief(), i)
			}
		}
		<-ended
	})
}

func TestLost(t *testing.T) {
	t.Parallel()
	environments(t, "without the channel layer connections are closed with 4503, those that come too, until it is back", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		w.Lost()
		if m := c.want("close 4503")[0]; m.Reason == "" {
			t.Error("no reason")
		}
		w.dial(t).want("close 4503")
		w.Found()
		w.dial(t).want("hello")
	})
}
