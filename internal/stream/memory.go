package stream

import (
	"cmp"
	"slices"

	"thor"
)

// Held returns what this node has in memory of a stream: its version and, in seq
// order, the newest event of each key within the window. It is for when the
// store cannot be read. Of a feature that is off it is what the log held when it
// was closed. It is false when there is nothing.
func (s *Logs) Held(id thor.StreamID, w thor.Window) (thor.Version, []thor.Event, bool) {
	s.mu.RLock()
	l := s.logs[id]
	if l == nil {
		l = s.closed[id]
	}
	s.mu.RUnlock()
	if l == nil {
		return thor.Version{}, nil, false
	}
	at, events := l.held(w)
	return at, events, at.Seq > 0
}

// HeldStreams lists the streams of which something is in memory, sorted.
func (s *Logs) HeldStreams() []thor.StreamID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ids []thor.StreamID
	for id, l := range s.logs {
		if l.Head() > 0 {
			ids = append(ids, id)
		}
	}
	for id, l := range s.closed {
		if l.Head() > 0 && s.logs[id] == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (l *Log) held(w thor.Window) (thor.Version, []thor.Event) {
	l.mu.Lock()
	at, events := thor.Version{Epoch: l.epoch, Seq: l.head.Load()}, l.latest.since(0)
	l.mu.Unlock()
	events = slices.DeleteFunc(events, func(e thor.Event) bool { return e.Key < w.From })
	if w.Limit > 0 && len(events) > w.Limit {
		slices.SortFunc(events, func(a, b thor.Event) int { return cmp.Compare(b.Key, a.Key) })
		events = events[:w.Limit]
		slices.SortFunc(events, func(a, b thor.Event) int { return cmp.Compare(a.Version.Seq, b.Version.Seq) })
	}
	return at, events
}
