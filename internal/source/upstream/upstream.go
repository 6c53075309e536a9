// Package upstream reads a REST backend that people have already: its paths,
// its shapes and its sign-in are in a file, of which there is a preset for the
// system thor came from.
//
// It says what the backend says and nothing more. A number is taken digit by
// digit, never as a float. What is missing is unknown and never zero, and a
// failure is a typed error with words for a person, never a value. It reads, and
// writes nothing but a sign-in. It was never run against the real system, only
// against a double of it.
package upstream

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"thor"
	"thor/internal/source"
)

// Config is what a source is made of.
type Config struct {
	// URL is where the backend is: http://localhost:8001. Beyond this machine it
	// must be https.
	URL string
	// Mapping says what to ask for and how to read it. It is required.
	Mapping *Mapping
	// User and Password sign in; or Token is sent as it is.
	User, Password, Token string
	// Env looks up the variables that headers name; nil knows none.
	Env func(name string) (string, bool)
	// SourceClock is the time the data belongs to; nil is the wall clock.
	SourceClock source.Clock
	// Agent names the program in requests.
	Agent string
}

// Source is a backend. Make one with [New].
type Source struct {
	mapping *Mapping
	clock   source.Clock
	client  *client
	tapes   []*tape
	turn    chan struct{} // held while bars are asked for

	mu       sync.Mutex // guards what follows
	accounts []account
	listed   time.Time
	looked   kept[*tape] // whose latest bar was read
	balances kept[thor.AccountBalance]
	holdings kept[thor.Positions]
}

var (
	_ source.Source          = (*Source)(nil)
	_ source.BalanceSource   = (*Source)(nil)
	_ source.PositionsSource = (*Source)(nil)
	_ source.BarSource       = (*Source)(nil)
	_ source.Paced           = (*Source)(nil)
	_ source.Labelled        = (*Source)(nil)
)

const name = "upstream"

// atOnce is how many requests of one feature are on their way at a time.
const atOnce = 4

// New makes a source. It asks nothing yet.
func New(c Config) (*Source, error) {
	if c.Mapping == nil {
		return nil, thor.Errorf(thor.EINVALID, "the upstream source has no mapping")
	}
	mapping := *c.Mapping // its headers will hold secrets
	c.Mapping = &mapping
	client, err := newClient(c)
	if err != nil {
		return nil, err
	}
	s := &Source{mapping: c.Mapping, clock: c.SourceClock, client: client, turn: make(chan struct{}, 1)}
	if s.clock == nil {
		s.clock = source.WallClock{}
	}
	for _, symbol := range c.Mapping.Symbols {
		if symbol.Intraday {
			s.tapes = append(s.tapes, &tape{symbol: symbol})
		}
	}
	return s, nil
}

// Name is "upstream".
func (s *Source) Name() string { return name }

// Caps says that nobody has run it against the real system, and whether the
// backend says that its data is made up, which is known from its first answer.
func (s *Source) Caps() source.Caps {
	return source.Caps{Simulated: s.client.isSimulated(), Unproven: true}
}

// Clock is the source clock.
func (s *Source) Clock() source.Clock { return s.clock }

// Close drops the connections.
func (s *Source) Close() error {
	s.client.http.CloseIdleConnections()
	return nil
}

// Skew is how far the backend's clock is ahead of this machine's, to a second;
// false when it has not said.
func (s *Source) Skew() (time.Duration, bool) { return s.client.skew() }

// kept is the last answer of a feature that was good, or good in part.
type kept[T any] struct {
	values []T
	err    error // what was not
	at     time.Time
}

// youngEnough reports whether the answer need not be asked for again. Beats are
// never exactly an interval apart.
func (k kept[T]) youngEnough(every time.Duration) bool {
	return !k.at.IsZero() && time.Since(k.at) < every-every/10
}

// Every is how often the mapping lets the backend be asked for a feature.
func (s *Source) Every(feature string) time.Duration {
	switch feature {
	case "account_balance":
		return s.mapping.Balance.every()
	case "positions":
		return s.mapping.Positions.every()
	case "intraday":
		return s.mapping.Bars.every()
	}
	return 0
}

// Balances asks for the balance of every account. A mapping without them has
// none.
func (s *Source) Balances(ctx context.Context) ([]thor.AccountBalance, error) {
	return perAccount(ctx, s, &s.balances, &s.mapping.Balance, s.balance)
}

// Positions asks for what every account holds. A mapping without them has none.
func (s *Source) Positions(ctx context.Context) ([]thor.Positions, error) {
	return perAccount(ctx, s, &s.holdings, &s.mapping.Positions, s.positions)
}

// perAccount asks one question for every account, unless the last answer is
// young enough. What could be read comes with the errors of what could not.
func perAccount[T any](ctx context.Context, s *Source, last *kept[T], e *Endpoint, ask func(context.Context, account) (T, error)) ([]T, error) {
	if err := ctx.Err(); err != nil || len(e.Path) == 0 {
		return nil, err
	}
	s.mu.Lock()
	answer := *last
	s.mu.Unlock()
	if answer.youngEnough(e.every()) {
		return answer.values, answer.err
	}
	accounts, err := s.list(ctx)
	if err != nil {
		return nil, s.outward(ctx, err)
	}
	values, failed := make([]T, len(accounts)), make([]error, len(accounts))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, a := range accounts {
		group.Go(func() error {
			values[i], failed[i] = ask(ctx, a)
			return nil
		})
	}
	_ = group.Wait() // the errors are in failed
	good := make([]T, 0, len(values))
	for i, v := range values {
		if failed[i] == nil {
			good = append(good, v)
		}
	}
	return keep(ctx, s, last, good, gather(failed))
}

// keep remembers an answer that is good, or good in part, and returns it. One
// that was cut off is asked for again.
func keep[T any](ctx context.Context, s *Source, last *kept[T], good []T, err error) ([]T, error) {
	if ctx.Err() != nil || err != nil && len(good) == 0 {
		return good, s.outward(ctx, err)
	}
	if err != nil {
		err = &source.Partial{Err: s.outward(ctx, err)}
	}
	s.mu.Lock()
	*last = kept[T]{good, err, time.Now()}
	s.mu.Unlock()
	return good, err
}

// outward is an error for those outside, without secrets; or the context's own
// when it was cancelled, whatever that did to a request.
func (s *Source) outward(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return s.client.veil.cover(err)
}

// now is the source's time, in milliseconds.
func (s *Source) now() time.Time { return s.clock.Now().UTC().Truncate(time.Millisecond) }

// reading is a value of the backend's own time, or else the time it was read;
// never later than now, for the backend's clock may be ahead.
func (s *Source) reading(said time.Time) time.Time {
	now := s.now()
	if said.IsZero() || said.After(now) {
		return now
	}
	return said.UTC()
}

func (e *Endpoint) every() time.Duration { return cmp.Or(time.Duration(e.Every), time.Second) }
