package sim

// What a day looks like: how much trades when, and how much prices move. The
// figures were measured on a year of minutes; docs/simulator.md has them beside
// what the simulator makes of them.

// half is half an hour, in minutes.
const half = 30

// The half hours of a session of New York.
var (
	// moves are the mean absolute returns of a minute, in thousandths of that of
	// the day.
	moves = [13]int64{1900, 1350, 1100, 1050, 1000, 850, 750, 850, 800, 950, 800, 850, 950}
	// The volumes are in thousandths of the day's.
	indexVolume = [13]int64{129, 95, 80, 75, 75, 57, 43, 55, 49, 57, 43, 71, 171}
	stockVolume = [13]int64{150, 90, 75, 65, 60, 55, 48, 46, 48, 50, 53, 65, 195}
)

// The half hours of a session of Chicago, from 18:00 in New York on, volumes in
// ten thousandths of the session's. From the thirty-first to the forty-third New
// York trades.
var (
	futureVolume = [46]int64{
		50, 40, 30, 30, 40, 40, 30, 30, 20, 20, 15, 15, // 18:00
		10, 10, 15, 15, 30, 30, 60, 60, 50, 50, 35, 35, 35, 35, 50, 50, 60, 80, // 00:00
		160, 1180, 830, 760, 740, 710, 410, 390, 420, 420, 400, 440, 540, 940, 520, 70, // 09:00
	}
	futureMoves = [46]int64{
		250, 220, 220, 220, 220, 220, 200, 200, 180, 180, 180, 180,
		180, 180, 180, 180, 220, 220, 300, 300, 300, 260, 260, 260, 260, 260, 300, 300, 380, 380,
		400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 330, 250,
	}
)

// coinHours are the volumes of the hours of a UTC day, in thousandths of the
// mean, and moves follow their roots.
var coinHours = [24]int64{950, 900, 850, 800, 750, 750, 750, 800, 900, 950, 950, 1000, 1100, 1300, 1500, 1500, 1350, 1200, 1100, 1050, 1000, 950, 900, 900}

// halfHour returns the entry of the half hour a minute of a session of New York
// lies in. A short session has the first hours, and then the last half hour.
func halfHour(of *[13]int64, k, minutes int64) int64 {
	if k >= minutes-half {
		return of[12]
	}
	return of[min(k/half, 11)]
}

// kind is what a leg of a session is.
type kind uint8

const (
	coins    kind = iota // a UTC day
	newYorks             // New York trades
	nights               // Chicago alone does
)

// shapeKey names a shape: those of legs alike are shared.
type shapeKey struct {
	kind          kind
	from, minutes int64 // minutes since Chicago opened, of nights; how long it is
}

// shape is how the variance of a leg is spread over its minutes. Paths are found
// by halving; for the minute in the middle of each interval it has what share of
// the interval's variance lies before it, and the standard deviation of its
// distance from the line between the ends.
type shape struct {
	minutes int64
	sigma   []int64 // of each minute's return, in thousandths of the day's mean
	total   int64   // of the whole leg's return, in units of one
	middles []middleOf
}

// middleOf is what there is to know of a minute in the middle of an interval.
type middleOf struct {
	share  int64 // of 1<<16
	spread int64 // in units of one
}

// one is the standard deviation of a mean minute in the units of spreads.
const one = 100 << 10

func newShape(key shapeKey) *shape {
	n := key.minutes
	s := &shape{minutes: n, sigma: make([]int64, n), middles: make([]middleOf, n)}
	before := make([]int64, n+1) // the variance before each minute, in units of which a mean minute has 10,000
	for k := range n {
		switch key.kind {
		case newYorks:
			s.sigma[k] = halfHour(&moves, k, n)
		case nights:
			s.sigma[k] = futureMoves[min((key.from+k)/half, int64(len(futureMoves))-1)]
		case coins:
			s.sigma[k] = root(coinHours[k/60%24] * 1000)
		}
		before[k+1] = before[k] + s.sigma[k]*s.sigma[k]/100
	}
	s.total = root(before[n] << 20)
	s.measure(before, 0, n)
	return s
}

// measure fills in what lies between two minutes.
func (s *shape) measure(before []int64, a, b int64) {
	if b-a < 2 {
		return
	}
	m := (a + b) / 2
	all := before[b] - before[a]
	s.middles[m] = middleOf{
		share:  (before[m] - before[a]) << 16 / all,
		spread: root((before[m] - before[a]) * (before[b] - before[m]) / all << 20),
	}
	s.measure(before, a, m)
	s.measure(before, m, b)
}

// share is how much trades in a minute of a session, in thousandths of the mean.
func (i *instrument) share(on *session, start int64) int64 {
	k, n := (start-on.open)/minute, (on.end-on.open)/minute
	switch i.mic {
	case newYork:
		of, first, last := &stockVolume, int64(4), int64(10)
		if i.symbol == indexFund {
			of, first, last = &indexVolume, 2, 4
		}
		mean := halfHour(of, k, n) * 13
		// The first minute is so many times the mean of its half hour, the last is
		// the closing auction; the others share what is left.
		switch {
		case k == n-1:
			return mean * last
		case k == 0:
			return mean * first
		case k >= n-half:
			return mean * (half - last) / (half - 1)
		case k < half:
			return mean * (half - first) / (half - 1)
		}
		return mean
	case chicago:
		return max(1, futureVolume[min(k/half, 45)]*46/10)
	}
	return coinHours[k/60%24]
}
