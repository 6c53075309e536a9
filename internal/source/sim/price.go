package sim

import (
	"fmt"
	"sort"
	"time"

	"thor"
)

const (
	// micro is the fixed point of prices on the way: millionths of a tick. A
	// return of one millionth of the base price is base/tick of them.
	micro = 1_000_000

	rootShift = 20 // the fixed point of the square roots in spreads
)

// spreads are the widths of a bridge's intervals, at each depth for the shorter
// and the longer of the two lengths intervals have there: half the square root
// of the length in minutes.
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

// session is one session of one symbol.
type session struct {
	open, end   int64 // seconds since 1970; it trades from open to before end
	first, last int64 // prices of its first and last second, in millionths of a tick
	volumes     uint64
	legs        []leg // which follow each other
}

// leg is a part of a session. Its prices, in millionths of a tick, are a bridge
// over the minutes between its ends, each minute a bridge over its seconds, and
// the jumps on top. A bridge halves until it meets what is asked for, so nothing
// before that has to be computed.
type leg struct {
	open, end   int64
	first, last int64 // without the jumps
	// The standard deviation of a mean minute's return, of the symbol's own and of
	// what it has from the market, and of both.
	own, market, sd int64
	path, common    uint64 // chance of its own, and of all symbols of the market
	jumps           [2]jump
	shape           *shape
	night           bool
	closes          bool // its last second is the session's
	seconds         *[2]spreads
}

// secondsOf are the spreads of a minute: of one whose next second is another's
// first, and of the last of a session.
func secondsOf() *[2]spreads { return &[2]spreads{spreadsOf(minute), spreadsOf(minute - 1)} }

// ends are the prices at the beginning of the k-th minute of the leg and of the
// next, or at the leg's end, without jumps.
func (l *leg) ends(k int64) (va, vb int64) {
	a, b := int64(0), l.shape.minutes
	va, vb = l.first, l.last
	for b-a > 1 {
		m := (a + b) / 2
		chance := bell(hash(l.path, m)) * l.own
		if l.market != 0 {
			chance += bell(hash(l.common, m)) * l.market
		}
		at := &l.shape.middles[m]
		vm := va + (vb-va)*at.share>>16 + chance/bellScale*at.spread/one
		if k < m {
			b, vb = m, vm
		} else {
			a, va = m, vm
		}
	}
	return va, vb
}

// bridge is one minute of a leg.
type bridge struct {
	leg    *leg
	from   int64 // its first second, counted from the leg's opening
	length int64 // from its first second to what bounds it
	va, vb int64
	sd     int64 // standard deviation of its return
	widths spreads
}

// minute returns the k-th minute of the leg.
func (l *leg) minute(k int64) bridge {
	b := bridge{leg: l, from: k * minute, length: minute, sd: l.sd * l.shape.sigma[k] / 1000, widths: l.seconds[0]}
	b.va, b.vb = l.ends(k)
	if l.closes && k == l.shape.minutes-1 {
		b.length, b.widths = minute-1, l.seconds[1]
	}
	return b
}

// middle is the price at the middle of the seconds from a to b, whose prices are
// va and vb: their mean, displaced by chance in proportion to the square root of
// the time between.
func (m *bridge) middle(a, b, va, vb int64, depth int) int64 {
	longer := b - a - m.length>>depth
	spread := m.sd * m.widths[depth][longer] >> rootShift
	return (va+vb)/2 + bell(hash(m.leg.path, -1-m.from-(a+b)/2))*spread/bellScale
}

// at returns the price of a second of the minute, without jumps.
func (m *bridge) at(second int64) int64 {
	a, b, va, vb := int64(0), m.length, m.va, m.vb
	for depth := 0; ; depth++ {
		switch second {
		case a:
			return va
		case b:
			return vb
		}
		middle := (a + b) / 2
		v := m.middle(a, b, va, vb, depth)
		if second < middle {
			b, vb = middle, v
		} else {
			a, va = middle, v
		}
	}
}

// fill writes the prices of all seconds of the minute to out. They are those at
// returns, but what neighbours share is computed once.
func (m *bridge) fill(out *[minute]int64) {
	out[0] = m.va
	if m.length < minute {
		out[m.length] = m.vb
	}
	m.descend(out, 0, m.length, m.va, m.vb, 0)
}

