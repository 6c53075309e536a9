package sourcetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"thor"
	"thor/internal/source"
)

// faults collects what breaks a law.
type faults []error

func (f *faults) addf(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

// err joins the faults, the first of them if there are many.
func (f *faults) err() error {
	const enough = 10
	if n := len(*f); n > enough {
		return errors.Join(errors.Join((*f)[:enough]...), fmt.Errorf("and %d more", n-enough))
	}
	return errors.Join(*f...)
}

// accountLaws are about one answer to Accounts.
func accountLaws(accounts []source.Account, simulated bool) error {
	var f faults
	if len(accounts) == 0 {
		f.addf("there is no account to judge")
	}
	seen := map[string]bool{}
	for _, a := range accounts {
		id := a.Balance.AccountID
		if seen[id] {
			f.addf("account %s is there twice", id)
		}
		seen[id] = true
		if got := a.Positions.AccountID; got != id {
			f.addf("balance of %s came with positions of %s", id, got)
		}
		if got, want := a.Positions.Timestamp, a.Balance.Timestamp; !got.Equal(want) {
			f.addf("account %s: positions are of %s, the balance is of %s", id, got, want)
		}
		balance, positions := thor.AccountBalanceMessage(a.Balance), thor.PositionsMessage(a.Positions)
		for _, msg := range []thor.Message{balance, positions} {
			if _, err := msg.Encode(); err != nil {
				f.addf("account %s: %s does not encode: %w", id, msg.Type, err)
			}
		}
		if simulated {
			f.identity(balance, positions, a.Positions.Totals)
		}
	}
	return f.err()
}

// identity holds for simulated accounts to the cent, as clients see them:
// equity = cash + Σ market_value, and the totals are the sums of the rows.
func (f *faults) identity(balance, positions thor.Message, own thor.PositionTotals) {
	b, ok := balance.Data.(thor.AccountBalance)
	p, positionsOK := positions.Data.(thor.Positions)
	if !ok || !positionsOK {
		panic("sourcetest: the builders of accounts changed their payloads")
	}
	if want := b.Cash.Add(p.Totals.MarketValue); !b.Equity.Known() || !b.Equity.Equal(want) {
		f.addf("account %s: equity is %s, cash and market values come to %s", b.AccountID, b.Equity, want)
	}
	for _, total := range []struct {
		field     string
		got, want thor.Decimal
	}{
		{"market_value", own.MarketValue, p.Totals.MarketValue},
		{"pnl", own.PnL, p.Totals.PnL},
		{"day_pnl", own.DayPnL, p.Totals.DayPnL},
	} {
		if total.got.Known() && !total.got.Equal(total.want) {
			f.addf("account %s: total of %s is %s, the rows come to %s", b.AccountID, total.field, total.got, total.want)
		}
	}
}

// streamLaws are about messages each of which is the whole of its stream.
func streamLaws(messages []thor.Message) error {
	var f faults
	if len(messages) == 0 {
		f.addf("there is nothing to judge")
	}
	seen := map[thor.StreamID]bool{}
	for _, m := range messages {
		if seen[m.Stream] {
			f.addf("%s is there twice", m.Stream)
		}
		seen[m.Stream] = true
		if _, err := m.Encode(); err != nil {
			f.addf("%s does not encode: %w", m.Stream, err)
		}
	}
	return f.err()
}

// minute names one bar.
type minute struct {
	symbol string
	start  int64 // seconds since 1970
}

func minuteOf(b thor.Bar) minute { return minute{b.Symbol, b.TimestampMinute.Unix()} }

func (m minute) String() string {
	return fmt.Sprintf("bar %s of %s", time.Unix(m.start, 0).UTC().Format(time.RFC3339), m.symbol)
}

// barLaws are about one answer to Bars. Now is the source's time after it.
func barLaws(bars []thor.Bar, since, now time.Time) error {
	var f faults
	seen := map[minute]bool{}
	forming := map[string]bool{}
	for i, b := range bars {
		at := minuteOf(b)
		if seen[at] {
			f.addf("%s is there twice", at)
		}
		seen[at] = true
		if i > 0 && b.TimestampMinute.Before(bars[i-1].TimestampMinute) {
			f.addf("%s comes after %s: not oldest first", at, minuteOf(bars[i-1]))
		}
		if b.TimestampMinute.Before(since) {
			f.addf("%s is older than was asked for, %s", at, since.Format(time.RFC3339Nano))
		}
		if b.TimestampMinute.After(now) || b.Timestamp.After(now) {
			f.addf("%s is in the future: it says %s, now is %s", at, b.Timestamp, now)
		}
		if forming[b.Symbol] {
			f.addf("%s comes after a forming one", at)
		}
		if forming[b.Symbol] = !b.Final; b.Final && b.Timestamp.Before(b.TimestampMinute.Add(time.Minute)) {
			f.addf("%s is final at %s, before its minute was over", at, b.Timestamp)
		}
		f.values(b)
	}
	return f.err()
}

func (f *faults) values(b thor.Bar) {
	for _, p := range []thor.Decimal{b.Open, b.Close} {
		if p.Cmp(b.Low) < 0 || p.Cmp(b.High) > 0 {
			f.addf("%s: %s is not between low %s and high %s", minuteOf(b), p, b.Low, b.High)
		}
	}
	if b.VWAP.Known() && (b.VWAP.Cmp(b.Low) < 0 || b.VWAP.Cmp(b.High) > 0) {
		f.addf("%s: vwap %s is not between low %s and high %s", minuteOf(b), b.VWAP, b.Low, b.High)
	}
	if b.Volume.Sign() < 0 {
		f.addf("%s: volume %s is negative", minuteOf(b), b.Volume)
	}
}

// encodeLaws are about bars on their way to clients.
func encodeLaws(bars []thor.Bar) error {
	var f faults
	for _, b := range bars {
		if _, err := thor.IntradayBarMessage(b).Encode(); err != nil {
			f.addf("%s does not encode: %w", minuteOf(b), err)
		}
	}
	return f.err()
}

// finalLaws are about two answers to Bars, the second of which was asked for
// every minute from since: what was final stays as it was, byte for byte. The
// second may end at a minute. Of many bars about two hundred are compared, to
// stay affordable under the race detector.
func finalLaws(before, after []thor.Bar, since time.Time) error {
	var f faults
	later := map[minute]thor.Bar{}
	var end time.Time
	for _, b := range after {
		later[minuteOf(b)], end = b, b.TimestampMinute
	}
	before = slices.DeleteFunc(slices.Clone(before), func(b thor.Bar) bool {
		return !b.Final || b.TimestampMinute.Before(since) || b.TimestampMinute.After(end)
	})
	for i := 0; i < len(before); i += 1 + len(before)/200 {
		b := before[i]
		if got, want := encoded(later[minuteOf(b)]), encoded(b); got != want {
			f.addf("a final bar changed:\n got %s\nwant %s", got, want)
		}
	}
	return f.err()
}

// encoded is the bar as clients get it.
func encoded(b thor.Bar) string {
	data, err := thor.IntradayBarMessage(b).Encode()
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// marketLaws are about one answer to Markets.
func marketLaws(markets []thor.MarketStatus) error {
	var f faults
	if len(markets) == 0 {
		f.addf("there is no market to judge")
	}
	seen := map[string]bool{}
	for _, m := range markets {
		if seen[m.MarketID] {
			f.addf("market %s is there twice", m.MarketID)
		}
		seen[m.MarketID] = true
		if _, err := thor.MarketStatusMessage(m).Encode(); err != nil {
			f.addf("market %s does not encode: %w", m.MarketID, err)
		}
	}
	return f.err()
}
