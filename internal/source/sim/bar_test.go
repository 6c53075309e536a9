package sim

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"thor"
	"thor/internal/source/sourcetest"
)

// barsAt returns what the default seed says at that time, by symbol.
func barsAt(t *testing.T, now, since time.Time) map[string][]thor.Bar {
	t.Helper()
	return barsOf(t, at(now), since)
}

func barsOf(t *testing.T, s *Source, since time.Time) map[string][]thor.Bar {
	t.Helper()
	all, err := s.Bars(t.Context(), since)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b thor.Bar) int {
		return cmp.Or(a.TimestampMinute.Compare(b.TimestampMinute), cmp.Compare(a.Symbol, b.Symbol))
	}) {
		t.Error("bars are not ordered by minute and symbol")
	}
	bySymbol := map[string][]thor.Bar{}
	for _, b := range all {
		bySymbol[b.Symbol] = append(bySymbol[b.Symbol], b)
	}
	return bySymbol
}

func TestBars(t *testing.T) {
	t.Parallel()
	t.Run("a bar forms and becomes final", func(t *testing.T) {
		t.Parallel()
		start := open.Truncate(time.Minute)
		clock := sourcetest.NewClock(start)
		s := &Source{SourceClock: clock, Exchanges: weekdays{}}
		previous := thor.NewDecimal(0, 0)
		for second := range 60 {
			now := start.Add(time.Duration(second)*time.Second + 300*time.Millisecond)
			clock.Set(now)
			b := barsOf(t, s, start)["EQ.SPY"]
			if len(b) != 1 || b[0].Final || !b[0].Timestamp.Equal(now.Truncate(time.Second)) {
				t.Fatalf("at %s: got %+v, want one forming bar of that second", now, b)
			}
			if b[0].Volume.Cmp(previous) < 0 {
				t.Errorf("at %s: volume fell from %s to %s", now, previous, b[0].Volume)
			}
			previous = b[0].Volume
		}
		clock.Set(start.Add(time.Minute))
		b := barsOf(t, s, start)["EQ.SPY"]
		if len(b) != 2 || !b[0].Final || b[1].Final || !b[0].Timestamp.Equal(start.Add(time.Minute)) {
			t.Fatalf("a minute later: got %+v, want one final and one forming bar", b)
		}
		if !b[0].Volume.Equal(previous) {
			t.Errorf("final volume: got %s, want %s", b[0].Volume, previous)
		}
	})
	t.Run("the last minute of a session is its last bar", func(t *testing.T) {
		t.Parallel()
		closing := utc("2026-11-23T21:00:00Z")
		for _, now := range []time.Time{closing, closing.Add(3 * time.Hour)} {
			b := barsAt(t, now, time.Time{})["EQ.AAPL"]
			last := b[len(b)-1]
			if len(b) != 390 || !last.Final || !last.Timestamp.Equal(closing) {
				t.Errorf("at %s: got %d bars, the last %+v", now, len(b), last)
			}
			if got := currentPrice(t, now, "EQ.AAPL"); !got.Equal(last.Close) {
				t.Errorf("at %s: the price is %s, the last bar closed at %s", now, got, last.Close)
			}
		}
	})
	t.Run("a short session has fewer bars", func(t *testing.T) {
		t.Parallel()
		b := barsAt(t, utc("2026-12-25T12:00:00Z"), time.Time{})
		if got := len(b["EQ.AAPL"]); got != 210 {
			t.Errorf("bars: got %d, want 210", got)
		}
	})
	t.Run("an old since is answered in steps that miss no bar", func(t *testing.T) {
		t.Parallel()
		s := at(open)
		began := open.AddDate(0, 0, -12)
		since, steps, got := began, 0, map[string]int{}
		for last := since; ; steps++ {
			bars, err := s.Bars(t.Context(), since)
			if err != nil || len(bars) == 0 {
				t.Fatalf("since %s: %d bars, %v", since, len(bars), err)
			}
			for _, b := range bars {
				if b.TimestampMinute.After(last) || since.Equal(began) {
					got[b.Symbol]++
				}
			}
			if since = bars[len(bars)-1].TimestampMinute; since.Equal(last) {
				break
			}
			last = since
		}
		if steps < 3 {
			t.Errorf("%d steps, want a few", steps)
		}
		for _, series := range s.series {
			if want := len(series.between(began.Unix(), open.Unix()+1, open.Unix())); got[series.symbol] != want || want < 7*380 {
				t.Errorf("%d bars of %s, want %d", got[series.symbol], series.symbol, want)
			}
		}
	})
	t.Run("a minute without a trade has no bar", func(t *testing.T) {
		t.Parallel()
		now := utc("2026-11-24T22:00:00Z")
		b := barsAt(t, now, time.Time{})
		if got := len(b["FUT.ES"]); got != 1380 {
			t.Errorf("FUT.ES: got %d bars, want 1380", got)
		}
		if got := len(b["FUT.CL"]); got >= 1370 || got < 1300 {
			t.Errorf("FUT.CL: got %d bars, want a few less than 1380: at night some are empty", got)
		}
	})
	t.Run("seconds without a trade happen", func(t *testing.T) {
		t.Parallel()
		for _, s := range loaded(t, 1).series {
			on := &s.sessions[400]
			var silent int
			for second := range int64(3600) {
				at := on.open + (on.end-on.open)/10*7 + second
				m := on.minute(at - at%minute)
				if s.traded(on, s.pace(on, &m, at-at%minute), at) == 0 {
					silent++
				}
			}
			if silent == 0 || silent > 1800 {
				t.Errorf("%s: %d of 3600 seconds are without a trade, want some, but less than half", s.symbol, silent)
			}
		}
	})
}

func TestBarAgainstSeconds(t *testing.T) {
	t.Parallel()
	s := loaded(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(s.series).Draw(t, "series")
		on := &s.sessions[rapid.IntRange(0, len(s.sessions)-1).Draw(t, "session")]
		at := rapid.Int64Range(on.open, on.end-1).Draw(t, "at")
		start := at - at%minute
		got, ok := s.bar(on, start, at)
		m := on.minute(start)

		var low, high int64
		volume, turnover := thor.NewDecimal(0, 0), thor.NewDecimal(0, 0)
		for second := start; second <= at; second++ {
			cents := s.cents(on.at(second))
			if second == start {
				low, high = cents, cents
			}
			low, high = min(low, cents), max(high, cents)
			traded := s.quantity(s.traded(on, s.pace(on, &m, start), second))
			volume, turnover = volume.Add(traded), turnover.Add(traded.Mul(money(cents)))
		}
		if !ok {
			if volume.Sign() != 0 {
				t.Fatalf("no bar, but a volume of %s", volume)
			}
			return
		}
		want := thor.Bar{
			Symbol: s.symbol, Display: s.display, Country: s.country,
			TimestampMinute: instant(start), Timestamp: instant(at),
			Open: price(s.cents(on.at(start))), Low: price(low), High: price(high),
			Close: price(s.cents(on.at(at))), Volume: volume,
			VWAP: turnover.Div(volume, thor.ScalePrice),
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// currentPrice is what an account that holds the symbol shows as its price.
func currentPrice(t *testing.T, now time.Time, symbol string) thor.Decimal {
	t.Helper()
	accounts, err := at(now).Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		for _, row := range a.Positions.Positions {
			if row.Symbol == symbol {
				return row.CurrentPrice
			}
		}
	}
	t.Fatalf("at %s nobody holds %s", now, symbol)
	return thor.Decimal{}
}
