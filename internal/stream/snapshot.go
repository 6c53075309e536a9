package stream

import (
	"fmt"

	"thor"
)

// Snapshot is the newest frame of every key at one version, in seq order.
type Snapshot struct {
	Frames  []byte
	At      thor.Version
	Entries int
}

// Snapshot returns the stream's snapshot. It is encoded once for each version
// and shared by everybody who asks.
func (l *Log) Snapshot() *Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.snapshot == nil {
		l.snapshot = encodeSnapshot(thor.Version{Epoch: l.epoch, Seq: l.head.Load()}, l.latest.since(0))
	}
	return l.snapshot
}

func encodeSnapshot(at thor.Version, events []thor.Event) *Snapshot {
	s := &Snapshot{At: at, Entries: len(events)}
	var payload []byte
	for i, e := range events {
		extra := fmt.Sprintf(`,"snapshot":true,"part":%d,"parts":%d`, i+1, len(events))
		if i == len(events)-1 {
			extra += fmt.Sprintf(`,"at":%d`, at.Seq)
		}
		payload = e.AppendEnvelope(payload[:0], extra)
		s.Frames = AppendFrame(s.Frames, payload)
	}
	return s
}
