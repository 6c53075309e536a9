package calendar_test

import (
	"slices"
	"time"
)

// The rules of the exchanges outside the USA. What follows the moon, or what a
// government announces, is written down as the announcement has it: festivals
// by their own date, before weekends move them, and holidays from one day to
// another.

func newRulebook() rulebook {
	return rulebook{closed: map[string]bool{}, early: map[string]int{}, special: map[string]stretch{}}
}

// close notes dates that are weekdays.
func (r rulebook) close(days ...time.Time) {
	for _, d := range days {
		if !weekend(d) {
			r.closed[iso(d)] = true
		}
	}
}

// substitute notes dates, and for each that is not free the next that is.
func (r rulebook) substitute(days ...time.Time) {
	for _, d := range days {
		for weekend(d) || r.closed[iso(d)] {
			d = d.AddDate(0, 0, 1)
		}
		r.closed[iso(d)] = true
	}
}

// eve notes an early close on a weekday that is not closed.
func (r rulebook) eve(minute int, days ...time.Time) {
	for _, d := range days {
		if r.session(d) {
			r.early[iso(d)] = minute
		}
	}
}

// from notes the weekdays from one date to another.
func (r rulebook) from(first, last string) {
	d, _ := time.Parse(time.DateOnly, first)
	for ; iso(d) <= last; d = d.AddDate(0, 0, 1) {
		r.close(d)
	}
}

func easterMonday(y int) time.Time { return goodFriday(y).AddDate(0, 0, 3) }

func xlonRules() rulebook {
	r := newRulebook()
	for _, y := range ruleYears {
		r.close(goodFriday(y), easterMonday(y),
			nth(y, time.May, time.Monday, 1), nth(y, time.May, time.Monday, -1), nth(y, time.August, time.Monday, -1))
		r.substitute(date(y, time.January, 1))
		r.substitute(date(y, time.December, 25), date(y, time.December, 26))
		for _, eve := range []time.Time{date(y, time.December, 24), date(y, time.December, 31)} {
			for weekend(eve) {
				eve = eve.AddDate(0, 0, -1)
			}
			r.eve(12*60+30, eve)
		}
	}
	return r
}

// xetrRules close early on the last trading day.
func xetrRules() rulebook {
	r := newRulebook()
	for _, y := range ruleYears {
		r.close(date(y, time.January, 1), goodFriday(y), easterMonday(y), date(y, time.May, 1), date(y, time.December, 24),
			date(y, time.December, 25), date(y, time.December, 26), date(y, time.December, 31))
		last := date(y, time.December, 31)
		for !r.session(last) {
			last = last.AddDate(0, 0, -1)
		}
		r.eve(14*60, last)
	}
	return r
}

func xtseRules() rulebook {
	r := newRulebook()
	for _, y := range ruleYears {
		victoria := date(y, time.May, 24)
		for victoria.Weekday() != time.Monday {
			victoria = victoria.AddDate(0, 0, -1)
		}
		r.close(nth(y, time.February, time.Monday, 3), goodFriday(y), victoria, nth(y, time.August, time.Monday, 1),
			nth(y, time.September, time.Monday, 1), nth(y, time.October, time.Monday, 2))
		r.substitute(date(y, time.January, 1), date(y, time.July, 1), date(y, time.December, 25), date(y, time.December, 26))
		r.eve(13*60, date(y, time.December, 24))
	}
	return r
}

func xmexRules() rulebook {
	r := newRulebook()
	for _, y := range ruleYears {
		r.close(date(y, time.January, 1), nth(y, time.February, time.Monday, 1), nth(y, time.March, time.Monday, 3),
			goodFriday(y).AddDate(0, 0, -1), goodFriday(y), date(y, time.May, 1), date(y, time.September, 16),
			date(y, time.November, 2), nth(y, time.November, time.Monday, 3), date(y, time.December, 12), date(y, time.December, 25))
	}
	return r
}

// xtksRules are the holidays of the law: one on a Sunday moves to the next day
// that is none, a day between two is one, and the exchange closes from 31
// December to 3 January.
func xtksRules() rulebook {
	r := newRulebook()
	for _, y := range ruleYears {
		spring, autumn := equinoxes(y)
		holidays := []time.Time{
			date(y, time.January, 1), nth(y, time.January, time.Monday, 2), date(y, time.February, 11), date(y, time.February, 23),
			spring, date(y, time.April, 29), date(y, time.May, 3), date(y, time.May, 4), date(y, time.May, 5),
			nth(y, time.July, time.Monday, 3), date(y, time.August, 11), nth(y, time.September, time.Monday, 3), autumn,
			nth(y, time.October, time.Monday, 2), date(y, time.November, 3), date(y, time.November, 23),
		}
		is := func(d time.Time) bool { return slices.ContainsFunc(holidays, d.Equal) }
		for _, d := range holidays {
			if d.Weekday() == time.Sunday {
				for is(d) {
					d = d.AddDate(0, 0, 1)
				}
			}
			r.close(d)
		}
		for d := date(y, time.January, 2); d.Year() == y; d = d.AddDate(0, 0, 1) {
			if is(d.AddDate(0, 0, -1)) && is(d.AddDate(0, 0, 1)) {
				r.close(d)
			}
		}
		r.close(date(y, time.January, 2), date(y, time.January, 3), date(y, time.December, 31))
	}
	return r
}

