package calendar

import (
	"fmt"
	"slices"
	"time"

	"thor"
)

// exchange is a data file and what was worked out from it.
type exchange struct {
	at          place
	mic         string
	loc         *time.Location
	hoursLoc    *time.Location // of the clock the hours are on
	years       []int          // covered, without a gap
	provisional []int          // of these, not published yet
	hours       []hours
	hoursAt     place
	closed      map[day]special
	early       map[day]special
	special     map[day]special
	markets     []*market
	sessions    []session
}

// begin is the first instant of the covered years.
func (ex *exchange) begin() time.Time {
	return newDay(ex.years[0], time.January, 1).at(0, ex.loc)
}

// end is the last instant the calendar can speak of, when the first phase of a
// date begins at the given time: the end of the covered years, or that time of
// the first date after them, if it is earlier and the date could have a
// session. Whether it has one is not known.
func (ex *exchange) end(opens clock) time.Time {
	after := newDay(ex.years[len(ex.years)-1]+1, time.January, 1)
	end := after.at(0, ex.loc)
	if start := after.at(opens, ex.hoursLoc); !after.weekend() && start.Before(end) {
		return start
	}
	return end
}

// build works out the sessions and then the tables of the markets.
func (ex *exchange) build() faults {
	var found faults
	first, last := newDay(ex.years[0], time.January, 1), newDay(ex.years[len(ex.years)-1], time.December, 31)
	reached, end := ex.begin(), ex.end(ex.hours[0].open)
	for d := first; d <= last; d++ {
		s, at, ok := ex.on(d)
		if !ok {
			continue
		}
		var err error
		if s.parts, err = instants(d, s.hours, ex.hoursLoc); err != nil {
			found.add(at, "Change its hours, or list the date as closed.", "%w", err)
			break
		}
		s.Open, s.Close = s.parts[0].Open, s.parts[len(s.parts)-1].Close
		if s.Open.Before(reached) || s.Close.After(end) {
			found.add(at, "Change its hours, or list the date as closed.",
				"the session of %s overlaps the one before it or leaves the covered years", d)
			break
		}
		reached = s.Close
		ex.sessions = append(ex.sessions, s)
	}
	if len(found) > 0 {
		return found
	}
	for _, m := range ex.markets {
		var fault *fault
		if m.table, fault = tabulate(m); fault != nil {
			found = append(found, fault)
		}
	}
	return found
}

// on returns the session of a date without its instants, and where in the file
// it comes from, or reports that there is none.
func (ex *exchange) on(d day) (session, place, bool) {
	s := session{day: d, hours: ex.hours, Session: thor.Session{
		Exchange:    ex.mic,
		Date:        d.String(),
		Provisional: slices.Contains(ex.provisional, d.year()),
	}}
	at := ex.hoursAt
	if own, ok := ex.special[d]; ok {
		s.hours, at = own.hours, own.at
		s.Early = minutes(own.hours) < minutes(ex.hours)
		s.Provisional = s.Provisional || own.provisional
		return s, at, true
	}
	if _, closed := ex.closed[d]; closed || d.weekend() {
		return session{}, place{}, false
	}
	if early, ok := ex.early[d]; ok {
		s.hours, at, s.Early = early.hours, early.at, true
		s.Provisional = s.Provisional || early.provisional
	}
	return s, at, true
}

// instants returns the parts of a date's trading. On a day the clocks change
// nothing may be left of a break: the parts around it are then one. It is an
// error when nothing is left of a part.
func instants(d day, trading []hours, loc *time.Location) ([]Part, error) {
	var parts []Part
	for _, h := range trading {
		p := Part{Open: d.at(h.open, loc), Close: d.at(h.close, loc)}
		if !p.Open.Before(p.Close) {
			return nil, fmt.Errorf("on %s nothing is left of %s to %s, for the clocks change", d, h.open, h.close)
		}
		if n := len(parts); n > 0 && parts[n-1].Close.Equal(p.Open) {
			parts[n-1].Close = p.Close
			continue
		}
		parts = append(parts, p)
	}
	return parts, nil
}
