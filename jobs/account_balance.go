package jobs

import (
	"context"
	"errors"
	"time"

	"thor"
	"thor/internal/source"
)

// AccountBalance publishes the balance of every account.
type AccountBalance struct {
	Source source.BalanceSource
}

// Name is the feature's name.
func (*AccountBalance) Name() string { return "account_balance" }

// Every is a second.
func (*AccountBalance) Every() time.Duration { return time.Second }

// Execute reads the balances and publishes them. What could be read goes out
// even when some could not.
func (j *AccountBalance) Execute(ctx context.Context, out thor.Broadcaster) error {
	balances, err := j.Source.Balances(ctx)
	return errors.Join(err, out.Broadcast(ctx, thor.AccountBalanceMessages(balances)...))
}
