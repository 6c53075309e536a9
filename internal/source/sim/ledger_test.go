package sim

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"thor"
)

// second draws a time within the first three years, in seconds since 1970.
func second(t *rapid.T, label string) int64 {
	return rapid.Int64Range(span.from.Unix(), span.exchanges.Unix()-1).Draw(t, label)
}

// tester is a test, or one of its random cases.
type tester interface {
	rapid.TB
	Context() context.Context
}

func bookAt(t tester, l *ledger, at int64) book {
	t.Helper()
	b, err := l.bookAt(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestNoFillLosesMoney buys and sells one symbol at random: what the book is
// worth is the deposit, what the quantity is worth, and what all the trades
// together paid and received.
func TestNoFillLosesMoney(t *testing.T) {
	t.Parallel()
	all := loaded(t, 1).series
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(all).Draw(t, "series")
		lot := max(1, s.unit()/10_000)
		cents := rapid.Int64Range(s.base/2, s.base*2)
		b := book{cash: 1_000_000_00, positions: make([]position, 1)}
		paid := thor.NewDecimal(0, 0)
		for range rapid.IntRange(1, 30).Draw(t, "fills") {
			low := -b.positions[0].quantity / lot
			if !s.paidFor() {
				low = -5
			}
			quantity, each := lot*rapid.Int64Range(low, 25).Draw(t, "lots"), cents.Draw(t, "price")
			b.fill(0, s, 0, quantity, each)
			// A trade's amount is rounded to cents, and that amount is what is paid.
			paid = paid.Add(exact(s, quantity, each).Round(thor.ScaleMoney))
		}
		mark := cents.Draw(t, "mark")
		p := b.positions[0]
		want := money(1_000_000_00).Sub(paid).Add(exact(s, p.quantity, mark).Round(thor.ScaleMoney))
		if got := money(b.cash + p.mark(s, 1, mark).value); !got.Equal(want) {
			t.Errorf("got %s, want %s", got, want)
		}
		if p.quantity == 0 && p.cost != 0 {
			t.Errorf("a closed position keeps a cost of %d cents", p.cost)
		}
	})
}

// exact is quantity × multiplier × price.
func exact(s *series, quantity, cents int64) thor.Decimal {
	return s.quantity(quantity).Mul(thor.NewDecimal(s.multiplier, 0)).Mul(money(cents))
}

// TestEquityMovesWithPrices compares two instants between which an account did
// not trade.
func TestEquityMovesWithPrices(t *testing.T) {
	t.Parallel()
	ledgers := newLedgers(1, everyKind(t), loaded(t, 1).series)
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom(ledgers).Draw(t, "ledger")
		from := second(t, "from")
		to := from + rapid.Int64Range(0, slot).Draw(t, "seconds")
		before, after := bookAt(t, l, from), bookAt(t, l, to)
		want := thor.NewDecimal(0, 0)
		for i := range before.positions {
			p, s := before.positions[i], l.series[i]
			if p.quantity != after.positions[i].quantity {
				return
			}
			now, then := exact(s, p.quantity, s.price(s.index(to), to)), exact(s, p.quantity, s.price(s.index(from), from))
			want = want.Add(now.Round(thor.ScaleMoney)).Sub(then.Round(thor.ScaleMoney))
		}
		got := l.statement(after, to).Balance.Equity.Sub(l.statement(before, from).Balance.Equity)
		if !got.Equal(want) {
			t.Errorf("equity changed by %s, the prices say %s", got, want)
		}
	})
}

// TestDayProfit trades one symbol for three years: the day's profit is what
// that symbol has done to equity since the close of the session before.
func TestDayProfit(t *testing.T) {
	t.Parallel()
	s := loaded(t, 1)
	var alone []*ledger
	for _, l := range s.ledgers {
		for i, h := range l.holdings {
			a := l.account
			a.holdings = []holding{h}
			alone = append(alone, &ledger{account: a, seed: l.seed, series: l.series[i : i+1]})
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom(alone).Draw(t, "ledger")
		s := l.series[0]
		now := rapid.Int64Range(s.sessions[0].end, span.exchanges.Unix()-1).Draw(t, "now")
		index := s.index(now)
		b, morning := bookAt(t, l, now), bookAt(t, l, s.sessions[index].open-1)
		p := &b.positions[0]
		if p.quantity == 0 {
			return
		}
		mark := p.mark(s, index, s.price(index, now))
		then := morning.positions[0].mark(s, index-1, s.close(index-1))
		got, want := mark.day, b.cash+mark.value-morning.cash-then.value
		// The value of a fraction of a coin is rounded, the sum of the day once.
		if s.unit() == 1 && got != want || abs(got-want) > 1 {
			t.Errorf("%s: day's profit is %d cents, equity says %d", s.symbol, got, want)
		}
	})
}

