package jobs

import (
	"context"
	"errors"
	"slices"
	"time"

	"thor"
	"thor/internal/source"
)

// Intraday publishes one-minute bars: the forming bar of each symbol, and every
// bar that became final since the last run.
type Intraday struct {
	Source source.BarSource
	// Behind is where an earlier run of the server ended; what it missed is read
	// beside the present, a step with each run. Zero is nothing.
	Behind time.Time

	since time.Time // the minute to read from; zero is the whole session
}

// Name is the feature's name.
func (*Intraday) Name() string { return "intraday" }

// Every is a second.
func (*Intraday) Every() time.Duration { return time.Second }

// Execute reads the bars since the last run and publishes them.
func (j *Intraday) Execute(ctx context.Context, out thor.Broadcaster) error {
	since, err := j.publish(ctx, out, j.since)
	if err != nil {
		return err
	}
	j.since = since
	return j.catchUp(ctx, out)
}

// catchUp takes one step from where the earlier run ended, until it has met the
// present.
func (j *Intraday) catchUp(ctx context.Context, out thor.Broadcaster) error {
	if j.Behind.IsZero() {
		return nil
	}
	next, err := j.publish(ctx, out, j.Behind)
	if err != nil {
		return err
	}
	if !next.After(j.Behind) || !next.Before(j.since) {
		next = time.Time{}
	}
	j.Behind = next
	return nil
}

// publish reads the bars since a minute, publishes them, and returns where to
// read on when there was no error. What could be read goes out even when some
// could not.
func (j *Intraday) publish(ctx context.Context, out thor.Broadcaster, since time.Time) (time.Time, error) {
	bars, failed := j.Source.Bars(ctx, since)
	// A whole session is taken in parts, so that a machine too slow for all of it
	// by the deadline is further with each run.
	for part := range slices.Chunk(bars, partOf) {
		if err := out.Broadcast(ctx, thor.IntradayBarMessages(part)...); err != nil {
			return since, errors.Join(failed, err)
		}
	}
	return resume(since, bars), failed
}

// partOf is how many bars are handed over at once.
const partOf = 1000

// late is how long a minute may take to become final. A bar that takes longer
// does not hold the others back.
const late = time.Hour

// resume returns the minute the next run reads from: the oldest that was not
// final, or else the newest, which may still be corrected.
func resume(since time.Time, bars []thor.Bar) time.Time {
	if len(bars) == 0 {
		return since
	}
	newest := bars[len(bars)-1].TimestampMinute
	for _, b := range bars { // oldest first
		if !b.Final && newest.Sub(b.TimestampMinute) <= late {
			return b.TimestampMinute
		}
	}
	return newest
}
