package calendar_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
)

// opinion is what the rules say of one minute on the wall.
type opinion struct {
	phase   thor.MarketPhase
	session string
}

// almanac has the rules laid out by date, from one date before the covered
// years to two after them.
type almanac struct {
	first    time.Time
	dates    []string
	weekend  []bool
	closed   []bool
	sessions []bool
	next     []string // date of the first session after it
	close    []int    // minute of the close
	parts    [][]stretch
}

// layOut lays out the rules with the hours of a regular session on a date.
func layOut(r rulebook, regular func(d time.Time) []stretch) *almanac {
	a := &almanac{first: date(ruleYears[0], time.January, 0)}
	n := int(date(ruleYears[len(ruleYears)-1]+1, time.January, 2).Sub(a.first).Hours()) / 24
	for d := a.first; len(a.dates) <= n; d = d.AddDate(0, 0, 1) {
		covered := slices.Contains(ruleYears, d.Year())
		a.dates = append(a.dates, iso(d))
		a.weekend = append(a.weekend, weekend(d))
		a.closed = append(a.closed, r.closed[iso(d)])
		a.sessions = append(a.sessions, covered && r.session(d))
		parts := regular(d)
		if special, ok := r.special[iso(d)]; ok {
			parts = []stretch{special}
		}
		if early, ok := r.early[iso(d)]; ok {
			parts = slices.DeleteFunc(slices.Clone(parts), func(p stretch) bool { return p.open >= early })
			parts[len(parts)-1].close = early
		}
		a.parts = append(a.parts, parts)
		a.close = append(a.close, parts[len(parts)-1].close)
	}
	a.next = make([]string, len(a.dates))
	for i := len(a.dates) - 2; i >= 0; i-- {
		a.next[i] = a.next[i+1]
		if a.sessions[i+1] {
			a.next[i] = a.dates[i+1]
		}
	}
	return a
}

func (a *almanac) idle(d int) thor.MarketPhase {
	if a.closed[d] {
		return thor.MarketHoliday
	}
	return thor.MarketClosed
}

// ordinary is what an exchange does with an hour of PREOPEN and no after-hours.
func (a *almanac) ordinary(d, minute int) opinion {
	if !a.sessions[d] {
		return opinion{a.idle(d), a.next[d]}
	}
	parts := a.parts[d]
	switch {
	case minute < parts[0].open-60:
		return opinion{a.idle(d), a.dates[d]}
	case minute < parts[0].open:
		return opinion{thor.MarketPreOpen, a.dates[d]}
	case minute >= a.close[d]:
		return opinion{a.idle(d), a.next[d]}
	case minute >= a.close[d]-15:
		return opinion{thor.MarketPreClose, a.dates[d]}
	}
	for _, p := range parts {
		if minute >= p.open && minute < p.close {
			return opinion{thor.MarketOpen, a.dates[d]}
		}
	}
	return opinion{thor.MarketBreak, a.dates[d]}
}

func (a *almanac) xnys(d, minute int) opinion {
	if !a.sessions[d] {
		return opinion{a.idle(d), a.next[d]}
	}
	closes := a.close[d]
	switch {
	case minute < 4*60:
		return opinion{thor.MarketClosed, a.dates[d]}
	case minute < 9*60+30:
		return opinion{thor.MarketPreOpen, a.dates[d]}
	case minute < closes-15:
		return opinion{thor.MarketOpen, a.dates[d]}
	case minute < closes:
		return opinion{thor.MarketPreClose, a.dates[d]}
	case minute < closes+4*60:
		return opinion{thor.MarketPost, a.dates[d]}
	}
	return opinion{thor.MarketClosed, a.next[d]}
}

func (a *almanac) preMarket(d, minute int) opinion {
	if !a.sessions[d] {
		return opinion{a.idle(d), a.next[d]}
	}
	switch {
	case minute < 8*60+30:
		return opinion{thor.MarketClosed, a.dates[d]}
	case minute < 9*60+15:
		return opinion{thor.MarketOpen, a.dates[d]}
	case minute < 9*60+30:
		return opinion{thor.MarketPreClose, a.dates[d]}
	}
	return opinion{thor.MarketClosed, a.next[d]}
}

func (a *almanac) cmes(d, minute int) opinion {
	const opens, regular = 17 * 60, 16 * 60
	closes := a.close[d]
	switch {
	case minute >= opens && a.sessions[d+1]:
		return opinion{thor.MarketOpen, a.dates[d+1]}
	case !a.sessions[d] || minute >= opens:
		return opinion{a.idle(d), a.next[d]}
	case minute < closes-15:
		return opinion{thor.MarketOpen, a.dates[d]}
	case minute < closes:
		return opinion{thor.MarketPreClose, a.dates[d]}
	case closes == regular && a.sessions[d+1]:
		return opinion{thor.MarketBreak, a.dates[d+1]}
	}
	return opinion{thor.MarketClosed, a.next[d]}
}

// always is a regular session that is the same on every date.
func always(parts ...stretch) func(time.Time) []stretch {
	return func(time.Time) []stretch { return parts }
}

// likeNewYork is 09:30 to 16:00 in New York on the clock of Mexico City, which
// is an hour behind it, and two while New York's is ahead.
func likeNewYork(d time.Time) []stretch {
	y := d.Year()
	if d.Before(nth(y, time.March, time.Sunday, 2)) || !d.Before(nth(y, time.November, time.Sunday, 1)) {
		return []stretch{{8*60 + 30, 15 * 60}}
	}
	return []stretch{{7*60 + 30, 14 * 60}}
}

