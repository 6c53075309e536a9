package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"thor"
)

// lastWords remembers what was said last on a stream: the newest event of each
// key, and when the newest of all was. Events are put in the order of their seq.
type lastWords struct {
	window int // how many keys to remember; 0 is all
	keys   map[string]thor.Event
	spoke  time.Time
	// from is where the memory begins, when there was more than the window: what
	// is not remembered up to there was said long ago.
	from string
}

func (l *lastWords) put(e thor.Event, spoke time.Time) {
	l.keys[e.Key], l.spoke = e, spoke
	for l.window > 0 && len(l.keys) > 2*l.window { // bars: keys come and do not come back
		oldest := e.Key
		for key := range l.keys {
			oldest = min(oldest, key)
		}
		delete(l.keys, oldest)
		l.from = max(l.from, oldest)
	}
}

// fresh returns the events that say something new.
func (p *Pipeline) fresh(ctx context.Context, now time.Time, events []thor.Event) ([]thor.Event, error) {
	out := events[:0:0]
	batch := map[thor.StreamID]map[string]thor.Event{} // said earlier in this batch
	for _, e := range events {
		last, err := p.lastOf(ctx, e.Stream)
		if err != nil {
			return nil, err
		}
		previous, said := batch[e.Stream][e.Key]
		if !said {
			previous, said = last.keys[e.Key]
		}
		if !said && e.Key <= last.from || said && !news(previous, e, now.Sub(last.spoke), p.Cadence(e.Stream)) {
			p.counts.unchanged.Add(1)
			continue
		}
		if batch[e.Stream] == nil {
			batch[e.Stream] = map[string]thor.Event{}
		}
		batch[e.Stream][e.Key] = e
		out = append(out, e)
	}
	return out, nil
}

// news reports whether next says something that previous, of the same key, did
// not. Equal but for the timestamp is news when the stream was silent for its
// cadence: so a reader can tell quiet from dead.
func news(previous, next thor.Event, silent, cadence time.Duration) bool {
	switch {
	case previous.Final && !next.Final:
		return false // a version of a bar from before it was complete
	case bytes.Equal(previous.Data, next.Data):
		return false
	case previous.Final != next.Final || !thor.SameBody(previous.Data, next.Data):
		return true
	case cadence == 0:
		return false // on change only
	}
	// A beat is never exactly on time; and when the clock went back, nobody knows
	// how long the silence was.
	return silent >= cadence-cadence/10 || silent < 0
}

// lastOf returns the last words of a stream, read from the store the first time.
func (p *Pipeline) lastOf(ctx context.Context, id thor.StreamID) (*lastWords, error) {
	if l, ok := p.last[id]; ok {
		return l, nil
	}
	feature, err := thor.FeatureNamed(id.Feature())
	if err != nil {
		return nil, err
	}
	_, events, err := p.Store.Latest(ctx, id, thor.Window{Limit: feature.Window})
	if err != nil {
		return nil, fmt.Errorf("read what a stream of %s said last: %w", feature.Name, err)
	}
	l := &lastWords{window: feature.Window, keys: make(map[string]thor.Event, len(events))}
	for _, e := range events {
		l.put(e, e.Time)
	}
	if l.window > 0 && len(events) == l.window {
		l.from = slices.Min(slices.Collect(maps.Keys(l.keys)))
	}
	p.last[id] = l
	return l, nil
}
