// Package pipeline is what lies behind [thor.Broadcaster]: it validates
// messages, drops what says nothing new, stores the rest in one transaction,
// and publishes what the store has numbered. Nothing else writes events of
// features.
//
// It never looks at a client. While a feature's stage is off its messages are
// stored and go no further.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"thor"
)

type appender interface {
	Append(ctx context.Context, at time.Time, events []thor.Event) ([]thor.Event, error)
	Latest(ctx context.Context, id thor.StreamID, w thor.Window) (thor.Version, []thor.Event, error)
}

type publisher interface {
	Publish(ctx context.Context, events []thor.Event) error
}

// Config is what a pipeline is made of.
type Config struct {
	Store appender
	Layer publisher
	// Publishes reports whether the stage of a feature lets its events out.
	Publishes func(feature string) bool
	// Cadence is how often a stream speaks when nothing changes; nil is the
	// feature's own cadence.
	Cadence func(thor.StreamID) time.Duration
	// Now is the clock by which a stream is silent, where that is not the wall
	// clock; Cadence is by the same clock then. Nil is the wall clock.
	Now func() time.Time
	// Tap sees the events of every batch after they were published; it must be
	// quick. Nil is none.
	Tap func(events []thor.Event)
}

// Pipeline implements [thor.Broadcaster]. Make one with [New] and let it [Run].
type Pipeline struct {
	Config
	requests chan *request
	last     map[thor.StreamID]*lastWords // owned by Run
	unsent   []thor.Event                 // owned by Run: stored, and not published yet
	counts   counts
}

var _ thor.Broadcaster = (*Pipeline)(nil)

// maxBatch bounds how many messages share a transaction.
const maxBatch = 10_000

// New returns a pipeline that works once it runs.
func New(c Config) *Pipeline {
	if c.Cadence == nil {
		c.Cadence = func(id thor.StreamID) time.Duration {
			f, _ := thor.FeatureNamed(id.Feature()) // encode has asked
			return f.Cadence
		}
	}
	if c.Now == nil {
		c.Now = func() time.Time { return time.Now().Round(0) } // as the store's times, which a clock that is set moves
	}
	return &Pipeline{Config: c, requests: make(chan *request), last: map[thor.StreamID]*lastWords{}}
}

// request is one call on its way.
type request struct {
	events   []thor.Event
	versions []thor.Version // of the events, once they are stored
	done     chan error     // has room for one
}

// Broadcast implements [thor.Broadcaster]. It blocks until Run has stored the
// messages or ctx ends; messages of a call that gave up may still be stored. A
// call that comes when its context has ended stores nothing: what a job has to
// say after its deadline is of a time long past.
func (p *Pipeline) Broadcast(ctx context.Context, msgs ...thor.Message) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("broadcast: %w", err)
	}
	events, invalid := p.encode(msgs)
	_, err := p.submit(ctx, events)
	return errors.Join(invalid, err)
}

// Publish is Broadcast for callers that want to know where their messages are:
// it returns the version of each, of one that said nothing new the version it
// has already. When a message is invalid none goes out.
func (p *Pipeline) Publish(ctx context.Context, msgs ...thor.Message) ([]thor.Version, error) {
	events, invalid := p.encode(msgs)
	if invalid != nil {
		return nil, invalid
	}
	return p.submit(ctx, events)
}

// submit hands events to Run and waits for them to be stored.
func (p *Pipeline) submit(ctx context.Context, events []thor.Event) ([]thor.Version, error) {
	if len(events) == 0 {
		return nil, nil
	}
	r := &request{events: events, done: make(chan error, 1)}
	select {
	case p.requests <- r:
	case <-ctx.Done():
		return nil, fmt.Errorf("broadcast: %w", ctx.Err())
	}
	select {
	case err := <-r.done:
		return r.versions, err
	case <-ctx.Done():
		return nil, fmt.Errorf("broadcast: %w", ctx.Err())
	}
}

