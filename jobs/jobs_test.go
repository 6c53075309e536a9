package jobs_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"thor"
	"thor/internal/source"
	"thor/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a source whose answers the test sets.
type fake struct {
	balances  []thor.AccountBalance
	positions []thor.Positions
	bars      []thor.Bar
	markets   []thor.MarketStatus
	err       error
	since     []time.Time // what was asked for
}

func (f *fake) Balances(context.Context) ([]thor.AccountBalance, error) { return f.balances, f.err }

func (f *fake) Positions(context.Context) ([]thor.Positions, error) { return f.positions, f.err }

func (f *fake) Markets(context.Context) ([]thor.MarketStatus, error) { return f.markets, f.err }

func (f *fake) Bars(_ context.Context, since time.Time) ([]thor.Bar, error) {
	f.since = append(f.since, since)
	return f.bars, f.err
}

// out records what a job broadcasts.
type out struct {
	streams []thor.StreamID
	err     error
}

func (o *out) Broadcast(_ context.Context, msgs ...thor.Message) error {
	for _, m := range msgs {
		o.streams = append(o.streams, m.Stream)
	}
	return o.err
}

func TestListHasWhatTheSourceCanDeliver(t *testing.T) {
	t.Parallel()
	names := func(from source.Abilities) []string {
		var list []string
		for _, j := range jobs.List(from, time.Time{}) {
			list = append(list, j.Name())
		}
		return list
	}
	f := &fake{}
	all := names(source.Abilities{Balances: f, Positions: f, Bars: f, Markets: f})
	if diff := cmp.Diff(thor.FeatureNames(), all); diff != "" {
		t.Errorf("a job for each feature (-want +got):\n%s", diff)
	}
	for _, name := range names(source.Abilities{Markets: f}) {
		if name == "account_balance" || name == "positions" || name == "intraday" {
			t.Errorf("with markets alone there is a job %s", name)
		}
	}
}

func TestAccountsGoOutEvenWhenSomeCouldNotBeRead(t *testing.T) {
	t.Parallel()
	away := errors.New("the second account is away")
	f := &fake{err: away, balances: []thor.AccountBalance{{AccountID: "A"}}, positions: []thor.Positions{{AccountID: "A"}}}
	for _, job := range []jobs.Job{&jobs.AccountBalance{Source: f}, &jobs.Positions{Source: f}} {
		o := &out{}
		err := job.Execute(t.Context(), o)
		if want := []thor.StreamID{thor.NewStreamID(job.Name(), "A")}; !errors.Is(err, away) || !cmp.Equal(want, o.streams) {
			t.Errorf("%s broadcast %v and returned %v", job.Name(), o.streams, err)
		}
	}
}

func TestIntradayReadsOnWhereItWas(t *testing.T) {
	t.Parallel()
	minute := func(n int) time.Time { return time.Date(2026, 11, 23, 15, n, 0, 0, time.UTC) }
	bar := func(n int, final bool) thor.Bar {
		return thor.Bar{Symbol: "FUT.ES", TimestampMinute: minute(n), Final: final}
	}
	f := &fake{}
	job := &jobs.Intraday{Source: f}
	run := func(o *out, bars ...thor.Bar) {
		f.bars = bars
		if err := job.Execute(t.Context(), o); (err != nil) != (f.err != nil || o.err != nil) {
			t.Errorf("execute: %v", err)
		}
	}
	run(&out{}, bar(0, true), bar(1, true), bar(2, false), bar(2, true))        // one symbol still forms minute 2
	run(&out{}, bar(2, true), bar(3, true))                                     // all complete
	run(&out{}, bar(3, true), bar(4, false))                                    // a minute has come, so it looks back
	run(&out{}, bar(4, false), bar(5, false))                                   // one symbol's minute is completed late
	run(&out{err: errors.New("the disk is full")}, bar(4, true), bar(5, false)) // not stored: read again
	f.err = errors.New("the source is away")
	run(&out{})
	f.err = nil
	run(&out{})
	run(&out{}, bar(4, false), bar(59, true), bar(70, true)) // one that will not become final
	run(&out{})
	run(&out{})
	back := func(n int) time.Time { return minute(n).Add(-jobs.LookBack) }
	want := []time.Time{{}, minute(2), back(3), minute(4), back(5), back(5), back(5), minute(4), back(70), minute(70)}
	if diff := cmp.Diff(want, f.since); diff != "" {
		t.Errorf("read from (-want +got):\n%s", diff)
	}
}

