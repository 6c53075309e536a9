package hub

// Bounds of one write.
const (
	maxWrite = 32 << 10 // bytes gathered for one write
	quantum  = 16 << 10 // bytes of one stream before the next has its turn
)

// flush hands the transport what there is for the client until it takes no
// more. A frame that has begun is always finished first.
func (c *conn) flush() {
	for !c.blocked && !c.gone {
		pending := c.rest
		if len(pending) == 0 {
			pending = c.gather()
		}
		if len(pending) == 0 {
			if c.leaving {
				c.drop()
			}
			return
		}
		n, err := c.t.TryWrite(pending)
		if err != nil {
			c.drop()
			return
		}
		c.hub.sentBytes.Add(uint64(n)) //nolint:gosec // not negative
		switch {
		case n == len(pending):
			c.rest = nil
		case len(c.rest) > 0:
			c.blocked, c.rest = true, pending[n:]
		default:
			c.blocked, c.rest = true, append([]byte(nil), pending[n:]...) // off the scratch
		}
	}
}

// gather collects whole frames in the shard's scratch: control frames first,
// then the heartbeat, then the streams in turn.
func (c *conn) gather() []byte {
	out := append(append(c.shard.scratch[:0], c.pongFrame...), c.control...)
	c.pongFrame, c.control = nil, nil
	if !c.closing {
		if b := c.hub.beat.Load(); b != nil && c.greeted() && b.count > c.beat {
			c.beat = b.count
			out = append(out, b.frame...)
		}
		for range len(c.order) {
			if len(out) >= maxWrite {
				break
			}
			s := c.order[c.turn%len(c.order)]
			c.turn++
			out = c.take(out, s)
		}
	}
	c.shard.scratch = out
	return out
}

// greeted reports whether hello was sent.
func (c *conn) greeted() bool { return c.principal != nil }
