package hub

import (
	"time"

	"thor/internal/stream"
)

// rates are what max_hz is rounded down to: those that divide the steps of a
// shard's clock, so that connections of any of them are served together.
var rates = []int{20, 10, 4, 2, 1}

// pace is a step of that clock: the period of the greatest rate.
const pace = 50 * time.Millisecond

func roundRate(hz float64) int {
	for _, rate := range rates {
		if hz >= float64(rate) {
			return rate
		}
	}
	return rates[len(rates)-1]
}

// pacing is how often a client wants to hear of a stream's merged entries. The
// zero value is of every one.
type pacing struct {
	steps   int64  // of the shard's clock from one time to the next; 0 is none
	last    int64  // the step of the last time
	through uint64 // what may be sent: the head at the last time
}

func newPacing(hz int) pacing {
	if hz == 0 {
		return pacing{}
	}
	return pacing{steps: int64(rates[0] / hz)}
}

// step is where the shard's clock stands.
func (s *shard) step() int64 { return int64(time.Since(s.began)/pace) + int64(rates[0]) } // the first time is at once

// readPaced returns what follows for a client that wants to hear only so often.
// Entries that are not to be merged go at once, and take with them what was held
// back before them and is still the newest of its key. The connection is looked
// at again when something stays behind.
func (c *conn) readPaced(s *sub) stream.Batch {
	head := s.log.Head()
	if head < s.cursor {
		return stream.Batch{Next: s.cursor}
	}
	if s.pacing.through < head {
		if step := c.shard.step(); step-s.pacing.last >= s.pacing.steps {
			s.pacing.last, s.pacing.through = step, head
		}
	}
	upTo := max(s.pacing.through, s.log.Sequenced())
	if upTo < head {
		c.wait()
	}
	return s.log.Thin(s.cursor, upTo, quantum)
}

// wait has the shard look at the connection again at the next step of its clock.
func (c *conn) wait() {
	if c.waiting {
		return
	}
	c.waiting = true
	s := c.shard
	s.waiting = append(s.waiting, c)
	if len(s.waiting) == 1 {
		s.pace.Reset(pace - time.Since(s.began)%pace)
	}
}

// resume looks at the connections for which something was held back.
func (s *shard) resumeWaiting() {
	waiting := s.waiting
	s.waiting = s.spare[:0]
	for _, c := range waiting {
		c.waiting = false
		s.guard(c, c.flush)
	}
	clear(waiting)
	s.spare = waiting
}
