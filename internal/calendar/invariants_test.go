package calendar

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"thor"
)

// inconsistency says how an exchange that was accepted breaks what the rest of
// the package relies on, or returns "".
func inconsistency(ex *exchange) string {
	reached := ex.begin()
	for _, s := range ex.sessions {
		for _, p := range s.parts {
			if p.Open.Before(reached) || !p.Open.Before(p.Close) {
				return fmt.Sprintf("session %s: part %s to %s after %s", s.Date, p.Open, p.Close, reached)
			}
			reached = p.Close
		}
		if !s.Open.Equal(s.parts[0].Open) || !s.Close.Equal(reached) {
			return fmt.Sprintf("session %s is %s to %s, its parts are %v", s.Date, s.Open, s.Close, s.parts)
		}
	}
	for _, m := range ex.markets {
		if fault := disorder(m.table, joins(ex, m)); fault != "" {
			return m.fixed.MarketID + ": " + fault
		}
		if sessions, rows := trading(ex.sessions), open(m.table); m.hours == nil && !slices.Equal(sessions, rows) {
			return fmt.Sprintf("%s trades (-sessions +table):\n%s", m.fixed.MarketID, cmp.Diff(sessions, rows))
		}
		if err := m.status(ex.begin()).Validate(); err != nil {
			return fmt.Sprintf("%s: %v", m.fixed.MarketID, err)
		}
	}
	return ""
}

// joins are the instants at which a session begins as the one before it ends.
// A PRECLOSE may go on over one, into a session that is nothing else.
func joins(ex *exchange, m *market) (found []time.Time) {
	var closed time.Time
	for _, s := range ex.sessions {
		parts := s.parts
		if m.hours != nil {
			var err error
			if parts, err = instants(s.day, m.hours, ex.hoursLoc); err != nil {
				return nil // it would not have been accepted
			}
		}
		if parts[0].Open.Equal(closed) {
			found = append(found, closed)
		}
		closed = parts[len(parts)-1].Close
	}
	return found
}

// disorder says how a table is not what [table] promises, or returns "".
func disorder(t table, joined []time.Time) string {
	if len(t) < 3 || t[0].phase != thor.MarketUnknown || !t[0].from.IsZero() || t[len(t)-1].phase != thor.MarketUnknown {
		return fmt.Sprintf("of %d rows the first is %v and the last %v", len(t), t[0], t[len(t)-1])
	}
	for i := 1; i < len(t); i++ {
		before, r := t[i-1], t[i]
		switch {
		case !r.from.After(before.from):
			return fmt.Sprintf("row %d at %s is not after %s", i, r.from, before.from)
		case r.phase == before.phase:
			return fmt.Sprintf("rows at %s and %s are both %s", before.from, r.from, r.phase)
		case r.phase == thor.MarketUnknown && i < len(t)-1:
			return fmt.Sprintf("UNKNOWN at %s", r.from)
		case r.session < before.session && r.session != "":
			return fmt.Sprintf("session dates fall at %s: %s, %s", r.from, before.session, r.session)
		case r.phase != thor.MarketPreClose || slices.ContainsFunc(joined, func(at time.Time) bool {
			return at.After(r.from) && at.Before(t[i+1].from)
		}):
		case before.phase == thor.MarketOpen && t[i+1].from.Sub(r.from) != preclose, t[i+1].from.Sub(r.from) > preclose:
			return fmt.Sprintf("PRECLOSE from %s to %s follows %s", r.from, t[i+1].from, before.phase)
		}
	}
	return ""
}

// trading returns the stretches of trading of all sessions, those that touch
// as one.
func trading(sessions []session) []Part {
	var all []Part
	for _, s := range sessions {
		for _, p := range s.parts {
			all = extend(all, p)
		}
	}
	return all
}

// open returns the stretches a table calls trading, those that touch as one.
func open(t table) []Part {
	var all []Part
	for i, r := range t {
		if r.phase == thor.MarketOpen || r.phase == thor.MarketPreClose {
			all = extend(all, Part{Open: r.from, Close: t[i+1].from})
		}
	}
	return all
}

func extend(all []Part, p Part) []Part {
	if n := len(all); n > 0 && all[n-1].Close.Equal(p.Open) {
		all[n-1].Close = p.Close
		return all
	}
	return append(all, p)
}

