package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"thor"
)

// SharedAccounts lets several jobs of one beat share one answer, so that they
// ask the source once and speak of the same instant.
type SharedAccounts struct {
	Source AccountSource
	// MaxAge is how old an answer may be; it should be shorter than the jobs'
	// interval.
	MaxAge time.Duration

	// Timeout bounds one question to the source; 0 is ten seconds.
	Timeout time.Duration

	flight singleflight.Group

	mu       sync.Mutex // guards what follows
	accounts []Account
	at       time.Time
}

var (
	_ AccountSource   = (*SharedAccounts)(nil)
	_ BalanceSource   = (*SharedAccounts)(nil)
	_ PositionsSource = (*SharedAccounts)(nil)
)

// Balances are those of the accounts.
func (s *SharedAccounts) Balances(ctx context.Context) ([]thor.AccountBalance, error) {
	accounts, err := s.Accounts(ctx)
	balances := make([]thor.AccountBalance, len(accounts))
	for i, a := range accounts {
		balances[i] = a.Balance
	}
	return balances, err
}

// Positions are those of the accounts.
func (s *SharedAccounts) Positions(ctx context.Context) ([]thor.Positions, error) {
	accounts, err := s.Accounts(ctx)
	positions := make([]thor.Positions, len(accounts))
	for i, a := range accounts {
		positions[i] = a.Positions
	}
	return positions, err
}

// Accounts returns the source's answer, or one that is young enough. Failures
// are shared by those who ask at the same time, and not kept. While a source
// that is deaf to its deadline has not answered, nobody asks it again; what it
// says after its deadline is of a time long past, and is given to nobody. A
// panic of the source is an error, a [*Panic].
func (s *SharedAccounts) Accounts(ctx context.Context) ([]Account, error) {
	if accounts, ok := s.cached(); ok {
		return accounts, nil
	}
	answer := s.flight.DoChan("", func() (any, error) {
		if accounts, ok := s.cached(); ok {
			return accounts, nil
		}
		return s.ask(ctx)
	})
	select {
	case r := <-answer:
		accounts, _ := r.Val.([]Account)
		return accounts, r.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask puts the question to the source. It runs in a goroutine of its own, where
// a panic would end the process.
func (s *SharedAccounts) ask(ctx context.Context) (accounts []Account, err error) {
	defer func() {
		if p := recover(); p != nil {
			accounts, err = nil, &Panic{Value: p, stack: debug.Stack()}
		}
	}()
	// The first caller's deadline must not fail the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(s.Timeout, 10*time.Second))
	defer cancel()
	accounts, err = s.Source.Accounts(ctx)
	if ctx.Err() != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	if err == nil {
		s.mu.Lock()
		s.accounts, s.at = accounts, time.Now()
		s.mu.Unlock()
	}
	return accounts, err
}

func (s *SharedAccounts) cached() ([]Account, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts, !s.at.IsZero() && time.Since(s.at) < s.MaxAge
}

// Panic is a panic of a source.
type Panic struct {
	Value any
	stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

// Stack is where it happened.
func (p *Panic) Stack() string { return string(p.stack) }