// TestIntradayNoticesWhatComesLate holds that a bar that is late and one that is
// corrected go out, though newer ones have been read long before, and in
// whatever order the source names them.
func TestIntradayNoticesWhatComesLate(t *testing.T) {
	t.Parallel()
	minute := func(n int) time.Time { return time.Date(2026, 11, 23, 15, n, 0, 0, time.UTC) }
	tape := &tape{}
	job, o := &jobs.Intraday{Source: tape}, &out{}
	for n := range 30 {
		if n != 20 { // it is late
			tape.bars = append(tape.bars, thor.Bar{Symbol: "FUT.ES", TimestampMinute: minute(n), Final: true})
		}
		if n == 25 {
			tape.bars = append([]thor.Bar{{Symbol: "FUT.NQ", TimestampMinute: minute(20), Final: true}}, tape.bars...)
			tape.bars[19].Symbol = "FUT.CL" // as if it were corrected
		}
		if err := job.Execute(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		slices.Reverse(tape.bars)
	}
	for _, id := range []thor.StreamID{"intraday:FUT.NQ", "intraday:FUT.CL"} {
		if !slices.Contains(o.streams, id) {
			t.Errorf("%s did not go out", id)
		}
	}
	if n := len(o.streams); n > 30*17 {
		t.Errorf("%d bars went out, which is more than a look back once a minute", n)
	}
	n := len(o.streams)
	for range 40 { // the day is over
		if err := job.Execute(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if more := len(o.streams) - n; more < 40+15 || more > 40+40 {
		t.Errorf("%d bars went out in 40 runs, want one look back", more)
	}
}

// tape is a source with these bars, in the order they are in.
type tape struct{ bars []thor.Bar }

func (f *tape) Bars(_ context.Context, since time.Time) ([]thor.Bar, error) {
	return slices.DeleteFunc(slices.Clone(f.bars), func(b thor.Bar) bool { return b.TimestampMinute.Before(since) }), nil
}

// TestIntradayCatchesUpBesideThePresent holds that what an earlier run of the
// server missed is read in steps, and that the present does not wait for it.
func TestIntradayCatchesUpBesideThePresent(t *testing.T) {
	t.Parallel()
	minute := func(n int) time.Time { return time.Date(2026, 11, 23, 15, n, 0, 0, time.UTC) }
	bar := func(n int, final bool) thor.Bar {
		return thor.Bar{Symbol: "FUT.ES", TimestampMinute: minute(n), Final: final}
	}
	f := &steps{answers: map[time.Time][]thor.Bar{
		{}:         {bar(50, true), bar(51, false)},
		minute(51): {bar(51, false)},
		minute(36): {bar(51, false)},
		minute(0):  {bar(0, true), bar(20, true)},
		minute(20): {bar(20, true), bar(40, true)},
		minute(40): {bar(40, true), bar(51, false)},
	}}
	job := &jobs.Intraday{Source: f, Behind: minute(0)}
	refusing := &out{err: errors.New("the disk is full")}
	if err := job.Execute(t.Context(), refusing); err == nil {
		t.Error("no error")
	}
	for range 6 {
		if err := job.Execute(t.Context(), &out{}); err != nil {
			t.Fatal(err)
		}
	}
	want := []time.Time{
		{}, // refused, and read again
		{},
		minute(0), // the present first
		minute(51), minute(20),
		minute(51), minute(40), // and that has met it
		minute(51), minute(51), minute(51),
	}
	if diff := cmp.Diff(want, f.asked); diff != "" {
		t.Errorf("read from (-want +got):\n%s", diff)
	}
}

// steps answers by what it is asked for.
type steps struct {
	answers map[time.Time][]thor.Bar
	asked   []time.Time
}

func (s *steps) Bars(_ context.Context, since time.Time) ([]thor.Bar, error) {
	s.asked = append(s.asked, since)
	return s.answers[since], nil
}

func TestGlobalMarketIsDueWhenTheFirstMarketChanges(t *testing.T) {
	t.Parallel()
	at := func(hour int) thor.MarketStatus {
		return thor.MarketStatus{NextEvent: thor.MarketOpen, NextEventAt: time.Date(2026, 11, 23, hour, 0, 0, 0, time.UTC)}
	}
	f := &fake{markets: []thor.MarketStatus{at(14), {}, at(9), at(21)}}
	job := &jobs.GlobalMarket{Source: f}
	if !job.Next().IsZero() {
		t.Error("it is due before it knows anything")
	}
	o := &out{}
	if err := job.Execute(t.Context(), o); err != nil || len(o.streams) != 4 {
		t.Fatalf("broadcast %v: %v", o.streams, err)
	}
	if want := at(9).NextEventAt; !job.Next().Equal(want) {
		t.Errorf("due at %v, want %v", job.Next(), want)
	}
	f.markets = []thor.MarketStatus{{}}
	if err := job.Execute(t.Context(), o); err != nil || !job.Next().IsZero() {
		t.Errorf("due at %v, and nothing is known to change: %v", job.Next(), err)
	}
}

func TestBarsGoOutEvenWhenSomeCouldNotBeRead(t *testing.T) {
	t.Parallel()
	away := errors.New("the second symbol is away")
	minute := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	f := &fake{err: away, bars: []thor.Bar{{Symbol: "FUT.ES", TimestampMinute: minute, Final: true}}}
	job, o := &jobs.Intraday{Source: f}, &out{}
	for range 2 {
		if err := job.Execute(t.Context(), o); !errors.Is(err, away) {
			t.Errorf("got %v", err)
		}
	}
	if len(o.streams) != 2 || !f.since[1].IsZero() {
		t.Errorf("broadcast %v, and then read from %v; want it to read all again", o.streams, f.since)
	}
}