// TestAcceptedFilesAreConsistent draws files that are well formed and often
// make no sense: what is accepted must keep the promises all the same.
func TestAcceptedFilesAreConsistent(t *testing.T) {
	t.Parallel()
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		file := drawFile(t)
		ex, err := read(file)
		if err != nil {
			return
		}
		accepted++
		if fault := inconsistency(ex); fault != "" {
			t.Fatalf("%s\n%s", fault, file)
		}
	})
	if accepted == 0 {
		t.Error("no file was accepted")
	}
}

type object = map[string]any

func drawFile(t *rapid.T) []byte {
	zones := rapid.SampledFrom([]string{"America/New_York", "America/Chicago", "America/Santiago", "Europe/London", "Asia/Tokyo", "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Apia"})
	regular := drawHours(t, "hours")
	free := make(map[day]bool) // dates not drawn yet
	for d := newDay(2026, time.January, 2); d.year() == 2026; d++ {
		free[d] = !d.weekend()
	}
	file := object{
		"exchange": "XTST",
		"timezone": zones.Draw(t, "zone"),
		"years":    []int{2026},
		"hours":    written(regular),
		"special": drawDates(t, "special", free, func(label string) any {
			return object{"hours": written(drawHours(t, label)), "name": "Special"}
		}),
		"early": drawDates(t, "early", free, func(label string) any {
			h := rapid.SampledFrom(regular).Draw(t, label)
			end := h.open + clock(rapid.IntRange(1, int(h.close-h.open)).Draw(t, label))
			return object{"close": end.String(), "name": "Early"}
		}),
	}
	closed := drawDates(t, "closed", free, func(string) any { return "Closed" })
	closed["2026-01-01"] = "New Year's Day"
	file["closed"] = closed
	if rapid.Bool().Draw(t, "other clock") {
		file["hours_timezone"] = zones.Draw(t, "hours zone")
	}
	market := object{"id": "XTST", "name": "Test", "country": "USA", "weight": 0.5, "order": 1}
	for _, name := range []string{"preopen_minutes", "post_minutes", "maintenance_minutes"} {
		if rapid.Bool().Draw(t, name) {
			market[name] = rapid.IntRange(0, 400).Draw(t, name)
		}
	}
	own := object{"id": "XTST.OWN", "name": "Own", "country": "USA", "weight": 0.5, "order": 2, "hours": written(drawHours(t, "own"))}
	file["markets"] = []object{market, own}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func written(parts []hours) []object {
	var all []object
	for _, h := range parts {
		all = append(all, object{"open": h.open.String(), "close": h.close.String()})
	}
	return all
}

// drawHours draws one or two parts, in order and within a day.
func drawHours(t *rapid.T, label string) []hours {
	opens := rapid.OneOf(
		rapid.IntRange(-minutesPerDay, minutesPerDay/2),
		rapid.SampledFrom([]int{-7 * 60, 0, 60, 2 * 60, 9*60 + 30}),
	).Draw(t, label)
	latest := min(minutesPerDay, opens+minutesPerDay)
	first := hours{open: clock(opens), close: clock(rapid.IntRange(opens+1, latest).Draw(t, label))}
	if again := int(first.close) + 1; again+1 <= latest && rapid.Bool().Draw(t, label) {
		opens = rapid.IntRange(again, min(again+120, latest-1)).Draw(t, label)
		second := hours{open: clock(opens), close: clock(rapid.IntRange(opens+1, latest).Draw(t, label))}
		return []hours{first, second}
	}
	return []hours{first}
}

// drawDates draws a few dates that are free, those near changes of the year
// and of clocks more often.
func drawDates(t *rapid.T, label string, free map[day]bool, value func(label string) any) object {
	dates := make(object)
	for range rapid.IntRange(0, 4).Draw(t, label) {
		d := newDay(2026, time.January, 1) + day(rapid.OneOf(
			rapid.IntRange(0, 364),
			rapid.SampledFrom([]int{1, 65, 66, 67, 303, 304, 305, 363, 364}),
		).Draw(t, label))
		if free[d] {
			free[d] = false
			dates[d.String()] = value(label)
		}
	}
	return dates
}
