package hub

import (
	"context"
	"time"

	"thor"
)

// Times of the protocol.
const (
	helloWait   = 5 * time.Second        // for a token
	followAfter = time.Second            // after hello without a subscribe the default begins
	pingEvery   = 25 * time.Second       // protocol pings
	silentAfter = 75 * time.Second       // a peer silent for so long is gone
	closeWait   = time.Second            // for the answer to a close
	checkEvery  = 250 * time.Millisecond // how often the times above are looked at
)

// shard owns some of the connections: all their state is touched by its
// goroutine alone.
type shard struct {
	hub    *Hub
	events chan event
	wake   chan struct{}
	conns  map[*conn]struct{}

	scratch    []byte // for gathering a write
	generation uint64 // of the logs, at the last look
	swept      time.Time

	// For connections with a max_hz: a clock they share.
	began   time.Time
	pace    *time.Timer
	waiting []*conn
	spare   []*conn // for the next waiting

	draining   *time.Timer // to the next batch
	drainUntil time.Time
}

// eventKind says what an event is about.
type eventKind uint8

const (
	eventOpen     eventKind = iota // a connection was made
	eventReadable                  // bytes came
	eventWritable                  // the transport has room again
	eventClosed                    // the transport has ended
	eventResumed                   // what a subscribe needed from the store is there
	eventAdmitted                  // a backend has said what the bearer of a token may see
	eventReassign                  // stages changed
	eventDrain                     // the server is stopping
	eventCadence                   // streams speak more or less often
	eventLost                      // the channel layer is lost
)

// event is something that happened to a connection, or to all.
type event struct {
	kind   eventKind
	conn   *conn
	data   []byte
	err    error
	resume *resumption

	admission *admission
	until     time.Time // of eventDrain: when all are to be closed

	cadences map[thor.StreamID]time.Duration
}

func newShard(h *Hub) *shard {
	return &shard{
		hub:    h,
		events: make(chan event, 256),
		wake:   make(chan struct{}, 1),
		conns:  map[*conn]struct{}{},
	}
}

// stopped is a timer that does not run yet.
func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// guard does something for one connection. Should it panic, that connection ends
// and no other.
func (s *shard) guard(c *conn, do func()) {
	defer func() {
		if fault := recover(); fault != nil {
			c.crashed(fault)
		}
	}()
	do()
}

// post hands an event to the shard. It waits while the shard is busy, and is
// false when the hub has ended.
func (s *shard) post(e event) bool {
	select {
	case s.events <- e:
		return true
	case <-s.hub.done:
		return false
	}
}

func (s *shard) run(ctx context.Context) error {
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	window := stopped()
	s.began, s.pace, s.draining = time.Now(), stopped(), stopped()
	for {
		select {
		case <-ctx.Done():
			s.end()
			return nil
		case e := <-s.events:
			s.handle(ctx, e)
		case <-s.wake:
			// The leading edge is sent at once; what follows within the window
			// goes out together at its end.
			if wait := s.hub.Window - time.Since(s.swept); wait > 0 {
				window.Reset(wait)
			} else {
				s.sweep()
			}
		case <-window.C:
			s.sweep()
		case <-s.pace.C:
			s.resumeWaiting()
		case <-s.draining.C:
			s.drainBatch()
		case <-check.C:
			s.check()
		}
	}
}

// sweep sends every connection what is new for it.
func (s *shard) sweep() {
	s.swept = time.Now()
	if generation := s.hub.Logs.Generation(); generation != s.generation {
		s.generation = generation
		for c := range s.conns {
			s.guard(c, c.reattach)
		}
	}
	for c := range s.conns {
		s.guard(c, c.flush)
	}
}

func (s *shard) handle(ctx context.Context, e event) {
	switch e.kind {
	case eventReassign:
		for c := range s.conns {
			s.guard(c, c.reassign)
		}
	case eventDrain:
		s.drain(e.until)
	case eventLost:
		for c := range s.conns {
			s.guard(c, c.lose)
		}
	case eventCadence:
		for c := range s.conns {
			s.guard(c, func() { c.tellCadences(e.cadences) })
		}
	case eventOpen:
		s.conns[e.conn] = struct{}{}
		s.hub.conns.Add(1)
		s.guard(e.conn, e.conn.open)
	case eventReadable, eventWritable, eventClosed, eventResumed, eventAdmitted:
		if !e.conn.gone {
			s.guard(e.conn, func() { e.conn.handle(ctx, e) })
		}
	}
}

// handle deals with what has happened to the connection.
func (c *conn) handle(ctx context.Context, e event) {
	switch e.kind {
	case eventReadable:
		c.receive(ctx, e.data)
	case eventWritable:
		c.blocked = false
		c.flush()
	case eventClosed:
		c.ended(e.err)
	case eventResumed:
		c.resumed(ctx, e.resume)
	case eventAdmitted:
		c.goOn(ctx, e.admission)
	case eventOpen, eventReassign, eventDrain, eventLost, eventCadence:
	}
}

// check looks at the times of every connection.
func (s *shard) check() {
	now := time.Now()
	for c := range s.conns {
		s.guard(c, func() { c.check(now) })
	}
}

// end drops every connection.
func (s *shard) end() {
	for c := range s.conns {
		c.drop()
	}
}

// turnAway closes the connections that came when the hub had ended already.
func (s *shard) turnAway() {
	for {
		select {
		case e := <-s.events:
			if e.kind == eventOpen {
				e.conn.t.Close() //nolint:errcheck,gosec // it may be gone already
			}
		default:
			return
		}
	}
}

// cadences gives the cadence of streams, for hello.
func (s *shard) cadences(ids []thor.StreamID) map[thor.StreamID]streamInfo {
	streams := make(map[thor.StreamID]streamInfo, len(ids))
	for _, id := range ids {
		streams[id] = streamInfo{CadenceMS: s.hub.Cadence(id).Milliseconds()}
	}
	return streams
}
