package hub

import (
	"bufio"
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
	stop   func() // ends it before the test does

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
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-stopped, s.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	t.Cleanup(w.stop)
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

// deliver appends events to the logs without storing them: what a test may do
// that says much, and does not ask the store afterwards.
func (w *world) deliver(t *testing.T, drafts ...thor.Event) {
	t.Helper()
	events := make([]thor.Event, len(drafts))
	heads := map[thor.StreamID]thor.Version{}
	for i, e := range drafts {
		if _, ok := heads[e.Stream]; !ok {
			log, err := w.logs.Attach(local(), e.Stream)
			if err != nil {
				t.Fatal(err)
			}
			heads[e.Stream] = log.Version()
		}
		e.Version, e.Time = heads[e.Stream], time.Now()
		e.Version.Seq++
		heads[e.Stream] = e.Version
		events[i] = e
	}
	if err := w.logs.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
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
	if !w.serve(theirs, nil, guest{principal: p}) {
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
	return c.nextWithin(10 * time.Second)
}

func (c *client) nextWithin(patience time.Duration) message {
	c.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case m, ok := <-c.messages:
		if !ok {
			c.t.Fatal("the connection ended without a close frame")
		}
		return m
	case <-timer.C:
		c.t.Fatalf("no message within %v", patience)
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

// forget makes the logs of a feature anew, as a restart does: they hold nothing
// that can be replayed.
func (w *world) forget(t *testing.T, id thor.StreamID) {
	t.Helper()
	w.logs.SetPublishing(id.Feature(), false)
	w.logs.SetPublishing(id.Feature(), true)
	if err := w.logs.Open(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}
