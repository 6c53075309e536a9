package calendar

import (
	"time"

	"thor"
)

// market is one market of an exchange: what it is called, which phases it has
// besides trading, and the table worked out from them.
type market struct {
	exchange    *exchange
	at          place
	fixed       thor.MarketStatus // the fields that never change
	order       int               // in the display, rising
	hours       []hours           // nil: the exchange's own
	preopen     clock             // minutes of PREOPEN before the opening
	post        clock             // minutes of POST after the close
	maintenance clock             // the longest gap between two sessions that is a BREAK
	table       table
}

func (m *market) status(at time.Time) thor.MarketStatus {
	s := m.fixed
	now, next := m.table.at(at)
	s.Status = now.phase
	s.Trading = now.phase == thor.MarketOpen || now.phase == thor.MarketPreClose
	s.SessionDate = now.session
	s.Provisional = now.provisional
	if next != nil {
		s.NextEvent, s.NextEventAt = next.phase, next.from
	}
	s.Timestamp = at.UTC()
	return s
}
