package hub

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"thor"
	"thor/internal/auth"
	"thor/internal/store/sqlite"
	"thor/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a hub over a real store, and a way to connect to it.
type world struct {
	*Hub
	store  *sqlite.Store
	logs   *stream.Logs
	dialer func(t *testing.T, w *world, p *auth.Principal) net.Conn

	mu     sync.Mutex // guards stages
	stages map[string]FeatureState
}

// newWorld starts a hub.
func newWorld(t *testing.T, dir string, change func(*Config)) *world {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: s, logs: &stream.Logs{Store: s}, stages: map[string]FeatureState{
		"positions": {Stage: thor.StageShadow, DataSource: thor.DataSourceREST, Rev: 1},
	}}
	config := Config{
		Logs: w.logs, History: s, Door: &auth.Door{},
		Features: func(string) map[string]FeatureState {
			w.mu.Lock()
			defer w.mu.Unlock()
			return maps.Clone(w.stages)
		},
		Cadence: func(thor.StreamID) time.Duration { return time.Second },
		Source:  Source{Name: "sim", Simulated: true},
		Shards:  2,
	}
	if change != nil {
		change(&config)
	}
	w.Hub = New(config)
	w.logs.Changed = w.Wake
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-stopped, s.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return w
}

// publish stores events and appends them to the logs, as pipeline and channel
// layer do.
func (w *world) publish(t *testing.T, drafts ...thor.Event) []thor.Event {
	t.Helper()
	events, err := w.store.Append(t.Context(), time.Now(), drafts)
	if err == nil {
		err = w.logs.Append(t.Context(), events)
	}
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func (w *world) setStage(feature string, s FeatureState) {
	w.mu.Lock()
	w.stages[feature] = s
	w.mu.Unlock()
	w.Reassign()
}

func draft(id thor.StreamID, value int) thor.Event {
	return thor.Event{Stream: id, Type: "positions", Key: "k", Data: fmt.Appendf(nil, `{"value":%d}`, value)}
}

// environments are the ways the same tests run: in virtual time over a pipe,
// and over real sockets.
func environments(t *testing.T, name string, change func(*Config), test func(t *testing.T, w *world)) {
	t.Helper()
	virtual(t, name, change, test)
	t.Run(name+", real sockets", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, t.TempDir(), change)
		server := httptest.NewServer(w)
		t.Cleanup(server.Close)
		w.dialer = func(t *testing.T, _ *world, p *auth.Principal) net.Conn {
			t.Helper()
			if p != nil && !p.Local {
				t.Fatal("over real sockets there is only the local operator")
			}
			conn, br, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws/")
			if err != nil {
				t.Fatal(err)
			}
			if br != nil {
				return &bufferedConn{Conn: conn, r: br}
			}
			return conn
		}
		test(t, w)
	})
}

// virtual runs a test in virtual time, over a pipe.
func virtual(t *testing.T, name string, change func(*Config), test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, dir, change)
			w.dialer = pipe
			test(t, w)
		})
	})
}

// pipe connects without a handshake.
func pipe(t *testing.T, w *world, p *auth.Principal) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	if !w.serve(theirs, nil, p, nil) {
		t.Fatal("the hub has ended")
	}
	return ours
}

// bufferedConn gives back what a handshake read too much.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// client is a plain client.
type client struct {
	t        *testing.T
	conn     net.Conn
	messages chan message
	pings    chan struct{}
}

// message is what a client gets; Close is set when the server closed.
type message struct {
	Type  string          `json:"type"`
	ID    json.RawMessage `json:"id"`
	Data  json.RawMessage `json:"data"`
	Seq   uint64          `json:"seq"`
	Epoch string          `json:"epoch"`
	TS    int64           `json:"ts"`

	Stream   thor.StreamID `json:"stream"`
	Snapshot bool          `json:"snapshot"`
	At       uint64        `json:"at"`
	Close    ws.StatusCode `json:"-"`
	Reason   string        `json:"-"`
	raw      string
}

