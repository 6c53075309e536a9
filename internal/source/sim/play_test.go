package sim

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/source"
	"thor/internal/source/sourcetest"
)

// played returns a source that plays a script, and its clock.
func played(t *testing.T, text string, now time.Time) (*Source, *sourcetest.Clock) {
	t.Helper()
	script, err := ParseScript("test", text)
	if err != nil {
		t.Fatal(err)
	}
	clock := sourcetest.NewClock(now)
	s := &Source{SourceClock: clock, Script: script, Exchanges: weekdays{}}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return s, clock
}

// monday is a Monday on which everything trades; at is a time of its UTC day.
func monday(at string) time.Time { return utc("2026-11-23T" + at + "Z") }

func TestFaultsInsteadOfAnAnswer(t *testing.T) {
	t.Parallel()
	// ask asks for both, and returns the kinds of the errors.
	ask := func(t *testing.T, s *Source) (accounts, bars source.Kind) {
		t.Helper()
		found, err := s.Accounts(t.Context())
		if err == nil && len(found) != 2 || err != nil && found != nil {
			t.Errorf("%d accounts with %v", len(found), err)
		}
		accounts = source.KindOf(err)
		all, err := s.Bars(t.Context(), monday("15:29:00"))
		if err == nil && len(all) == 0 || err != nil && all != nil {
			t.Errorf("%d bars with %v", len(all), err)
		}
		if err != nil && !strings.Contains(err.Error(), "(scripted: line 1 of test)") {
			t.Errorf("%v does not say that it is scripted", err)
		}
		return accounts, source.KindOf(err)
	}
	for _, tt := range []struct {
		line           string
		accounts, bars []source.Kind // one for each time it is asked
	}{
		{"15:30 disconnect for 20s", []source.Kind{source.Transient, source.Transient}, []source.Kind{source.Transient, source.Transient}},
		{"15:30 disconnect bars for 20s", []source.Kind{"", ""}, []source.Kind{source.Transient, source.Transient}},
		{"15:30 limit accounts for 20s", []source.Kind{source.RateLimited, source.RateLimited}, []source.Kind{"", ""}},
		{"every 1h +30m expire for 20s", []source.Kind{source.AuthExpired, source.AuthRequired}, []source.Kind{source.AuthExpired, source.AuthRequired}},
	} {
		t.Run(tt.line, func(t *testing.T) {
			t.Parallel()
			s, clock := played(t, tt.line, monday("15:29:59"))
			check := func(wantAccounts, wantBars source.Kind) {
				t.Helper()
				if accounts, bars := ask(t, s); accounts != wantAccounts || bars != wantBars {
					t.Errorf("at %s: %q and %q, want %q and %q", s.Clock().Now(), accounts, bars, wantAccounts, wantBars)
				}
			}
			check("", "")
			for n, at := range []string{"15:30:00", "15:30:19"} {
				clock.Set(monday(at))
				check(tt.accounts[n], tt.bars[n])
			}
			clock.Set(monday("15:30:20"))
			check("", "")
			if strings.Contains(tt.line, "expire") { // once more an hour later
				clock.Set(monday("16:30:00"))
				check(source.AuthExpired, source.AuthExpired)
				check(source.AuthRequired, source.AuthRequired)
			}
		})
	}
	t.Run("a limit says when to come back, in wall time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, _ := played(t, "15:30 limit for 60s", monday("15:30:10"))
			s.SourceClock = source.NewVirtualClock(monday("15:30:30"), 10)
			s.play.clock = s.SourceClock
			_, err := s.Accounts(t.Context())
			e, ok := errors.AsType[*source.Error](err)
			if want := time.Now().Add(3 * time.Second); !ok || !e.NotBefore().Equal(want) {
				t.Errorf("got %v, want not before %s", err, want)
			}
		})
	})
	t.Run("a hanging answer ends with who asks, or with the fault", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, _ := played(t, "15:30 hang for 60s", monday("15:30:00"))
			for deadline, want := range map[time.Duration]time.Duration{5 * time.Second: 5 * time.Second, time.Hour: time.Minute} {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				began := time.Now()
				_, err := s.Accounts(ctx)
				cancel()
				if took := time.Since(began); took != want || source.KindOf(err) != source.Transient {
					t.Errorf("%v after %v, want %v", err, took, want)
				}
			}
		})
	})
}

