package hub

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"thor"
	"thor/internal/auth"
)

func TestPrivateStreams(t *testing.T) {
	t.Parallel()
	ada := &auth.Principal{Subject: "ada", Accounts: []string{"A"}}
	virtual(t, "another's stream and none get the same answer, and the connection stays", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("positions:B", 1), draft("global_market", 1))
		c := w.dialAs(t, ada)
		hello := data[helloData](t, c.want("hello")[0])
		if _, shown := hello.Streams["positions:B"]; shown || len(hello.Streams) != 2 {
			t.Errorf("hello shows %v", hello.Streams)
		}
		c.send(`{"type":"subscribe","id":1,"streams":["positions:B","positions:X","positions:A"],"resume":{"positions:B":{"epoch":"e","seq":0}}}`)
		refusals := c.want("error", "error", "subscribed", "snapshot positions:A/1")
		foreign, missing := data[errorData](t, refusals[0]), data[errorData](t, refusals[1])
		if foreign.Code != thor.EFORBIDDEN || strings.ReplaceAll(foreign.Message, "positions:B", "positions:X") != missing.Message {
			t.Errorf("foreign %+v, missing %+v; want the same", foreign, missing)
		}
	})
	virtual(t, "by default only what the principal may see is followed", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("positions:B", 1))
		c := w.dialAs(t, ada)
		c.want("hello", "snapshot positions:A/1")
		w.publish(t, draft("positions:B", 2), draft("positions:A", 2))
		c.want("positions:A/2")
		c.silent(time.Second)
	})
}

// TestCadence holds that a change of cadence reaches whoever may see the stream,
// also before it is asked for, and nobody else.
func TestCadence(t *testing.T) {
	t.Parallel()
	virtual(t, "each is told of what it may see", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("positions:B", 1), draft("global_market", 1))
		everything := w.dial(t)
		some := w.dialAs(t, &auth.Principal{Subject: "ada", Accounts: []string{"A"}})
		nothing := w.dialAs(t, &auth.Principal{Subject: "eve"})
		unknown := w.dialAs(t, nil)
		for _, c := range []*client{everything, some, nothing} {
			c.want("hello")
		}
		w.AnnounceCadences(map[thor.StreamID]time.Duration{"positions:A": 5 * time.Second, "positions:B": 5 * time.Second, "positions:GONE": time.Second})
		w.AnnounceCadences(nil)
		for c, want := range map[*client]string{
			everything: `{"type":"cadence","data":{"streams":{"positions:A":{"cadence_ms":5000},"positions:B":{"cadence_ms":5000}}}}`,
			some:       `{"type":"cadence","data":{"streams":{"positions:A":{"cadence_ms":5000}}}}`,
		} {
			if m := c.next(); m.raw != want {
				t.Errorf("got %s, want %s", m.raw, want)
			}
		}
		nothing.want("snapshot global_market/1")
		unknown.silent(time.Second)
	})
}

