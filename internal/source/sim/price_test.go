package sim

import (
	"testing"

	"pgregory.net/rapid"
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

func TestMinutesAreTheSameFromBothSides(t *testing.T) {
	t.Parallel()
	all := loaded(t, 1).series
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(all).Draw(t, "series")
		on := &s.sessions[rapid.IntRange(0, len(s.sessions)-1).Draw(t, "session")]
		start := on.open + minute*rapid.Int64Range(0, (on.end-on.open)/minute-1).Draw(t, "minute")
		m := on.minute(start)
		var out [minute]int64
		m.fill(&out)
		for i, got := range out {
			at := start + int64(i)
			if want := on.at(at); got+m.leg.jumped(at) != want {
				t.Fatalf("second %d: filled %d, asked alone %d", i, got, want)
			}
		}
		if next := start + minute; next < on.end && m.vb != on.at(next)-on.leg(next).jumped(next) && on.leg(next) == m.leg {
			t.Fatalf("the minute ends at %d, the next begins at %d", m.vb, on.at(next))
		}
	})
}

// TestLegsJoin holds that a path does not leap where one leg follows another.
func TestLegsJoin(t *testing.T) {
	t.Parallel()
	for _, s := range loaded(t, 1).series {
		var legs int
		for i := range s.sessions {
			on := &s.sessions[i]
			at := on.open
			for j := range on.legs {
				l := &on.legs[j]
				if legs++; l.open != at {
					t.Fatalf("%s: a leg begins at %s, want %s", s.symbol, instant(l.open), instant(at))
				}
				if at = l.end; j > 0 {
					before := &on.legs[j-1]
					if end := before.last + before.jumped(l.open); abs(end-l.first) > s.base/s.tick*3 {
						t.Errorf("%s at %s: from %d to %d", s.symbol, instant(l.open), end, l.first)
					}
				}
			}
			if at != on.end {
				t.Fatalf("%s: the legs end at %s, want %s", s.symbol, instant(at), instant(on.end))
			}
		}
		if s.mic == chicago && legs < 2*len(s.sessions) {
			t.Errorf("%s: %d legs in %d sessions", s.symbol, legs, len(s.sessions))
		}
	}
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
					if cents := s.cents(on.at(on.open + second)); cents < s.base/5 || cents > s.base*2 || cents%s.tick != 0 {
						t.Fatalf("seed %d, %s: price %d with base %d and tick %d", 1000+seed, s.symbol, cents, s.base, s.tick)
					}
				}
			}
		}
	}
}
