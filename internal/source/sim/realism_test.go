package sim

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// The figures of docs/simulator.md: go test ./internal/source/sim -run Realism -v

// sample are numbers with the statistics of them.
type sample []float64

func (s sample) mean() float64 {
	var sum float64
	for _, x := range s {
		sum += x
	}
	return sum / float64(len(s))
}

func (s sample) moment(n float64) float64 {
	mean, sum := s.mean(), 0.0
	for _, x := range s {
		sum += math.Pow(x-mean, n)
	}
	return sum / float64(len(s))
}

func (s sample) deviation() float64 { return math.Sqrt(s.moment(2)) }

func (s sample) kurtosis() float64 { return s.moment(4) / s.moment(2) / s.moment(2) }

// beyond is the share of numbers farther from 0 than the limit.
func (s sample) beyond(limit float64) float64 {
	var n float64
	for _, x := range s {
		if math.Abs(x) > limit {
			n++
		}
	}
	return n / float64(len(s))
}

// size is the mean distance from 0.
func (s sample) size() float64 { return sample(slices.Collect(s.abs())).mean() }

func (s sample) abs() func(yield func(float64) bool) {
	return func(yield func(float64) bool) {
		for _, x := range s {
			if !yield(math.Abs(x)) {
				return
			}
		}
	}
}

// correlation is that of two samples.
func correlation(a, b sample) float64 {
	var sum float64
	meanA, meanB := a.mean(), b.mean()
	for i := range a {
		sum += (a[i] - meanA) * (b[i] - meanB)
	}
	return sum / float64(len(a)) / a.deviation() / b.deviation()
}

// figure compares one number with what it should be near.
func figure(t *testing.T, what string, got, aim, low, high float64) {
	t.Helper()
	t.Logf("%-55s %8.3f  aim %8.3f", what, got, aim)
	if !(got >= low && got <= high) {
		t.Errorf("%s: got %.3f, want %.3f to %.3f", what, got, low, high)
	}
}

// tape is what the minutes of some sessions come to.
type tape struct {
	returns []sample // by half hour, in basis points
	volumes []sample // of the minutes, by half hour
	first   sample   // volume of the first minute of a session, of the mean of its half hour
	last    sample   // of the last
	ranges  sample   // high − low, in basis points
	all     sample   // returns
}

// tapeOf reads the full sessions from one place to another.
func tapeOf(s *series, from, to int) tape {
	const halves = half * minute
	full := s.sessions[from].end - s.sessions[from].open
	t := tape{returns: make([]sample, full/halves), volumes: make([]sample, full/halves)}
	for i := from; i < to; i++ {
		on := &s.sessions[i]
		if on.end-on.open != full {
			continue
		}
		volumes := make([]sample, full/halves)
		for start := on.open; start < on.end; start += minute {
			b, ok := s.bar(on, start, on.end)
			if !ok {
				continue
			}
			h := (start - on.open) / halves
			open, end := float64(on.at(start)), float64(on.at(start+minute-1))
			change := (end/open - 1) * 1e4
			t.returns[h] = append(t.returns[h], change)
			t.all = append(t.all, change)
			volumes[h] = append(volumes[h], number(b.Volume.String()))
			t.ranges = append(t.ranges, number(b.High.Sub(b.Low).String())/number(b.Open.String())*1e4)
		}
		for h, v := range volumes {
			t.volumes[h] = append(t.volumes[h], v.mean()*float64(len(v)))
		}
		t.first = append(t.first, volumes[0][0]/volumes[0].mean())
		last := volumes[len(volumes)-1]
		t.last = append(t.last, last[len(last)-1]/last.mean())
	}
	return t
}

func number(text string) (n float64) {
	_, _ = fmt.Sscan(text, &n) // it is ours
	return n
}

// shares are the volumes of half hours in percent of the day's.
func (t tape) shares() (shares []float64) {
	var day float64
	for _, v := range t.volumes {
		day += v.mean()
	}
	for _, v := range t.volumes {
		shares = append(shares, v.mean()/day*100)
	}
	return shares
}

func seriesOf(t *testing.T, all []*series, symbol string) *series {
	t.Helper()
	i := slices.IndexFunc(all, func(s *series) bool { return s.symbol == symbol })
	return all[i]
}