func TestAuth(t *testing.T) {
	t.Parallel()
	door := &auth.Door{Key: []byte("0123456789abcdef0123456789abcdef")}
	keyed := func(c *Config) { c.Door = door }
	token := func(t *testing.T, ttl time.Duration, accounts ...string) string {
		t.Helper()
		made, err := door.NewToken(auth.Principal{Subject: "ada", Accounts: accounts}, time.Now(), ttl)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	say := func(token string) string { return fmt.Sprintf(`{"type":"auth","id":"a","token":%q}`, token) }

	virtual(t, "hello waits for the token", keyed, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("positions:B", 1))
		c := w.dialAs(t, nil)
		c.silent(time.Second)
		c.send(`{"type":"subscribe","streams":["positions:A"]}`)
		if e := data[errorData](t, c.want("error")[0]); e.Code != thor.EUNAUTHORIZED {
			t.Errorf("error %+v", e)
		}
		c.send(say(token(t, time.Hour, "A")))
		c.want("authenticated", "hello", "snapshot positions:A/1")
	})
	virtual(t, "a client may name itself with its token", keyed, func(t *testing.T, w *world) {
		w.setStage("positions", FeatureState{Stage: thor.StageCanary, DataSource: thor.DataSourceWS, Rev: 2})
		c := w.dialAs(t, nil)
		c.send(fmt.Sprintf(`{"type":"auth","token":%q,"client":"desk-3"}`, token(t, time.Hour)))
		told := data[helloData](t, c.want("authenticated", "hello")[1]).Features["positions"]
		if told.DataSource != thor.DataSourceWS {
			t.Errorf("told %+v", told)
		}
	})
	virtual(t, "without a token the connection is closed after 5 seconds", keyed, func(t *testing.T, w *world) {
		began := time.Now()
		c := w.dialAs(t, nil)
		c.want("close 4401")
		if waited := time.Since(began); waited < helloWait || waited > helloWait+2*checkEvery {
			t.Errorf("closed after %v", waited)
		}
	})
	virtual(t, "a token that is refused closes the connection", keyed, func(t *testing.T, w *world) {
		c := w.dialAs(t, nil)
		c.send(say("nonsense"))
		c.want("error", "close 4401")
	})
	virtual(t, "a new token looks at every attachment again", keyed, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("positions:B", 1))
		c := w.dialAs(t, nil)
		c.send(say(token(t, time.Hour, "A", "B")))
		c.want("authenticated", "hello", "snapshot positions:A/1", "snapshot positions:B/1")
		c.send(say(token(t, time.Hour, "B")))
		c.want("authenticated", "error")
		w.publish(t, draft("positions:A", 2), draft("positions:B", 2))
		c.want("positions:B/2")
		c.silent(time.Second)
	})
	virtual(t, "an expired token closes the connection", keyed, func(t *testing.T, w *world) {
		c := w.dialAs(t, nil)
		c.send(say(token(t, 3*time.Second)))
		c.want("authenticated", "hello", "close 4401")
	})
}

func TestSlowClient(t *testing.T) {
	t.Parallel()
	environments(t, "a client that falls behind is conflated, told so, and ends right", nil, func(t *testing.T, w *world) {
		conn := w.dialer(t, w, local())
		defer conn.Close() //nolint:errcheck // a test
		if err := ws.WriteFrame(conn, ws.MaskFrameInPlace(ws.NewTextFrame([]byte(`{"type":"ping"}`)))); err != nil {
			t.Fatal(err)
		}
		w.publish(t, draft("positions:A", 0))
		if err := ws.WriteFrame(conn, ws.MaskFrameInPlace(ws.NewTextFrame([]byte(`{"type":"subscribe","streams":["positions:A"]}`)))); err != nil {
			t.Fatal(err)
		}
		// Give it time to be attached, then publish far more than the socket,
		// the transport and the log's patience take, without reading.
		time.Sleep(200 * time.Millisecond)
		big := strings.Repeat("x", 32<<10)
		const n = 400
		for i := 1; i <= n; i++ {
			e := draft("positions:A", i)
			e.Data = fmt.Appendf(nil, `{"value":%d,"pad":%q}`, i, big)
			w.deliver(t, e)
		}
		last, covered, gaps := uint64(0), uint64(0), 0
		for last != n+1 {
			f, err := ws.ReadFrame(conn)
			if err != nil {
				t.Fatal(err)
			}
			var m message
			if f.Header.OpCode != ws.OpText {
				continue
			}
			if err := json.Unmarshal(f.Payload, &m); err != nil {
				t.Fatal(err)
			}
			switch {
			case m.Type == "gap":
				gaps++
				var g struct{ From, To uint64 }
				if err := json.Unmarshal(m.Data, &g); err != nil || g.From != last+1 {
					t.Fatalf("gap %s after %d: %v", m.Data, last, err)
				}
				covered = g.To
			case m.Stream != "":
				if last != 0 && m.Seq != last+1 && m.Seq > covered {
					t.Fatalf("seq %d after %d without a gap", m.Seq, last)
				}
				last = m.Seq
			}
		}
		if gaps == 0 {
			t.Error("the client was not conflated")
		}
	})
}
