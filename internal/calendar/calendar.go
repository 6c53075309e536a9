// Package calendar knows when exchanges trade: sessions, closed days, early
// closes, breaks, and the phase every market is in at an instant.
//
// Each exchange is one data file, described in data/README.md: its hours, its
// closed dates and the markets that follow it. The embedded files are read by
// [New], which works out every change of phase of the covered years once;
// questions are then answered from sorted tables. Everything is reckoned in
// the exchange's local time, by the time zone rules of the machine, or those
// inside the binary where the machine has none.
//
// A [Folder] of files of the same form, and of amendments that name only what
// changes, is read over the embedded ones, again and again while the server
// runs. A calendar itself never changes: a new one takes its place.
//
// It does not read a clock: whoever asks says at which instant. It guesses
// nothing: outside the covered years a market's phase is UNKNOWN. It knows
// neither halts nor auctions, nor what a source says of its own market.
package calendar

import (
	"cmp"
	"io/fs"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // machines without zone files, Windows among them

	"thor"
)

// preclose is how long before a session's close PRECLOSE begins.
const preclose = 15 * time.Minute

// Calendar answers what every market does at an instant. It never changes
// after [New] and is safe for concurrent use.
type Calendar struct {
	exchanges map[string]*exchange
	mics      []string // in display order of their first markets
	markets   []*market
}

// New reads the embedded data files and then the *.json files of each
// overriding file system, in order. A file that names an exchange already read
// takes the place of that exchange with all its markets; any other adds one; an
// amendment changes dates of one. The error names the file and line of
// everything that is wrong.
func New(overrides ...fs.FS) (*Calendar, error) {
	layers := make([][]file, len(overrides))
	for i, override := range overrides {
		files, err := readFiles(override, "*.json")
		if err != nil {
			return nil, err
		}
		layers[i] = files
	}
	return newCalendar(layers...)
}

func newCalendar(overrides ...[]file) (*Calendar, error) {
	exchanges, err := load(overrides)
	if err != nil {
		return nil, err
	}
	c := &Calendar{exchanges: exchanges}
	for _, ex := range exchanges {
		c.markets = append(c.markets, ex.markets...)
	}
	slices.SortFunc(c.markets, func(a, b *market) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.fixed.MarketID, b.fixed.MarketID))
	})
	for _, m := range c.markets {
		if !slices.Contains(c.mics, m.exchange.mic) {
			c.mics = append(c.mics, m.exchange.mic)
		}
	}
	return c, nil
}

// Statuses returns the status of every market in display order, with at as
// its timestamp.
func (c *Calendar) Statuses(at time.Time) []thor.MarketStatus {
	statuses := make([]thor.MarketStatus, len(c.markets))
	for i, m := range c.markets {
		statuses[i] = m.status(at)
	}
	return statuses
}

// Status returns the status of one market.
//
// NextEvent is the next change of status: following NextEventAt from any
// instant visits every change and nothing else. At the end of the covered
// years the phase that begins is UNKNOWN, and after it both are absent.
//
// SessionDate is the date of the session the phase belongs to (PREOPEN, OPEN,
// PRECLOSE, POST, and BREAK within a session) and otherwise, also in a BREAK
// between two sessions, of the next one. It is empty when the calendar does
// not know the next one, and in UNKNOWN.
func (c *Calendar) Status(marketID string, at time.Time) (thor.MarketStatus, error) {
	for _, m := range c.markets {
		if m.fixed.MarketID == marketID {
			return m.status(at), nil
		}
	}
	known := make([]string, len(c.markets))
	for i, m := range c.markets {
		known[i] = m.fixed.MarketID
	}
	return thor.MarketStatus{}, thor.Errorf(thor.ENOTFOUND, "no market %q", marketID).
		WithHint("The markets are %s.", strings.Join(known, ", "))
}

// NextEvent returns the earliest NextEventAt of all markets, which is after
// at, or the zero time when the calendar knows of none.
func (c *Calendar) NextEvent(at time.Time) time.Time {
	var earliest time.Time
	for _, m := range c.markets {
		_, next := m.table.at(at)
		if next != nil && (earliest.IsZero() || next.from.Before(earliest)) {
			earliest = next.from
		}
	}
	return earliest
}

// Ending is an instant from which on the calendar knows nothing of an exchange.
type Ending struct {
	Exchange string
	At       time.Time
}

// Endings returns the exchanges whose covered years end before an instant, the
// first to end first.
func (c *Calendar) Endings(before time.Time) []Ending {
	var endings []Ending
	for _, mic := range c.mics {
		ex := c.exchanges[mic]
		if at := ex.end(ex.hours[0].open); at.Before(before) {
			endings = append(endings, Ending{Exchange: mic, At: at})
		}
	}
	slices.SortStableFunc(endings, func(a, b Ending) int { return a.At.Compare(b.At) })
	return endings
}
