package calendar_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
)

// The rules of the exchanges, computed without the data files, for the years
// these cover. Dates are midnights in UTC, early closes minutes since midnight.

var ruleYears = []int{2025, 2026, 2027}

// rulebook says on which weekdays an exchange is closed or closes early.
type rulebook struct {
	closed map[string]bool
	early  map[string]int
}

func date(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

func iso(d time.Time) string { return d.Format(time.DateOnly) }

// nth returns the nth such weekday of a month, or with n < 0 the nth last.
func nth(y int, m time.Month, weekday time.Weekday, n int) time.Time {
	d, step := date(y, m, 1), 1
	if n < 0 {
		d, step, n = date(y, m+1, 0), -1, -n
	}
	for d.Weekday() != weekday {
		d = d.AddDate(0, 0, step)
	}
	return d.AddDate(0, 0, step*7*(n-1))
}

// goodFriday is two days before Easter, by the anonymous Gregorian computus.
func goodFriday(y int) time.Time {
	a, b, c := y%19, y/100, y%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	i, k := c/4, c%4
	l := (32 + 2*e + 2*i - h - k) % 7
	m := (a + 11*h + 22*l) / 451
	month := (h + l - 7*m + 114) / 31
	day := (h+l-7*m+114)%31 + 1
	return date(y, time.Month(month), day).AddDate(0, 0, -2)
}

// observed moves a Saturday to the Friday before and a Sunday to the Monday
// after.
func observed(d time.Time) time.Time {
	if d.Weekday() == time.Saturday {
		return d.AddDate(0, 0, -1)
	}
	if d.Weekday() == time.Sunday {
		return d.AddDate(0, 0, 1)
	}
	return d
}

func weekend(d time.Time) bool {
	return d.Weekday() == time.Saturday || d.Weekday() == time.Sunday
}

// usHolidays are the holidays on which the stock exchange is closed and the
// futures close at noon.
func usHolidays(y int) []time.Time {
	return []time.Time{
		nth(y, time.January, time.Monday, 3),
		nth(y, time.February, time.Monday, 3),
		nth(y, time.May, time.Monday, -1),
		observed(date(y, time.June, 19)),
		observed(date(y, time.July, 4)),
		nth(y, time.September, time.Monday, 1),
		nth(y, time.November, time.Thursday, 4),
	}
}

// shortDays are the days on which both close early, unless they are closed.
func shortDays(y int) []time.Time {
	days := []time.Time{nth(y, time.November, time.Thursday, 4).AddDate(0, 0, 1)}
	for _, eve := range []time.Time{date(y, time.July, 3), date(y, time.December, 24)} {
		if next := eve.AddDate(0, 0, 1); !weekend(eve) && !weekend(next) {
			days = append(days, eve)
		}
	}
	return days
}

func xnysRules() rulebook {
	r := rulebook{closed: map[string]bool{"2025-01-09": true}, early: map[string]int{}}
	for _, y := range ruleYears {
		for _, d := range usHolidays(y) {
			r.closed[iso(d)] = true
		}
		if d := date(y, time.January, 1); d.Weekday() == time.Sunday {
			r.closed[iso(d.AddDate(0, 0, 1))] = true
		} else if d.Weekday() != time.Saturday {
			r.closed[iso(d)] = true
		}
		r.closed[iso(goodFriday(y))] = true
		r.closed[iso(observed(date(y, time.December, 25)))] = true
		for _, d := range shortDays(y) {
			r.early[iso(d)] = 13 * 60
		}
	}
	return r
}

// cmesRules close at 08:15 on a Good Friday that is the first Friday of its
// month, for the labour report comes out on that day.
func cmesRules() rulebook {
	r := rulebook{closed: map[string]bool{}, early: map[string]int{}}
	for _, y := range ruleYears {
		for _, d := range usHolidays(y) {
			r.early[iso(d)] = 12 * 60
		}
		for _, d := range shortDays(y) {
			r.early[iso(d)] = 12*60 + 15
		}
		r.closed[iso(date(y, time.January, 1))] = true
		r.closed[iso(observed(date(y, time.December, 25)))] = true
		if d := goodFriday(y); d.Day() <= 7 {
			r.early[iso(d)] = 8*60 + 15
		} else {
			r.closed[iso(d)] = true
		}
	}
	return r
}

// session reports whether the exchange has a session of that trading date.
func (r rulebook) session(d time.Time) bool { return !weekend(d) && !r.closed[iso(d)] }

func TestClosedAndEarlyDatesFollowTheRules(t *testing.T) {
	t.Parallel()
	c := setup(t)
	for mic, rules := range map[string]rulebook{"XNYS": xnysRules(), "CMES": cmesRules()} {
		t.Run(mic, func(t *testing.T) {
			t.Parallel()
			loc := zone(t, c, mic)
			sessions, err := c.Sessions(mic, time.Time{}, date(2100, time.January, 1))
			if err != nil {
				t.Fatal(err)
			}
			byDate := make(map[string]thor.Session)
			for _, s := range sessions {
				byDate[s.Date] = s
			}
			closed, early := make(map[string]bool), make(map[string]int)
			for d := date(ruleYears[0], time.January, 1); d.Year() <= ruleYears[len(ruleYears)-1]; d = d.AddDate(0, 0, 1) {
				s, ok := byDate[iso(d)]
				if !ok && !weekend(d) {
					closed[iso(d)] = true
				}
				if s.Early {
					local := s.Close.In(loc)
					early[iso(d)] = local.Hour()*60 + local.Minute()
				}
				special := closed[iso(d)] || s.Early
				if got := c.DayName(mic, iso(d)); (got != "") != special {
					t.Errorf("%s: name got %q, special want %v", iso(d), got, special)
				}
			}
			if diff := cmp.Diff(rules.closed, closed); diff != "" {
				t.Errorf("closed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(rules.early, early); diff != "" {
				t.Errorf("early (-want +got):\n%s", diff)
			}
			if dates := slices.Sorted(maps.Keys(byDate)); len(dates) != len(sessions) {
				t.Errorf("got %d dates of %d sessions, want one each", len(dates), len(sessions))
			}
		})
	}
}