// everyKind are accounts of every kind.
func everyKind(t *testing.T) []account {
	t.Helper()
	more, err := special([]string{"all"})
	if err != nil {
		t.Fatal(err)
	}
	return append(accounts(several), more...)
}

func TestThreeYears(t *testing.T) {
	t.Parallel()
	for seed, accounts := range [][]account{everyKind(t), everyKind(t)[several:], accounts(2)} {
		for _, l := range newLedgers(uint64(1+seed), accounts, loaded(t, uint64(1+seed)).series) {
			short, flat := map[string]bool{}, map[string]bool{}
			back := map[string]bool{}
			for at := span.from.Unix(); at < span.exchanges.Unix(); at += 9 * 3600 {
				b := bookAt(t, l, at)
				equity := b.cash
				for i := range b.positions {
					p, s, h := &b.positions[i], l.series[i], l.holdings[i]
					index := s.index(at)
					equity += p.mark(s, index, s.price(index, at)).value
					if p.quantity < h.low || p.quantity > h.high {
						t.Fatalf("seed %d, %s: %d of %s, want %d to %d", 1+seed, l.id, p.quantity, s.symbol, h.low, h.high)
					}
					short[s.symbol] = short[s.symbol] || p.quantity < 0
					back[s.symbol] = back[s.symbol] || flat[s.symbol] && p.quantity != 0
					flat[s.symbol] = flat[s.symbol] || p.quantity == 0
				}
				if equity < l.deposit/4 || equity > l.deposit*4 {
					t.Fatalf("seed %d, %s: equity of %s after a deposit of %s", 1+seed, l.id, money(equity), money(l.deposit))
				}
				if !l.margin && b.cash < 0 {
					t.Fatalf("seed %d, %s: a cash account owes %s", 1+seed, l.id, money(b.cash))
				}
				switch special := strings.TrimPrefix(l.id, accountPrefix); {
				case special == "MARGIN" && b.cash >= 0:
					t.Fatalf("seed %d, %s: cash of %s", 1+seed, l.id, money(b.cash))
				case special == "SHORT" && (b.positions[0].quantity >= 0 || b.positions[1].quantity >= 0):
					t.Fatalf("seed %d, %s: holds %+v", 1+seed, l.id, b.positions)
				case special == "ZERO" && (equity != 0 || len(b.positions) != 0), special == "EMPTY" && equity != l.deposit:
					t.Fatalf("seed %d, %s: equity of %s", 1+seed, l.id, money(equity))
				}
			}
			if _, err := strconv.Atoi(strings.TrimPrefix(l.id, accountPrefix)); err != nil {
				continue // a special one
			}
			for i, s := range l.series {
				if short[s.symbol] == s.paidFor() {
					t.Errorf("seed %d, %s: %s was short: %v", 1+seed, l.id, s.symbol, short[s.symbol])
				}
				if l.holdings[i].low <= 0 && s.multiplier > 1 && !back[s.symbol] {
					t.Errorf("seed %d, %s: %s never closed and came back", 1+seed, l.id, s.symbol)
				}
			}
		}
	}
}

func TestFillsHappen(t *testing.T) {
	t.Parallel()
	for _, l := range loaded(t, 1).ledgers {
		var fills int
		week := utc("2026-11-23T00:00:00Z").Unix()
		before := bookAt(t, l, week)
		changed := map[int]bool{}
		for at := week + slot; at <= week+7*day; at += slot {
			after := bookAt(t, l, at)
			for i := range after.positions {
				if after.positions[i].quantity != before.positions[i].quantity {
					fills++
					changed[i] = true
				}
			}
			before = after
		}
		if fills < 200 || fills > 400 {
			t.Errorf("%s: got %d fills in a week, want about a third of 1008", l.id, fills)
		}
		if len(changed) != len(l.holdings) {
			t.Errorf("%s: %d of %d holdings were traded", l.id, len(changed), len(l.holdings))
		}
	}
}
