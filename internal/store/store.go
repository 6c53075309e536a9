// Package store says what keeps thor's events, stages and audit. An event gets
// its number in the transaction that stores it, so the store is the one
// sequencer: what has been published is never numbered again.
//
// Implementations are adapters below this package; storetest holds the laws
// each of them keeps. The package does not publish.
package store

import (
	"context"
	"time"

	"thor"
)

// Store keeps events, stages and audit. Its methods are safe for concurrent
// use.
type Store interface {
	Events
	Stages
	// Claim says where the data is to come from. The first claim is kept; Claim
	// returns it, so a caller whose own is another must not write.
	Claim(ctx context.Context, origin string) (kept string, err error)
	// Secret returns 32 random bytes that belong to a name. They are made on first
	// use and stay the same.
	Secret(ctx context.Context, name string) ([]byte, error)
	// Close ends the store; events that Append has returned are safe.
	Close() error
}

// Events is the table of events.
type Events interface {
	// Append stores events in one transaction. Each gets the next seq of its
	// stream, the store's epoch and the time at; the rest is the caller's. It
	// is all or nothing.
	Append(ctx context.Context, at time.Time, events []thor.Event) ([]thor.Event, error)
	// Latest returns the stream's version and, in seq order, the newest event
	// of each key within the window. A stream nobody wrote to has seq 0.
	Latest(ctx context.Context, id thor.StreamID, w thor.Window) (thor.Version, []thor.Event, error)
	// Since returns up to limit events behind seq after, in order and without a
	// hole. The error is ENOTFOUND when some of them are no longer kept.
	Since(ctx context.Context, id thor.StreamID, after uint64, limit int) ([]thor.Event, error)
	// Streams lists every stream that was ever written to.
	Streams(ctx context.Context) ([]thor.StreamID, error)
	// Prune removes superseded events older than superseded. In streams that have
	// final events it removes everything older than final; in others the newest
	// event of a key stays for ever.
	Prune(ctx context.Context, superseded, final time.Time) (removed int64, err error)
}

// Stages is the table of stages and its audit.
type Stages interface {
	// Stages returns where each feature stands; a feature without a transition
	// is not in it.
	Stages(ctx context.Context) ([]thor.FeatureStage, error)
	// Transition stores the step, its audit entry and its event in one
	// transaction and returns the last two as stored. The stage is that of
	// before with the step done, see [thor.FeatureStage.After]; the entry gets
	// the next id and is chained to the last one, see [thor.Transition.Sum]; the
	// event gets its own time, or the step's when it has none. The step's
	// revision must follow the stored one, otherwise the error is ESTALE. An
	// audit that does not hold keeps nothing from being stored.
	Transition(ctx context.Context, t thor.Transition, event thor.Event) (thor.Transition, thor.Event, error)
	// History returns the newest transitions of a feature, newest first; of all
	// features when it is "".
	History(ctx context.Context, feature string, limit int) ([]thor.Transition, error)
	// Audit returns the whole audit, of one moment.
	Audit(ctx context.Context) (thor.Audit, error)
}
