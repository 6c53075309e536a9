package api

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"thor"
)

// memory is what this node still knows when the store cannot be read.
type memory interface {
	Held(id thor.StreamID, w thor.Window) (thor.Version, []thor.Event, bool)
	HeldStreams() []thor.StreamID
}

// readWait is how long the store is waited for before memory answers.
const readWait = time.Second

// reading is what was read of a stream.
type reading struct {
	version thor.Version
	events  []thor.Event
	stale   bool // it is from memory: the store may have more
}

// latest reads a stream from the store, or from memory when the store does not
// answer.
func (a *API) latest(ctx context.Context, id thor.StreamID, w thor.Window) (reading, error) {
	r, err := within(ctx, readWait, func(ctx context.Context) (r reading, err error) {
		r.version, r.events, err = a.Store.Latest(ctx, id, w)
		return r, err
	})
	if err == nil || a.Memory == nil || ctx.Err() != nil {
		return r, away(err)
	}
	version, events, held := a.Memory.Held(id, w)
	if !held {
		return r, away(err)
	}
	a.Logger.WarnContext(ctx, "served from memory", slog.String("stream", string(id)), slog.Any("error", err))
	return reading{version, events, true}, nil
}

// streams lists the streams the store has, or memory when it does not answer.
func (a *API) streams(ctx context.Context) ([]thor.StreamID, error) {
	ids, err := within(ctx, readWait, a.Store.Streams)
	if err == nil || a.Memory == nil || ctx.Err() != nil {
		return ids, away(err)
	}
	if held := a.Memory.HeldStreams(); len(held) > 0 {
		return held, nil
	}
	return nil, away(err)
}

// away is what a client is told of a store that does not answer.
func away(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return thor.Errorf(thor.EUNAVAILABLE, "the store does not answer: %w", err).WithHint("/readyz says what does not work.")
	}
	return err
}

// within calls f and waits for it at most so long: a disk that hangs heeds no
// context. Then f is left behind, and ends when the disk does. A panic of f is the
// caller's.
func within[T any](ctx context.Context, limit time.Duration, f func(context.Context) (T, error)) (T, error) {
	type result struct {
		value    T
		err      error
		panicked any
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	done := make(chan result, 1)
	go func() {
		var r result
		defer cancel()
		defer func() {
			r.panicked = recover()
			done <- r
		}()
		r.value, r.err = f(ctx)
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		select { // both may be ready
		case r = <-done:
		default:
			r.err = ctx.Err()
		}
	}
	if r.panicked != nil {
		panic(r.panicked)
	}
	return r.value, r.err
}
