package thor

import (
	"encoding/json"
	"time"
)

// Heartbeat is what the server says to every connection at a steady interval,
// so that a client can tell quiet from dead. It is never stored, has no number,
// and of several a client that lags gets the latest ([PolicyWhole]).
type Heartbeat struct {
	Timestamp      time.Time              `json:"timestamp"` // the source's own time
	HeartbeatCount uint64                 `json:"heartbeat_count"`
	IntervalMS     int64                  `json:"interval_ms"`    // until the next one
	StaleAfterMS   int64                  `json:"stale_after_ms"` // without one, the connection is dead
	ActiveJobs     int                    `json:"active_jobs"`
	Streams        map[StreamID]StreamTip `json:"streams"` // of the public streams
}

// StreamTip is where a stream stands. A client that is behind the same tip on
// two heartbeats has missed something.
type StreamTip struct {
	Seq       uint64 `json:"seq"`
	AgeMS     int64  `json:"age_ms"`     // of the newest event
	CadenceMS int64  `json:"cadence_ms"` // 0 is on change only
}

// AppendEnvelope appends the heartbeat as clients get it.
func (h Heartbeat) AppendEnvelope(dst []byte, now time.Time) ([]byte, error) {
	envelope := struct {
		Type string    `json:"type"`
		Data Heartbeat `json:"data"`
		TS   int64     `json:"ts"`
	}{"heartbeat", h, now.UnixMilli()}
	data, err := json.Marshal(envelope)
	return append(dst, data...), err
}
