package calendar

import (
	"slices"
	"sort"
	"time"

	"thor"
)

// row is a change of phase: from this instant until the next row's a market is
// in this phase.
type row struct {
	from        time.Time
	phase       thor.MarketPhase
	session     string // date of the session it belongs to, or of the next
	provisional bool
}

// table holds every change of phase of a market. The first row is UNKNOWN from
// the zero time on, the last is UNKNOWN from the end of the covered years on,
// instants rise and no two rows in a row have the same phase.
type table []row

// at returns the row in force at an instant and, unless it is the last, the
// one after it.
func (t table) at(at time.Time) (now row, next *row) {
	later := sort.Search(len(t), func(i int) bool { return t[i].from.After(at) })
	later = max(1, later)
	if later < len(t) {
		next = &t[later]
	}
	return t[later-1], next
}

// tabling writes the table of one market, session after session.
type tabling struct {
	m        *market
	ex       *exchange
	end      time.Time // of what the calendar knows
	reached  time.Time // up to here the table is written
	previous *session  // the one written last
	rows     table
}

// tabulate works out the table of a market, or says why there can be none.
func tabulate(m *market) (table, *fault) {
	ex, regular := m.exchange, m.hours
	if regular == nil {
		regular = ex.hours
	}
	w := &tabling{
		m: m, ex: ex,
		end:     ex.end(regular[0].open - m.preopen),
		reached: ex.begin(),
		rows:    make(table, 0, 1+8*len(ex.sessions)),
	}
	w.rows = append(w.rows, row{phase: thor.MarketUnknown})
	for i := range ex.sessions {
		if fault := w.session(&ex.sessions[i]); fault != nil {
			return nil, fault
		}
	}
	w.between(w.end, nil)
	w.add(row{from: w.end, phase: thor.MarketUnknown})
	return w.rows, nil
}

// session writes the time since the last session and then s.
func (w *tabling) session(s *session) *fault {
	trading, parts := s.hours, s.parts
	if w.m.hours != nil {
		var err error
		trading = w.m.hours
		if parts, err = instants(s.day, trading, w.ex.hoursLoc); err != nil {
			return newFault(w.m.at, "Change the hours of the market.", "%w", err)
		}
	}
	opens, closes := parts[0].Open, parts[len(parts)-1].Close
	begins := s.day.at(trading[0].open-w.m.preopen, w.ex.hoursLoc)
	if w.previous == nil && !opens.Before(w.reached) && begins.Before(w.reached) {
		begins = w.reached // PREOPEN began before the covered years
	}
	if begins.Before(w.reached) || closes.After(w.end) {
		return newFault(w.m.at, "Change its hours, preopen_minutes or post_minutes.",
			"what the market does on %s overlaps the day before it or leaves the covered years", s.day)
	}
	w.between(begins, s)
	w.phases(s, begins, parts)
	w.reached = closes
	if ends := s.day.at(trading[len(trading)-1].close+w.m.post, w.ex.hoursLoc); ends.After(closes) {
		w.add(w.of(s, closes, thor.MarketPost))
		w.reached = ends
	}
	w.previous = s
	return nil
}

// phases writes a session from its PREOPEN to its PRECLOSE.
func (w *tabling) phases(s *session, begins time.Time, parts []Part) {
	if begins.Before(parts[0].Open) {
		w.add(w.of(s, begins, thor.MarketPreOpen))
	}
	last := parts[len(parts)-1]
	for _, p := range parts[:len(parts)-1] {
		w.add(w.of(s, p.Open, thor.MarketOpen))
		w.add(w.of(s, p.Close, thor.MarketBreak))
	}
	closing := last.Close.Add(-preclose)
	if closing.After(last.Open) {
		w.add(w.of(s, last.Open, thor.MarketOpen))
	} else {
		closing = last.Open // all of it: trading was cut short soon after a break
	}
	w.add(w.of(s, closing, thor.MarketPreClose))
}

// between writes the time up to an instant at which no session is on: a BREAK
// when it is maintenance between two sessions, else HOLIDAY on the closed
// dates of the exchange and CLOSED on all others.
func (w *tabling) between(until time.Time, next *session) {
	if !w.reached.Before(until) {
		return
	}
	pause := time.Duration(w.m.maintenance) * time.Minute
	if w.previous != nil && next != nil && !w.previous.Early && until.Sub(w.reached) <= pause {
		w.add(w.of(next, w.reached, thor.MarketBreak))
		return
	}
	from := w.reached
	for d := dayOf(from, w.ex.loc); from.Before(until); d++ {
		midnight := (d + 1).at(0, w.ex.loc)
		if !midnight.After(from) {
			continue
		}
		phase := thor.MarketClosed
		if _, closed := w.ex.closed[d]; closed {
			phase = thor.MarketHoliday
		}
		w.add(w.of(next, from, phase))
		from = midnight
	}
}

// of returns a row of a phase that belongs to s or comes before it; s is nil
// after the last session.
func (w *tabling) of(s *session, from time.Time, phase thor.MarketPhase) row {
	r := row{from: from, phase: phase}
	if s != nil {
		r.session, r.provisional = s.Date, s.Provisional
	}
	if len(w.ex.provisional) > 0 && slices.Contains(w.ex.provisional, dayOf(from, w.ex.loc).year()) {
		r.provisional = true
	}
	return r
}

// add appends a row unless it changes nothing or lies beyond the end.
func (w *tabling) add(r row) {
	last := w.rows[len(w.rows)-1]
	if last.phase == r.phase || r.from.After(w.end) || r.from.Equal(w.end) && r.phase != thor.MarketUnknown {
		return
	}
	w.rows = append(w.rows, r)
}