// brief writes a message in a word.
func (m message) brief() string {
	switch {
	case m.Close != 0:
		return fmt.Sprintf("close %d", m.Close)
	case m.Snapshot:
		return fmt.Sprintf("snapshot %s/%d", m.Stream, m.Seq)
	case m.Stream != "":
		return fmt.Sprintf("%s/%d", m.Stream, m.Seq)
	}
	return m.Type
}

func local() *auth.Principal {
	p := auth.LocalOperator()
	return &p
}

// dial connects as the local operator and reads in the background.
func (w *world) dial(t *testing.T) *client { return w.dialAs(t, local()) }

func (w *world) dialAs(t *testing.T, p *auth.Principal) *client {
	t.Helper()
	c := &client{t: t, conn: w.dialer(t, w, p), messages: make(chan message, 10_000), pings: make(chan struct{}, 100)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(c.messages)
		c.read()
	}()
	t.Cleanup(func() {
		c.conn.Close() //nolint:errcheck // a test
		<-read
	})
	return c
}

func (c *client) read() {
	for {
		f, err := ws.ReadFrame(c.conn)
		if err != nil {
			return
		}
		switch f.Header.OpCode {
		case ws.OpText:
			m := message{raw: string(f.Payload)}
			if err := json.Unmarshal(f.Payload, &m); err != nil {
				c.t.Errorf("frame %q: %v", f.Payload, err)
			}
			c.messages <- m
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(f.Payload)
			c.messages <- message{Close: code, Reason: reason}
			c.write(ws.NewCloseFrame(f.Payload))
		case ws.OpPing:
			c.pings <- struct{}{}
		default:
		}
	}
}

// next returns the next message, or fails after ten seconds.
func (c *client) next() message {
	c.t.Helper()
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	select {
	case m, ok := <-c.messages:
		if !ok {
			c.t.Fatal("the connection ended without a close frame")
		}
		return m
	case <-timer.C:
		c.t.Fatal("no message within ten seconds")
	}
	panic("unreachable")
}

// want reads messages and compares them in brief.
func (c *client) want(briefs ...string) []message {
	c.t.Helper()
	var got []message
	for _, want := range briefs {
		m := c.next()
		if m.brief() != want {
			c.t.Fatalf("got %s (%s), want %q", m.brief(), m.raw, want)
		}
		got = append(got, m)
	}
	return got
}

// silent fails when a message comes within a time.
func (c *client) silent(d time.Duration) {
	c.t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case m := <-c.messages:
		c.t.Fatalf("got %s %s, want silence", m.brief(), m.raw)
	case <-timer.C:
	}
}

func (c *client) write(f ws.Frame) {
	if err := ws.WriteFrame(c.conn, ws.MaskFrameInPlace(f)); err != nil && !errors.Is(err, io.ErrClosedPipe) && !errors.Is(err, net.ErrClosed) {
		c.t.Logf("write: %v", err)
	}
}

func (c *client) send(text string) { c.write(ws.NewTextFrame([]byte(text))) }

func data[T any](t *testing.T, m message) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(m.Data, &v); err != nil {
		t.Fatalf("data %s: %v", m.Data, err)
	}
	return v
}

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

