package thor

import "time"

// Session is one regular trading session of an exchange. Open and Close are
// instants; Date is the local trading date, which for a session that begins in
// the evening is the next day's.
type Session struct {
	Exchange    string // ISO 10383 MIC
	Date        string // YYYY-MM-DD
	Open        time.Time
	Close       time.Time
	Early       bool // it ends before the regular time
	Provisional bool // the exchange has not published this year yet
}

// Contains reports whether t lies in the session: at or after its opening and
// before its close.
func (s Session) Contains(t time.Time) bool { return !t.Before(s.Open) && t.Before(s.Close) }