// descend fills in what lies between the seconds a and b.
func (m *bridge) descend(out *[minute]int64, a, b, va, vb int64, depth int) {
	if b-a < 2 {
		return
	}
	middle := (a + b) / 2
	v := m.middle(a, b, va, vb, depth)
	out[middle] = v
	m.descend(out, a, middle, va, v, depth+1)
	m.descend(out, middle, b, v, vb, depth+1)
}

// jumped is how far the leg has jumped at an instant.
func (l *leg) jumped(at int64) (size int64) {
	for _, j := range l.jumps {
		if j.size != 0 && at >= j.at {
			size += j.size
		}
	}
	return size
}

// leg returns the leg an instant of the session lies in.
func (s *session) leg(at int64) *leg {
	for i := range s.legs {
		if at < s.legs[i].end {
			return &s.legs[i]
		}
	}
	panic("sim: an instant after the session") // nobody asks for one
}

// minute returns the minute of the session that begins at an instant, and its
// leg.
func (s *session) minute(start int64) bridge {
	l := s.leg(start)
	return l.minute((start - l.open) / minute)
}

// at returns the price at an instant of the session.
func (s *session) at(at int64) int64 {
	start := at - at%minute
	m := s.minute(start)
	return m.at(at-start) + m.leg.jumped(at)
}

// series is an instrument with all its sessions, oldest first. It does not
// change once the source is loaded.
type series struct {
	instrument
	sessions []session
	cues     []cue // what a script does to its bars and prices
	halts    bool  // whether there are halts among them
}

// newSeries walks from session to session. A price is the base, moved by what
// the market does as far as the symbol follows it, and by what is its own.
func newSeries(seed uint64, i instrument, sessions []thor.Session, m *market) *series {
	s := &series{instrument: i, sessions: make([]session, 0, len(sessions))}
	seconds := secondsOf()
	var own int64 // how far it is from the base without the market, in millionths
	scale := i.base / i.tick
	price := func(level int64) int64 { return scale * (micro + level*i.follows/1000 + own) }
	for _, on := range sessions {
		chance := digestOf(seed, i.symbol, on.Date)
		one := session{open: on.Open.Unix(), end: on.Close.Unix(), volumes: chance[3]}
		own = within(own-own*pull/1000+bell(chance[0])*i.gap/bellScale, reach)
		words := stream(chance[1])
		for _, common := range m.within(one.open, one.end) {
			l := leg{
				open: common.open, end: common.end, shape: common.shape, seconds: seconds,
				path: words.next(), common: common.path, night: common.night, closes: common.end == one.end,
			}
			l.first = price(common.first)
			jump := jumpOf(words, l.open, l.shape.minutes, ownJumps, i.wobble)
			words.next()
			own = within(own+bell(words.next())*m.swing(i.wobble, &common)/bellScale, reach)
			own = within(own+jump.size, reach)
			l.last = price(common.last)
			l.jumps[0] = jump.times(scale)
			l.jumps[1] = common.jump.times(scale * i.follows / 1000)
			l.last -= l.jumps[0].size + l.jumps[1].size
			l.own = i.wobble * common.factor >> 16 * scale
			l.market = m.sd * i.follows / 1000 * common.factor >> 16 * scale
			l.sd = root(l.own/scale*(l.own/scale)+l.market/scale*(l.market/scale)) * scale
			one.legs = append(one.legs, l)
		}
		end := &one.legs[len(one.legs)-1]
		one.first, one.last = one.legs[0].first, end.last+end.jumped(one.end)
		s.sessions = append(s.sessions, one)
	}
	return s
}

// times is the jump of a price so many times as high.
func (j jump) times(scale int64) jump {
	j.size *= scale
	return j
}

// checkSessions reports what is wrong with the sessions of an exchange.
func checkSessions(sessions []thor.Session) error {
	for i, on := range sessions {
		open, end := on.Open.Unix(), on.Close.Unix()
		if end <= open || open%minute != 0 || end%minute != 0 || i > 0 && on.Open.Before(sessions[i-1].Close) {
			return fmt.Errorf("session %s of %s from %s to %s: not of whole minutes, or it begins before the last one is over",
				on.Date, on.Exchange, on.Open.UTC().Format(time.RFC3339), on.Close.UTC().Format(time.RFC3339))
		}
	}
	return nil
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
	return s.cents(on.at(at))
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
