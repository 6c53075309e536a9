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

	since  time.Time // the minute to read from; zero is the whole session
	newest time.Time // the newest minute so far
	looked time.Time // the newest minute when it last looked back
	runs   int       // since then
}

// Name is the feature's name.
func (*Intraday) Name() string { return "intraday" }

// Every is a second.
func (*Intraday) Every() time.Duration { return time.Second }

// Execute reads the bars since the last run and publishes them; once a minute
// those of a while before too, for a bar may come late, or be corrected.
func (j *Intraday) Execute(ctx context.Context, out thor.Broadcaster) error {
	from := j.since
	look := from.IsZero() || j.newest.After(j.looked) || j.runs >= lookEvery
	if back := j.newest.Add(-LookBack); look && !from.IsZero() && back.Before(from) {
		from = back
	}
	bars, err := j.publish(ctx, out, from)
	if err != nil {
		return err
	}
	j.since = resume(j.since, bars)
	if len(bars) > 0 {
		j.newest = bars[len(bars)-1].TimestampMinute
	}
	if j.runs++; look {
		j.looked, j.runs = j.newest, 0
	}
	return j.catchUp(ctx, out)
}

// LookBack is how much later than its minute a bar may come, or be corrected,
// and still be noticed.
const LookBack = 15 * time.Minute

// lookEvery is after how many runs it looks back although no minute has begun:
// what comes late is also of the last minutes of a day.
const lookEvery = 30

// catchUp takes one step from where the earlier run ended, until it has met the
// present.
func (j *Intraday) catchUp(ctx context.Context, out thor.Broadcaster) error {
	if j.Behind.IsZero() {
		return nil
	}
	bars, err := j.publish(ctx, out, j.Behind)
	if err != nil {
		return err
	}
	next := resume(j.Behind, bars)
	if !next.After(j.Behind) || !next.Before(j.since) {
		next = time.Time{}
	}
	j.Behind = next
	return nil
}

// publish reads the bars since a minute and publishes them, and returns them
// oldest first. What could be read goes out even when some could not.
func (j *Intraday) publish(ctx context.Context, out thor.Broadcaster, since time.Time) ([]thor.Bar, error) {
	bars, failed := j.Source.Bars(ctx, since)
	slices.SortStableFunc(bars, func(a, b thor.Bar) int { return a.TimestampMinute.Compare(b.TimestampMinute) })
	// A whole session is taken in parts, so that a machine too slow for all of it
	// by the deadline is further with each run.
	for part := range slices.Chunk(bars, partOf) {
		if err := out.Broadcast(ctx, thor.IntradayBarMessages(part)...); err != nil {
			return bars, errors.Join(failed, err)
		}
	}
	return bars, failed
}

// partOf is how many bars are handed over at once.
const partOf = 1000

// late is how long a minute may take to become final. A bar that takes longer
// does not hold the others back.
const late = time.Hour

// resume returns the minute the next run reads from: the oldest that was not
// final, or else the newest.
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
