package jobs

import (
	"context"
	"time"

	"thor"
	"thor/internal/source"
)

// GlobalMarket publishes the state of every market: at the instant it changes,
// and as a check every ten seconds.
type GlobalMarket struct {
	Source source.MarketSource

	next time.Time
}

// Name is the feature's name.
func (*GlobalMarket) Name() string { return "global_market" }

// Every is ten seconds; what has not changed is not sent again.
func (*GlobalMarket) Every() time.Duration { return 10 * time.Second }

// Next is when the first market changes.
func (j *GlobalMarket) Next() time.Time { return j.next }

// Execute reads the state of the markets and publishes it.
func (j *GlobalMarket) Execute(ctx context.Context, out thor.Broadcaster) error {
	statuses, err := j.Source.Markets(ctx)
	if err != nil {
		return err
	}
	if err := out.Broadcast(ctx, thor.MarketStatusMessages(statuses)...); err != nil {
		return err
	}
	j.next = time.Time{}
	for _, s := range statuses {
		if !s.NextEventAt.IsZero() && (j.next.IsZero() || s.NextEventAt.Before(j.next)) {
			j.next = s.NextEventAt
		}
	}
	return nil
}
