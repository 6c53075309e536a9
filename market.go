package thor

import (
	"slices"
	"time"
)

// MarketPhase is what a market does at an instant.
type MarketPhase string

// The phases. Code that asks whether a market trades tests
// [MarketStatus.Trading], not a phase.
const (
	MarketPreOpen  MarketPhase = "PREOPEN"  // before the opening, where the exchange has a pre-market
	MarketOpen     MarketPhase = "OPEN"     // trading
	MarketPreClose MarketPhase = "PRECLOSE" // trading, the last 15 minutes
	MarketPost     MarketPhase = "POST"     // after the close, where the exchange has after-hours
	MarketBreak    MarketPhase = "BREAK"    // a pause between two parts of trading: lunch, maintenance
	MarketClosed   MarketPhase = "CLOSED"
	MarketHoliday  MarketPhase = "HOLIDAY" // a weekday without a session
	MarketUnknown  MarketPhase = "UNKNOWN" // outside the years the calendar covers
)

// MarketPhases lists every phase.
func MarketPhases() []MarketPhase {
	return []MarketPhase{
		MarketPreOpen, MarketOpen, MarketPreClose, MarketPost,
		MarketBreak, MarketClosed, MarketHoliday, MarketUnknown,
	}
}

// MarketStatus is the state of one market. It is sent when it changes; clocks
// and countdowns are the client's, from NextEventAt and the server's time.
type MarketStatus struct {
	MarketID string      `json:"market_id"` // ISO 10383 MIC; XNYS.PRE for the US pre-market
	Market   string      `json:"market"`    // name for people
	Country  string      `json:"country"`
	Timezone string      `json:"timezone"` // IANA name
	Status   MarketPhase `json:"status"`
	Trading  bool        `json:"trading"` // true in OPEN and PRECLOSE
	// SessionDate is the local trading date of the session that is on, or else
	// of the next one.
	SessionDate string `json:"session_date,omitzero"` // YYYY-MM-DD
	// NextEvent is the phase that begins at NextEventAt. Both are absent when
	// the calendar ends before the next change.
	NextEvent   MarketPhase `json:"next_event,omitzero"`
	NextEventAt time.Time   `json:"next_event_at,omitzero"`
	Provisional bool        `json:"provisional"` // the exchange has not published this year yet
	Weight      Decimal     `json:"weight"`      // of the market in a composite of the control markets
	Timestamp   time.Time   `json:"timestamp"`
}

// Validate reports everything that is wrong with m.
func (m MarketStatus) Validate() error {
	var f faults
	f.id("market_id", m.MarketID)
	f.text("market", m.Market)
	f.text("country", m.Country)
	f.text("timezone", m.Timezone)
	f.instant("timestamp", m.Timestamp)
	f.known("weight", m.Weight)
	if !slices.Contains(MarketPhases(), m.Status) {
		f.add("status", "%q is not a market status", m.Status)
	}
	if m.Trading != (m.Status == MarketOpen || m.Status == MarketPreClose) {
		f.add("trading", "%v contradicts the status %s", m.Trading, m.Status)
	}
	if (m.NextEvent == "") != m.NextEventAt.IsZero() {
		f.add("next_event_at", "next_event and next_event_at go together")
	}
	return f.err()
}

// MarketStatusMessage builds the message that publishes m.
func MarketStatusMessage(m MarketStatus) Message {
	var lost fitting
	lost.round(ScaleWeight, &m.Weight)
	m.Timestamp = m.Timestamp.UTC()
	m.NextEventAt = m.NextEventAt.UTC()
	return Message{
		Type:   "market_status",
		Stream: NewStreamID("global_market", ""),
		Key:    m.MarketID,
		Data:   m,
		Lost:   int(lost),
	}
}

// MarketStatusMessages builds one message for each market.
func MarketStatusMessages(statuses []MarketStatus) []Message {
	return messages(statuses, MarketStatusMessage)
}

func globalMarketFeature() Feature {
	return Feature{
		Name:  "global_market",
		Type:  "market_status",
		Scope: ScopeShared,
		Key:   "market_id",
		Path:  "/api/global-market",
		List:  "markets",
		Read:  reading(MarketStatusMessage),
		Sample: MarketStatusMessage(MarketStatus{
			MarketID:    "XNYS",
			Market:      "New York",
			Country:     "USA",
			Timezone:    "America/New_York",
			Status:      MarketOpen,
			Trading:     true,
			SessionDate: "2026-11-23",
			NextEvent:   MarketPreClose,
			NextEventAt: time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC),
			Weight:      MustDecimal("0.25"),
			Timestamp:   time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC),
		}),
	}
}
