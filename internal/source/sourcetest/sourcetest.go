// Package sourcetest holds the laws every source obeys. An adapter passes them
// by one call of [Run] from its own tests.
//
// It judges form and consistency: whether what a source says can be published,
// and whether it contradicts itself. It does not know whether a price is right.
package sourcetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"thor"
	"thor/internal/source"
)

// promptly is how long a call with a cancelled context may take.
const promptly = time.Second

// Run checks the laws of a source; those about an ability, when the source has
// it. Each law opens a source of its own, several at a time. A source with bars
// has some when it is opened; if its clock can be advanced, as [Clock] can, bars
// are judged across a few minutes.
func Run(t *testing.T, open func(t *testing.T) source.Source) {
	t.Helper()
	asked := open(t)
	can := source.AbilitiesOf(asked)
	if err := asked.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	laws := []struct {
		name    string
		applies bool
		law     func(t *testing.T, s source.Source)
	}{
		{"it has a name, a clock and an ability", true, hasName},
		{"it may be closed twice", true, closesTwice},
		{"a cancelled context is returned as it is", true, returnsCancel},
		{"balance and positions encode and belong together", can.Accounts != nil, accountsAgree},
		{"accounts keep their ids", can.Accounts != nil, accountsKeepIDs},
		{"balances on their own encode", can.Balances != nil, balancesEncode},
		{"positions on their own encode", can.Positions != nil, positionsEncode},
		{"bars are in order and plausible", can.Bars != nil, barsAreSound},
		{"no bar is older than was asked for", can.Bars != nil, barsFollowSince},
		{"a final bar is the same whenever it is asked for", can.Bars != nil, finalBarsStay},
		{"asking on from the newest minute arrives at now", can.Bars != nil, barsArrive},
		{"markets encode", can.Markets != nil, marketsEncode},
		{"many may ask at once", true, manyAsk},
	}
	for _, l := range laws {
		if !l.applies {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			l.law(t, s)
		})
	}
}

func hasName(t *testing.T, s source.Source) {
	t.Helper()
	if !thor.ValidID(s.Name()) {
		t.Errorf("name: got %q, want a short word", s.Name())
	}
	if s.Clock() == nil {
		t.Fatal("it has no clock")
	}
	if s.Clock().Now().IsZero() || s.Clock().Speed() <= 0 {
		t.Errorf("its clock shows %s at speed %v", s.Clock().Now(), s.Clock().Speed())
	}
	if source.AbilitiesOf(s) == (source.Abilities{}) {
		t.Error("it delivers nothing")
	}
}

func closesTwice(t *testing.T, s source.Source) {
	t.Helper()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// call is one of a source's abilities, its answer thrown away.
type call struct {
	name string
	do   func(ctx context.Context) error
}

// calls are all the abilities; bars are asked for since each of these times.
func calls(s source.Source, sinces ...time.Time) []call {
	var all []call
	can := source.AbilitiesOf(s)
	if can.Accounts != nil {
		all = append(all, call{"accounts", func(ctx context.Context) error {
			_, err := can.Accounts.Accounts(ctx)
			return err
		}})
	}
	if can.Balances != nil {
		all = append(all, call{"balances", func(ctx context.Context) error {
			_, err := can.Balances.Balances(ctx)
			return err
		}})
	}
	if can.Positions != nil {
		all = append(all, call{"positions", func(ctx context.Context) error {
			_, err := can.Positions.Positions(ctx)
			return err
		}})
	}
	if can.Bars != nil {
		for _, since := range sinces {
			all = append(all, call{"bars", func(ctx context.Context) error {
				_, err := can.Bars.Bars(ctx, since)
				return err
			}})
		}
	}
	if can.Markets != nil {
		all = append(all, call{"markets", func(ctx context.Context) error {
			_, err := can.Markets.Markets(ctx)
			return err
		}})
	}
	return all
}

func returnsCancel(t *testing.T, s source.Source) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range calls(s, time.Time{}, s.Clock().Now()) {
		began := time.Now()
		err := c.do(ctx)
		if err != context.Canceled { //nolint:errorlint // as it is: not wrapped
			t.Errorf("%s: got error %v, want context.Canceled itself", c.name, err)
		}
		if took := time.Since(began); took > promptly {
			t.Errorf("%s: took %s to notice the cancelled context, want less than %s", c.name, took, promptly)
		}
	}
}

func accountsAgree(t *testing.T, s source.Source) {
	t.Helper()
	if err := accountLaws(askAccounts(t, s), s.Caps().Simulated); err != nil {
		t.Error(err)
	}
}

func accountsKeepIDs(t *testing.T, s source.Source) {
	t.Helper()
	ids := func() []string {
		var all []string
		for _, a := range askAccounts(t, s) {
			all = append(all, a.Balance.AccountID)
		}
		slices.Sort(all)
		return all
	}
	want := ids()
	advance(s)
	if got := ids(); !slices.Equal(got, want) {
		t.Errorf("ids: got %v, want %v as before", got, want)
	}
}

