package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"thor"
	"thor/internal/auth"
	"thor/internal/store/sqlite"
	"thor/internal/stream"
)

// lawStreams are the streams of the laws: two that are private, two that are not.
var lawStreams = []thor.StreamID{"positions:A", "positions:B", "intraday:X", "global_market"}

// canaryOf is in every event of a stream; a private one must reach nobody else.
func canaryOf(id thor.StreamID) string { return "canary-" + strings.ReplaceAll(string(id), ":", "-") }

// ledger is the reference model: everything that was stored, by stream and
// epoch.
type ledger struct {
	mu      sync.Mutex // guards what follows
	epoch   string     // the store's
	records map[thor.StreamID]map[string]*record
}

// record is a stream in one epoch.
type record struct {
	events []thor.Event // the n-th has the seq n+1
	remade uint64       // the log was made anew at this seq: it holds nothing before
	shown  uint64       // what the log has come to: clients cannot be further
}

func (l *ledger) add(events []thor.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		r := l.record(e.Stream, e.Version.Epoch)
		r.events = append(r.events, e)
	}
}

func (l *ledger) record(id thor.StreamID, epoch string) *record {
	if l.records[id] == nil {
		l.records[id] = map[string]*record{}
	}
	if l.records[id][epoch] == nil {
		l.records[id][epoch] = &record{}
	}
	return l.records[id][epoch]
}

// remade notes that the logs of these streams hold nothing of before.
func (l *ledger) remade(ids ...thor.StreamID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		r := l.record(id, l.epoch)
		r.remade = uint64(len(r.events))
		r.shown = r.remade
	}
}

// show notes that the log has come as far as the store.
func (l *ledger) show(id thor.StreamID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.record(id, l.epoch)
	r.shown = uint64(len(r.events))
}

func (l *ledger) shown(id thor.StreamID) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record(id, l.epoch).shown
}

func (l *ledger) head(id thor.StreamID) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.record(id, l.epoch).events))
}

// latest is the seq of the newest event of each key up to a seq.
func (l *ledger) latest(id thor.StreamID, epoch string, upTo uint64) map[string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	state := map[string]uint64{}
	for _, e := range l.record(id, epoch).events {
		if e.Version.Seq <= upTo {
			state[e.Key] = e.Version.Seq
		}
	}
	return state
}

// event is what was stored under a version; false when nothing was.
func (l *ledger) event(id thor.StreamID, epoch string, seq uint64) (thor.Event, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := l.record(id, epoch).events
	if seq == 0 || seq > uint64(len(events)) {
		return thor.Event{}, false
	}
	return events[seq-1], true
}

// owed lists the final events of from..to that a gap may not have left out:
// those the log still held, and the newest of their key. With a log that may
// have evicted some it is the latter alone: they are never evicted.
func (l *ledger) owed(id thor.StreamID, epoch string, from, to uint64, evicts bool) (seqs []uint64) {
	newest := l.latest(id, epoch, l.head(id))
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.record(id, epoch)
	for _, e := range r.events[min(from-1, uint64(len(r.events))):min(to, uint64(len(r.events)))] {
		held := !evicts && e.Version.Seq > r.remade
		if e.Final && (held || newest[e.Key] == e.Version.Seq) {
			seqs = append(seqs, e.Version.Seq)
		}
	}
	return seqs
}

// lawWorld is a hub over a real store that can be stopped and started again,
// and the model of what it holds.
type lawWorld struct {
	transport lawTransport
	door      *auth.Door
	limits    stream.Limits
	ledger    *ledger
	address   string // where the hub is served, for transports that need it

	store *sqlite.Store
	logs  *stream.Logs
	hole  map[thor.StreamID]bool // stored and not appended
	off   map[string]bool
	dir   string
	stop  func() error

	mu       sync.Mutex // guards what follows
	hub      *Hub
	stopping bool
}

// lives reports whether the hub is not being stopped.
func (w *lawWorld) lives() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.stopping
}

