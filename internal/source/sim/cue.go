package sim

import "sort"

// cue is a line of a script: a fault, and the instants it happens at. When it is
// on is a function of time alone.
type cue struct {
	line   int
	fault  Fault
	target string // accounts, bars, an account, a symbol; "" is all
	by     int64  // seconds
	lasts  int64  // seconds

	// Every period, offset after its beginning (or about, at a second of chance of
	// each); at a bell of each session, offset from it; or once, at offset.
	period int64
	about  bool
	bell   string
	offset int64

	seed     uint64    // of about
	sessions []session // of the bell
}

// last returns when the cue last began up to an instant.
func (c *cue) last(at int64) (begin int64, ok bool) {
	switch {
	case c.about:
		slot := floor(at, c.period)
		if begin = c.chance(slot); begin > at {
			begin = c.chance(slot - 1)
		}
		return begin, true
	case c.period > 0:
		return floor(at-c.offset, c.period)*c.period + c.offset, true
	case c.bell != "":
		begins := func(i int) int64 {
			if c.bell == "open" {
				return c.sessions[i].open + c.offset
			}
			return c.sessions[i].end + c.offset
		}
		i := sort.Search(len(c.sessions), func(i int) bool { return begins(i) > at }) - 1
		if i < 0 {
			return 0, false
		}
		return begins(i), true
	}
	return c.offset, c.offset <= at
}

// chance is the second of a period the cue begins at, so that it ends in it.
func (c *cue) chance(slot int64) int64 {
	return slot*c.period + int64(hash(c.seed, slot)>>1)%(c.period-c.lasts+1)
}

// on reports whether the cue is on at an instant, and since when.
func (c *cue) on(at int64) (begin int64, on bool) {
	begin, ok := c.last(at)
	return begin, ok && at < begin+c.lasts
}

// floor is n ÷ d rounded down; d is positive.
func floor(n, d int64) int64 {
	quotient := n / d
	if n%d < 0 {
		quotient--
	}
	return quotient
}
