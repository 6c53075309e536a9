package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"thor"
	"thor/internal/source"
)

// play is a script at work on the answers of a source. What is of single bars
// the series have themselves.
type play struct {
	script string
	cues   []cue
	clock  source.Clock

	mu      sync.Mutex // guards expired
	expired map[expiry]bool
}

// expiry is an answer that has said that the login has expired.
type expiry struct {
	line  int
	begin int64
	op    string
}

// The two questions, which are also what faults can be about.
const (
	askAccounts = "accounts"
	askBars     = "bars"
)

// perform hands the faults of the script to who acts them: those of bars to
// their series, the others to the play of the source.
func (s *Source) perform() error {
	if s.Script == nil {
		return nil
	}
	s.play = &play{script: s.Script.name, clock: s.Clock(), expired: map[expiry]bool{}}
	var errs []error
	for _, c := range s.Script.faults {
		c.seed = digestOf(max(s.Seed, 1), "script", fmt.Sprint(c.line))[0]
		c.sessions = s.bells(newYork)
		info, _ := faultNamed(string(c.fault)) // the parser knows them
		if info.Targets&aSymbol == 0 || info.Targets&nouns != 0 {
			if err := s.knows(c); err != nil {
				errs = append(errs, err)
			}
			s.play.cues = append(s.play.cues, c)
			continue
		}
		for _, one := range s.series {
			if c.target == "" || c.target == one.symbol {
				mine := c
				if c.target != "" {
					mine.sessions = one.sessions
				}
				one.cues = append(one.cues, mine)
				one.halts = one.halts || c.fault == FaultHalt
			}
		}
	}
	return errors.Join(errs...)
}

// bells are the sessions of an exchange.
func (s *Source) bells(mic string) []session {
	i := slices.IndexFunc(s.series, func(one *series) bool { return one.mic == mic })
	return s.series[i].sessions
}

// knows reports whether there is what the cue is about.
func (s *Source) knows(c cue) error {
	if slices.Contains([]string{"", askAccounts, askBars}, c.target) || slices.ContainsFunc(s.series, func(one *series) bool { return one.symbol == c.target }) {
		return nil
	}
	if slices.ContainsFunc(s.ledgers, func(l *ledger) bool { return l.id == c.target }) {
		return nil
	}
	return thor.Errorf(thor.EINVALID, "%s:%d: there is no account %s", s.Script.name, c.line, c.target).
		WithHint("--sim-accounts and --sim-special say which there are.")
}

// meet is what happens before an answer: nothing, or an error instead of it.
func (p *play) meet(ctx context.Context, op string, at int64) error {
	if p == nil {
		return nil
	}
	for i := range p.cues {
		c := &p.cues[i]
		begin, on := c.on(at)
		if !on || c.target != "" && c.target != op {
			continue
		}
		over := begin + c.lasts
		fail := func(kind source.Kind, status int, words string) error {
			return &source.Error{Kind: kind, Source: name, Op: op, Status: status, Err: p.because(c, words)}
		}
		switch c.fault {
		case FaultDisconnect:
			return fail(source.Transient, 0, "the connection is broken")
		case FaultHang:
			wait(ctx, p.until(at, over))
			return errors.Join(ctx.Err(), fail(source.Transient, 0, "no answer"))
		case FaultLimit:
			return &source.Error{
				Kind: source.RateLimited, Source: name, Op: op, Status: 429,
				RetryAt: p.wall(at, over), Err: p.because(c, "asked too often"),
			}
		case FaultExpire:
			if p.first(expiry{c.line, begin, op}) {
				return fail(source.AuthExpired, 401, "the login has expired")
			}
			return fail(source.AuthRequired, 401, "somebody must log in")
		default:
		}
	}
	return nil
}

// because says that a fault is scripted, and where.
func (p *play) because(c *cue, words string) error {
	return fmt.Errorf("%s (scripted: line %d of %s)", words, c.line, p.script)
}

// first reports whether an expiry is told for the first time.
func (p *play) first(e expiry) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.expired[e] {
		return false
	}
	for old := range p.expired { // of earlier times
		if old.line == e.line && old.begin != e.begin {
			delete(p.expired, old)
		}
	}
	p.expired[e] = true
	return true
}

// until is how long it takes from one instant to another on the wall clock.
func (p *play) until(at, then int64) time.Duration {
	return time.Duration(float64(then-at) / p.clock.Speed() * float64(time.Second))
}

// wall is the wall clock's time at an instant of the source's.
func (p *play) wall(at, then int64) time.Time {
	if !p.clock.Virtual() {
		return instant(then)
	}
	return time.Now().UTC().Add(p.until(at, then))
}