func TestPing(t *testing.T) {
	t.Parallel()
	environments(t, "a ping is answered with its scalars and the server's time", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"ping","timestamp":123,"who":"me","deep":{"x":1},"on":true}`)
		var pong map[string]any
		if err := json.Unmarshal([]byte(c.want("pong")[0].raw), &pong); err != nil {
			t.Fatal(err)
		}
		if pong["timestamp"] != float64(123) || pong["who"] != "me" || pong["on"] != true || pong["deep"] != nil || pong["ts"] == nil {
			t.Errorf("pong %v", pong)
		}
	})
	environments(t, "a protocol ping is answered", nil, func(t *testing.T, w *world) {
		conn := w.dialer(t, w, local())
		defer conn.Close() //nolint:errcheck // a test
		go func() {
			if err := ws.WriteFrame(conn, ws.MaskFrameInPlace(ws.NewPingFrame([]byte("are you there")))); err != nil {
				t.Errorf("write: %v", err)
			}
		}()
		for {
			f, err := ws.ReadFrame(conn)
			if err != nil {
				t.Fatal(err)
			}
			if f.Header.OpCode == ws.OpPong {
				if string(f.Payload) != "are you there" {
					t.Errorf("pong %q", f.Payload)
				}
				return
			}
		}
	})
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	environments(t, "a subscribe ends the default and brings a snapshot, then what follows", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("global_market", 1))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","id":"8","streams":["global_market"]}`)
		answer := c.want("subscribed", "snapshot global_market/1")[0]
		if string(answer.ID) != `"8"` {
			t.Errorf("id %s", answer.ID)
		}
		told := data[subscribedData](t, answer).Streams["global_market"]
		if told.Seq != 1 || told.Epoch == "" || told.Recovered != nil {
			t.Errorf("told %+v", told)
		}
		c.silent(followAfter + 500*time.Millisecond)
		w.publish(t, draft("positions:A", 2), draft("global_market", 2))
		c.want("global_market/2")
		c.silent(50 * time.Millisecond)
	})
	environments(t, "a stream without an event is at 0 and sends nothing", nil, func(t *testing.T, w *world) {
		if err := w.logs.Open(t.Context(), "global_market"); err != nil {
			t.Fatal(err)
		}
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["global_market"]}`)
		if told := data[subscribedData](t, c.want("subscribed")[0]).Streams["global_market"]; told.Seq != 0 {
			t.Errorf("told %+v", told)
		}
		w.publish(t, draft("global_market", 1))
		c.want("global_market/1")
	})
	environments(t, "unsubscribe and subscriptions", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("global_market", 1))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["global_market","positions:A"]}`)
		c.want("subscribed", "snapshot global_market/1", "snapshot positions:A/1")
		c.send(`{"type":"unsubscribe","id":1,"streams":["positions:A"]}`)
		c.want("unsubscribed")
		c.send(`{"type":"subscriptions","id":2}`)
		if got := data[streamsData](t, c.want("subscriptions")[0]).Streams; len(got) != 1 || got[0] != "global_market" {
			t.Errorf("subscriptions %v", got)
		}
		w.publish(t, draft("positions:A", 2), draft("global_market", 2))
		c.want("global_market/2")
	})
}