func TestFaultsOfAnAnswer(t *testing.T) {
	t.Parallel()
	since := monday("15:30:00")
	now := monday("15:40:30")
	plain := at(now)
	wantAccounts, err := plain.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantBars, err := plain.Bars(t.Context(), since)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(t *testing.T, line string) (accounts []source.Account, bars []thor.Bar, failed, failedBars error) {
		t.Helper()
		s, _ := played(t, line, now)
		accounts, failed = s.Accounts(t.Context())
		bars, failedBars = s.Bars(t.Context(), since)
		return accounts, bars, failed, failedBars
	}
	symbols := func(bars []thor.Bar) []string {
		var all []string
		for _, b := range bars {
			all = append(all, b.Symbol)
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	t.Run("half of an answer comes with an error", func(t *testing.T) {
		t.Parallel()
		accounts, bars, failed, failedBars := ask(t, "15:40 half for 1m")
		if len(accounts) != 1 || source.KindOf(failed) != source.Transient || !strings.Contains(failed.Error(), "account PAPER-2") {
			t.Errorf("%d accounts, %v", len(accounts), failed)
		}
		if n := len(symbols(bars)); n != 5 || source.KindOf(failedBars) != source.Transient {
			t.Errorf("%d symbols, %v", n, failedBars)
		}
	})
	t.Run("or what is named", func(t *testing.T) {
		t.Parallel()
		accounts, bars, failed, failedBars := ask(t, "15:40 half PAPER-1 for 1m\n15:40 half EQ.SPY for 1m")
		if len(accounts) != 1 || accounts[0].Balance.AccountID != "PAPER-2" || failed == nil {
			t.Errorf("%d accounts, %v", len(accounts), failed)
		}
		if got := symbols(bars); len(got) != 9 || slices.Contains(got, "EQ.SPY") || failedBars == nil {
			t.Errorf("bars of %s, %v", got, failedBars)
		}
	})
	t.Run("bad values cannot be published, and are never zero", func(t *testing.T) {
		t.Parallel()
		accounts, bars, failed, failedBars := ask(t, "15:40 bad for 1m")
		if source.KindOf(failed) != source.BadData || source.KindOf(failedBars) != source.BadData || len(accounts) != 2 || len(bars) != len(wantBars) {
			t.Errorf("%d accounts, %v, %d bars, %v", len(accounts), failed, len(bars), failedBars)
		}
		for _, a := range accounts {
			for _, m := range []thor.Message{thor.AccountBalanceMessage(a.Balance), thor.PositionsMessage(a.Positions)} {
				if _, err := m.Encode(); err == nil {
					t.Errorf("%s could be published", m.Stream)
				}
			}
			if a.Balance.Equity.Sign() == 0 {
				t.Error("equity is 0")
			}
		}
		for _, b := range bars {
			if _, err := thor.IntradayBarMessage(b).Encode(); err == nil {
				t.Errorf("%+v could be published", b)
			}
		}
	})
	t.Run("a skewed clock stamps accounts and forming bars", func(t *testing.T) {
		t.Parallel()
		accounts, bars, failed, failedBars := ask(t, "15:40 skew by -40s for 1m")
		if failed != nil || failedBars != nil {
			t.Fatal(failed, failedBars)
		}
		for i, a := range accounts {
			want := wantAccounts[i].Balance
			want.Timestamp = want.Timestamp.Add(-40 * time.Second)
			if diff := cmp.Diff(want, a.Balance); diff != "" || !a.Positions.Timestamp.Equal(want.Timestamp) {
				t.Errorf("positions of %s, balance (-want +got)\n%s", a.Positions.Timestamp, diff)
			}
		}
		for i, b := range bars {
			want := wantBars[i].Timestamp
			if !b.Final {
				want = want.Add(-40 * time.Second)
			}
			if !b.Timestamp.Equal(want) {
				t.Errorf("a bar of %s, want %s", b.Timestamp, want)
			}
		}
	})
	t.Run("everything twice, and in no order", func(t *testing.T) {
		t.Parallel()
		_, bars, _, failed := ask(t, "15:40 duplicate for 1m\n15:40 disorder for 1m")
		if failed != nil || len(bars) != 2*len(wantBars) || slices.IsSortedFunc(bars, func(a, b thor.Bar) int { return a.TimestampMinute.Compare(b.TimestampMinute) }) {
			t.Fatalf("%d bars, want %d in no order; %v", len(bars), 2*len(wantBars), failed)
		}
		slices.SortFunc(bars, func(a, b thor.Bar) int {
			return strings.Compare(a.TimestampMinute.Format(time.RFC3339)+a.Symbol, b.TimestampMinute.Format(time.RFC3339)+b.Symbol)
		})
		if diff := cmp.Diff(twice(wantBars), bars); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		_, again, _, _ := ask(t, "15:40 disorder for 1m")
		_, twin, _, _ := ask(t, "15:40 disorder for 1m")
		if !cmp.Equal(again, twin) {
			t.Error("the same script has another order")
		}
	})
}

// minutes are the minutes of a symbol's bars.
func minutes(bars []thor.Bar, symbol string) []string {
	var all []string
	for _, b := range bars {
		if b.Symbol == symbol {
			all = append(all, b.TimestampMinute.Format("15:04"))
		}
	}
	return all
}

func TestFaultsOfMinutes(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, line, now string) []thor.Bar {
		t.Helper()
		s, _ := played(t, line, monday(now))
		bars, err := s.Bars(t.Context(), monday("15:30:00"))
		if err != nil {
			t.Fatal(err)
		}
		return bars
	}
	plain, err := at(monday("15:35:10")).Bars(t.Context(), monday("15:30:00"))
	if err != nil {
		t.Fatal(err)
	}
	without := func(gone ...string) []string {
		return slices.DeleteFunc(minutes(plain, "EQ.AAPL"), func(m string) bool { return slices.Contains(gone, m) })
	}
	for _, tt := range []struct {
		name, line, now string
		want            []string
	}{
		{"missing minutes never come", "15:31 missing EQ.AAPL for 2m", "15:35:10", without("15:31", "15:32")},
		{"a late minute is not there", "15:31 late EQ.AAPL by 3m for 2m", "15:34:59", without("15:31", "15:32", "15:35")},
		{"and then it is", "15:31 late EQ.AAPL by 3m for 2m", "15:35:10", without("15:32")},
		{"a halt has no minutes", "open+61m halt EQ.AAPL for 2m", "15:35:10", without("15:31", "15:32")},
		{"nor has it half of one", "15:30:30 halt EQ.AAPL for 2m", "15:35:10", without("15:31", "15:32")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bars := ask(t, tt.line, tt.now)
			if diff := cmp.Diff(tt.want, minutes(bars, "EQ.AAPL")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if got := len(minutes(bars, "EQ.MSFT")); got < 5 {
				t.Errorf("%d minutes of another symbol", got)
			}
		})
	}
	t.Run("a correction comes once more, with other values", func(t *testing.T) {
		t.Parallel()
		find := func(bars []thor.Bar) thor.Bar {
			i := slices.IndexFunc(bars, func(b thor.Bar) bool {
				return b.Symbol == "EQ.AAPL" && b.TimestampMinute.Equal(monday("15:31:00"))
			})
			return bars[i]
		}
		const line = "15:31 correct by 2m for 1m"
		before, after := find(ask(t, line, "15:33:59")), find(ask(t, line, "15:34:00"))
		if diff := cmp.Diff(find(plain), before); diff != "" {
			t.Errorf("before (-want +got)\n%s", diff)
		}
		if after.Volume.Cmp(before.Volume) <= 0 || after.High.Cmp(before.High) <= 0 || after.Low.Cmp(before.Low) >= 0 ||
			!after.Timestamp.Equal(monday("15:34:00")) || !after.Final {
			t.Errorf("got %+v after %+v", after, before)
		}
		if later := find(ask(t, line, "15:55:00")); !cmp.Equal(after, later) {
			t.Errorf("later it is %+v", later)
		}
		for _, b := range ask(t, line, "15:34:00") {
			if _, err := thor.IntradayBarMessage(b).Encode(); err != nil || thor.IntradayBarMessage(b).Lost > 0 {
				t.Errorf("%v of %+v", err, b)
			}
		}
	})
}

// TestAHalt holds that what is halted stands still: prices, and what is held.
func TestAHalt(t *testing.T) {
	t.Parallel()
	s, clock := played(t, "15:31 halt EQ.AAPL for 10m\n15:38 halt EQ.AAPL for 8m", monday("15:30:59"))
	held := func() (quantity, price thor.Decimal) {
		accounts, err := s.Accounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range accounts[0].Positions.Positions {
			if row.Symbol == "EQ.AAPL" {
				return row.Quantity, row.CurrentPrice
			}
		}
		t.Fatal("nobody holds it")
		return
	}
	quantity, price := held()
	for _, now := range []string{"15:31:00", "15:37:11", "15:45:59"} {
		clock.Set(monday(now))
		if q, p := held(); !q.Equal(quantity) || !p.Equal(price) {
			t.Errorf("at %s: %s at %s, want %s at %s", now, q, p, quantity, price)
		}
	}
	clock.Set(monday("15:46:00"))
	if _, got := held(); !got.Equal(currentPrice(t, monday("15:46:00"), "EQ.AAPL")) || got.Equal(price) {
		t.Errorf("it reopened at %s, after %s", got, price)
	}
}

func TestWhenFaultsHappen(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][2]string{ // on from, off from
		"every 10m +3m disconnect for 20s":            {"15:33:00", "15:33:20"},
		"15:34 disconnect for 1h":                     {"15:34:00", "16:34:00"},
		"open+1h5m disconnect for 30s":                {"15:35:00", "15:35:30"},
		"close-5h25m disconnect for 30s":              {"15:35:00", "15:35:30"},
		"2026-11-23T15:31:07Z disconnect for 30s":     {"15:31:07", "15:31:37"},
		"about every 20m disconnect for 20m":          {"15:20:00", "16:40:00"}, // always
		"open+65m disconnect for 30s # of New York's": {"15:35:00", "15:35:30"},
	} {
		s, _ := played(t, line, open)
		c := &s.play.cues[0]
		from, to := monday(want[0]).Unix(), monday(want[1]).Unix()
		if _, on := c.on(from); !on {
			t.Errorf("%q is not on at %s", line, want[0])
		}
		if _, on := c.on(to - 1); !on {
			t.Errorf("%q is over before %s", line, want[1])
		}
		if c.about {
			continue
		}
		for _, at := range []int64{from - 1, to} {
			if _, on := c.on(at); on {
				t.Errorf("%q is on at %s", line, instant(at))
			}
		}
	}
	t.Run("about is once in each period, at a second of the seed's", func(t *testing.T) {
		t.Parallel()
		s, _ := played(t, "about every 10m disconnect for 30s", open)
		c := &s.play.cues[0]
		seen := map[int64]int{}
		first := monday("00:00:00").Unix()
		for at := first; at < first+day; at++ {
			if begin, on := c.on(at); on {
				seen[begin]++
			}
		}
		offsets := map[int64]bool{}
		for begin, seconds := range seen {
			if offsets[begin%600] = true; seconds != 30 || begin%600 > 570 {
				t.Errorf("at %s for %d seconds", instant(begin), seconds)
			}
		}
		if len(seen) != 144 || len(offsets) < 50 {
			t.Errorf("%d times in a day at %d different seconds of ten minutes", len(seen), len(offsets))
		}
		s.Seed = 2
		other := &Source{Seed: 2, SourceClock: s.SourceClock, Script: s.Script, Exchanges: weekdays{}}
		if err := other.Validate(); err != nil {
			t.Fatal(err)
		}
		begin, _ := c.last(open.Unix())
		if b, _ := other.play.cues[0].last(open.Unix()); b == begin {
			t.Error("another seed has the same seconds")
		}
	})
	t.Run("before the first bell nothing is on", func(t *testing.T) {
		t.Parallel()
		s, _ := played(t, "open disconnect for 24h", span.from)
		if _, on := s.play.cues[0].on(span.from.Unix()); on {
			t.Error("it is")
		}
	})
}

