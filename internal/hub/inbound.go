package hub

import (
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"thor"
)

// What a client may send. Messages and control frames are counted apart.
const (
	inboundRate  = 10 // a second
	inboundBurst = 50
	maxOver      = 50               // too many before the connection is closed
	forgiveAfter = 10 * time.Second // without one too many, those before are forgotten
	retryAfter   = 5                // seconds a client is told to stay away
)

// inbound counts what a client sends. The zero value is ready.
type inbound struct {
	messages *rate.Limiter // nil until the first
	controls *rate.Limiter
	over     int // that were too many
	overAt   time.Time
}

// allows takes one off the budget of a limiter; it is false when nothing is
// left. A client that does not mend its ways is closed.
func (c *conn) allows(budget **rate.Limiter) bool {
	if *budget == nil {
		*budget = rate.NewLimiter(inboundRate, inboundBurst)
	}
	if (*budget).Allow() {
		return true
	}
	in, now := &c.inbound, time.Now()
	if now.Sub(in.overAt) > forgiveAfter {
		in.over = 0
	}
	in.overAt = now
	if in.over++; in.over >= maxOver {
		c.close(closeTooMany, fmt.Sprintf("more than %d messages a second; retry_after=%d", inboundRate, retryAfter))
	}
	return false
}

// refuseMessage answers a message that was one too many.
func (c *conn) refuseMessage(message []byte) {
	cmd, _ := parseCommand(message) // for its id
	c.hub.refusedMessages.Add(1)
	c.fail(cmd.ID, thor.Errorf(thor.ETOOMANY, "more than %d messages a second, this one was not looked at", inboundRate).
		WithHint("Send fewer; up to %d at once are taken.", inboundBurst))
}
