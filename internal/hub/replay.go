package hub

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sync/singleflight"

	"thor"
	"thor/internal/stream"
)

// Bounds of what is read from the store for a resume.
const (
	maxReplay   = 5000             // events of one stream; who was away for longer gets the snapshot
	replayWait  = 10 * time.Second // for all streams of a subscribe
	replayReads = 4                // at a time, whatever the number of connections
)

// replay is what followed a version, read from the store.
type replay struct {
	frames []byte
	count  uint64
	next   uint64 // the cursor behind it
}

// replays reads from the store what the logs no longer hold. Clients that come
// back together, as they do after a restart, share one read and its bytes.
type replays struct {
	store  history
	flight singleflight.Group
	slots  chan struct{}
}

func newReplays(store history) *replays {
	return &replays{store: store, slots: make(chan struct{}, replayReads)}
}

// since returns what followed a seq; nil when nothing did. The error is the
// store's.
func (r *replays) since(ctx context.Context, id thor.StreamID, after uint64) (*replay, error) {
	shared, err, _ := r.flight.Do(string(id)+" "+strconv.FormatUint(after, 10), func() (any, error) {
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		events, err := r.read(ctx, id, after)
		if err != nil || len(events) == 0 {
			return nil, err
		}
		return &replay{
			frames: stream.EncodeFrames(events),
			count:  uint64(len(events)),
			next:   events[len(events)-1].Version.Seq + 1,
		}, nil
	})
	read, _ := shared.(*replay)
	return read, err
}

// read asks the store. A panic there is an error: it is of one stream, and this
// goroutine is nobody's.
func (r *replays) read(ctx context.Context, id thor.StreamID, after uint64) (events []thor.Event, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
		}
	}()
	return r.store.Since(ctx, id, after, maxReplay)
}