// equinoxes are the dates in Japan, by the approximation that holds from 1980
// to 2099.
func equinoxes(y int) (spring, autumn time.Time) {
	drift := 0.242194*float64(y-1980) - float64((y-1980)/4)
	return date(y, time.March, int(20.8431+drift)), date(y, time.September, int(23.2488+drift))
}

// xhkgRules are the general holidays: one on a Sunday, or on another holiday,
// moves to the next day that is none; one on a Saturday does not.
func xhkgRules() rulebook {
	r := newRulebook()
	moon := map[int]struct{ newYear, chingMing, buddha, tuenNg, afterMidAutumn, chungYeung time.Time }{
		2025: {
			date(2025, time.January, 29), date(2025, time.April, 4), date(2025, time.May, 5),
			date(2025, time.May, 31), date(2025, time.October, 7), date(2025, time.October, 29),
		},
		2026: {
			date(2026, time.February, 17), date(2026, time.April, 5), date(2026, time.May, 24),
			date(2026, time.June, 19), date(2026, time.September, 26), date(2026, time.October, 18),
		},
		2027: {
			date(2027, time.February, 6), date(2027, time.April, 5), date(2027, time.May, 13),
			date(2027, time.June, 9), date(2027, time.September, 16), date(2027, time.October, 8),
		},
	}
	for _, y := range ruleYears {
		m := moon[y]
		holidays := []time.Time{
			date(y, time.January, 1), m.newYear, m.newYear.AddDate(0, 0, 1), m.newYear.AddDate(0, 0, 2),
			goodFriday(y), easterMonday(y), m.chingMing, date(y, time.May, 1), m.buddha, m.tuenNg, date(y, time.July, 1),
			m.afterMidAutumn, date(y, time.October, 1), m.chungYeung, date(y, time.December, 25), date(y, time.December, 26),
		}
		r.close(holidays...)
		for _, d := range holidays {
			if d.Weekday() == time.Sunday {
				for d.Weekday() == time.Sunday || slices.ContainsFunc(holidays, d.Equal) {
					d = d.AddDate(0, 0, 1)
				}
				r.close(d)
			}
		}
		r.eve(12*60, m.newYear.AddDate(0, 0, -1), date(y, time.December, 24), date(y, time.December, 31))
	}
	return r
}

// xshgRules are the holidays as they are announced, from one day to another.
// Those of 2027 are not announced yet: they are the days of the law, five for
// Labour Day, and with a bridge around Spring Festival and National Day.
func xshgRules() rulebook {
	r := newRulebook()
	for _, span := range [][2]string{
		{"2025-01-01", "2025-01-01"},
		{"2025-01-28", "2025-02-04"},
		{"2025-04-04", "2025-04-06"},
		{"2025-05-01", "2025-05-05"},
		{"2025-05-31", "2025-06-02"},
		{"2025-10-01", "2025-10-08"},
		{"2026-01-01", "2026-01-03"},
		{"2026-02-15", "2026-02-23"},
		{"2026-04-04", "2026-04-06"},
		{"2026-05-01", "2026-05-05"},
		{"2026-06-19", "2026-06-21"},
		{"2026-09-25", "2026-09-27"},
		{"2026-10-01", "2026-10-07"},
		{"2027-01-01", "2027-01-03"},
		{"2027-02-05", "2027-02-14"},
		{"2027-04-03", "2027-04-05"},
		{"2027-05-01", "2027-05-05"},
		{"2027-06-09", "2027-06-09"},
		{"2027-09-15", "2027-09-15"},
		{"2027-10-01", "2027-10-07"},
	} {
		r.from(span[0], span[1])
	}
	return r
}

// xnseRules are the fixed holidays and the festivals by their own date, also
// those on a weekend, which close nothing more.
func xnseRules() rulebook {
	r := newRulebook()
	for _, y := range ruleYears {
		r.close(date(y, time.January, 26), goodFriday(y), date(y, time.April, 14), date(y, time.May, 1),
			date(y, time.August, 15), date(y, time.October, 2), date(y, time.December, 25))
	}
	r.close(
		date(2025, time.February, 26), date(2025, time.March, 14), date(2025, time.March, 31), date(2025, time.April, 6),
		date(2025, time.April, 10), date(2025, time.June, 7), date(2025, time.July, 6), date(2025, time.August, 27),
		date(2025, time.October, 21), date(2025, time.October, 22), date(2025, time.November, 5),
		date(2026, time.January, 15), date(2026, time.February, 15), date(2026, time.March, 3), date(2026, time.March, 21),
		date(2026, time.March, 26), date(2026, time.March, 31), date(2026, time.May, 28), date(2026, time.June, 26),
		date(2026, time.September, 14), date(2026, time.October, 20), date(2026, time.November, 8), date(2026, time.November, 10),
		date(2026, time.November, 24),
		date(2027, time.March, 6), date(2027, time.March, 10), date(2027, time.March, 22), date(2027, time.April, 15),
		date(2027, time.May, 17), date(2027, time.June, 16), date(2027, time.October, 29),
	)
	r.special["2025-10-21"] = stretch{13*60 + 45, 14*60 + 45} // Muhurat
	r.special["2026-02-01"] = stretch{9*60 + 15, 15*60 + 30}  // the Budget, on a Sunday
	return r
}
