package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"thor"
	"thor/internal/source"
	"thor/internal/source/sourcetest"
)

func TestStatement(t *testing.T) {
	t.Parallel()
	accounts, err := at(open).Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("only the margin account has day-trading buying power", func(t *testing.T) {
		t.Parallel()
		if b := accounts[0].Balance; b.AccountID != "PAPER-1" || !b.DayTradingBuyingPower.Known() {
			t.Errorf("got %+v", b)
		}
		if b := accounts[1].Balance; b.AccountID != "PAPER-2" || b.DayTradingBuyingPower.Known() || !b.BuyingPower.Equal(b.Cash) {
			t.Errorf("got %+v", b)
		}
	})
	t.Run("the very first statement is the deposit", func(t *testing.T) {
		t.Parallel()
		accounts, err := at(span.from).Accounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"100000.00", "50000.00"} {
			if got := accounts[i].Balance.Equity.String(); got != want {
				t.Errorf("equity of %s: got %s, want %s", accounts[i].Balance.AccountID, got, want)
			}
			for _, row := range accounts[i].Positions.Positions {
				if row.PnL.Sign() != 0 || row.DayPnL.Sign() != 0 {
					t.Errorf("%s: profit of %s and %s on the first second", row.Symbol, row.PnL, row.DayPnL)
				}
			}
		}
	})
}

// several is how many accounts show each size of each kind.
const several = 10

func TestManyAccounts(t *testing.T) {
	t.Parallel()
	s := &Source{Books: 50, Exchanges: weekdays{}}
	for _, now := range []time.Time{span.from, night} {
		s.SourceClock = sourcetest.NewClock(now)
		two, err := at(now).Accounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		many, err := s.Accounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(many) != 50 {
			t.Fatalf("got %d accounts, want 50", len(many))
		}
		if diff := cmp.Diff(texts(t, two), texts(t, many[:2])); diff != "" {
			t.Errorf("the first two are others where there are more (-two +many)\n%s", diff)
		}
		seen := map[string]string{}
		for i, a := range many {
			if want := fmt.Sprintf("PAPER-%d", i+1); a.Balance.AccountID != want {
				t.Errorf("got %s at place %d, want %s", a.Balance.AccountID, i, want)
			}
			// Two accounts of the same numbers would hide that one is shown for the other.
			numbers := fmt.Sprint(a.Balance.Equity, a.Balance.Cash)
			if other := seen[numbers]; other != "" {
				t.Errorf("%s: %s has the same equity and cash as %s", now, a.Balance.AccountID, other)
			}
			seen[numbers] = a.Balance.AccountID
		}
	}
}

// texts are accounts as clients get them.
func texts(t *testing.T, accounts []source.Account) []string {
	t.Helper()
	var msgs []thor.Message
	for _, a := range accounts {
		msgs = append(msgs, thor.AccountBalanceMessage(a.Balance), thor.PositionsMessage(a.Positions))
	}
	return encode(t, msgs)
}

// TestStatementAddsUp recomputes every row from its own fields.
func TestStatementAddsUp(t *testing.T) {
	t.Parallel()
	clock := sourcetest.NewClock(open)
	s := &Source{SourceClock: clock, Books: several, Special: []string{"all"}, Exchanges: weekdays{}}
	rapid.Check(t, func(t *rapid.T) {
		clock.Set(instant(second(t, "now")))
		accounts, err := s.Accounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range accounts {
			b := a.Balance
			equity, tied := b.Cash, thor.NewDecimal(0, 2)
			for _, row := range a.Positions.Positions {
				worth := row.Quantity.Mul(row.Multiplier).Mul(row.CurrentPrice)
				if row.AssetClass == thor.AssetFuture {
					if !row.MarketValue.Equal(row.PnL) {
						t.Errorf("%s: market value %s, profit %s", row.Symbol, row.MarketValue, row.PnL)
					}
				} else {
					if !row.MarketValue.Equal(worth.Round(2)) {
						t.Errorf("%s: market value %s, quantity at the price is %s", row.Symbol, row.MarketValue, worth)
					}
					tied = tied.Add(row.MarketValue.Abs())
				}
				// The entry price is rounded to 4 digits, so the profit it implies is
				// near the exact one.
				implied := worth.Sub(row.Quantity.Mul(row.Multiplier).Mul(row.EntryPrice))
				near := row.Quantity.Abs().Mul(row.Multiplier).Mul(thor.MustDecimal("0.00005")).Add(thor.MustDecimal("0.01"))
				if row.EntryPrice.Known() && implied.Sub(row.PnL).Abs().Cmp(near) > 0 {
					t.Errorf("%s: profit %s, the entry price implies %s", row.Symbol, row.PnL, implied)
				}
				if row.PnL.Sign() != 0 && row.PnLPercent.Sign()*row.PnL.Sign() < 0 {
					t.Errorf("%s: profit %s is %s %%", row.Symbol, row.PnL, row.PnLPercent)
				}
				equity = equity.Add(row.MarketValue)
			}
			if !b.Equity.Equal(equity) || !b.PortfolioValue.Equal(equity) {
				t.Errorf("%s: equity %s, cash and rows come to %s", b.AccountID, b.Equity, equity)
			}
			if b.DayTradingBuyingPower.Known() {
				want := equity.Add(equity).Sub(tied)
				if want.Sign() < 0 {
					want = thor.NewDecimal(0, 2)
				}
				if !b.BuyingPower.Equal(want) {
					t.Errorf("%s: buying power %s, want %s", b.AccountID, b.BuyingPower, want)
				}
			}
		}
	})
}
