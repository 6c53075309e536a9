package sim

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"thor"
)

// loaded returns the series and ledgers of a seed.
func loaded(tb testing.TB, seed uint64) *Source {
	tb.Helper()
	s := &Source{Seed: seed, Exchanges: weekdays{}}
	if err := s.load(); err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestPathIsTheSameFromBothSides(t *testing.T) {
	t.Parallel()
	all := loaded(t, 1).series
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(all).Draw(t, "series")
		on := &s.sessions[rapid.IntRange(0, len(s.sessions)-1).Draw(t, "session")]
		length := on.end - on.open
		from := rapid.Int64Range(0, length-1).Draw(t, "from")
		out := make([]int64, rapid.Int64Range(1, min(500, length-from)).Draw(t, "count"))
		on.fill(out, from)
		for i, got := range out {
			if want := on.at(from + int64(i)); got != want {
				t.Fatalf("second %d: filled %d, asked alone %d", from+int64(i), got, want)
			}
		}
	})
}

func TestSessionsJoin(t *testing.T) {
	t.Parallel()
	for _, s := range loaded(t, 1).series {
		for i := range s.sessions {
			on := &s.sessions[i]
			if got, want := s.price(i, on.open), s.cents(on.first); got != want {
				t.Errorf("%s: opens at %d, want %d", s.symbol, got, want)
			}
			if got, want := s.price(i, on.end-1), s.close(i); got != want {
				t.Errorf("%s: the last second shows %d, want the close %d", s.symbol, got, want)
			}
			if got, want := s.price(s.index(on.end+1), on.end+1), s.close(i); i+1 == len(s.sessions) && got != want {
				t.Errorf("%s: after the last session the price is %d, want the close %d", s.symbol, got, want)
			}
		}
		if got := s.price(-1, 0); got != s.base {
			t.Errorf("%s: before the first session the price is %d, want %d", s.symbol, got, s.base)
		}
	}
}

func TestPricesStayPositiveAndOnTicks(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		for _, s := range loaded(t, 1000+seed).series {
			for i := range s.sessions {
				on := &s.sessions[i]
				for _, second := range []int64{0, (on.end - on.open) / 3, (on.end - on.open) / 2, on.end - on.open - 1} {
					if cents := s.cents(on.at(second)); cents < s.base/5 || cents > s.base*2 || cents%s.tick != 0 {
						t.Fatalf("seed %d, %s: price %d with base %d and tick %d", 1000+seed, s.symbol, cents, s.base, s.tick)
					}
				}
			}
		}
	}
}

// TestMinutesLookLikeAMarket takes full sessions apart into minutes.
func TestMinutesLookLikeAMarket(t *testing.T) {
	t.Parallel()
	// Standard deviations of a minute's return in basis points.
	want := map[thor.AssetClass]struct{ low, high float64 }{
		thor.AssetEquity: {3.5, 7.5},
		thor.AssetFuture: {2.7, 5.5},
		thor.AssetCrypto: {6.5, 10},
	}
	for _, s := range loaded(t, 1).series {
		t.Run(s.symbol, func(t *testing.T) {
			t.Parallel()
			var squares, minutes, moving float64
			for i := 200; i < 440; i += 40 {
				on := &s.sessions[i]
				path := make([]int64, on.end-on.open)
				on.fill(path, 0)
				for from := int64(0); from+minute < int64(len(path)); from += minute {
					change := math.Log(float64(path[from+minute]) / float64(path[from]))
					squares += change * change
					minutes++
					for _, value := range path[from+1 : from+minute] {
						if s.cents(value) != s.cents(path[from]) {
							moving++
							break
						}
					}
				}
			}
			deviation := math.Sqrt(squares/minutes) * 1e4
			if b := want[s.class()]; deviation < b.low || deviation > b.high {
				t.Errorf("minute returns: got a standard deviation of %.2f bp, want %.1f to %.1f", deviation, b.low, b.high)
			}
			if share := moving / minutes; share < 0.995 {
				t.Errorf("minutes with a move: got %.4f, want at least 0.995", share)
			}
		})
	}
}
