package sourcetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"thor"
	"thor/internal/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// fake is the smallest source that obeys the laws: one bar a minute, and a
// balance that is all cash.
type fake struct{ clock *Clock }

func (f *fake) Name() string        { return "fake" }
func (f *fake) Caps() source.Caps   { return source.Caps{Simulated: true} }
func (f *fake) Clock() source.Clock { return f.clock }
func (f *fake) Close() error        { return nil }

func (f *fake) Accounts(ctx context.Context) ([]source.Account, error) {
	return []source.Account{account(f.clock.Now())}, ctx.Err()
}

func (f *fake) Bars(ctx context.Context, since time.Time) ([]thor.Bar, error) {
	var bars []thor.Bar
	now := f.clock.Now()
	for at := noon.Add(-time.Hour); !at.After(now); at = at.Add(time.Minute) {
		if !at.Before(since) {
			bars = append(bars, barAt(at, now))
		}
	}
	return bars, ctx.Err()
}

func account(now time.Time) source.Account {
	cash := thor.MustDecimal("100.00")
	return source.Account{
		Balance: thor.AccountBalance{
			AccountID: "A", Currency: "USD", Cash: cash, Equity: cash, PortfolioValue: cash, BuyingPower: cash,
			Source: "fake", Timestamp: now,
		},
		Positions: thor.Positions{AccountID: "A", Timestamp: now},
	}
}

func barAt(at, now time.Time) thor.Bar {
	one := thor.MustDecimal("1")
	b := thor.Bar{
		Symbol: "EQ.A", Display: "A", Country: "USA", TimestampMinute: at,
		Open: one, High: one, Low: one, Close: one, Volume: one, VWAP: one, Timestamp: now,
	}
	if end := at.Add(time.Minute); !end.After(now) {
		b.Final, b.Timestamp = true, end
	}
	return b
}

func TestRun(t *testing.T) {
	t.Parallel()
	Run(t, func(*testing.T) source.Source { return &fake{clock: NewClock(noon.Add(30 * time.Second))} })
}

func TestAccountLaws(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(a *source.Account)
		want  string
	}{
		{"an id that is none", func(a *source.Account) { a.Balance.AccountID, a.Positions.AccountID = "", "" }, "does not encode"},
		{"another account's positions", func(a *source.Account) { a.Positions.AccountID = "B" }, "came with positions of B"},
		{"positions of another instant", func(a *source.Account) { a.Positions.Timestamp = noon }, "the balance is of"},
		{"equity that is not the sum", func(a *source.Account) { a.Balance.Equity = thor.MustDecimal("100.01") }, "come to 100.00"},
		{"unknown equity", func(a *source.Account) { a.Balance.Equity, a.Balance.Cash = thor.Decimal{}, thor.Decimal{} }, "equity is —"},
		{"a total that is not the sum", func(a *source.Account) { a.Positions.Totals.PnL = thor.MustDecimal("1") }, "total of pnl"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := account(noon.Add(time.Second))
			tt.spoil(&a)
			wantFault(t, accountLaws([]source.Account{a}, true), tt.want)
		})
	}
	t.Run("no account", func(t *testing.T) {
		t.Parallel()
		wantFault(t, accountLaws(nil, true), "no account to judge")
	})
	t.Run("the same account twice", func(t *testing.T) {
		t.Parallel()
		a := account(noon)
		wantFault(t, accountLaws([]source.Account{a, a}, true), "account A is there twice")
	})
}

func TestStreamLaws(t *testing.T) {
	t.Parallel()
	wantFault(t, streamLaws(nil), "nothing to judge")
	a := thor.AccountBalanceMessage(account(noon).Balance)
	wantFault(t, streamLaws([]thor.Message{a, a}), "account_balance:A is there twice")
	wantFault(t, streamLaws(thor.PositionsMessages([]thor.Positions{{AccountID: "A"}})), "positions:A does not encode")
}

func TestBarLaws(t *testing.T) {
	t.Parallel()
	now := noon.Add(150 * time.Second)
	for _, tt := range []struct {
		name  string
		spoil func(bars []thor.Bar) []thor.Bar
		want  string
	}{
		{"a minute twice", func(b []thor.Bar) []thor.Bar { return append(b[:1], b...) }, "is there twice"},
		{"newest first", func(b []thor.Bar) []thor.Bar { b[0], b[1] = b[1], b[0]; return b }, "not oldest first"},
		{"a bar before since", func(b []thor.Bar) []thor.Bar { return append([]thor.Bar{barAt(noon.Add(-time.Minute), now)}, b...) }, "older than was asked for"},
		{"a bar of the future", func(b []thor.Bar) []thor.Bar { return append(b, barAt(noon.Add(time.Hour), now)) }, "in the future"},
		{"a forming bar that is not the newest", func(b []thor.Bar) []thor.Bar { b[1].Final = false; return b }, "comes after a forming one"},
		{"a bar that is final too early", func(b []thor.Bar) []thor.Bar { b[2].Final = true; return b }, "before its minute was over"},
		{"a close above the high", func(b []thor.Bar) []thor.Bar { b[0].Close = thor.MustDecimal("2"); return b }, "not between low"},
		{"a vwap below the low", func(b []thor.Bar) []thor.Bar { b[0].VWAP = thor.MustDecimal("0.5"); return b }, "vwap 0.5"},
		{"a negative volume", func(b []thor.Bar) []thor.Bar { b[0].Volume = thor.MustDecimal("-1"); return b }, "is negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bars := []thor.Bar{barAt(noon, now), barAt(noon.Add(time.Minute), now), barAt(noon.Add(2*time.Minute), now)}
			wantFault(t, barLaws(tt.spoil(bars), noon, now), tt.want)
		})
	}
}

func TestFinalLaws(t *testing.T) {
	t.Parallel()
	now := noon.Add(150 * time.Second)
	before := []thor.Bar{barAt(noon, now), barAt(noon.Add(time.Minute), now), barAt(noon.Add(2*time.Minute), now)}

	t.Run("a forming bar may change, an answer may end at a minute", func(t *testing.T) {
		t.Parallel()
		after := []thor.Bar{before[0], before[1], barAt(noon.Add(2*time.Minute), now.Add(time.Minute))}
		for n := 1; n <= len(after); n++ {
			if err := finalLaws(before, after[:n], noon); err != nil {
				t.Errorf("%d bars: %v", n, err)
			}
		}
	})
	t.Run("a final bar may not change", func(t *testing.T) {
		t.Parallel()
		changed := before[1]
		changed.Volume = thor.MustDecimal("7")
		wantFault(t, finalLaws(before, []thor.Bar{before[0], changed}, noon), "a final bar changed")
	})
	t.Run("a final bar may not go while newer ones stay", func(t *testing.T) {
		t.Parallel()
		wantFault(t, finalLaws(before, before[1:], noon), "a final bar changed")
	})
	t.Run("a bar must encode", func(t *testing.T) {
		t.Parallel()
		nameless := before[0]
		nameless.Display = ""
		wantFault(t, encodeLaws([]thor.Bar{nameless}), "does not encode")
	})
}

func TestMarketLaws(t *testing.T) {
	t.Parallel()
	wantFault(t, marketLaws(nil), "no market to judge")
	wantFault(t, marketLaws([]thor.MarketStatus{{}, {}}), "is there twice")
}

func wantFault(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want a fault with %q", err, want)
	}
}