// TestRealismOfMinutes holds half a year of minutes to what was measured.
func TestRealismOfMinutes(t *testing.T) {
	t.Parallel()
	all := loaded(t, 1).series
	halfHours := []float64{12.9, 9.5, 8.0, 7.5, 7.5, 5.7, 4.3, 5.5, 4.9, 5.7, 4.3, 7.1, 17.1}
	sizes := []float64{1.9, 1.35, 1.1, 1.05, 1.0, 0.85, 0.75, 0.85, 0.8, 0.95, 0.8, 0.85, 0.95}
	for symbol, is := range map[string]struct{ deviation, low, high, first, last float64 }{
		"EQ.SPY":  {3.1, 2.4, 4.6, 2, 4},
		"EQ.AAPL": {5.5, 4, 7.5, 4, 10},
		"EQ.NVDA": {7, 5, 9, 4, 10},
	} {
		t.Run(symbol, func(t *testing.T) {
			t.Parallel()
			p := tapeOf(seriesOf(t, all, symbol), 100, 230)
			for h, share := range p.shares() {
				measured := halfHours[h]
				if symbol == indexFund {
					figure(t, fmt.Sprintf("volume of half hour %d, %%", h+1), share, measured, measured*0.8, measured*1.25)
				}
				figure(t, fmt.Sprintf("|return| of half hour %d, of the mean", h+1), p.returns[h].size()/p.all.size(), sizes[h], sizes[h]*0.85, sizes[h]*1.2)
			}
			if symbol != indexFund {
				shares := p.shares()
				figure(t, "volume of the first half hour, %", shares[0], 15, 12, 18)
				figure(t, "volume of the middle half hour, %", shares[6], 4.5, 4, 6)
				figure(t, "volume of the last half hour, %", shares[12], 20, 17, 24)
			}
			figure(t, "first minute, of the mean of its half hour", p.first.mean(), is.first, is.first*0.7, is.first*1.4)
			figure(t, "last minute, of the mean of its half hour", p.last.mean(), is.last, is.last*0.7, is.last*1.4)
			figure(t, "standard deviation of a minute's return, bp", p.all.deviation(), is.deviation, is.low, is.high)
			figure(t, "kurtosis of a minute's return", p.all.kurtosis(), 7, 4, 60)
			figure(t, "high − low of a minute, bp", p.ranges.mean(), 7, 3, 12)
		})
	}
	t.Run("FUT.ES by the hour", func(t *testing.T) {
		t.Parallel()
		p := tapeOf(seriesOf(t, all, "FUT.ES"), 100, 230)
		shares := p.shares()
		hour := func(h int) float64 { return shares[(h+6)%24*2] + shares[(h+6)%24*2+1] }
		for h, measured := range map[int]float64{9: 13.1, 10: 15.9, 11: 14.5, 12: 8.0, 13: 8.4, 14: 8.4, 15: 14.4, 16: 5.9} {
			figure(t, fmt.Sprintf("volume from %d:00, %%", h), hour(h), measured, measured*0.8, measured*1.25)
		}
		for h := range 9 {
			figure(t, fmt.Sprintf("volume from %d:00, %%", h), hour(h), 0.8, 0.15, 1.8)
		}
		figure(t, "minutes without a bar, of a day", float64(1380*len(p.first)-len(p.all))/float64(len(p.first)), 0, 0, 5)
	})
	t.Run("together", func(t *testing.T) {
		t.Parallel()
		spy, es, aapl, gold := seriesOf(t, all, indexFund), seriesOf(t, all, "FUT.ES"), seriesOf(t, all, "EQ.AAPL"), seriesOf(t, all, "FUT.GC")
		var returns [4]sample
		for i := 100; i < 130; i++ {
			on := &spy.sessions[i]
			for start := on.open; start < on.end-minute; start += minute {
				for n, s := range []*series{spy, es, aapl, gold} {
					from, to := s.price(s.index(start), start), s.price(s.index(start+minute), start+minute)
					returns[n] = append(returns[n], float64(to)/float64(from)-1)
				}
			}
		}
		figure(t, "correlation of minutes, SPY and ES", correlation(returns[0], returns[1]), 0.95, 0.9, 1)
		figure(t, "correlation of minutes, SPY and AAPL", correlation(returns[0], returns[2]), 0.6, 0.4, 0.85)
		figure(t, "correlation of minutes, SPY and GC", correlation(returns[0], returns[3]), 0, -0.1, 0.1)
	})
}

// TestRealismOfDays holds three years of days, of several seeds, to what was
// measured.
func TestRealismOfDays(t *testing.T) {
	t.Parallel()
	days := map[string]*struct{ day, gap sample }{indexFund: {}, "EQ.AAPL": {}, "EQ.NVDA": {}}
	var jumps float64
	for seed := range uint64(4) {
		all := loaded(t, 1+seed).series
		for symbol, is := range days {
			s := seriesOf(t, all, symbol)
			for i := 1; i < len(s.sessions); i++ {
				before, on := float64(s.sessions[i-1].last), &s.sessions[i]
				is.day = append(is.day, (float64(on.last)/before-1)*100)
				is.gap = append(is.gap, (float64(on.first)/before-1)*100)
				for _, l := range on.legs {
					if symbol == "EQ.AAPL" {
						for _, j := range l.jumps {
							if j.size != 0 {
								jumps++
							}
						}
					}
				}
			}
		}
	}
	index, stock := days[indexFund], days["EQ.AAPL"]
	figure(t, "index: standard deviation of a day, %", index.day.deviation(), 1.09, 0.75, 1.3)
	figure(t, "index: kurtosis of a day", index.day.kurtosis(), 20, 4.5, 30)
	figure(t, "index: days beyond 3 %", index.day.beyond(3), 0.022, 0.004, 0.04)
	figure(t, "index: standard deviation of the gap, %", index.gap.deviation(), 0.38, 0.25, 0.5)
	figure(t, "index: gaps beyond 0.5 %", index.gap.beyond(0.5), 0.06, 0.03, 0.2)
	figure(t, "index: gap, % of the day's variance", 100*index.gap.moment(2)/index.day.moment(2), 12, 8, 25)
	figure(t, "stock: gap, % of the day's variance", 100*stock.gap.moment(2)/stock.day.moment(2), 30, 22, 38)
	nvda := days["EQ.NVDA"]
	figure(t, "livelier stock: gap, % of the day's variance", 100*nvda.gap.moment(2)/nvda.day.moment(2), 30, 22, 38)
	figure(t, "jumps of a stock, in an hour", jumps/float64(len(stock.day))/6.5, 0.025, 0.02, 0.03)
	var memory float64
	for i := 1; i < len(index.day); i++ {
		memory += math.Abs(index.day[i-1]) * math.Abs(index.day[i])
	}
	mean := sample(slices.Collect(index.day.abs())).mean()
	figure(t, "index: lively days follow each other", memory/float64(len(index.day))/mean/mean, 1.3, 1.1, 2)
}
