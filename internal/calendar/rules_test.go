package calendar_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"thor"
)

// The rules of the exchanges, computed without the data files, for the years
// these cover. Dates are midnights in UTC, early closes minutes since midnight.

var ruleYears = []int{2025, 2026, 2027}

// rulebook says on which weekdays an exchange is closed or closes early, and on
// which dates it has a session of its own.
type rulebook struct {
	closed  map[string]bool
	early   map[string]int
	special map[string]stretch
}

// stretch is a stretch of trading on the wall, in minutes since midnight.
type stretch struct{ open, close int }

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
func (r rulebook) session(d time.Time) bool {
	_, special := r.special[iso(d)]
	return special || !weekend(d) && !r.closed[iso(d)]
}

// rulebooks are the rules of every exchange.
func rulebooks() map[string]rulebook {
	return map[string]rulebook{
		"XNYS": xnysRules(), "CMES": cmesRules(), "XTKS": xtksRules(), "XSHG": xshgRules(), "XHKG": xhkgRules(),
		"XNSE": xnseRules(), "XETR": xetrRules(), "XLON": xlonRules(), "XTSE": xtseRules(), "XMEX": xmexRules(),
	}
}

func TestClosedAndEarlyDatesFollowTheRules(t *testing.T) {
	t.Parallel()
	c, books := setup(t), rulebooks()
	if got, want := c.Exchanges(), slices.Sorted(maps.Keys(books)); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("exchanges got %v, rules are there for %v", got, want)
	}
	for mic, rules := range books {
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
			got := rulebook{closed: map[string]bool{}, early: map[string]int{}, special: map[string]stretch{}}
			for d := date(ruleYears[0], time.January, 1); d.Year() <= ruleYears[len(ruleYears)-1]; d = d.AddDate(0, 0, 1) {
				s, ok := byDate[iso(d)]
				_, special := rules.special[iso(d)]
				local := stretch{minuteOf(s.Open.In(loc)), minuteOf(s.Close.In(loc))}
				switch {
				case ok && (special || weekend(d)):
					got.special[iso(d)] = local
				case ok && s.Early:
					got.early[iso(d)] = local.close
				case !ok && !weekend(d):
					got.closed[iso(d)] = true
				}
				named := special || !ok && !weekend(d) || s.Early
				if got := c.DayName(mic, iso(d)); (got != "") != named {
					t.Errorf("%s: name got %q, special want %v", iso(d), got, named)
				}
			}
			for d := range rules.special { // a session on a holiday leaves it one
				delete(rules.closed, d)
			}
			for _, diff := range []string{
				cmp.Diff(rules.closed, got.closed), cmp.Diff(rules.early, got.early),
				cmp.Diff(rules.special, got.special, cmpopts.EquateEmpty(), cmp.AllowUnexported(stretch{})),
			} {
				if diff != "" {
					t.Errorf("(-rules +calendar):\n%s", diff)
				}
			}
			if dates := slices.Sorted(maps.Keys(byDate)); len(dates) != len(sessions) {
				t.Errorf("got %d dates of %d sessions, want one each", len(dates), len(sessions))
			}
		})
	}
}

func minuteOf(t time.Time) int { return t.Hour()*60 + t.Minute() }

// TestSessionsOfAYear counts sessions: each year has 261 weekdays, less the
// closed ones that the exchanges list, and the sessions on weekends and holidays.
// 2025 had 250 in New York, 253 in London and 243 in Tokyo and Shanghai.
func TestSessionsOfAYear(t *testing.T) {
	t.Parallel()
	c := setup(t)
	for mic, want := range map[string][3]int{ // 2025, 2026, 2027
		"XNYS": {250, 251, 251},
		"XTKS": {243, 261 - 19, 261 - 17},
		"XSHG": {243, 261 - 19, 261 - 18},
		"XHKG": {261 - 15, 261 - 14, 261 - 13},
		"XNSE": {261 - 14 + 1, 261 - 16 + 1, 261 - 9},
		"XETR": {261 - 8, 261 - 7, 261 - 5},
		"XLON": {253, 261 - 8, 261 - 8},
		"XTSE": {261 - 10, 261 - 10, 261 - 10},
		"XMEX": {261 - 10, 261 - 10, 261 - 8},
		"CMES": {261 - 3, 261 - 2, 261 - 3},
	} {
		var got [3]int
		for i, year := range ruleYears {
			for s, ok := c.NextSession(mic, date(year-1, time.December, 20)); ok; s, ok = c.NextSession(mic, s.Open) {
				if s.Date[:4] == fmt.Sprint(year) {
					got[i]++
				}
			}
		}
		if got != want {
			t.Errorf("%s has %v sessions in the three years, want %v", mic, got, want)
		}
	}
}

func TestTheWeightsOfTheControlMarketsAddUpToOne(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"XTKS": "0.25", "XSHG": "0.10", "XNSE": "0.05", "XETR": "0.20", "XLON": "0.05",
		"XNYS.PRE": "0.05", "XNYS": "0.25", "XTSE": "0.03", "XMEX": "0.02", "XHKG": "0.00", "CMES": "0.00",
	}
	sum, got := thor.NewDecimal(0, 0), map[string]string{}
	for _, s := range setup(t).Statuses(date(2026, time.November, 24)) {
		sum = sum.Add(s.Weight)
		got[s.MarketID] = s.Weight.String()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
	if !sum.Equal(thor.NewDecimal(1, 0)) {
		t.Errorf("the weights add up to %s", sum)
	}
}