// TestEveryMinuteOfThreeYears compares each minute with the rules, and sees
// that the status changes exactly where the minute before said it would, to
// what it said. With the race detector it is every fifth minute, on which all
// changes lie.
func TestEveryMinuteOfThreeYears(t *testing.T) {
	t.Parallel()
	c := setup(t)
	ordinary := (*almanac).ordinary
	tests := map[string]struct {
		regular func(time.Time) []stretch
		rule    func(a *almanac, d, minute int) opinion
		before  int // minutes of trading on the day before
	}{
		"XTKS":     {always(stretch{9 * 60, 11*60 + 30}, stretch{12*60 + 30, 15*60 + 30}), ordinary, 0},
		"XSHG":     {always(stretch{9*60 + 30, 11*60 + 30}, stretch{13 * 60, 15 * 60}), ordinary, 0},
		"XHKG":     {always(stretch{9*60 + 30, 12 * 60}, stretch{13 * 60, 16 * 60}), ordinary, 0},
		"XNSE":     {always(stretch{9*60 + 15, 15*60 + 30}), ordinary, 0},
		"XETR":     {always(stretch{9 * 60, 17*60 + 30}), ordinary, 0},
		"XLON":     {always(stretch{8 * 60, 16*60 + 30}), ordinary, 0},
		"XNYS.PRE": {always(stretch{8*60 + 30, 9*60 + 30}), (*almanac).preMarket, 0},
		"XNYS":     {always(stretch{9*60 + 30, 16 * 60}), (*almanac).xnys, 0},
		"XTSE":     {always(stretch{9*60 + 30, 16 * 60}), ordinary, 0},
		"XMEX":     {likeNewYork, ordinary, 0},
		"CMES":     {always(stretch{0, 16 * 60}), (*almanac).cmes, 7 * 60},
	}
	books := rulebooks()
	books["XNYS.PRE"] = rulebook{closed: books["XNYS"].closed} // the same hours on every day
	for _, s := range c.Statuses(time.Time{}) {
		test, ok := tests[s.MarketID]
		if !ok {
			t.Errorf("there is no rule for %s", s.MarketID)
			continue
		}
		t.Run(s.MarketID, func(t *testing.T) {
			t.Parallel()
			a, want := layOut(books[s.MarketID], test.regular), make(map[string]int)
			for d := range a.dates {
				if !a.sessions[d] {
					continue
				}
				want[a.dates[d]] = test.before
				for _, p := range a.parts[d] {
					want[a.dates[d]] += p.close - p.open
				}
			}
			got, fault := walkMinutes(c.Status, s.MarketID, zone(t, c, s.MarketID), func(d, minute int) opinion {
				return test.rule(a, d, minute)
			})
			if fault != "" {
				t.Fatal(fault)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("minutes of trading (-want +got):\n%s", diff)
			}
			lengths := slices.Sorted(maps.Values(got))
			t.Logf("%d sessions of %v minutes", len(got), slices.Compact(lengths))
		})
	}
}

// walkMinutes asks for every minute of the covered years and returns how many
// minutes of trading each session date had, or the first fault.
func walkMinutes(
	ask func(string, time.Time) (thor.MarketStatus, error), market string, loc *time.Location, rule func(d, minute int) opinion,
) (trading map[string]int, fault string) {
	begin := time.Date(ruleYears[0], time.January, 1, 0, 0, 0, 0, loc)
	end := time.Date(ruleYears[len(ruleYears)-1]+1, time.January, 1, 0, 0, 0, 0, loc)
	epoch := date(ruleYears[0], time.January, 0).Unix() / 60
	trading = make(map[string]int)
	before, err := ask(market, begin.Add(-time.Minute))
	if err != nil || before.Status != thor.MarketUnknown {
		return nil, fmt.Sprintf("before the covered years got %s %v, want UNKNOWN", before.Status, err)
	}
	var wall int64 // minutes on the wall since 1970, as if it hung in UTC
	for at := begin.UTC(); at.Before(end); at = at.Add(stride * time.Minute) {
		if wall += stride; at.Minute()%30 == 0 {
			_, offset := at.In(loc).Zone()
			wall = (at.Unix() + int64(offset)) / 60
		}
		now, _ := ask(market, at)
		minutes := int(wall - epoch)
		if want := rule(minutes/1440, minutes%1440); now.Status != want.phase || now.SessionDate != want.session {
			return nil, fmt.Sprintf("%s: got %s %s, want %s %s", at.In(loc), now.Status, now.SessionDate, want.phase, want.session)
		}
		announced := at.Equal(before.NextEventAt)
		if announced != (now.Status != before.Status) || announced && now.Status != before.NextEvent {
			return nil, fmt.Sprintf("%s: from %s to %s, announced was %s at %s", at.In(loc), before.Status, now.Status, before.NextEvent, before.NextEventAt)
		}
		if now.Trading != (now.Status == thor.MarketOpen || now.Status == thor.MarketPreClose) {
			return nil, fmt.Sprintf("%s: trading %v in %s", at.In(loc), now.Trading, now.Status)
		}
		if now.SessionDate < before.SessionDate && now.SessionDate != "" {
			return nil, fmt.Sprintf("%s: session date from %s back to %s", at.In(loc), before.SessionDate, now.SessionDate)
		}
		if now.Trading {
			trading[now.SessionDate] += stride
		}
		before = now
	}
	if before.NextEvent != thor.MarketUnknown || !before.NextEventAt.Equal(end) {
		return nil, fmt.Sprintf("the last event is %s at %s, want UNKNOWN at %s", before.NextEvent, before.NextEventAt, end)
	}
	return trading, ""
}