func askAccounts(t *testing.T, s source.Source) []source.Account {
	t.Helper()
	accounts, err := source.AbilitiesOf(s).Accounts.Accounts(t.Context())
	if err != nil {
		t.Fatalf("accounts: %v", err)
	}
	return accounts
}

func balancesEncode(t *testing.T, s source.Source) {
	t.Helper()
	balances, err := source.AbilitiesOf(s).Balances.Balances(t.Context())
	if err != nil {
		t.Fatalf("balances: %v", err)
	}
	if err := streamLaws(thor.AccountBalanceMessages(balances)); err != nil {
		t.Error(err)
	}
}

func positionsEncode(t *testing.T, s source.Source) {
	t.Helper()
	positions, err := source.AbilitiesOf(s).Positions.Positions(t.Context())
	if err != nil {
		t.Fatalf("positions: %v", err)
	}
	if err := streamLaws(thor.PositionsMessages(positions)); err != nil {
		t.Error(err)
	}
}

func barsAreSound(t *testing.T, s source.Source) {
	t.Helper()
	bars := askBars(t, s, time.Time{})
	if len(bars) == 0 {
		t.Fatal("there is no bar to judge")
	}
	if err := encodeLaws(bars); err != nil {
		t.Error(err)
	}
	advance(s)
	askBars(t, s, bars[len(bars)-1].TimestampMinute)
}

func barsFollowSince(t *testing.T, s source.Source) {
	t.Helper()
	all := askBars(t, s, time.Time{})
	if len(all) == 0 {
		t.Fatal("there is no bar to judge")
	}
	half, last := all[len(all)/2].TimestampMinute, all[len(all)-1].TimestampMinute
	for _, since := range []time.Time{half, last, last.Add(time.Nanosecond)} {
		if err := finalLaws(all, askBars(t, s, since), since); err != nil {
			t.Error(err)
		}
	}
	if got := askBars(t, s, s.Clock().Now().Add(24*time.Hour)); len(got) != 0 {
		t.Errorf("bars since tomorrow: got %d, want none", len(got))
	}
}

func finalBarsStay(t *testing.T, s source.Source) {
	t.Helper()
	before := askBars(t, s, time.Time{})
	if len(before) == 0 {
		t.Fatal("there is no bar to judge")
	}
	for _, first := range []thor.Bar{before[len(before)/4*3], before[0]} {
		since := first.TimestampMinute
		if err := finalLaws(before, askBars(t, s, since), since); err != nil {
			t.Error(err)
		}
		advance(s)
	}
}

func barsArrive(t *testing.T, s source.Source) {
	t.Helper()
	last := askBars(t, s, time.Time{})
	since := s.Clock().Now().AddDate(0, 0, -5)
	for range 1000 {
		bars := askBars(t, s, since)
		if len(bars) == 0 {
			t.Fatalf("no bars since %s, where a bar was", since)
		}
		newest := bars[len(bars)-1].TimestampMinute
		if !newest.After(since) {
			if newest.Before(last[len(last)-1].TimestampMinute) {
				t.Errorf("it does not get beyond %s", newest)
			}
			return
		}
		since = newest
	}
	t.Errorf("after 1,000 answers it is at %s", since)
}

// askBars returns an answer to Bars that obeys the laws of one answer.
func askBars(t *testing.T, s source.Source, since time.Time) []thor.Bar {
	t.Helper()
	bars, err := source.AbilitiesOf(s).Bars.Bars(t.Context(), since)
	if err != nil {
		t.Fatalf("bars since %s: %v", since, err)
	}
	if err := barLaws(bars, since, s.Clock().Now()); err != nil {
		t.Error(err)
	}
	return bars
}

func marketsEncode(t *testing.T, s source.Source) {
	t.Helper()
	markets, err := source.AbilitiesOf(s).Markets.Markets(t.Context())
	if err != nil {
		t.Fatalf("markets: %v", err)
	}
	if err := marketLaws(markets); err != nil {
		t.Error(err)
	}
}

func manyAsk(t *testing.T, s source.Source) {
	t.Helper()
	name, caps := s.Name(), s.Caps()
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			now := s.Clock().Now()
			for _, c := range calls(s, now.Add(-time.Hour), now.Add(-time.Minute)) {
				if err := c.do(t.Context()); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
				if s.Name() != name || s.Caps() != caps || s.Clock() == nil {
					t.Error("it changed while it was asked")
				}
				advance(s)
			}
		})
	}
	asking.Wait()
}

// advance moves the source's clock a little more than a minute, if it can be
// moved.
func advance(s source.Source) {
	if c, ok := s.Clock().(interface{ Advance(d time.Duration) }); ok {
		c.Advance(61 * time.Second)
	}
}
