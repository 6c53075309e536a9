package sim

import (
	"cmp"
	"slices"
	"strconv"

	"thor"
)

// market is what moves many symbols at once. Its level, in millionths, is known
// at every bell; between two bells it is a leg, on which the paths of all its
// symbols bend by the same chance.
type market struct {
	seed   uint64
	sd     int64 // standard deviation of a mean minute's return, in millionths
	legs   []marketLeg
	shapes map[shapeKey]*shape
}

// marketLeg is the time between two bells.
type marketLeg struct {
	open, end   int64
	first, last int64 // the level
	factor      int64 // how lively the day is, of 1<<16
	path        uint64
	jump        jump // of the level
	shape       *shape
	night       bool // Chicago alone trades
}

// jump is a sudden move; size 0 is none.
type jump struct {
	at   int64 // seconds since 1970
	size int64
}

const (
	pull  = 30      // how much of its distance from the base a level loses in a day, in thousandths
	reach = 250_000 // the farthest it may lie from it

	// The liveliness of days: its logarithm to the base of 2 has a memory of 95 %
	// a day, and this standard deviation, of 1<<16. Its square has a mean of 1.
	liveliness = 56_000
	lively     = 130_000 // the farthest from the middle
	middle     = -32_900

	// How likely a minute is to have a jump, in millionths.
	marketJumps, ownJumps = 83, 333

	hourGap = 300 // standard deviation of what happens in an hour without trading, in millionths
)

// newMarket walks from bell to bell.
func newMarket(seed uint64, word string, sd int64, exchanges map[string][]thor.Session) *market {
	m := &market{seed: digestOf(seed, "market", word)[0], sd: sd, shapes: map[shapeKey]*shape{}}
	var bells []int64
	for _, sessions := range exchanges {
		for _, on := range sessions {
			bells = append(bells, on.Open.Unix(), on.Close.Unix())
		}
	}
	slices.Sort(bells)
	bells = slices.Compact(bells)
	var level, mood int64
	next := map[string]int{}
	for i := 0; i+1 < len(bells); i++ {
		l := marketLeg{open: bells[i], end: bells[i+1], first: level}
		key, trades := legOf(exchanges, next, l.open, l.end)
		chance := digestOf(m.seed, "leg", strconv.FormatInt(l.open, 10))
		if !trades {
			level = within(level+bell(chance[0])*(hourGap*root((l.end-l.open)*1000/hour)/32)/bellScale, reach)
			continue
		}
		if key.kind != nights {
			mood = mood*95/100 + bell(chance[3])*(liveliness*31/100)/bellScale
			level -= level * pull / 1000
		}
		l.shape, l.night = m.shape(key), key.kind == nights
		l.factor = exp2(within(mood, lively) + middle)
		l.path = chance[1]
		l.jump = jumpOf(stream(chance[2]), l.open, key.minutes, marketJumps, sd)
		level = within(level+bell(chance[0])*m.swing(sd, &l)/bellScale, reach)
		level = within(level+l.jump.size, reach)
		l.last = level
		m.legs = append(m.legs, l)
	}
	return m
}

// swing is the standard deviation of a leg's return, of which a mean minute has
// so much.
func (m *market) swing(sd int64, l *marketLeg) int64 {
	return sd * l.shape.total / one * l.factor >> 16
}

func (m *market) shape(key shapeKey) *shape {
	if m.shapes[key] == nil {
		m.shapes[key] = newShape(key)
	}
	return m.shapes[key]
}

// legOf says what trades between two bells. It is called for ever later ones;
// next is where each exchange is.
func legOf(exchanges map[string][]thor.Session, next map[string]int, open, end int64) (key shapeKey, trades bool) {
	key.minutes = (end - open) / minute
	on := map[string]int64{} // when who trades has opened
	for mic, sessions := range exchanges {
		i := next[mic]
		for i < len(sessions) && sessions[i].Close.Unix() <= open {
			i++
		}
		if next[mic] = i; i < len(sessions) && sessions[i].Open.Unix() <= open {
			on[mic] = sessions[i].Open.Unix()
		}
	}
	_, inNewYork := on[newYork]
	opened, inChicago := on[chicago]
	switch {
	case inNewYork:
		key.kind = newYorks
	case inChicago:
		key.kind, key.from = nights, (open-opened)/minute
	}
	return key, len(on) > 0
}

// jumpOf lets chance put a jump into so many minutes from open on.
func jumpOf(chance stream, open, minutes, likely, sd int64) jump {
	if chance.below(1_000_000) >= minutes*likely {
		return jump{}
	}
	j := jump{at: open + 1 + chance.below(minutes*minute-1), size: sd * (8 + chance.below(13))}
	if chance.below(2) == 0 {
		j.size = -j.size
	}
	return j
}

// within returns the legs of a session. They cover it, for its bells are the
// market's.
func (m *market) within(open, end int64) []marketLeg {
	from, _ := slices.BinarySearchFunc(m.legs, open, func(l marketLeg, at int64) int { return cmp.Compare(l.open, at) })
	to := from
	for to < len(m.legs) && m.legs[to].end <= end {
		to++
	}
	return m.legs[from:to]
}
