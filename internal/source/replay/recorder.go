package replay

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"thor"
	"thor/internal/source"
)

// Describe makes the header of a recording of a source that is asked that often.
func Describe(s source.Source, every time.Duration, version string) Header {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // it never fails
	clock, caps := s.Clock(), s.Caps()
	h := Header{
		Format: Format, ID: hex.EncodeToString(id), Thor: version, Source: s.Name(),
		Simulated: caps.Simulated, Unproven: caps.Unproven, Virtual: clock.Virtual(), Speed: clock.Speed(), Every: every,
		Asked: nouns(source.AbilitiesOf(s)), From: clock.Now().UTC().Round(0), Paced: map[string]time.Duration{},
	}
	if paced := source.AbilitiesOf(s).Paced; paced != nil {
		for _, feature := range h.Features() {
			if every := paced.Every(feature); every > 0 {
				h.Paced[feature] = every
			}
		}
	}
	return h
}

func nouns(can source.Abilities) []string {
	list := []string{}
	for noun, there := range map[string]bool{
		Accounts: can.Accounts != nil, Balances: can.Balances != nil, Positions: can.Positions != nil,
		Bars: can.Bars != nil, Markets: can.Markets != nil,
	} {
		if there {
			list = append(list, noun)
		}
	}
	slices.Sort(list)
	return list
}

// Recorder is a source that writes down what another one says, and passes it on
// as it is. Make one with [NewRecorder].
//
// It can do what the other can. When nothing more can be written it goes on as a
// source; [Writer.Failed] tells.
type Recorder struct {
	source.Source
	can   source.Abilities
	out   *Writer
	scrub *scrubber

	mu       sync.Mutex // guards what follows, and keeps times and lines in one order
	caps     source.Caps
	end      End
	symbols  map[string]bool
	accounts map[string]bool
	closed   bool // what comes now is not recorded
}

var (
	_ source.Source = (*Recorder)(nil)
	_ source.Able   = (*Recorder)(nil)
)

// NewRecorder returns a recorder that writes to w, without the secrets.
func NewRecorder(s source.Source, w *Writer, secrets []string) *Recorder {
	r := &Recorder{
		Source: s, out: w, scrub: newScrubber(secrets), caps: s.Caps(),
		symbols: map[string]bool{}, accounts: map[string]bool{},
	}
	can := source.AbilitiesOf(s)
	r.can.Paced, r.can.Labelled = can.Paced, can.Labelled
	if can.Accounts != nil {
		r.can.Accounts = recordedAccounts{r, can.Accounts}
	}
	if can.Balances != nil {
		r.can.Balances = recordedBalances{r, can.Balances}
	}
	if can.Positions != nil {
		r.can.Positions = recordedPositions{r, can.Positions}
	}
	if can.Bars != nil {
		r.can.Bars = recordedBars{r, can.Bars}
	}
	if can.Markets != nil {
		r.can.Markets = recordedMarkets{r, can.Markets}
	}
	return r
}

// Abilities implements [source.Able].
func (r *Recorder) Abilities() source.Abilities { return r.can }

// Close writes the last line, closes the file and the source. It returns the
// error because of which something could not be written.
func (r *Recorder) Close() error {
	end := r.Summary()
	r.mu.Lock()
	r.closed = true
	r.end.To = end.To
	r.mu.Unlock()
	return errors.Join(r.out.close(end), r.Source.Close())
}

// Summary is what has been recorded so far.
func (r *Recorder) Summary() End {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := r.end
	if !r.closed {
		end.To = r.Clock().Now().UTC().Round(0)
	}
	end.Symbols = slices.AppendSeq([]string{}, maps.Keys(r.symbols))
	end.Accounts = slices.AppendSeq([]string{}, maps.Keys(r.accounts))
	slices.Sort(end.Symbols)
	slices.Sort(end.Accounts)
	return end
}

type recordedAccounts struct {
	*Recorder
	asked source.AccountSource
}

// Accounts implements [source.AccountSource].
func (r recordedAccounts) Accounts(ctx context.Context) ([]source.Account, error) {
	return record(ctx, r.Recorder, Accounts, r.asked.Accounts, func(a *answer, got []source.Account) {
		for _, g := range got {
			a.Accounts = append(a.Accounts, account{r.balance(g.Balance), r.positions(g.Positions)})
		}
	})
}

type recordedBalances struct {
	*Recorder
	asked source.BalanceSource
}

// Balances implements [source.BalanceSource].
func (r recordedBalances) Balances(ctx context.Context) ([]thor.AccountBalance, error) {
	return record(ctx, r.Recorder, Balances, r.asked.Balances, func(a *answer, got []thor.AccountBalance) {
		for _, b := range got {
			a.Balances = append(a.Balances, r.balance(b))
		}
	})
}

