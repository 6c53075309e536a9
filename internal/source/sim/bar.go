package sim

import (
	"context"
	"slices"
	"time"

	"thor"
)

// maxBars is where an answer stops, at the end of an hour.
const maxBars = 2000

const (
	minute = 60 // seconds
	hour   = 60 * minute
)

// bars returns the bars of all the series from since until the instant at,
// ordered by minute and symbol, whole hours of them until there are enough. A
// zero since is the last session of each.
func bars(ctx context.Context, all []*series, since time.Time, at int64) ([]thor.Bar, error) {
	if since.IsZero() {
		return gather(ctx, all, func(s *series) []thor.Bar { return s.lastSession(at) })
	}
	var found []thor.Bar
	from := max(span.from.Unix(), since.Add(time.Second-time.Nanosecond).Unix())
	for ; from <= at && len(found) < maxBars; from += hour {
		more, err := gather(ctx, all, func(s *series) []thor.Bar { return s.between(from, from+hour, at) })
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, ctx.Err()
}

// gather puts together what each of the series has.
func gather(ctx context.Context, all []*series, of func(s *series) []thor.Bar) ([]thor.Bar, error) {
	lists := make([][]thor.Bar, 0, len(all))
	for _, s := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if found := of(s); len(found) > 0 {
			lists = append(lists, found)
		}
	}
	return merge(lists), nil
}

// merge returns the bars of all the lists, each of which is oldest first, in
// the order of their minutes and within a minute in the order of the lists.
func merge(lists [][]thor.Bar) []thor.Bar {
	var count int
	for _, list := range lists {
		count += len(list)
	}
	all := make([]thor.Bar, 0, count)
	for len(lists) > 0 {
		next := lists[0][0].TimestampMinute
		for _, list := range lists[1:] {
			if at := list[0].TimestampMinute; at.Before(next) {
				next = at
			}
		}
		for i, list := range lists {
			if list[0].TimestampMinute.Equal(next) {
				all = append(all, list[0])
				lists[i] = list[1:]
			}
		}
		lists = slices.DeleteFunc(lists, func(list []thor.Bar) bool { return len(list) == 0 })
	}
	return all
}

// lastSession returns the bars of the session that is on at that instant, or of
// the last one.
func (s *series) lastSession(at int64) []thor.Bar {
	index := s.index(at)
	if index < 0 {
		return nil
	}
	return s.between(s.sessions[index].open, s.sessions[index].end, at)
}

// between returns the bars of the minutes that begin in [from, to), as they are
// at the instant at, oldest first.
func (s *series) between(from, to, at int64) []thor.Bar {
	var found []thor.Bar
	for i := max(0, s.index(from)); i < len(s.sessions) && s.sessions[i].open < to; i++ {
		on := &s.sessions[i]
		for start := on.open; start < min(on.end, to, at+1); start += minute {
			if start < from {
				continue
			}
			bar, ok := s.bar(on, start, at)
			if ok && len(s.cues) > 0 {
				bar, ok = s.told(bar, start, at)
			}
			if ok {
				found = append(found, bar)
			}
		}
	}
	return found
}

// bar returns the bar of the minute that begins at start, as far as it has
// come at the instant at. There is none without a trade.
func (s *series) bar(on *session, start, at int64) (thor.Bar, bool) {
	m := on.minute(start)
	pace := s.pace(on, &m, start)
	if pace == 0 {
		return thor.Bar{}, false
	}
	var prices [minute]int64
	m.fill(&prices)

	var volume, turnover, open, low, high, last int64
	for i, value := range prices[:min(minute, at+1-start)] {
		second := start + int64(i)
		last = s.cents(value + m.leg.jumped(second))
		if i == 0 {
			open, low, high = last, last, last
		}
		low, high = min(low, last), max(high, last)
		traded := s.traded(on, pace, second)
		volume += traded
		turnover += traded * last
	}
	if volume == 0 {
		return thor.Bar{}, false
	}
	timestamp, final := at, at >= start+minute
	if final {
		timestamp = start + minute
	}
	return thor.Bar{
		Symbol:          s.symbol,
		Display:         s.display,
		Country:         s.country,
		TimestampMinute: instant(start),
		Open:            price(open),
		High:            price(high),
		Low:             price(low),
		Close:           price(last),
		Volume:          s.quantity(volume),
		VWAP:            average(turnover, volume),
		Final:           final,
		Timestamp:       instant(timestamp),
	}, true
}

// usual is the mean pace of a minute.
const usual = 1024

// pace is how fast a minute trades; 0 is not at all. It has the shape of the day,
// a chance of its own, and is the faster the more the price moves.
func (s *series) pace(on *session, m *bridge, start int64) int64 {
	// What chance and moves are in the mean: 1.2 and 2.6, of 1000.
	const noisy, most = 3112, 8 << 10

	chance := hash(on.volumes, -start)
	if quiet := s.quiet; quiet > 0 {
		if m.leg.night {
			quiet /= 8
		}
		if chance%quiet == 0 {
			return 0
		}
	}
	moved := abs(m.vb-m.va) + abs(m.leg.jumped(start+minute-1)-m.leg.jumped(start-1))
	move := min(most, moved<<10/m.sd)
	noise := exp2(bell(mix(chance)) * 56_728 / bellScale) // lognormal, 0.6
	pace := (s.share(on, start) * noise >> 16) * (1<<10 + 2*move) / noisy
	return max(1, min(pace, usual<<6))
}

// traded is the volume of one second of a minute with that pace.
func (s *series) traded(on *session, pace, second int64) int64 {
	// 16 bits, in the mean 2^15; the lowest sixteenth of them is no trade. Other
	// bits say what becomes of a part of a unit.
	const scale = 20

	chance := hash(on.volumes, second-on.open)
	share := int64(chance >> 48)
	if share < 1<<12 {
		return 0
	}
	return (s.volume*pace>>5*share + int64(chance&(1<<scale-1))) >> scale
}

// average is turnover ÷ volume, cents to four digits of a price.
func average(turnover, volume int64) thor.Decimal {
	const digits = 100 // of a cent
	return thor.NewDecimal(turnover/volume*digits+divide(turnover%volume*digits, volume), thor.ScalePrice)
}

// instant is a number of seconds since 1970 as a time.
func instant(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
