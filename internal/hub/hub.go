// Package hub is the WebSocket endpoint: it accepts connections, speaks the
// protocol of docs/protocol.md with them, and sends each what lies past its
// cursors in the logs.
//
// Connections belong to shards, one goroutine each. A shard never waits for a
// client: it hands a transport as many bytes as fit and goes on. Publishing is
// a non-blocking wake of each shard, whatever the number of connections.
//
// The hub does not number, store or encode events, and does not decide who may
// see what: a stream is reached through [stream.Logs.Attach] alone.
package hub

import (
	"cmp"
	"context"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"thor"
	"thor/internal/auth"
	"thor/internal/stream"
)

// history reads events the logs no longer hold.
type history interface {
	Since(ctx context.Context, id thor.StreamID, after uint64, limit int) ([]thor.Event, error)
}

// FeatureState is what hello says of a feature.
type FeatureState struct {
	Stage      thor.Stage      `json:"stage"`
	DataSource thor.DataSource `json:"data_source"`
	Rev        uint64          `json:"rev"`
	Forced     bool            `json:"forced,omitempty"` // the stage is
}

// Source is what hello says of where the data comes from.
type Source struct {
	Name      string `json:"name"`
	Simulated bool   `json:"simulated"`

	Replay *Replay `json:"replay,omitempty"` // nil is no replay
}

// Replay is a recording that is played as if it were now.
type Replay struct {
	Of   string    `json:"of"` // the source that was recorded
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Config is what a hub is made of.
type Config struct {
	Logs    *stream.Logs
	History history
	Door    *auth.Door
	// Features gives the state of every feature for a client.
	Features func(client string) map[string]FeatureState
	// Cadence is how often a stream speaks when nothing changes.
	Cadence func(id thor.StreamID) time.Duration
	Source  Source
	Limits  Limits
	// Refused counts the connections that were refused, by reason; nil is nobody.
	// It must not block.
	Refused func(reason string)
	// Ack and Report are told what clients say of themselves, by the goroutine of
	// a shard: they must not block. Nil is nobody.
	Ack    func(Ack)
	Report func(Report)

	Shards    int           // 0 is one for each processor
	Window    time.Duration // least time between two sweeps; 0 is 10 ms, negative is none
	Heartbeat time.Duration // announced in hello; 0 is 5 s
	Logger    *slog.Logger  // nil discards
}

// Hub holds the connections. Make one with [New], mount it as a handler and let
// it [Hub.Run].
type Hub struct {
	Config
	shards  []*shard
	replays *replays
	done    chan struct{} // closed when the shards have ended

	mu         sync.Mutex // guards ended
	ended      bool
	background sync.WaitGroup // transports, and reads from the store

	census    census
	suspected sync.Once // a proxy nobody has named
	conns     atomic.Int64
	accepted  atomic.Uint64
	skipped   atomic.Uint64 // entries conflated away
	sentBytes atomic.Uint64

	refusedMessages atomic.Uint64 // one too many

	next    atomic.Uint64 // picks the shard of a connection
	drained atomic.Bool   // no new connections
	lost    atomic.Bool   // the channel layer: connections are closed at once
	panics  atomic.Uint64
	beat    atomic.Pointer[beat]
	notices announcements
}

// beat is the newest heartbeat, encoded once for everybody.
type beat struct {
	count uint64
	frame []byte
}

// New returns a hub that works once it runs.
func New(c Config) *Hub {
	c.Shards = cmp.Or(c.Shards, runtime.GOMAXPROCS(0))
	c.Window = cmp.Or(c.Window, 10*time.Millisecond)
	c.Heartbeat = cmp.Or(c.Heartbeat, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Hub{Config: c, replays: newReplays(c.History), done: make(chan struct{})}
	for range c.Shards {
		h.shards = append(h.shards, newShard(h))
	}
	return h
}

// Run serves the connections until ctx ends, then drops them. Call Drain before
// to let them go in peace.
func (h *Hub) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range h.shards {
		group.Go(func() error { return s.run(ctx) })
	}
	err := group.Wait()
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	close(h.done)
	for _, s := range h.shards {
		s.turnAway()
	}
	h.background.Wait()
	return err
}

// spawn runs functions in goroutines that Run waits for; it is false, and none
// of them runs, when the hub has ended.
func (h *Hub) spawn(fns ...func()) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return false
	}
	for _, fn := range fns {
		h.background.Go(fn)
	}
	return true
}

// Wake tells the shards that the logs have changed. It never blocks.
func (h *Hub) Wake() {
	for _, s := range h.shards {
		select {
		case s.wake <- struct{}{}:
		default: // it has not looked at the last wake yet
		}
	}
}

// Beat sends a heartbeat to every connection. A connection that lags gets only
// the newest.
func (h *Hub) Beat(heartbeat thor.Heartbeat) error {
	payload, err := heartbeat.AppendEnvelope(nil, time.Now())
	if err != nil {
		return err
	}
	h.beat.Store(&beat{count: heartbeat.HeartbeatCount, frame: stream.AppendFrame(nil, payload)})
	h.Wake()
	return nil
}

// Reassign makes every connection look at the stages again: it is told what is
// forced, and in canary where its data comes from.
func (h *Hub) Reassign() {
	for _, s := range h.shards {
		s.post(event{kind: eventReassign})
	}
}

// AnnounceCadences tells every connection how often streams it may see speak from now on.
func (h *Hub) AnnounceCadences(cadences map[thor.StreamID]time.Duration) {
	if len(cadences) == 0 {
		return
	}
	for _, s := range h.shards {
		s.post(event{kind: eventCadence, cadences: cadences})
	}
}

// Stats are counts of the hub.
type Stats struct {
	Connections int64
	Accepted    uint64 // since the start
	Skipped     uint64 // entries that were conflated away for slow readers
	SentBytes   uint64
	Refused     uint64 // messages over the rate
	Panics      uint64 // each has ended a connection
}

// Stats returns the counts.
func (h *Hub) Stats() Stats {
	return Stats{
		Connections: h.conns.Load(),
		Accepted:    h.accepted.Load(),
		Skipped:     h.skipped.Load(),
		SentBytes:   h.sentBytes.Load(),
		Refused:     h.refusedMessages.Load(),
		Panics:      h.panics.Load(),
	}
}

// connect gives a new connection to a shard. It is false when the hub has ended.
func (h *Hub) connect(g guest, transport func(post func(event)) starter) bool {
	c := &conn{
		hub:       h,
		shard:     h.shards[h.next.Add(1)%uint64(len(h.shards))],
		id:        "c" + strconv.FormatUint(h.accepted.Add(1), 10),
		principal: g.principal,
		client:    g.client,
		browser:   g.browser,
		address:   g.address,
		place:     g.place,
		refusal:   g.refusal,
		subs:      map[thor.StreamID]*sub{},
	}
	t := transport(func(e event) {
		e.conn = c
		c.shard.post(e)
	})
	c.t = t
	return c.shard.post(event{kind: eventOpen, conn: c}) && t.start(h)
}
