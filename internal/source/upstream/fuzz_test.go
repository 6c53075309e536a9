package upstream

import (
	"net/http"
	"testing"
	"time"

	"thor"
	"thor/internal/source"
)

// FuzzAnswers hands anything at all to the readers of the preset: they say what
// is wrong with it as an error of the source, or make something that can be
// published.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"account_id":"A","net_liquidation":105000.25,"equity":0.0,"cash":0.0,"buying_power":210000.5,"day_trade_bp":420000.0,"source":"redis","updated_at":"2025-12-19T15:30:00.123456+00:00"}`,
		`{"account_id":"A","net_liquidation":"1.00","equity":"","cash":null,"updated_at":"2025-12-19T15:30:00"}`,
		`{"account":{},"positions":[{"id":3,"symbol":"AAPL","asset_type":"EQ","quantity":"100.0000","avg_price":"150.250000","mark_price":"152.100000","market_value":"15210.00","unrealized_pl":"185.00","pl_percent":"1.23","currency":"USD"}]}`,
		`{"positions":[{"symbol":"/ES","asset_type":"FUT","quantity":"-1","avg_price":"6700","mark_price":null,"currency":"USD","multiplier":"50"}]}`,
		`{"market":"USA","future":"YM","intraday_latest":{"open":1.5,"high":2.0,"low":1.0,"close":1.25,"volume":12,"spread":null}}`,
		`{"market":"USA","future":"YM","intraday_latest":null}`,
		`[{"id":7,"broker":"SCHWAB","broker_account_id":"A","account_number":"12345678"}]`,
		`{"accounts":[{"id":"7","broker":"PAPER","broker_account_id":"PAPER-1","account_number":null}]}`,
		`{"net_liquidation":1e18,"cash":-0.0,"buying_power":1e-18}`, `[]`, `null`, `{"positions":{}}`,
	} {
		f.Add([]byte(seed))
	}
	text, err := Preset("thor")
	if err != nil {
		f.Fatal(err)
	}
	m, err := Parse("preset", text)
	if err != nil {
		f.Fatal(err)
	}
	s, err := New(Config{URL: "http://localhost:1", Mapping: m})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := parse(fault{}, reply{status: http.StatusOK, data: data})
		if err != nil {
			typed(t, err)
			return
		}
		list := func(e *Endpoint) []any {
			value, _, _ := first(body, e.roots())
			items, _ := value.([]any)
			return items
		}
		a := newAccount("A", "A")
		b, err := s.balanceFrom(a, body)
		published(t, thor.AccountBalanceMessage(b), err)
		p, err := s.positionsFrom(a, list(&m.Positions))
		published(t, thor.PositionsMessage(p), err)
		if bar, err := s.barFrom(m.Symbols[0], body, noon); err == nil && bar.Symbol != "" {
			bar.TimestampMinute, bar.Timestamp = noon.Truncate(time.Minute), noon
			published(t, thor.IntradayBarMessage(bar), nil)
		} else if err != nil {
			typed(t, err)
		}
		if accounts, err := s.accountsFrom(list(&m.Accounts.Endpoint)); err != nil {
			typed(t, err)
		} else if len(accounts) == 0 {
			t.Error("no accounts and no error")
		}
	})
}

func typed(t *testing.T, err error) {
	t.Helper()
	if _, ok := err.(*source.Error); !ok { //nolint:errorlint // it is that itself
		t.Errorf("%v is not an error of the source", err)
	}
}

func published(t *testing.T, m thor.Message, err error) {
	t.Helper()
	if err != nil {
		typed(t, err)
		return
	}
	if _, err := m.Encode(); err != nil {
		t.Errorf("it cannot be published: %v", err)
	}
}
