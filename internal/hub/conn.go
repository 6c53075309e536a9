package hub

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"thor"
	"thor/internal/auth"
	"thor/internal/stream"
)

// conn is one connection. Everything in it belongs to its shard's goroutine,
// but for id, hub and shard, which never change, and replaced.
type conn struct {
	hub       *Hub
	shard     *shard
	id        string
	t         transport
	principal *auth.Principal // nil until it is known
	client    string          // the name the client gave itself
	browser   string          // the name its cookie gives it
	address   netip.Addr
	refusal   *closeError

	place    *place
	user     string      // whom it counts for; "" is nobody
	replaced atomic.Bool // by a newer one of its user

	decoder  decoder
	inbound  inbound
	bad      int // messages in a row that could not be used
	opened   time.Time
	heard    time.Time
	pinged   time.Time
	deadline time.Time // for a token, or for the answer to a close

	following bool                   // the default: everything it may see
	followAt  time.Time              // when the default begins; zero once decided
	unwanted  map[thor.StreamID]bool // of the default: unsubscribed
	subs      map[thor.StreamID]*sub
	order     []*sub // for taking turns
	turn      int
	assigned  map[string]thor.DataSource
	announced map[string]*announcement // notices it was sent
	testimony testimony

	reading bool   // a subscribe waits for the store, or an auth for a backend
	held    []byte // what came from the client since

	pongFrame []byte // the answer to the newest ping
	control   []byte // frames that go before everything else
	rest      []byte // what the transport did not take
	blocked   bool   // until the transport has room again
	waiting   bool   // for the next step of the shard's clock
	beat      uint64 // count of the last heartbeat that was sent
	closing   bool
	leaving   bool // the client has closed as well
	gone      bool
}

// maxControl bounds what a client that does not read can make the server keep
// for it.
const maxControl = 64 << 10

// maxUnwanted bounds what is remembered of a client that leaves one stream after
// the other, which need not exist.
const maxUnwanted = 1000

// open greets the client, or waits for its token.
func (c *conn) open() {
	now := time.Now()
	c.opened, c.heard, c.pinged = now, now, now
	switch {
	case c.hub.drained.Load(): // it came between the refusal of new ones and the farewell
		c.farewell()
		c.close(closeRestarting, "the server is restarting")
	case c.refusal != nil:
		c.close(c.refusal.code, c.refusal.reason)
	case c.hub.lost.Load():
		c.lose()
	case c.principal != nil:
		c.hello()
	default:
		c.deadline = now.Add(helloWait)
	}
}

// receive takes bytes from the client. While a command waits for the store what
// follows waits too, so that commands are answered in order.
func (c *conn) receive(ctx context.Context, data []byte) {
	c.heard = time.Now()
	if c.reading {
		c.hold(data)
		return
	}
	fault := c.decoder.feed(data, func(f frame) bool {
		switch f.op {
		case ws.OpText:
			switch {
			case c.closing:
			case c.allows(&c.inbound.messages):
				c.command(ctx, f.payload)
			default:
				c.refuseMessage(f.payload)
			}
			if c.reading {
				c.hold(c.decoder.rest())
				return false
			}
		case ws.OpPing:
			// Of several that came before an answer went out the newest counts, so
			// a flood of them costs no memory.
			if !c.closing && c.allows(&c.inbound.controls) {
				c.pongFrame = stream.AppendControl(nil, ws.OpPong, f.payload)
			}
		case ws.OpClose:
			c.answerClose(f.payload)
			return false
		default: // a pong; that it was heard is enough
			c.allows(&c.inbound.controls)
		}
		return !c.gone
	})
	if fault != nil {
		c.close(fault.code, fault.reason)
	}
	c.flush()
}

// hold keeps what the client says for later.
func (c *conn) hold(data []byte) {
	if len(c.held)+len(data) > maxControl {
		c.close(closeTooMany, "too much was sent while a resume was read; retry_after=5")
		return
	}
	c.held = append(c.held, data...)
}

// send queues a frame that goes before the streams.
func (c *conn) send(frame []byte) {
	if c.closing {
		return
	}
	if len(c.control)+len(frame) > maxControl {
		c.close(closeStalled, "answers are not being read")
		return
	}
	c.control = append(c.control, frame...)
}

// check looks at what time has brought.
func (c *conn) check(now time.Time) {
	switch {
	case c.closing:
		if now.After(c.deadline) {
			c.drop()
		}
		return
	case c.replaced.Load():
		c.close(closeReplaced, "replaced: too many connections of this user")
		return
	case c.principal == nil:
		if now.After(c.deadline) && !c.reading {
			c.hub.refused(RefusedToken)
			c.close(closeUnauthorized, "no token within 5 seconds")
		}
		return
	case now.Sub(c.heard) > silentAfter:
		c.close(closeTimeout, "nothing was heard for 75 seconds")
		return
	}
	if expires := c.principal.Expires; !expires.IsZero() && now.After(expires) {
		c.close(closeUnauthorized, "the token has expired")
		return
	}
	if c.principal.Grant.Due(now) {
		if c.regrant(now); c.closing {
			return
		}
	}
	if !c.followAt.IsZero() && !now.Before(c.followAt) {
		c.follow()
	}
	if now.Sub(c.pinged) >= pingEvery {
		c.pinged = now
		c.send(stream.AppendControl(nil, ws.OpPing, nil))
	}
	c.flush()
}

// ended is told by the transport. A client that has stalled cannot be told why:
// nothing goes through to it.
func (c *conn) ended(err error) {
	if c.leaving && errors.Is(err, io.EOF) {
		return // it may still listen, and there is something for it
	}
	if errors.Is(err, errStalled) {
		c.hub.Logger.Info("connection stalled", slog.String("connection", c.id))
	}
	c.drop()
}
