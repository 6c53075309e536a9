package calendar

import (
	"slices"
	"sort"
	"strings"
	"time"

	"thor"
)

// Part is a stretch of trading without a break.
type Part struct {
	Open, Close time.Time
}

// session is a session with its parts, in order and with time between them.
type session struct {
	thor.Session
	day   day
	hours []hours
	parts []Part
}

// Exchanges returns the MIC of every exchange, in display order of their
// first markets.
func (c *Calendar) Exchanges() []string { return slices.Clone(c.mics) }

// Sessions returns the sessions of an exchange that overlap [from, to), the
// oldest first. It is an error when the exchange is not known.
func (c *Calendar) Sessions(mic string, from, to time.Time) ([]thor.Session, error) {
	ex, ok := c.exchanges[mic]
	if !ok {
		return nil, thor.Errorf(thor.ENOTFOUND, "no exchange %q", mic).
			WithHint("The exchanges are %s.", strings.Join(c.mics, ", "))
	}
	var found []thor.Session
	first := sort.Search(len(ex.sessions), func(i int) bool { return ex.sessions[i].Close.After(from) })
	for _, s := range ex.sessions[first:] {
		if !s.Open.Before(to) || !from.Before(to) {
			break
		}
		found = append(found, s.Session)
	}
	return found, nil
}

// SessionAt returns the session of an exchange that is on at an instant, a
// break within it included, or else the last one before. There is none before
// the covered years and of an exchange that is not known.
func (c *Calendar) SessionAt(mic string, at time.Time) (thor.Session, bool) {
	ex, ok := c.exchanges[mic]
	if !ok {
		return thor.Session{}, false
	}
	i := ex.opensAfter(at)
	if i == 0 {
		return thor.Session{}, false
	}
	return ex.sessions[i-1].Session, true
}

// NextSession returns the first session of an exchange that opens after an
// instant. With the opening of the session before, it walks all of them in
// order. There is none after the covered years and of an exchange that is not
// known.
func (c *Calendar) NextSession(mic string, after time.Time) (thor.Session, bool) {
	ex, ok := c.exchanges[mic]
	if !ok {
		return thor.Session{}, false
	}
	i := ex.opensAfter(after)
	if i == len(ex.sessions) {
		return thor.Session{}, false
	}
	return ex.sessions[i].Session, true
}

// Parts returns the stretches of trading a session consists of: one, or with a
// lunch break two. It is nil when the calendar has no session of that exchange
// and date.
func (c *Calendar) Parts(mic, date string) []Part {
	ex, ok := c.exchanges[mic]
	if !ok {
		return nil
	}
	i, ok := slices.BinarySearchFunc(ex.sessions, date, func(s session, date string) int {
		return strings.Compare(s.Date, date)
	})
	if !ok {
		return nil
	}
	return slices.Clone(ex.sessions[i].parts)
}

// DayName says what makes a date special for an exchange: the name of the
// holiday, early close or special session. It is empty for an ordinary date.
func (c *Calendar) DayName(mic, date string) string {
	d, valid := parseDay(date)
	ex, known := c.exchanges[mic]
	if !valid || !known {
		return ""
	}
	if special, ok := ex.special[d]; ok {
		return special.name
	}
	if early, ok := ex.early[d]; ok {
		return early.name
	}
	return ex.closed[d].name
}

// Occasion says what makes the day special that a market is in at an instant:
// the date of its session, or else the one on its clock. It is empty on an
// ordinary day, in UNKNOWN, and of a market that is not known.
func (c *Calendar) Occasion(marketID string, at time.Time) string {
	for _, m := range c.markets {
		if m.fixed.MarketID != marketID {
			continue
		}
		now, _ := m.table.at(at)
		switch now.phase {
		case thor.MarketUnknown:
			return ""
		case thor.MarketClosed, thor.MarketHoliday:
			return c.DayName(m.exchange.mic, dayOf(at, m.exchange.loc).String())
		case thor.MarketPreOpen, thor.MarketOpen, thor.MarketPreClose, thor.MarketPost, thor.MarketBreak:
			return c.DayName(m.exchange.mic, now.session)
		}
	}
	return ""
}

// opensAfter returns the index of the first session that opens after at.
func (ex *exchange) opensAfter(at time.Time) int {
	return sort.Search(len(ex.sessions), func(i int) bool { return ex.sessions[i].Open.After(at) })
}
