// Package sim is a simulated broker: made-up prices that look real, the
// one-minute bars they make, and paper accounts that trade on them, with books
// that are exact to the cent. It is what thor runs on out of the box and
// what the laws, demonstrations and tests of the other packages stand on.
//
// Everything it says is a function of its seed and its clock. Two servers with
// the same seed say the same at the same instant, on any platform, and a
// restart changes nothing.
//
// It takes no orders, knows no news, and its prices are not a model of any
// market. Who asks it twice at the same instant gets the same answer; nothing is
// ever late, missing or corrected, unless a [Script] says so. The states of
// markets are not its business: they come from the calendar.
package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"thor"
	"thor/internal/source"
)

// Exchanges says when exchanges trade.
type Exchanges interface {
	// Sessions returns the regular sessions of the exchange with that MIC that
	// overlap [from, to), oldest first.
	Sessions(mic string, from, to time.Time) ([]thor.Session, error)
}

// Source is the simulated broker. It must not be copied after its first use.
//
// It covers the time from 2025-01-01 to before 2040-01-01, and of what trades
// on an exchange the sessions until 2027-12-31: after that those symbols stay
// closed.
type Source struct {
	Seed        uint64       // 0 is 1
	Books       int          // how many accounts there are; 0 is 2
	Special     []string     // accounts besides, by the names of [Specials]; "all" is all
	SourceClock source.Clock // nil is the wall clock
	// Exchanges says when XNYS and CMES trade. It is required, and asked once,
	// before the first answer.
	Exchanges Exchanges
	// Script is what goes wrong; nil is nothing.
	Script *Script

	once    sync.Once
	series  []*series
	ledgers []*ledger
	play    *play // nil is no script
	err     error
}

var (
	_ source.Source        = (*Source)(nil)
	_ source.AccountSource = (*Source)(nil)
	_ source.BarSource     = (*Source)(nil)
)

const name = "sim"

// span is what the simulator covers: everything begins at from, exchanges close
// for good at exchanges, and at to it ends.
var span = struct{ from, exchanges, to time.Time }{
	from:      time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
	exchanges: time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC),
	to:        time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC),
}

// Validate reports whether the source can answer: whether it has exchanges with
// plausible sessions, and whether its clock shows a time it covers.
func (s *Source) Validate() error {
	if err := s.load(); err != nil {
		return err
	}
	_, err := s.now()
	return err
}

// Name is "sim", and which script it plays.
func (s *Source) Name() string {
	if s.Script == nil {
		return name
	}
	return name + ", script " + s.Script.name
}

// Caps says that the data is simulated.
func (s *Source) Caps() source.Caps { return source.Caps{Simulated: true} }

// Clock is the source clock.
func (s *Source) Clock() source.Clock {
	if s.SourceClock == nil {
		return source.WallClock{}
	}
	return s.SourceClock
}

// Close does nothing: nothing is running.
func (s *Source) Close() error { return nil }

// Accounts returns the paper accounts as they are now. The first call after
// a start replays what they did since 2025-01-01.
func (s *Source) Accounts(ctx context.Context) ([]source.Account, error) {
	at, err := s.begin(ctx, askAccounts)
	if err != nil {
		return nil, err
	}
	accounts := make([]source.Account, len(s.ledgers))
	for i, l := range s.ledgers {
		book, err := l.bookAt(ctx, at)
		if err != nil {
			return nil, err
		}
		accounts[i] = l.statement(book, at)
	}
	return s.play.accounts(accounts, at)
}

// Bars returns the bars since then of every symbol, ordered by minute and
// symbol; where there are many, those of the first hours.
func (s *Source) Bars(ctx context.Context, since time.Time) ([]thor.Bar, error) {
	at, err := s.begin(ctx, askBars)
	if err != nil {
		return nil, err
	}
	all, err := bars(ctx, s.series, since, at)
	if err != nil || s.play == nil {
		return all, err
	}
	symbols := make([]string, len(s.series))
	for i, one := range s.series {
		symbols[i] = one.symbol
	}
	return s.play.bars(all, symbols, at)
}

// begin is what every question begins with. It returns the instant the answer
// is for, in seconds since 1970.
func (s *Source) begin(ctx context.Context, op string) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := s.load(); err != nil {
		return 0, &source.Error{Kind: source.NotSupported, Source: name, Op: op, Err: err}
	}
	at, err := s.now()
	if err != nil {
		return 0, &source.Error{Kind: source.EndOfData, Source: name, Op: op, Err: err}
	}
	return at, s.play.meet(ctx, op, at)
}

// now is the source's time in whole seconds since 1970.
func (s *Source) now() (int64, error) {
	now := s.Clock().Now()
	return now.Unix(), Covers(now)
}

// Covers reports whether the simulator knows anything of that time.
func Covers(at time.Time) error {
	if at.Before(span.from) || !at.Before(span.to) {
		return thor.Errorf(thor.EINVALID, "the simulator covers %s to %s, and not %s",
			span.from.Format(time.DateOnly), span.to.AddDate(0, 0, -1).Format(time.DateOnly), at.UTC().Format(time.RFC3339))
	}
	return nil
}

// load makes the series and the ledgers, once.
func (s *Source) load() error {
	s.once.Do(func() {
		seed := max(s.Seed, 1)
		if s.series, s.err = s.allSeries(seed); s.err == nil {
			var more []account
			more, s.err = special(s.Special)
			s.ledgers = newLedgers(seed, append(accounts(cmp.Or(s.Books, 2)), more...), s.series)
			s.err = errors.Join(s.err, s.perform())
		}
	})
	return s.err
}

func (s *Source) allSeries(seed uint64) ([]*series, error) {
	if s.Exchanges == nil {
		return nil, thor.Errorf(thor.EINVALID, "the simulator has no exchanges").
			WithHint("Set Exchanges to a calendar.")
	}
	sessions := map[string][]thor.Session{"": days()}
	for _, mic := range []string{newYork, chicago} {
		regular, err := s.Exchanges.Sessions(mic, span.from, span.exchanges)
		if err != nil {
			return nil, fmt.Errorf("sessions of %s: %w", mic, err)
		}
		for len(regular) > 0 && regular[0].Open.Before(span.from) {
			regular = regular[1:]
		}
		if err := checkSessions(regular); err != nil {
			return nil, err
		}
		sessions[mic] = regular
	}
	stocks := newMarket(seed, "stocks", stocksMove, map[string][]thor.Session{newYork: sessions[newYork], chicago: sessions[chicago]})
	coins := newMarket(seed, "coins", coinsMove, map[string][]thor.Session{"": sessions[""]})
	var all []*series
	for _, i := range catalogue() {
		m := stocks
		if i.mic == "" {
			m = coins
		}
		all = append(all, newSeries(seed, i, sessions[i.mic], m))
	}
	return all, nil
}

// days are the sessions of what trades at any hour.
func days() []thor.Session {
	var all []thor.Session
	for day := span.from; day.Before(span.to); day = day.AddDate(0, 0, 1) {
		all = append(all, thor.Session{
			Date: day.Format(time.DateOnly),
			Open: day, Close: day.AddDate(0, 0, 1),
		})
	}
	return all
}