// wait waits until ctx ends, or for so long.
func wait(ctx context.Context, long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// each calls act for every cue that is on and may be about parts of an answer.
func (p *play) each(op string, at int64, act func(c *cue, begin int64)) {
	for i := range p.cues {
		c := &p.cues[i]
		if c.target == askAccounts && op == askBars || c.target == askBars && op == askAccounts {
			continue
		}
		if begin, on := c.on(at); on {
			act(c, begin)
		}
	}
}

// hits reports whether a cue is about one account or symbol: the one it names,
// or every second one, or all.
func (c *cue) hits(id string, place, count int) bool {
	switch c.target {
	case "", askAccounts, askBars:
		return c.fault != FaultHalf || place%2 == 1 || count == 1
	}
	return c.target == id
}

// accounts does to an answer what the script says.
func (p *play) accounts(all []source.Account, at int64) ([]source.Account, error) {
	if p == nil {
		return all, nil
	}
	var errs []error
	lost := map[string]bool{}
	p.each(askAccounts, at, func(c *cue, _ int64) {
		for i := range all {
			a := &all[i]
			id := a.Balance.AccountID
			if !c.hits(id, i, len(all)) {
				continue
			}
			switch c.fault {
			case FaultHalf:
				lost[id] = true
				errs = append(errs, &source.Error{Kind: source.Transient, Source: name, Op: "account " + id, Err: p.because(c, "it cannot be read")})
			case FaultBad:
				a.Balance.Currency, a.Positions.Timestamp = "?", time.Time{}
				errs = append(errs, &source.Error{Kind: source.BadData, Source: name, Op: "account " + id, Err: p.because(c, "it has values that cannot be")})
			case FaultSkew:
				by := time.Duration(c.by) * time.Second
				a.Balance.Timestamp, a.Positions.Timestamp = a.Balance.Timestamp.Add(by), a.Positions.Timestamp.Add(by)
			default:
			}
		}
	})
	all = slices.DeleteFunc(all, func(a source.Account) bool { return lost[a.Balance.AccountID] })
	return all, inPart(len(all), errs)
}

// bars does to an answer what the script says.
func (p *play) bars(all []thor.Bar, symbols []string, at int64) ([]thor.Bar, error) {
	if p == nil {
		return all, nil
	}
	var errs []error
	lost := map[string]bool{}
	p.each(askBars, at, func(c *cue, begin int64) {
		for i, symbol := range symbols {
			if !c.hits(symbol, i, len(symbols)) {
				continue
			}
			switch c.fault {
			case FaultHalf:
				lost[symbol] = true
				errs = append(errs, &source.Error{Kind: source.Transient, Source: name, Op: "bars of " + symbol, Err: p.because(c, "they cannot be read")})
			case FaultBad:
				spoil(all, symbol)
				errs = append(errs, &source.Error{Kind: source.BadData, Source: name, Op: "bars of " + symbol, Err: p.because(c, "they have values that cannot be")})
			default:
			}
		}
		switch c.fault {
		case FaultSkew:
			for i := range all {
				if !all[i].Final {
					all[i].Timestamp = all[i].Timestamp.Add(time.Duration(c.by) * time.Second)
				}
			}
		case FaultDuplicate:
			all = twice(all)
		case FaultDisorder:
			shuffle(all, stream(hash(c.seed, begin)^hash(c.seed, at)))
		default:
		}
	})
	all = slices.DeleteFunc(all, func(b thor.Bar) bool { return lost[b.Symbol] })
	return all, inPart(len(all), errs)
}

// inPart is the error beside an answer of which so much is left.
func inPart(left int, errs []error) error {
	err := errors.Join(errs...)
	if err == nil || left == 0 {
		return err
	}
	return &source.Partial{Err: err}
}

// spoil puts the low of a symbol's bars above their high.
func spoil(all []thor.Bar, symbol string) {
	for i := range all {
		if all[i].Symbol == symbol {
			all[i].Low = all[i].High.Add(thor.NewDecimal(1, 0))
		}
	}
}

// twice returns every bar two times.
func twice(all []thor.Bar) []thor.Bar {
	double := make([]thor.Bar, 0, 2*len(all))
	for _, b := range all {
		double = append(double, b, b)
	}
	return double
}

// shuffle brings bars into an order of chance.
func shuffle(all []thor.Bar, chance stream) {
	for i := len(all) - 1; i > 0; i-- {
		j := int(chance.below(int64(i + 1)))
		all[i], all[j] = all[j], all[i]
	}
}

// halted reports whether the minute an instant lies in is halted, and the second
// before the first such minute.
func (s *series) halted(at int64) (before int64, halted bool) {
	if !s.halts {
		return 0, false
	}
	start := at - at%minute
	for i := range s.cues {
		if s.cues[i].fault != FaultHalt {
			continue
		}
		if begin, on := s.cues[i].on(start); on {
			return begin + (minute-begin%minute)%minute - 1, true
		}
	}
	return 0, false
}

// told is a bar as it is told at an instant, when the script has something to
// say of its minute; false is that it is not told.
func (s *series) told(b thor.Bar, start, at int64) (thor.Bar, bool) {
	for i := range s.cues {
		c := &s.cues[i]
		if _, on := c.on(start); !on {
			continue
		}
		end := start + minute
		switch c.fault {
		case FaultHalt, FaultMissing:
			return b, false
		case FaultLate:
			if at < end+c.by {
				return b, false
			}
		case FaultCorrect:
			if at >= end+c.by {
				b = s.corrected(b, hash(c.seed, start))
				b.Timestamp = instant(end + c.by)
			}
		default:
		}
	}
	return b, true
}

// corrected is a bar with some trades more, beyond what were its high and low.
func (s *series) corrected(b thor.Bar, chance uint64) thor.Bar {
	tick := thor.NewDecimal(s.tick, thor.ScaleMoney)
	times := func(n uint64) thor.Decimal { return tick.Mul(thor.NewDecimal(int64(1+n%3), 0)) }
	b.High = b.High.Add(times(chance >> 8))
	b.Low = b.Low.Sub(times(chance >> 16))
	more := thor.NewDecimal(int64(101+chance>>24%8), 2)
	if b.Volume = b.Volume.Mul(more).Round(thor.ScaleCoin); s.unit() == 1 {
		b.Volume = b.Volume.Round(0).Round(thor.ScaleQuantity)
	}
	return b
}
