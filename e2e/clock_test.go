//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"thor"
)

// barsSince asks REST for the bars of a symbol.
func (s *server) barsSince(symbol string, since time.Time) []thor.Bar {
	s.t.Helper()
	_, body := s.get(fmt.Sprintf("/api/intraday/bars?symbol=%s&since=%s&limit=5000", symbol, since.Format(time.RFC3339)))
	var answer struct{ Bars []thor.Bar }
	if err := json.Unmarshal(body, &answer); err != nil {
		s.t.Fatalf("%s: %v", body, err)
	}
	return answer.Bars
}

// eventually tries until it works or the time is up.
func eventually(t *testing.T, what string, try func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if try() {
			return
		}
	}
	t.Fatalf("it took too long: %s", what)
}

// TestAKillAcrossASessionsEndLeavesNoHole kills the server minutes before New
// York closes and starts it again the next morning: every minute in between is
// read, and what was forming has become final.
func TestAKillAcrossASessionsEndLeavesNoHole(t *testing.T) {
	t.Parallel()
	killed := time.Date(2026, 11, 23, 20, 55, 20, 0, time.UTC)
	closing := time.Date(2026, 11, 23, 21, 0, 0, 0, time.UTC)
	morning := time.Date(2026, 11, 24, 14, 31, 10, 0, time.UTC)
	opening := morning.Truncate(time.Minute).Add(-time.Minute)

	s := serve(t, "--sim-start", killed.Format(time.RFC3339))
	eventually(t, "a forming bar of AAPL", func() bool {
		bars := s.barsSince("EQ.AAPL", killed.Add(-5*time.Minute))
		return len(bars) > 0 && !bars[len(bars)-1].Final
	})
	s.kill()
	s = s.again("--sim-start", morning.Format(time.RFC3339))
	eventually(t, "the bars of the next morning, first of all", func() bool {
		return len(s.barsSince("EQ.AAPL", opening)) > 1
	})
	eventually(t, "the bar that was forming, complete", func() bool { // the first to be read of the past
		for _, b := range s.barsSince("CRYPTO.BTC-USD", killed.Truncate(time.Minute)) {
			return b.Final && b.TimestampMinute.Equal(killed.Truncate(time.Minute))
		}
		return false
	})
	eventually(t, "every minute of bitcoin, which trades at any hour", func() bool {
		bars := s.barsSince("CRYPTO.BTC-USD", killed.Truncate(time.Minute))
		return len(bars) >= int(morning.Sub(killed)/time.Minute)
	})
	var minutes []string
	bars := s.barsSince("EQ.AAPL", killed.Add(-5*time.Minute))
	for i, b := range bars {
		minutes = append(minutes, b.TimestampMinute.Format("02 15:04"))
		if b.Final != (i < len(bars)-1) {
			t.Errorf("the bar of %s: final is %v", minutes[i], b.Final)
		}
	}
	var want []string
	for at := killed.Add(-5*time.Minute + time.Second).Truncate(time.Minute).Add(time.Minute); at.Before(closing); at = at.Add(time.Minute) {
		want = append(want, at.Format("02 15:04"))
	}
	for i := range len(bars) - len(want) {
		want = append(want, opening.Add(time.Duration(i)*time.Minute).Format("02 15:04"))
	}
	if !slices.Equal(minutes, want) {
		t.Errorf("minutes\n got %v\nwant %v", minutes, want)
	}
	for _, b := range s.barsSince("CRYPTO.BTC-USD", killed.Add(-time.Minute)) {
		if !b.Final && b.TimestampMinute.Before(morning.Truncate(time.Minute)) {
			t.Errorf("the bar of bitcoin of %s was never completed", b.TimestampMinute)
		}
	}
}

// TestAFastClock runs a minute a second: the announced cadence is kept, no
// minute is missing, and an account's balance and positions are of one instant
// and add up.
func TestAFastClock(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	s := serve(t, "--sim-start", start.Format(time.RFC3339), "--sim-speed", "60")
	list := connect(t, s).collect(10 * time.Second)

	cash, worth := map[string]thor.AccountBalance{}, map[string]thor.Positions{}
	final := map[thor.StreamID][]time.Time{}
	changed := map[string]bool{}
	announced := false
	for _, m := range list {
		switch m.Type {
		case "heartbeat":
			tip, ok := decode[thor.Heartbeat](t, m).Streams["intraday:EQ.AAPL"]
			if announced = announced || ok; ok && tip.CadenceMS != 100 {
				t.Errorf("a cadence of %d ms is announced, want 100", tip.CadenceMS)
			}
		case "account_balance":
			b := decode[thor.AccountBalance](t, m)
			cash[b.AccountID+b.Timestamp.String()] = b
			changed[b.Equity.String()] = true
		case "positions":
			p := decode[thor.Positions](t, m)
			worth[p.AccountID+p.Timestamp.String()] = p
		case "intraday_bar":
			if b := decode[thor.Bar](t, m); b.Final && !m.Snapshot {
				final[m.Stream] = append(final[m.Stream], b.TimestampMinute)
			}
		}
	}
	compared := 0
	for at, b := range cash {
		p, ok := worth[at]
		if !ok {
			continue
		}
		compared++
		sum := b.Cash
		for _, row := range p.Positions {
			sum = sum.Add(row.MarketValue)
		}
		if !b.Equity.Equal(sum) {
			t.Errorf("%s: equity %s, and cash and positions come to %s", at, b.Equity, sum)
		}
	}
	if !announced {
		t.Error("no heartbeat announced a cadence")
	}
	if compared < 50 || len(changed) < 20 {
		t.Errorf("%d balances had positions of their instant and %d were different; want 50 and 20", compared, len(changed))
	}
	for _, id := range []thor.StreamID{"intraday:EQ.AAPL", "intraday:FUT.ES", "intraday:CRYPTO.BTC-USD"} {
		minutes := final[id]
		if len(minutes) < 6 {
			t.Errorf("%s: %d minutes became final in ten seconds", id, len(minutes))
		}
		for i := 1; i < len(minutes); i++ {
			if step := minutes[i].Sub(minutes[i-1]); step != time.Minute {
				t.Errorf("%s: %s comes %v after %s", id, minutes[i], step, minutes[i-1])
			}
		}
	}
}

func decode[T any](t *testing.T, m message) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(m.Data, &v); err != nil {
		t.Fatalf("%s: %v", m.Data, err)
	}
	return v
}
