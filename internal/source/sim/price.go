package sim

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"thor"
)

const (
	// micro is the fixed point of prices on the way: millionths of a tick. A
	// return of one millionth of the base price is base/tick of them.
	micro = 1_000_000

	pull = 30 // how much of its distance from the base price a symbol loses in a session, in thousandths
	// reach is the farthest a session's ends may lie from the base price, in
	// millionths of it. Bells are bounded too, so prices are always positive.
	reach = 600_000

	rootShift = 20 // the fixed point of the square roots in spreads
)

// spreads are the widths of a bridge's intervals for sessions of one length:
// at each depth, for the shorter and the longer of the two lengths intervals
// have there, half the square root of the length in minutes.
type spreads [][2]int64

// spreadsOf returns the spreads of a bridge over that many seconds.
func spreadsOf(seconds int64) spreads {
	var s spreads
	for length := seconds; length > 0; length >>= 1 {
		half := func(n int64) int64 { return root(n << (2 * rootShift) / (4 * minute)) }
		s = append(s, [2]int64{half(length), half(length + 1)})
	}
	return s
}

// session is one session of one symbol. Its prices, in millionths of a tick,
// are a Brownian bridge between its first and its last second.
type session struct {
	open, end   int64 // seconds since 1970; it trades from open to before end
	first, last int64 // prices of its first and last second
	wobble      int64 // standard deviation of a minute's change
	path        uint64
	volumes     uint64
	spreads     spreads
}

// at returns the price of a second of the session, counted from its opening.
// It halves the session until it meets that second, so nothing before it has to
// be computed.
func (s *session) at(second int64) int64 {
	a, b := int64(0), s.end-s.open-1
	va, vb := s.first, s.last
	for depth := 0; ; depth++ {
		switch second {
		case a:
			return va
		case b:
			return vb
		}
		m := (a + b) / 2
		vm := s.middle(a, b, va, vb, depth)
		if second < m {
			b, vb = m, vm
		} else {
			a, va = m, vm
		}
	}
}

// fill writes the prices of the seconds from, from+1, … of the session to out.
// They are those at returns, but what neighbours share is computed once.
func (s *session) fill(out []int64, from int64) {
	last := s.end - s.open - 1
	if from == 0 {
		out[0] = s.first
	}
	if i := last - from; i < int64(len(out)) {
		out[i] = s.last
	}
	s.descend(out, from, 0, last, s.first, s.last, 0)
}

// descend fills in what lies between the seconds a and b.
func (s *session) descend(out []int64, from, a, b, va, vb int64, depth int) {
	to := from + int64(len(out))
	if b-a < 2 || b <= from || a >= to-1 {
		return
	}
	m := (a + b) / 2
	vm := s.middle(a, b, va, vb, depth)
	if m >= from && m < to {
		out[m-from] = vm
	}
	s.descend(out, from, a, m, va, vm, depth+1)
	s.descend(out, from, m, b, vm, vb, depth+1)
}

// middle is the price at the middle of the interval from a to b, whose prices
// are va and vb: their mean, displaced by chance in proportion to the square
// root of the interval's length.
func (s *session) middle(a, b, va, vb int64, depth int) int64 {
	longer := b - a - (s.end-s.open-1)>>depth
	spread := s.wobble * s.spreads[depth][longer] >> rootShift
	return (va+vb)/2 + bell(hash(s.path, (a+b)/2))*spread/bellScale
}

// series is an instrument with all its sessions, oldest first. It does not
// change once the source is loaded.
type series struct {
	instrument
	sessions []session
	cues     []cue // what a script does to its bars and prices
	halts    bool  // whether there are halts among them
}

// newSeries walks from session to session: each opens at the close before it
// plus a gap, and closes at a distance that fits its length, drawn a little
// towards the base price.
func newSeries(seed uint64, i instrument, sessions []thor.Session) (*series, error) {
	s := &series{instrument: i, sessions: make([]session, 0, len(sessions))}
	bridges := map[int64]spreads{}
	var offset int64 // from the base price, in millionths of it
	for _, on := range sessions {
		open, end := on.Open.Unix(), on.Close.Unix()
		if n := len(s.sessions); end <= open || open%minute != 0 || end%minute != 0 || n > 0 && open < s.sessions[n-1].end {
			return nil, fmt.Errorf("session %s of %s from %s to %s: not of whole minutes, or it begins before the last one is over",
				on.Date, on.Exchange, on.Open.UTC().Format(time.RFC3339), on.Close.UTC().Format(time.RFC3339))
		}
		seconds := end - open - 1
		if bridges[seconds] == nil {
			bridges[seconds] = spreadsOf(seconds)
		}
		chance := digestOf(seed, i.symbol, on.Date)
		swing := i.wobble * root(seconds*micro/minute) / 1000
		opening := within(offset+bell(chance[0])*i.gap/bellScale, reach)
		offset = within(opening-opening*pull/1000+bell(chance[1])*swing/bellScale, reach)
		first := i.base / i.tick * (micro + opening)
		s.sessions = append(s.sessions, session{
			open: open, end: end,
			first: first, last: i.base / i.tick * (micro + offset),
			wobble: first / micro * i.wobble,
			path:   chance[2], volumes: chance[3],
			spreads: bridges[seconds],
		})
	}
	s.sessions = slices.Clip(s.sessions)
	return s, nil
}

// within returns n, or the nearer bound if |n| is more than the limit.
func within(n, limit int64) int64 { return max(-limit, min(n, limit)) }

// index returns the place of the session that is on at that instant, else of
// the last one before it, or −1.
func (s *series) index(at int64) int {
	return sort.Search(len(s.sessions), func(i int) bool { return s.sessions[i].open > at }) - 1
}

// trades reports whether the session at that index, if there is one, is on, and
// not halted.
func (s *series) trades(index int, at int64) bool {
	if !s.open(index, at) {
		return false
	}
	_, halted := s.halted(at)
	return !halted
}

// open reports whether the session at that index, if there is one, is on.
func (s *series) open(index int, at int64) bool {
	return index >= 0 && at < s.sessions[index].end
}

// price returns the price at an instant for which [series.index] returned
// index, in cents. Outside the sessions it is the last close, in a halt what it
// was before.
func (s *series) price(index int, at int64) int64 {
	if !s.open(index, at) {
		return s.close(index)
	}
	if before, halted := s.halted(at); halted {
		return s.price(s.index(before), before)
	}
	on := &s.sessions[index]
	return s.cents(on.at(at - on.open))
}

// close returns the closing price of the session at that index in cents, the
// base price before the first.
func (s *series) close(index int) int64 {
	if index < 0 {
		return s.base
	}
	return s.cents(s.sessions[index].last)
}

// cents rounds a price to a tick.
func (s *series) cents(value int64) int64 { return (value + micro/2) / micro * s.tick }