// encode turns messages into events that have no number yet.
func (p *Pipeline) encode(msgs []thor.Message) (events []thor.Event, invalid error) {
	events = make([]thor.Event, 0, len(msgs))
	var errs []error
	for _, m := range msgs {
		p.counts.lostDigits.Add(int64(m.Lost))
		data, err := m.Encode()
		if err == nil {
			_, err = thor.FeatureNamed(m.Stream.Feature()) // stages do not come this way
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		events = append(events, thor.Event{Stream: m.Stream, Type: m.Type, Key: m.Key, Final: m.Final, Data: data})
	}
	p.counts.received.Add(int64(len(msgs)))
	p.counts.invalid.Add(int64(len(errs)))
	return events, errors.Join(errs...)
}

// Run stores and publishes until ctx ends. Calls that wait at the same time
// share a transaction.
func (p *Pipeline) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case first := <-p.requests:
			batch, size := []*request{first}, len(first.events)
		waiting:
			for size < maxBatch {
				select {
				case r := <-p.requests:
					batch, size = append(batch, r), size+len(r.events)
				default:
					break waiting
				}
			}
			p.runOnce(ctx, batch)
		}
	}
}

// commitTimeout bounds a transaction and the publishing behind it.
const commitTimeout = 30 * time.Second

// runOnce stores and publishes one batch. What has begun is finished, also when
// the server stops.
func (p *Pipeline) runOnce(ctx context.Context, batch []*request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	var events []thor.Event
	for _, r := range batch {
		events = append(events, r.events...)
	}
	err := p.commit(ctx, p.Now(), events)
	for _, r := range batch {
		if err == nil {
			r.versions = p.versions(r.events)
		}
		r.done <- err
	}
}

// versions are where events are found: those that said something new, and the
// ones that others said before. One from before the memory begins has none.
func (p *Pipeline) versions(events []thor.Event) []thor.Version {
	versions := make([]thor.Version, len(events))
	for i, e := range events {
		versions[i] = p.last[e.Stream].keys[e.Key].Version
	}
	return versions
}

func (p *Pipeline) commit(ctx context.Context, now time.Time, events []thor.Event) error {
	events, err := p.fresh(ctx, now, events)
	if err != nil {
		return err
	}
	var stored []thor.Event
	if len(events) > 0 {
		if stored, err = p.Store.Append(ctx, time.Now(), events); err != nil {
			return fmt.Errorf("store %d messages: %w", len(events), err)
		}
	}
	p.counts.stored.Add(int64(len(stored)))
	for _, e := range stored {
		p.last[e.Stream].put(e, now)
		if p.Publishes(e.Stream.Feature()) {
			p.unsent = append(p.unsent, e)
		}
	}
	return p.publish(ctx)
}

// publish sends what is stored and not sent yet: also what the layer refused
// before, for a job that says the same again is not heard. Beyond maxBatch the
// oldest are left to the readers, who find them in the store.
func (p *Pipeline) publish(ctx context.Context) error {
	out := p.unsent
	if len(out) == 0 {
		return nil
	}
	if err := p.Layer.Publish(ctx, out); err != nil {
		p.unsent = slices.Clone(out[max(0, len(out)-maxBatch):])
		return fmt.Errorf("publish %d messages: %w", len(out), err)
	}
	p.unsent = nil
	p.counts.published.Add(int64(len(out)))
	if p.Tap != nil {
		p.Tap(out)
	}
	return nil
}

// Counts are how many messages came and what became of them, since the start.
type Counts struct {
	Received   int64
	Invalid    int64
	Unchanged  int64
	Stored     int64
	Published  int64
	LostDigits int64 // values with more digits than the scale of their field
}

type counts struct{ received, invalid, unchanged, stored, published, lostDigits atomic.Int64 }

// Counts returns the counts.
func (p *Pipeline) Counts() Counts {
	return Counts{
		Received:   p.counts.received.Load(),
		Invalid:    p.counts.invalid.Load(),
		Unchanged:  p.counts.unchanged.Load(),
		Stored:     p.counts.stored.Load(),
		Published:  p.counts.published.Load(),
		LostDigits: p.counts.lostDigits.Load(),
	}
}