// epoch is the store's.
func (w *lawWorld) epoch() string {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	return w.ledger.epoch
}

// evicts reports whether the logs forget.
func (w *lawWorld) evicts() bool { return w.limits.Keep != lawKeep }

// lawTransport is a way to connect that has to hold the laws.
type lawTransport struct {
	name string
	// virtual is whether the time is: then what the world does to itself, it has
	// done before the next step.
	virtual bool
	// most is how large events are drawn: bytes that go one by one take time.
	most int
	// dial connects to the hub that runs now.
	dial func(ctx context.Context, w *lawWorld) (io.ReadWriteCloser, error)
}

// lawTransports lists them. A transport of another kind adds a line.
func lawTransports() []lawTransport {
	return []lawTransport{
		{"over a pipe", true, 1000, func(_ context.Context, w *lawWorld) (io.ReadWriteCloser, error) {
			ours, theirs := net.Pipe()
			if !w.hub.serve(theirs, nil, guest{}) {
				return nil, errHubEnded
			}
			return ours, nil
		}},
		{"a transport of one byte", true, 100, dripping(1)},
		{"a transport of a few bytes", true, 1000, dripping(100)},
		{"a transport of a few frames", true, 1000, dripping(5000)},
		{"over TCP", false, 1000, func(ctx context.Context, w *lawWorld) (io.ReadWriteCloser, error) {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			conn, br, _, err := ws.Dial(ctx, "ws://"+w.address+"/ws/")
			if err != nil {
				return nil, err
			}
			if tcp, ok := conn.(*net.TCPConn); ok {
				err = tcp.SetReadBuffer(4 << 10) // so that a client that does not read is felt
			}
			if br != nil {
				return &bufferedConn{Conn: conn, r: br}, err
			}
			return conn, err
		}},
	}
}

var errHubEnded = errors.New("the hub has ended")

// start runs a hub over the store in dir.
func (w *lawWorld) start(ctx context.Context, dir string) error {
	ctx, cancel := context.WithCancel(ctx)
	store, err := sqlite.Open(ctx, dir)
	if err != nil {
		cancel()
		return err
	}
	w.dir, w.store = dir, store
	w.hole, w.off = map[thor.StreamID]bool{}, map[string]bool{}
	w.logs = &stream.Logs{Store: store, Limits: func(thor.StreamID) stream.Limits { return w.limits }}
	h := New(Config{
		Logs: w.logs, History: store, Door: w.door, Shards: 2,
		Features: func(string) map[string]FeatureState { return nil },
		Cadence:  func(thor.StreamID) time.Duration { return time.Second },
	})
	w.logs.Changed = h.Wake
	w.mu.Lock()
	w.hub = h
	w.mu.Unlock()
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	w.stop = func() error { //nolint:contextcheck // the end of ctx is what it begins with
		cancel()
		return errors.Join(<-ended, store.Close())
	}
	version, _, err := store.Latest(ctx, lawStreams[0], thor.Window{})
	w.ledger.mu.Lock()
	w.ledger.epoch = version.Epoch
	w.ledger.mu.Unlock()
	w.ledger.remade(lawStreams...)
	return errors.Join(err, w.logs.Open(ctx, lawStreams...))
}

// ServeHTTP hands requests to the hub that runs now.
func (w *lawWorld) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	h := w.hub
	w.mu.Unlock()
	h.ServeHTTP(rw, r)
}

// serve makes the world reachable over TCP.
func (w *lawWorld) serve() (done func()) {
	server := httptest.NewServer(w)
	w.address = server.Listener.Addr().String()
	return server.Close
}