type recordedPositions struct {
	*Recorder
	asked source.PositionsSource
}

// Positions implements [source.PositionsSource].
func (r recordedPositions) Positions(ctx context.Context) ([]thor.Positions, error) {
	return record(ctx, r.Recorder, Positions, r.asked.Positions, func(a *answer, got []thor.Positions) {
		for _, p := range got {
			a.Positions = append(a.Positions, r.positions(p))
		}
	})
}

type recordedBars struct {
	*Recorder
	asked source.BarSource
}

// Bars implements [source.BarSource].
func (r recordedBars) Bars(ctx context.Context, since time.Time) ([]thor.Bar, error) {
	ask := func(ctx context.Context) ([]thor.Bar, error) { return r.asked.Bars(ctx, since) }
	return record(ctx, r.Recorder, Bars, ask, func(a *answer, got []thor.Bar) {
		a.Since, a.Bars = since.UTC(), got
		for _, b := range got {
			r.symbols[b.Symbol] = true
		}
	})
}

type recordedMarkets struct {
	*Recorder
	asked source.MarketSource
}

// Markets implements [source.MarketSource].
func (r recordedMarkets) Markets(ctx context.Context) ([]thor.MarketStatus, error) {
	return record(ctx, r.Recorder, Markets, r.asked.Markets, func(a *answer, got []thor.MarketStatus) { a.Markets = got })
}

func (r *Recorder) balance(b thor.AccountBalance) thor.AccountBalance {
	b.AccountID = r.account(b.AccountID)
	return b
}

func (r *Recorder) positions(p thor.Positions) thor.Positions {
	p.AccountID = r.account(p.AccountID)
	return p
}

// account is the name an account has in the recording. The caller holds mu.
func (r *Recorder) account(id string) string {
	name := r.scrub.account(id)
	r.accounts[name] = true
	return name
}

// record asks and writes down the answer.
func record[T any](ctx context.Context, r *Recorder, noun string, ask func(context.Context) ([]T, error), put func(*answer, []T)) (got []T, err error) {
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			r.write(noun, time.Since(began), fmt.Errorf("panic: %v", p), func(*answer) {})
			panic(p) // it is its caller's
		}
	}()
	got, err = ask(ctx)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		// We have hung up; the source has said nothing.
	case ctx.Err() != nil: // nobody takes what comes after the deadline
		r.write(noun, time.Since(began), cmp.Or(err, ctx.Err()), func(*answer) {})
	default:
		r.write(noun, time.Since(began), err, func(a *answer) { put(a, got) })
	}
	return got, err
}

// write writes one answer. Its errors stay with the writer.
func (r *Recorder) write(noun string, took time.Duration, failed error, put func(*answer)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	at := r.Clock().Now()
	if caps := r.Caps(); caps != r.caps {
		r.caps = caps
		_ = r.out.write(at, kindCaps, 0, capsLine{caps.Simulated, caps.Unproven})
	}
	var a answer
	put(&a)
	a.Errors = r.failures(noun, failed)
	_, a.Partial = errors.AsType[*source.Partial](failed)
	data, err := json.Marshal(a)
	if err != nil { // a time that is none, for instance
		a = answer{Errors: r.failures(noun, fmt.Errorf("an answer that cannot be written down: %w", err))}
		data, _ = json.Marshal(a) // it has words alone
	}
	if r.out.write(at, noun, took, json.RawMessage(r.scrub.json(data))) != nil {
		return
	}
	r.end.Answers++
	if len(a.Errors) > 0 {
		r.end.Errors++
	}
}

// capsLine is the data of a line about what the source is like.
type capsLine struct {
	Simulated bool `json:"simulated"`
	Unproven  bool `json:"unproven"`
}

// failures takes apart what went wrong.
func (r *Recorder) failures(noun string, err error) []failure {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []failure
		for _, one := range joined.Unwrap() {
			all = append(all, r.failures(noun, one)...)
		}
		return all
	}
	if part, ok := err.(*source.Partial); ok { //nolint:errorlint // what wraps it has words of its own
		return r.failures(noun, part.Err)
	}
	f := failure{Kind: source.KindOf(err), Source: r.Name(), Op: noun, Words: err.Error()}
	if e, ok := errors.AsType[*source.Error](err); ok {
		f.Source, f.Op, f.Status, f.RetryAt = e.Source, e.Op, e.Status, e.RetryAt.UTC()
		if err == error(e) { //nolint:errorlint // is it wrapped in words of its own?
			f.Words = ""
			if e.Err != nil {
				f.Words = e.Err.Error()
			}
		}
	}
	f.Source, f.Op, f.Words = r.scrub.words(f.Source), r.scrub.words(f.Op), r.scrub.words(f.Words)
	return []failure{f}
}
