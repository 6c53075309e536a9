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
	Source source.AccountSource
}

// Name is the feature's name.
func (*AccountBalance) Name() string { return "account_balance" }

// Every is a second.
func (*AccountBalance) Every() time.Duration { return time.Second }

// Execute reads the accounts and publishes their balances. What could be read
// goes out even when some could not.
func (j *AccountBalance) Execute(ctx context.Context, out thor.Broadcaster) error {
	accounts, err := j.Source.Accounts(ctx)
	balances := make([]thor.AccountBalance, len(accounts))
	for i, a := range accounts {
		balances[i] = a.Balance
	}
	return errors.Join(err, out.Broadcast(ctx, thor.AccountBalanceMessages(balances)...))
}