// publish stores n events of a stream and, unless a hole is wanted, appends
// them to its log.
func (w *lawWorld) publish(ctx context.Context, s lawStep) error {
	id := lawStreams[s.stream]
	feature := thor.StreamID(id).Feature()
	f, err := thor.FeatureNamed(feature)
	if err != nil {
		return err
	}
	var drafts []thor.Event
	for i := range s.n {
		key := fmt.Sprintf("k%d", (s.key+i)%4)
		drafts = append(drafts, thor.Event{
			Stream: id, Type: f.Type, Key: key, Final: s.final && i%3 == 0 && f.FinalPolicy == thor.PolicySequence,
			Data: fmt.Appendf(nil, `{"key":%q,"canary":%q,"pad":"%0*d"}`, key, canaryOf(id), s.size, i),
		})
	}
	events, err := w.store.Append(ctx, time.Now(), drafts)
	if err != nil {
		return err
	}
	w.ledger.add(events)
	if s.op == "hole" {
		w.hole[id] = true
		return nil
	}
	if w.hole[id] && !w.off[feature] {
		delete(w.hole, id)
		w.ledger.remade(id)
	}
	err = w.logs.Append(ctx, events)
	w.ledger.show(id)
	return err
}

// publishing switches a feature off or on, as stages do.
func (w *lawWorld) publishing(ctx context.Context, feature string, on bool) error {
	w.logs.SetPublishing(feature, on)
	was := !w.off[feature]
	w.off[feature] = !on
	if !on || was {
		return nil
	}
	var errs []error
	for _, id := range lawStreams {
		if id.Feature() == feature {
			w.ledger.remade(id)
			delete(w.hole, id)
			errs = append(errs, w.logs.Open(ctx, id))
		}
	}
	return errors.Join(errs...)
}

// token is one for these accounts.
func (w *lawWorld) token(accounts []string) (string, error) {
	return w.door.NewToken(auth.Principal{Subject: "somebody", Accounts: accounts}, time.Now(), time.Hour)
}

// dripping is a transport that takes a few bytes beyond what the client has
// read, and says when there is room again.
func dripping(room int) func(ctx context.Context, w *lawWorld) (io.ReadWriteCloser, error) {
	return func(_ context.Context, w *lawWorld) (io.ReadWriteCloser, error) {
		d := &drip{room: room}
		d.changed = sync.NewCond(&d.mu)
		open := w.hub.connect(guest{}, func(post func(event)) starter {
			d.post = post
			return drippingEnd{d}
		})
		if !open {
			return nil, errHubEnded
		}
		return d, nil
	}
}

// drip is the client's end of a transport that takes few bytes.
type drip struct {
	post func(event)
	room int

	mu      sync.Mutex // guards what follows
	changed *sync.Cond
	taken   []byte
	short   bool // a TryWrite took fewer than all
	closed  bool
}

// drippingEnd is the server's.
type drippingEnd struct{ *drip }

func (drippingEnd) start(*Hub) bool { return true }

// TryWrite implements transport.
func (d drippingEnd) TryWrite(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, net.ErrClosed
	}
	n := min(len(b), d.room-len(d.taken))
	d.taken = append(d.taken, b[:n]...)
	d.short = n < len(b)
	d.changed.Broadcast()
	return n, nil
}

// Close implements transport.
func (d drippingEnd) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.changed.Broadcast()
	return nil
}

func (d *drip) Read(p []byte) (int, error) {
	d.mu.Lock()
	for len(d.taken) == 0 && !d.closed {
		d.changed.Wait()
	}
	n := copy(p, d.taken)
	d.taken = d.taken[n:]
	short := d.short && n > 0
	if short {
		d.short = false
	}
	d.mu.Unlock()
	if short {
		d.post(event{kind: eventWritable})
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (d *drip) Write(p []byte) (int, error) {
	d.post(event{kind: eventReadable, data: append([]byte(nil), p...)})
	return len(p), nil
}

func (d *drip) Close() error {
	d.mu.Lock()
	d.closed = true
	d.changed.Broadcast()
	d.mu.Unlock()
	d.post(event{kind: eventClosed, err: io.EOF})
	return nil
}

// await waits until a condition holds; it polls, in whatever time there is.
func await(within time.Duration, holds func() bool) bool {
	limit := time.NewTimer(within)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-limit.C:
			return holds()
		case <-tick.C:
		}
	}
	return true
}
