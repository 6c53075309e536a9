package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"thor"
)

// loader is where a log comes from when it is first used.
type loader interface {
	// Latest returns the stream's version and the newest event of each key
	// within the window, in seq order.
	Latest(ctx context.Context, id thor.StreamID, w thor.Window) (thor.Version, []thor.Event, error)
}

// Viewer is somebody who asks for streams.
type Viewer interface {
	// MaySee reports whether the viewer may see this account.
	MaySee(account string) bool
}

// Logs are the logs of this node. A log is made on first use from what the
// store holds. The methods are safe for concurrent use.
type Logs struct {
	Store loader
	// Limits gives the limits of a stream's log; nil is the defaults.
	Limits func(thor.StreamID) Limits
	// Changed is called after the logs changed, outside every lock. It must not
	// block; nil is nobody.
	Changed func()

	generation atomic.Uint64 // moves when a log comes or goes

	mu     sync.RWMutex // guards what follows; taken before a Log's
	logs   map[thor.StreamID]*Log
	closed map[thor.StreamID]*Log // of features that are off, for Held alone
	off    map[string]bool        // features whose streams are closed
}

// Append adds stored events to their logs. Events of features that are closed
// are left out. When a log has missed something, it is made anew from the
// store. What fails on one stream holds nothing back on the others.
func (s *Logs) Append(ctx context.Context, events []thor.Event) error {
	var errs []error
	for _, e := range events {
		errs = append(errs, s.append(ctx, e))
	}
	if s.Changed != nil {
		s.Changed()
	}
	return errors.Join(errs...)
}

func (s *Logs) append(ctx context.Context, e thor.Event) error {
	s.mu.RLock()
	l, off := s.logs[e.Stream], s.off[e.Stream.Feature()]
	s.mu.RUnlock()
	if off || l != nil && (l.Append(e) || l.has(e.Version)) {
		return nil
	}
	return s.load(ctx, e.Stream)
}

// Open makes the log of a stream, so that it can be attached to before its
// first event.
func (s *Logs) Open(ctx context.Context, ids ...thor.StreamID) error {
	var errs []error
	for _, id := range ids {
		s.mu.RLock()
		skip := s.logs[id] != nil || s.off[id.Feature()]
		s.mu.RUnlock()
		if !skip {
			errs = append(errs, s.load(ctx, id))
		}
	}
	if s.Changed != nil {
		s.Changed()
	}
	return errors.Join(errs...)
}

// load makes a stream's log anew. Its readers find the old one ended and attach
// to the new one. A log that came further while the store was read stays.
func (s *Logs) load(ctx context.Context, id thor.StreamID) error {
	var limits Limits
	if s.Limits != nil {
		limits = s.Limits(id)
	}
	at, latest, err := s.Store.Latest(ctx, id, thor.Window{Limit: limits.Window})
	if err != nil {
		return fmt.Errorf("load the log of %s: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.off[id.Feature()] {
		return nil
	}
	if old := s.logs[id]; old != nil {
		if now := old.Version(); now.Epoch == at.Epoch && now.Seq >= at.Seq {
			return nil
		}
		old.End()
	}
	if s.logs == nil {
		s.logs = map[thor.StreamID]*Log{}
	}
	s.logs[id] = NewLog(id, limits, at, latest)
	delete(s.closed, id)
	s.generation.Add(1)
	return nil
}

// SetPublishing opens or closes all streams of a feature. Closing ends their
// logs: readers are told that the stream is off.
func (s *Logs) SetPublishing(feature string, on bool) {
	s.mu.Lock()
	if s.off == nil {
		s.off = map[string]bool{}
	}
	changed := s.off[feature] == on
	s.off[feature] = !on
	if !on {
		for id, l := range s.logs {
			if id.Feature() == feature {
				l.End()
				delete(s.logs, id)
				if s.closed == nil {
					s.closed = map[thor.StreamID]*Log{}
				}
				s.closed[id] = l
			}
		}
	}
	s.mu.Unlock()
	if changed {
		s.generation.Add(1)
		if s.Changed != nil {
			s.Changed()
		}
	}
}

// Generation moves whenever a log comes or goes.
func (s *Logs) Generation() uint64 { return s.generation.Load() }

// Attach returns the log of a stream to somebody who may see it. It is the only
// way to a log: subscribe, resume and a change of token all come through here.
// A stream that does not exist and one that is somebody else's get the same
// answer.
func (s *Logs) Attach(v Viewer, id thor.StreamID) (*Log, error) {
	s.mu.RLock()
	l := s.logs[id]
	s.mu.RUnlock()
	if l == nil || !MaySee(v, id) {
		return nil, thor.Errorf(thor.EFORBIDDEN, "there is no stream %.140q for you", string(id))
	}
	return l, nil
}

// Visible lists the streams a viewer may attach to, sorted.
func (s *Logs) Visible(v Viewer) []thor.StreamID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ids []thor.StreamID
	for _, id := range slices.Sorted(maps.Keys(s.logs)) {
		if MaySee(v, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Tips returns the newest event of every stream that has one.
func (s *Logs) Tips() map[thor.StreamID]thor.Event {
	s.mu.RLock()
	defer s.mu.RUnlock()
	tips := make(map[thor.StreamID]thor.Event, len(s.logs))
	for id, l := range s.logs {
		if e, ok := l.Newest(); ok {
			tips[id] = e
		}
	}
	return tips
}

// MaySee reports whether a viewer may see a stream, whether there is one or not.
func MaySee(v Viewer, id thor.StreamID) bool {
	if !id.Private() {
		return true
	}
	return v.MaySee(id.Owner())
}
