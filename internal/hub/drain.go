package hub

import (
	"context"
	"math/rand/v2"
	"time"
)

// Times of a drain.
const (
	drainAtOnce = 200                    // so many connections are closed without spreading
	drainSpread = 2 * time.Second        // over which more are closed, where there is time
	drainBatch  = 50 * time.Millisecond  // between two batches
	drainSettle = closeWait + checkEvery // for the last batch to answer
)

// Drain refuses new connections, tells those there are when to come back, and
// closes them: few at once, many in batches, so that neither this machine nor
// what stands before it ends thousands at one instant. It returns when all are
// gone or ctx ends; the last batch goes in time for that.
func (h *Hub) Drain(ctx context.Context) {
	h.drained.Store(true)
	var spread time.Duration
	if h.conns.Load() > drainAtOnce {
		spread = drainSpread
		if deadline, ok := ctx.Deadline(); ok {
			spread = max(0, min(spread, time.Until(deadline)-drainSettle-drainBatch))
		}
	}
	until := time.Now().Add(spread)
	for _, s := range h.shards {
		s.post(event{kind: eventDrain, until: until})
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for h.conns.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-h.done:
			return
		case <-tick.C:
		}
	}
}

// drain tells every connection that the server is stopping, and begins to close
// them.
func (s *shard) drain(until time.Time) {
	for c := range s.conns {
		s.guard(c, c.farewell)
	}
	s.drainUntil = until
	s.drainBatch()
}

// drainBatch closes the share of the connections that is due, and comes back for
// the next.
func (s *shard) drainBatch() {
	batches := 1 + max(0, int(time.Until(s.drainUntil)/drainBatch))
	open := 0
	for c := range s.conns {
		if !c.closing {
			open++
		}
	}
	share := (open + batches - 1) / batches
	for c := range s.conns {
		if share == 0 {
			break
		}
		if !c.closing {
			s.guard(c, func() { c.close(closeRestarting, "the server is restarting") })
			share--
		}
	}
	if batches > 1 {
		s.draining.Reset(drainBatch)
	}
}

// farewell tells the client that the server is stopping and how long after the
// close it should come back.
func (c *conn) farewell() {
	c.send(encode("server_shutdown", nil, shutdownData{ReconnectInMS: reconnectIn().Milliseconds()}))
	c.flush()
}

// reconnectIn is a time within the jitter window the hub advises.
func reconnectIn() time.Duration { return rand.N(jitter) } //nolint:gosec // not a secret

// Lost closes every connection, and those that come, for this node no longer
// hears of what others publish. It lasts until Found.
func (h *Hub) Lost() {
	h.lost.Store(true)
	for _, s := range h.shards {
		s.post(event{kind: eventLost})
	}
}

// Found ends what Lost began.
func (h *Hub) Found() { h.lost.Store(false) }

// lose closes the connection of a node that is deaf.
func (c *conn) lose() { c.close(closeLayerLost, "this node is cut off from the others; REST answers") }
