package app

import (
	"context"
	"slices"
	"sync"
	"time"

	"thor"
	"thor/internal/calendar"
	"thor/internal/source"
	"thor/internal/source/sim"
	"thor/internal/source/sourcetest"
)

// simulator is shared by all tests, for it is a function of the time it is asked
// at, and its books take a while to make.
var simulator struct {
	once  sync.Once
	mu    sync.Mutex // held while it is asked
	clock *sourcetest.Clock
	*sim.Source
}

// simulate asks the simulator at a time.
func simulate[T any](at time.Time, ask func() (T, error)) (T, error) {
	simulator.once.Do(func() {
		days, err := calendar.New()
		if err != nil {
			panic(err)
		}
		simulator.clock = sourcetest.NewClock(at)
		simulator.Source = &sim.Source{Seed: 1, SourceClock: simulator.clock, Exchanges: days}
	})
	simulator.mu.Lock()
	defer simulator.mu.Unlock()
	simulator.clock.Set(at)
	return ask()
}

func simulatedAccounts(ctx context.Context, at time.Time) ([]source.Account, error) {
	return simulate(at, func() ([]source.Account, error) { return simulator.Accounts(ctx) })
}

func simulatedBars(ctx context.Context, at, since time.Time) ([]thor.Bar, error) {
	return simulate(at, func() ([]thor.Bar, error) { return simulator.Bars(ctx, since) })
}

// faulty is the simulator with a fault in between, and without what a test
// leaves out.
type faulty struct {
	source.Source
	clock source.Clock
	keep  func(symbol string) bool // nil is all

	mu      sync.Mutex // guards what follows
	fault   fault
	running map[string]int // calls at once, by what was asked for
	twice   bool           // there were two at once
}

// fault does something instead of an answer, or before it. It returns what part
// of the answer is given, and the error beside it.
type fault func(ctx context.Context) (part float64, err error)

func (f *faulty) set(fault fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *faulty) meet(ctx context.Context, noun string) (float64, error) {
	f.mu.Lock()
	fault := f.fault
	f.running[noun]++
	f.twice = f.twice || f.running[noun] > 1
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.running[noun]--
	}()
	if fault == nil {
		return 1, nil
	}
	return fault(ctx)
}

// Accounts implements source.AccountSource.
func (f *faulty) Accounts(ctx context.Context) ([]source.Account, error) {
	accounts, err := simulatedAccounts(ctx, f.clock.Now()) // of when it was asked
	part, fault := f.meet(ctx, "accounts")
	if err != nil || fault != nil && part == 0 {
		return nil, cmpOr(fault, err)
	}
	accounts = f.kept(accounts)
	return accounts[:int(part*float64(len(accounts)))], fault
}

// kept leaves out the rows a test leaves out, and accounts without any.
func (f *faulty) kept(accounts []source.Account) (kept []source.Account) {
	for _, a := range accounts {
		if f.keep != nil {
			a.Positions.Positions = slices.DeleteFunc(slices.Clone(a.Positions.Positions), func(p thor.Position) bool { return !f.keep(p.Symbol) })
		}
		if len(a.Positions.Positions) > 0 {
			kept = append(kept, a)
		}
	}
	return kept
}

// Bars implements source.BarSource.
func (f *faulty) Bars(ctx context.Context, since time.Time) ([]thor.Bar, error) {
	bars, err := simulatedBars(ctx, f.clock.Now(), since)
	part, fault := f.meet(ctx, "bars")
	if err != nil || fault != nil {
		return nil, cmpOr(fault, err)
	}
	if f.keep != nil {
		if bars, err = f.keptBars(ctx, since, bars); err != nil {
			return nil, err
		}
	}
	return bars[:int(part*float64(len(bars)))], nil
}

// keptBars leaves out the symbols a test leaves out, and asks on until it has got
// further than since.
func (f *faulty) keptBars(ctx context.Context, since time.Time, bars []thor.Bar) (kept []thor.Bar, err error) {
	from := since
	for len(bars) > 0 {
		for _, b := range bars {
			if f.keep(b.Symbol) {
				kept = append(kept, b)
			}
		}
		newest := bars[len(bars)-1].TimestampMinute
		if !newest.After(from) || len(kept) > 0 && kept[len(kept)-1].TimestampMinute.After(since) {
			break
		}
		from = newest
		if bars, err = simulatedBars(ctx, f.clock.Now(), from.Add(time.Minute)); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

func cmpOr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// wallClock is the wall clock, and can be set.
type wallClock struct {
	mu    sync.Mutex // guards ahead
	ahead time.Duration
}

func (c *wallClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead).Round(0).UTC()
}

func (c *wallClock) jump(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += by
}

func (*wallClock) Speed() float64 { return 1 }
func (*wallClock) Virtual() bool  { return false }