func TestAScriptKnowsTheAccounts(t *testing.T) {
	t.Parallel()
	script, err := ParseScript("test", "open half PAPER-2 for 1m\nopen half PAPER-3 for 1m\nopen bad PAPER-SHORT for 1m")
	if err != nil {
		t.Fatal(err)
	}
	err = (&Source{Script: script, Special: []string{"short"}, Exchanges: weekdays{}}).Validate()
	if want := "test:2: there is no account PAPER-3. --sim-accounts and --sim-special say which there are."; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestARoughDayTwice plays the day that comes with thor twice, second by second
// for a while: everything is the same.
func TestARoughDayTwice(t *testing.T) {
	t.Parallel()
	play := func(t *testing.T) (all []string) {
		t.Helper()
		script, err := OpenScript("rough")
		if err != nil {
			t.Fatal(err)
		}
		clock := sourcetest.NewClock(open)
		s := &Source{SourceClock: clock, Script: script, Exchanges: weekdays{}}
		for second := range 900 {
			clock.Set(monday("15:30:00").Add(time.Duration(second) * time.Second))
			accounts, err := s.Accounts(t.Context())
			all = append(append(all, bare(accounts)...), errorText(err))
			bars, err := s.Bars(t.Context(), clock.Now().Add(-5*time.Minute))
			for _, b := range bars {
				all = append(all, b.Symbol+b.TimestampMinute.String()+b.Timestamp.String()+b.Volume.String()+b.Close.String()+b.Low.String())
			}
			all = append(all, errorText(err))
		}
		return all
	}
	var first, second []string
	for _, run := range []*[]string{&first, &second} {
		synctest.Test(t, func(t *testing.T) { *run = play(t) }) // what hangs does so in no time
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("(-first +second)\n%.2000s", diff)
	}
	told := strings.Join(first, "\n")
	for _, kind := range []source.Kind{source.Transient, source.RateLimited, source.AuthExpired, source.AuthRequired, source.BadData} {
		if !strings.Contains(told, string(kind)+":") && !strings.Contains(told, string(kind)+" (") {
			t.Errorf("nothing was %s", kind)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// bare are accounts as they are, also where they could not be published.
func bare(accounts []source.Account) (all []string) {
	for _, a := range accounts {
		all = append(all, a.Balance.AccountID+a.Balance.Equity.String()+a.Balance.Timestamp.String()+a.Balance.Currency)
	}
	return all
}
