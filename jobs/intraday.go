package jobs

import (
	"context"
	"time"

	"thor"
	"thor/internal/source"
)

// Intraday publishes one-minute bars: the forming bar of each symbol, and every
// bar that became final since the last run.
type Intraday struct {
	Source source.BarSource

	since time.Time // the minute to read from; zero is the whole session
}

// Name is the feature's name.
func (*Intraday) Name() string { return "intraday" }

// Every is a second.
func (*Intraday) Every() time.Duration { return time.Second }

// Execute reads the bars since the last run and publishes them.
func (j *Intraday) Execute(ctx context.Context, out thor.Broadcaster) error {
	bars, err := j.Source.Bars(ctx, j.since)
	if err != nil {
		return err
	}
	if err := out.Broadcast(ctx, thor.IntradayBarMessages(bars)...); err != nil {
		return err
	}
	j.since = resume(j.since, bars)
	return nil
}

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
