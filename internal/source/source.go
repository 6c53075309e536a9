// Package source says what thor reads its data from: a simulator, a broker, an
// existing REST backend. A source has a name, a clock, and one optional
// interface for each noun it can deliver; [AbilitiesOf] finds out which.
//
// It does not schedule, store or publish; that is for jobs and what is behind
// them.
package source

import (
	"context"
	"time"

	"thor"
)

// Source is where data comes from. Its methods are safe for concurrent use.
type Source interface {
	// Name is a short word for status and labels: sim, upstream, alpaca.
	Name() string
	Caps() Caps
	// Clock is the time the source's data belongs to.
	Clock() Clock
	// Close ends what the source has running. It may be called twice.
	Close() error
}

// Caps says what a source is like.
type Caps struct {
	// Simulated marks data nobody should take for real. It is shown wherever
	// the data is.
	Simulated bool
	// Unproven marks an adapter that was never run against the real service. It
	// is shown in status and by the source's check.
	Unproven bool
}

// Account is one account at one instant: balance and positions belong
// together.
type Account struct {
	Balance   thor.AccountBalance
	Positions thor.Positions
}

// AccountSource delivers accounts whole. [SharedAccounts] makes a balance source
// and a positions source of it.
type AccountSource interface {
	// Accounts returns every account there is. When only some could be read it
	// returns those together with an error.
	Accounts(ctx context.Context) ([]Account, error)
}

// BalanceSource delivers the balances of accounts. A source that must be asked
// for balances and for positions has this and [PositionsSource], so that one
// can fail without the other.
type BalanceSource interface {
	// Balances returns the balance of every account. When only some could be
	// read it returns those together with an error.
	Balances(ctx context.Context) ([]thor.AccountBalance, error)
}

// PositionsSource delivers the positions of accounts.
type PositionsSource interface {
	// Positions returns what every account holds. When only some could be read
	// it returns those together with an error; one that could not is not in it,
	// for a list without rows says that the account holds nothing.
	Positions(ctx context.Context) ([]thor.Positions, error)
}

// BarSource delivers one-minute bars.
type BarSource interface {
	// Bars returns the bars of every symbol whose minute begins at or after
	// since, oldest first, the forming ones included. Where there are many it
	// may stop behind a minute: whoever asks again from the newest minute of the
	// answer gets further, and misses none. A zero since asks for the current
	// session of each symbol, or its last one. A final bar is the same whenever
	// it is asked for, until it is corrected; jobs.LookBack is how late a bar or
	// its correction may come. When only some symbols could be read it returns
	// theirs together with an error.
	Bars(ctx context.Context, since time.Time) ([]thor.Bar, error)
}

// MarketSource delivers the state of markets.
type MarketSource interface {
	// Markets returns the state of every market, in display order.
	Markets(ctx context.Context) ([]thor.MarketStatus, error)
}

// Paced is a source that asks somebody else less often than jobs ask it, who get
// the last answer meanwhile.
type Paced interface {
	// Every is how often the source asks for a feature; 0 is whenever it is asked.
	Every(feature string) time.Duration
}

// Labelled is a source that knows how people call an account.
type Labelled interface {
	// Label is the end of the broker's number of an account, or "".
	Label(account string) string
}

// Abilities are the optional interfaces of a source; nil where it lacks one.
type Abilities struct {
	Accounts  AccountSource
	Balances  BalanceSource
	Positions PositionsSource
	Bars      BarSource
	Markets   MarketSource
	Paced     Paced
	Labelled  Labelled
}

// Able is a source that says itself what it can, for what it can is known only
// when it is made: one that stands before another, or that plays a recording.
type Able interface {
	Source
	Abilities() Abilities
}

// AbilitiesOf is the one place where the optional interfaces are asserted.
func AbilitiesOf(s Source) Abilities {
	if able, ok := s.(Able); ok {
		return able.Abilities()
	}
	var a Abilities
	a.Accounts, _ = s.(AccountSource)
	a.Balances, _ = s.(BalanceSource)
	a.Positions, _ = s.(PositionsSource)
	a.Bars, _ = s.(BarSource)
	a.Markets, _ = s.(MarketSource)
	a.Paced, _ = s.(Paced)
	a.Labelled, _ = s.(Labelled)
	return a
}
