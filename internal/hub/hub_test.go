package hub

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"thor"
	"thor/internal/auth"
	"thor/internal/stream"
)

func TestPlainClient(t *testing.T) {
	t.Parallel()
	environments(t, "a client that only connects and reads gets everything it may see", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("global_market", 1))
		began := time.Now()
		c := w.dial(t)
		hello := data[helloData](t, c.want("hello")[0])
		if len(hello.Streams) != 2 || hello.Streams["positions:A"].CadenceMS != 1000 || !hello.Resume || hello.Source.Name != "sim" {
			t.Errorf("hello %+v", hello)
		}
		if f := hello.Features["positions"]; f.Stage != thor.StageShadow || f.DataSource != thor.DataSourceREST {
			t.Errorf("features %+v", hello.Features)
		}
		last := c.want("snapshot global_market/1", "snapshot positions:A/1")
		if waited := time.Since(began); waited < followAfter {
			t.Errorf("the default began after %v, want %v", waited, followAfter)
		}
		if last[1].At != 1 || last[1].Epoch == "" {
			t.Errorf("snapshot %s", last[1].raw)
		}
		w.publish(t, draft("positions:A", 2))
		c.want("positions:A/2")
		w.publish(t, draft("positions:NEW", 1)) // an account that appears later
		c.want("snapshot positions:NEW/1")
	})
	environments(t, "ping and auth do not end the default", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"ping"}`)
		c.want("pong")
		c.send(`{"type":"auth","token":"x"}`)
		c.want("error", "snapshot positions:A/1")
	})
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	environments(t, "every connection gets it, also one that has just come", nil, func(t *testing.T, w *world) {
		early := w.dial(t)
		early.want("hello")
		if err := w.Beat(thor.Heartbeat{HeartbeatCount: 1, IntervalMS: 5000}); err != nil {
			t.Fatal(err)
		}
		h := data[thor.Heartbeat](t, early.want("heartbeat")[0])
		if h.HeartbeatCount != 1 || h.IntervalMS != 5000 {
			t.Errorf("heartbeat %+v", h)
		}
		late := w.dial(t)
		late.want("hello", "heartbeat")
	})
}

func TestTimes(t *testing.T) {
	t.Parallel()
	virtual(t, "the server pings every 25 seconds and closes a peer silent for 75", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		began := time.Now()
		for range 3 {
			<-c.pings
		}
		if waited := time.Since(began); waited < 3*pingEvery-time.Second || waited > 3*pingEvery+time.Second {
			t.Errorf("three pings took %v", waited)
		}
		c.want("close 4408")
	})
	virtual(t, "a pong keeps a connection alive", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		for range 8 {
			<-c.pings
			c.write(ws.NewPongFrame(nil))
		}
		c.silent(time.Second)
	})
	virtual(t, "a peer that takes nothing for 10 seconds is dropped, and others do not wait for it", nil, func(t *testing.T, w *world) {
		stalled := w.dialer(t, w, local()) // never read from
		defer stalled.Close()              //nolint:errcheck // a test
		c := w.dial(t)
		c.want("hello")
		w.publish(t, draft("positions:A", 1))
		c.want("snapshot positions:A/1")
		if got := w.Stats().Connections; got != 2 {
			t.Fatalf("%d connections, want 2", got)
		}
		time.Sleep(stallAfter + time.Second)
		if got := w.Stats().Connections; got != 1 {
			t.Errorf("%d connections, want the stalled one gone", got)
		}
	})
}

func TestOff(t *testing.T) {
	t.Parallel()
	environments(t, "a feature switched off ends its streams with a reset, and comes back by default", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1))
		c := w.dial(t)
		c.want("hello", "snapshot positions:A/1")
		w.logs.SetPublishing("positions", false)
		if r := data[resetData](t, c.want("reset")[0]); r.Stream != "positions:A" || r.Reason != "off" {
			t.Errorf("reset %+v", r)
		}
		other := w.dial(t)
		if hello := data[helloData](t, other.want("hello")[0]); len(hello.Streams) != 0 {
			t.Errorf("hello shows %v", hello.Streams)
		}
		w.logs.SetPublishing("positions", true)
		if err := w.logs.Open(t.Context(), "positions:A"); err != nil {
			t.Fatal(err)
		}
		c.want("snapshot positions:A/1")
	})
	environments(t, "a log made anew goes on where the reader was", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1))
		c := w.dial(t)
		c.want("hello", "snapshot positions:A/1")
		missed, err := w.store.Append(t.Context(), time.Now(), []thor.Event{draft("positions:A", 2)})
		if err != nil || len(missed) != 1 {
			t.Fatal(err)
		}
		w.publish(t, draft("positions:A", 3))
		c.want("gap", "positions:A/3")
	})
}

// turning is a store whose epoch a test changes.
type turning struct{ at atomic.Pointer[thor.Version] }

func (s *turning) Latest(_ context.Context, id thor.StreamID, _ thor.Window) (thor.Version, []thor.Event, error) {
	e := draft(id, 1)
	e.Version = *s.at.Load()
	return e.Version, []thor.Event{e}, nil
}

func TestReset(t *testing.T) {
	t.Parallel()
	store := &turning{}
	virtual(t, "another epoch is a reset, then a snapshot, then what follows", func(c *Config) {
		c.Logs.Store = store
	}, func(t *testing.T, w *world) {
		store.at.Store(&thor.Version{Epoch: "e1", Seq: 7})
		if err := w.logs.Open(t.Context(), "positions:A"); err != nil {
			t.Fatal(err)
		}
		c := w.dial(t)
		c.want("hello", "snapshot positions:A/7")
		store.at.Store(&thor.Version{Epoch: "e2", Seq: 3})
		news := draft("positions:A", 2)
		news.Version = thor.Version{Epoch: "e2", Seq: 3}
		if err := w.logs.Append(t.Context(), []thor.Event{news}); err != nil {
			t.Fatal(err)
		}
		got := c.want("reset", "snapshot positions:A/3")
		if r := data[resetData](t, got[0]); r.Stream != "positions:A" || r.Epoch != "e2" || r.Reason != "epoch_changed" || got[1].Epoch != "e2" {
			t.Errorf("reset %+v, then one of %s", r, got[1].Epoch)
		}
		news.Version.Seq = 4
		if err := w.logs.Append(t.Context(), []thor.Event{news}); err != nil {
			t.Fatal(err)
		}
		c.want("positions:A/4")
	})
}

// TestATickWakesOnce holds the hub to sweeping once for a beat of many events.
func TestATickWakesOnce(t *testing.T) {
	t.Parallel()
	virtual(t, "the events of one batch come in one write", func(c *Config) { c.Shards = 1 }, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 0), draft("account_balance:A", 0), draft("global_market", 0))
		writes := 0
		w.fakeWith(t, &fakeTransport{taken: func([]byte) { writes++ }})
		time.Sleep(followAfter + time.Second)
		synctest.Wait()
		writes = 0
		w.deliver(t, draft("positions:A", 1), draft("account_balance:A", 1), draft("global_market", 1), draft("positions:A", 2))
		synctest.Wait()
		if writes != 1 {
			t.Errorf("%d writes, want 1", writes)
		}
	})
}

func TestCanary(t *testing.T) {
	t.Parallel()
	environments(t, "a connection is told when its data source changes", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		w.setStage("positions", FeatureState{Stage: thor.StageCanary, DataSource: thor.DataSourceWS, Rev: 2})
		if a := data[assignmentData](t, c.want("assignment")[0]); a.Feature != "positions" || a.DataSource != thor.DataSourceWS || a.Rev != 2 {
			t.Errorf("assignment %+v", a)
		}
		w.setStage("positions", FeatureState{Stage: thor.StageCanary, DataSource: thor.DataSourceWS, Rev: 3})
		c.silent(100 * time.Millisecond)
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	environments(t, "connections are told when to come back, closed with 1012, and new ones refused", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		w.Drain(ctx)
		bye := c.want("server_shutdown", "close 1012")[0]
		if in := data[shutdownData](t, bye).ReconnectInMS; in < 0 || in > jitter.Milliseconds() {
			t.Errorf("come back in %d ms", in)
		}
		if got := w.Stats().Connections; got != 0 {
			t.Errorf("%d connections are left", got)
		}
		r := httptest.NewRecorder()
		w.ServeHTTP(r, httptest.NewRequest("GET", "/ws/", nil))
		if r.Code != 503 {
			t.Errorf("a new connection got %d, want 503", r.Code)
		}
	})
}

func TestDrainTellsWhoComesLate(t *testing.T) {
	t.Parallel()
	virtual(t, "a connection that was let in before the farewell and opens after it", nil, func(t *testing.T, w *world) {
		w.Drain(t.Context())
		late := w.dial(t) // a pipe does not ask whether new ones are refused
		late.want("server_shutdown", "close 1012")
	})
}

// TestRunEndsWithConnectionsOnTheirWay connects while the hub ends: whichever
// of them is first, none is left behind.
func TestRunEndsWithConnectionsOnTheirWay(t *testing.T) {
	t.Parallel()
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			h := New(Config{
				Logs: &stream.Logs{}, Door: &auth.Door{}, Shards: 1,
				Features: func(string) map[string]FeatureState { return nil },
				Cadence:  func(thor.StreamID) time.Duration { return 0 },
			})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- h.Run(ctx) }()
			var clients sync.WaitGroup
			for range 20 {
				clients.Go(func() {
					ours, theirs := net.Pipe()
					defer ours.Close() //nolint:errcheck // a test
					if !h.serve(theirs, nil, guest{principal: local()}) {
						theirs.Close() //nolint:errcheck // as ServeHTTP does
					}
					_, _ = io.Copy(io.Discard, ours)
				})
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			clients.Wait()
		})
	}
}

func TestHalfClose(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), nil)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	for range 20 { // it was a matter of luck
		conn, br, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws/")
		if err != nil {
			t.Fatal(err)
		}
		said := append(ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewPingFrame([]byte("?")))),
			ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))))...)
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			t.Fatalf("a %T", conn)
		}
		_, err = tcp.Write(said)
		if err := errors.Join(err, tcp.CloseWrite()); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(cmp.Or[io.Reader](bufferedOrNil(br), conn))
		if err != nil || !bytes.Contains(answer, ws.MustCompileFrame(ws.NewPongFrame([]byte("?")))) ||
			!bytes.HasSuffix(answer, ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))) {
			t.Fatalf("answered %q, %v; want the pong and the close", answer, err)
		}
		conn.Close() //nolint:errcheck // a test
	}
}

// bufferedOrNil is r, or a nil interface when there is none.
func bufferedOrNil(r *bufio.Reader) io.Reader {
	if r == nil {
		return nil
	}
	return r
}

func TestCloseReasonIsCutAtARune(t *testing.T) {
	t.Parallel()
	f, err := ws.ReadFrame(bytes.NewReader(closeFrame(4400, strings.Repeat("é", 100))))
	if err != nil {
		t.Fatal(err)
	}
	_, reason := ws.ParseCloseFrameData(f.Payload)
	if want := strings.Repeat("é", 61); reason != want {
		t.Errorf("reason of %d bytes, want %d", len(reason), len(want))
	}
}