func TestResume(t *testing.T) {
	t.Parallel()
	subscribe := func(c *client, epoch string, seq uint64) {
		c.send(fmt.Sprintf(`{"type":"subscribe","streams":["positions:A"],"resume":{"positions:A":{"epoch":%q,"seq":%d}}}`, epoch, seq))
	}
	told := func(t *testing.T, m message) subscribedStream {
		t.Helper()
		s := data[subscribedData](t, m).Streams["positions:A"]
		if s.Recovered == nil {
			t.Fatalf("no word on recovery: %s", m.raw)
		}
		return s
	}
	recovers := func(from uint64, want ...string) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) {
			// The log begins with the first event, so it holds 2 and 3.
			epoch := w.publish(t, draft("positions:A", 1))[0].Version.Epoch
			w.publish(t, draft("positions:A", 2), draft("positions:A", 3))
			c := w.dial(t)
			c.want("hello")
			subscribe(c, epoch, from)
			s := told(t, c.want("subscribed")[0])
			if !*s.Recovered || s.Replayed != uint64(len(want)) || s.Seq != 3 {
				t.Errorf("told %+v, want %d replayed up to 3", s, len(want))
			}
			c.want(want...)
			w.publish(t, draft("positions:A", 4))
			c.want("positions:A/4")
		}
	}
	environments(t, "what was missed is replayed exactly", nil, recovers(1, "positions:A/2", "positions:A/3"))
	environments(t, "at the head nothing is replayed, and it counts as recovered", nil, recovers(3))
	environments(t, "from the very beginning", nil, recovers(0, "positions:A/1", "positions:A/2", "positions:A/3"))

	snapshots := func(epoch func(real string) string, from uint64) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) {
			actual := w.publish(t, draft("positions:A", 1))[0].Version.Epoch
			w.publish(t, draft("positions:A", 2))
			c := w.dial(t)
			c.want("hello")
			subscribe(c, epoch(actual), from)
			if s := told(t, c.want("subscribed", "snapshot positions:A/2")[0]); *s.Recovered || s.Seq != 2 {
				t.Errorf("told %+v", s)
			}
		}
	}
	same := func(epoch string) string { return epoch }
	environments(t, "another epoch gets a snapshot", nil, snapshots(func(string) string { return "other" }, 1))
	environments(t, "beyond the head gets a snapshot", nil, snapshots(same, 99))

	// A restart leaves the logs empty: what was missed comes from the store.
	restart := func(t *testing.T, w *world) {
		t.Helper()
		w.logs.SetPublishing("positions", false)
		w.logs.SetPublishing("positions", true)
		if err := w.logs.Open(t.Context(), "positions:A"); err != nil {
			t.Fatal(err)
		}
	}
	environments(t, "below what the log holds the store is asked", nil, func(t *testing.T, w *world) {
		epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2), draft("positions:A", 3))[0].Version.Epoch
		restart(t, w)
		c := w.dial(t)
		c.want("hello")
		subscribe(c, epoch, 1)
		if s := told(t, c.want("subscribed", "positions:A/2", "positions:A/3")[0]); !*s.Recovered || s.Replayed != 2 {
			t.Errorf("told %+v", s)
		}
		w.publish(t, draft("positions:A", 4))
		c.want("positions:A/4")
	})
	environments(t, "below what the store keeps gets a snapshot", nil, func(t *testing.T, w *world) {
		epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2), draft("positions:A", 3))[0].Version.Epoch
		if _, err := w.store.Prune(t.Context(), time.Now().Add(time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		restart(t, w)
		c := w.dial(t)
		c.want("hello")
		subscribe(c, epoch, 1)
		if s := told(t, c.want("subscribed", "snapshot positions:A/3")[0]); *s.Recovered {
			t.Errorf("told %+v", s)
		}
	})
}

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

func TestBadMessages(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, code, says string }{
		{"no JSON", `hello`, "invalid", "cannot be read"},
		{"no object", `[1]`, "invalid", "cannot be read"},
		{"no type", `{}`, "invalid", "no type"},
		{"an unknown type", `{"type":"dance"}`, "invalid", `"dance"`},
		{"a field of the wrong type", `{"type":"subscribe","streams":"x"}`, "invalid", "cannot be read"},
		{"no streams", `{"type":"subscribe"}`, "invalid", "needs streams"},
		{"a malformed stream", `{"type":"subscribe","streams":["a b"]}`, "invalid", "not a stream id"},
		{"an id that is no scalar", `{"type":"ping","id":{}}`, "invalid", "id must be"},
		{"a negative seq", `{"type":"subscribe","streams":["cutover"],"resume":{"cutover":{"epoch":"e","seq":-1}}}`, "invalid", "cannot be read"},
	}
	for _, tt := range tests {
		virtual(t, tt.name, nil, func(t *testing.T, w *world) {
			c := w.dial(t)
			c.want("hello")
			c.send(tt.text)
			e := data[errorData](t, c.want("error")[0])
			if string(e.Code) != tt.code || !strings.Contains(e.Message, tt.says) {
				t.Errorf("error %+v, want %q that says %q", e, tt.code, tt.says)
			}
			c.send(`{"type":"ping"}`)
			c.want("pong")
		})
	}
	virtual(t, "an error carries the id even when the rest cannot be read", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","id":"8","streams":"x"}`)
		if m := c.want("error")[0]; string(m.ID) != `"8"` {
			t.Errorf("id %s", m.ID)
		}
	})
	environments(t, "persisting nonsense closes the connection", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		for range maxBad {
			c.send(`nonsense`)
		}
		for range maxBad {
			c.want("error")
		}
		c.want("close 4400")
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
			w.publish(t, e)
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
