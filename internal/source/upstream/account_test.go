package upstream

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"thor"
	"thor/internal/legacy"
	"thor/internal/source"
)

// TestBalancesAreTheSimulators compares what comes through the backend with what
// the backend has it from.
func TestBalancesAreTheSimulators(t *testing.T) {
	t.Parallel()
	for _, era := range legacy.Eras() {
		for _, floats := range []bool{true, false} {
			w := still(t, noon, func(c *legacy.Config) { c.Era, c.Bugs[legacy.BugFloats] = era, floats })
			want, err := w.sim.Accounts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got, err := w.Balances(t.Context())
			if err != nil || len(got) != len(want) {
				t.Fatalf("era %s: %+v, %v", era, got, err)
			}
			for i, b := range got {
				of := want[i].Balance
				if b.AccountID != of.AccountID || b.Currency != "USD" || b.Source != "upstream" || !b.Timestamp.Equal(of.Timestamp) {
					t.Errorf("era %s: %+v, want %+v", era, b, of)
				}
				if !b.PortfolioValue.Equal(of.PortfolioValue) || !b.BuyingPower.Equal(of.BuyingPower) {
					t.Errorf("era %s: %+v, want %+v", era, b, of)
				}
				// The cache of a broker's account has neither: unknown, not zero.
				if cached := era != legacy.EraDev && of.DayTradingBuyingPower.Known(); cached {
					of.Cash, of.Equity = thor.Decimal{}, thor.Decimal{}
				}
				if !b.Cash.Equal(of.Cash) || !b.Equity.Equal(of.Equity) {
					t.Errorf("era %s: cash %s and equity %s of %s, want %s and %s", era, b.Cash, b.Equity, b.AccountID, of.Cash, of.Equity)
				}
			}
		}
	}
}

// TestAnExpiredBrokerTokenIsNoZero holds the first of all rules: no balance is
// zero because the source failed.
func TestAnExpiredBrokerTokenIsNoZero(t *testing.T) {
	t.Parallel()
	for _, era := range legacy.Eras() {
		w := still(t, noon.Truncate(30*time.Minute).Add(29*time.Minute+30*time.Second), func(c *legacy.Config) { c.Era = era })
		balances, err := w.Balances(t.Context())
		if source.KindOf(err) != source.BadData || !strings.Contains(err.Error(), "balance of ••••-1") ||
			!strings.Contains(err.Error(), "/net_liquidation, /buying_power, /day_trade_bp are all zero: the backend says so while its broker's token has expired") {
			t.Errorf("era %s: got %v", era, err)
		}
		if len(balances) != 1 || balances[0].AccountID != "PAPER-2" || balances[0].PortfolioValue.Sign() == 0 {
			t.Errorf("era %s: the account on paper: %+v", era, balances)
		}
	}
}

func TestPositionsAreTheSimulators(t *testing.T) {
	t.Parallel()
	for _, era := range legacy.Eras() {
		w := still(t, noon, func(c *legacy.Config) { c.Era = era })
		want, err := w.sim.Accounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Positions(t.Context())
		if err != nil || len(got) != len(want) {
			t.Fatalf("era %s: %+v, %v", era, got, err)
		}
		for i, p := range got {
			held := map[string]thor.Position{}
			for _, row := range p.Positions {
				held[row.Symbol] = row
			}
			if _, ghost := held["EQ.TSLA"]; ghost != (era != legacy.EraDev) {
				t.Errorf("era %s: a row of a position that was closed: %v", era, ghost)
			}
			delete(held, "EQ.TSLA")
			if of := want[i].Positions; p.AccountID != of.AccountID || len(held) != len(of.Positions) {
				t.Errorf("era %s: %+v, want %+v", era, p, of)
			}
			for _, of := range want[i].Positions.Positions {
				row := held[of.Symbol]
				hundredth := thor.NewDecimal(1, 2)
				same := row.Display == of.Display && row.AssetClass == of.AssetClass && row.Currency == "USD" &&
					row.Quantity.Equal(of.Quantity) && row.Multiplier.Equal(of.Multiplier) &&
					row.EntryPrice.Equal(of.EntryPrice) && row.CurrentPrice.Equal(of.CurrentPrice)
				exact := row.MarketValue.Equal(of.MarketValue) && row.PnL.Equal(of.PnL)
				if era == legacy.EraDev { // it leaves them to us, and the price of entry is rounded
					dollar := thor.NewDecimal(1, 0)
					exact = row.MarketValue.Sub(of.MarketValue).Abs().Cmp(dollar) <= 0 && row.PnL.Sub(of.PnL).Abs().Cmp(dollar) <= 0
				}
				if !same || !exact || row.PnLPercent.Sub(of.PnLPercent).Abs().Cmp(hundredth) > 0 {
					t.Errorf("era %s:\n got %+v\nwant %+v", era, row, of)
				}
				if live := p.AccountID == "PAPER-1"; era == legacy.EraDev && live != row.DayPnL.Equal(of.DayPnL) || era != legacy.EraDev && row.DayPnL.Known() {
					t.Errorf("era %s: the day's profit of %s is %s, want %s", era, row.Symbol, row.DayPnL, of.DayPnL)
				}
			}
		}
	}
}

func TestAccountsThatAreGiven(t *testing.T) {
	t.Parallel()
	w := still(t, noon, nil, `[accounts]`, "[accounts]\nids = [\"PAPER-2\"]", `"/api/actandpos/{book}/positions?{bookkey}={account}",`, "")
	balances, err := w.Balances(t.Context())
	if err != nil || len(balances) != 1 || balances[0].AccountID != "PAPER-2" {
		t.Errorf("got %+v, %v", balances, err)
	}
	named := still(t, noon, nil, `[accounts]`, "[accounts]\nids = [\"desk=PAPER-2\"]", `"/api/actandpos/{book}/positions?{bookkey}={account}",`, "")
	balances, err = named.Balances(t.Context())
	if err != nil || len(balances) != 1 || balances[0].AccountID != "desk" {
		t.Errorf("got %+v, %v", balances, err)
	}
	dev := still(t, noon, func(c *legacy.Config) { c.Era = legacy.EraDev }, `[accounts]`, "[accounts]\nids = [\"nobody\"]",
		`"/api/actandpos/{book}/positions?{bookkey}={account}",`, "")
	// This era answers with the first account when it does not know one.
	balances, err = dev.Balances(t.Context())
	if len(balances) != 0 || source.KindOf(err) != source.BadData || !strings.Contains(err.Error(), "/account_id is another account than was asked for") {
		t.Errorf("got %+v, %v", balances, err)
	}
}

func TestSymbols(t *testing.T) {
	t.Parallel()
	s := connect(t, Config{URL: "http://localhost:1", Mapping: preset(t)})
	for _, tt := range []struct {
		class         thor.AssetClass
		theirs        string
		id, display   string
		point         string
		known, listed bool
	}{
		{thor.AssetFuture, "ES", "FUT.ES", "/ES", "50", true, true},
		{thor.AssetEquity, "ES", "EQ.ES", "ES", "1", true, false},
		{thor.AssetFuture, "/MES", "FUT.MES", "/MES", "—", false, false},
		{thor.AssetFuture, "//ES", "FUT.ES", "/ES", "—", false, false},
		{thor.AssetEquity, "BRK/B", "EQ.BRK.B", "BRK/B", "1", true, false},
		{thor.AssetCrypto, "BTC/USD", "CRYPTO.BTC-USD", "BTC/USD", "1", true, false},
		{thor.AssetFX, "EUR/USD", "FX.EUR-USD", "EUR/USD", "1", true, false},
		{thor.AssetIndex, "$DJI", "IDX.DJI", "$DJI", "1", true, false},
		{thor.AssetOption, "SPY   261218C00700000", "OPT.SPY261218C00700000", "SPY   261218C00700000", "100", true, false},
	} {
		got, listed := s.symbol(tt.class, tt.theirs)
		if got.ID != tt.id || got.Display != tt.display || listed != tt.listed || multiplier(got, tt.class).String() != tt.point {
			t.Errorf("%s %s: got %+v (%v) at %s, want %+v", tt.class, tt.theirs, got, listed, multiplier(got, tt.class), tt)
		}
	}
	for _, tt := range []struct {
		class, symbol, words string
	}{
		{"future", "MES", "nobody says what a point of FUT.MES is worth: add [[symbols]] with id, alias and multiplier"},
		{"bond", "T", `"bond" is not an asset class of ours`},
		{"equity", "A B", `the symbol "A B" would be "EQ.A B", which is no id: add [[symbols]] with alias = "A B" and an id`},
	} {
		_, err := s.position(row{
			"asset_class": {text: tt.class, known: true}, "symbol": {text: tt.symbol, known: true},
			"quantity": {dec: thor.NewDecimal(1, 0), known: true}, "currency": {text: "USD", known: true},
		})
		if err == nil || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("got %v, want %q", err, tt.words)
		}
	}
}

func TestTheAccountsOfABackend(t *testing.T) {
	t.Parallel()
	listed := strings.Replace(small, `ids = ["A"]`, "path = \"/accounts\"\nevery = \"1ns\"\nfields.id = { from = \"/id\", required = true }", 1)
	for _, tt := range []struct {
		name, body string
		kind       source.Kind
		words      string
	}{
		{"none", `[]`, source.NotSupported, "there is no account. Does this user have accounts?"},
		{"without an id", `[{"id":null}]`, source.BadData, "account 0: id: /id is null, and the mapping requires it"},
		{"an id that cannot be one", `[{"id":"a b"}]`, source.BadData, "account 0: /id is not an id"},
		{"one twice", `[{"id":1},{"id":"1"}]`, source.BadData, "account 1 has the id of another"},
		{"no object", `["A"]`, source.BadData, "account 0: it is \"A\", not an object"},
	} {
		s, _ := serve(t, say(200, tt.body), func(c *Config) { c.Mapping = parsed(t, listed) })
		_, err := s.Balances(t.Context())
		if source.KindOf(err) != tt.kind || !strings.Contains(err.Error(), "accounts: ") || !strings.Contains(err.Error(), tt.words) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.words)
		}
	}
}

// TestNoAccountIsCalledByItsNumber holds that the broker's number of an account
// is not what thor calls it: its id is in files, streams and logs.
func TestNoAccountIsCalledByItsNumber(t *testing.T) {
	t.Parallel()
	const hash = "4d0fa7dd1cb08d4ef4ccf15d5ae38a5f08a9c1f4b8bdd3f5e7b0e7f6e3a9b1c2"
	with := func(fields string) string { return `fields.id = { from = "/id", required = true }` + "\n" + fields }
	whole := with("fields.number = { from = \"/number\" }\nfields.pk = { from = \"/pk\" }")
	for _, tt := range []struct {
		name, fields, body string
		id, words          string
	}{
		{"a hash beside the number", whole, `[{"id":"` + hash + `","number":"55218734","pk":7}]`, hash, ""},
		{"one on paper has no number", whole, `[{"id":"PAPER-1","number":null,"pk":8}]`, "PAPER-1", ""},
		{"the number itself", whole, `[{"id":"55218734","number":"55218734","pk":7}]`, "account-7", ""},
		{"the number, and a key that is the number", whole, `[{"id":"55218734","number":"55218734","pk":55218734}]`, "", "/id is the broker's number of the account"},
		{"the number and no key", whole, `[{"id":"U55218734","number":"U55218734"}]`, "", "which must not be in files and logs: map fields.pk to a key"},
		{"nobody says what the number is", with(""), `[{"id":"5521-8734"}]`, "", "/id looks like a broker's number"},
		{"nobody says, and there is a key", with("fields.pk = { from = \"/pk\" }"), `[{"id":55218734,"pk":7}]`, "account-7", ""},
		{"a short key", with(""), `[{"id":7}]`, "7", ""},
	} {
		listed := strings.Replace(small, `ids = ["A"]`, "path = \"/accounts\"\n"+tt.fields, 1)
		asked := make(chan string, 1)
		s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/accounts" {
				asked <- r.URL.Path
				say(200, `{"net":"1000.00"}`)(w, r)
				return
			}
			say(200, tt.body)(w, r)
		}, func(c *Config) { c.Mapping = parsed(t, listed) })
		balances, err := s.Balances(t.Context())
		if tt.words != "" {
			if source.KindOf(err) != source.BadData || !strings.Contains(err.Error(), tt.words) || strings.Contains(err.Error(), "8734") {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.words)
			}
			continue
		}
		if err != nil || len(balances) != 1 || balances[0].AccountID != tt.id {
			t.Errorf("%s: got %+v, %v, want %s", tt.name, balances, err, tt.id)
			continue
		}
		label := ""
		if strings.Contains(tt.body, `"number":"`) {
			label = "…8734"
		}
		if got := s.Label(tt.id); got != label || s.Label("nobody") != "" {
			t.Errorf("%s: its label is %q, want %q", tt.name, got, label)
		}
		// The backend is asked by its own name of it.
		if path := <-asked; !strings.Contains(tt.body, strings.TrimPrefix(path, "/balance/")) {
			t.Errorf("%s: asked for %s", tt.name, path)
		}
	}
}

// TestAListThatIsAwayHidesNoBalance holds that the accounts there were are asked
// for while the list of them cannot be read.
func TestAListThatIsAwayHidesNoBalance(t *testing.T) {
	t.Parallel()
	listed := strings.Replace(small, `ids = ["A"]`, "path = \"/accounts\"\nevery = \"1ns\"\nfields.id = { from = \"/id\", required = true }", 1)
	answers := make(chan string, 3)
	s, _ := serve(t, handle(map[string]func() string{
		"/accounts": func() string { return <-answers }, "/balance/A": func() string { return good },
	}), func(c *Config) { c.Mapping = parsed(t, listed) })
	for _, answer := range []string{`[{"id":"A"}]`, "", `[{"id":"A"}]`} {
		answers <- answer
		if balances, err := s.Balances(t.Context()); err != nil || len(balances) != 1 {
			t.Errorf("after %q: got %+v, %v", answer, balances, err)
		}
	}
}

// TestOneAccountOfTwo has a backend that refuses one account: the other comes
// all the same, the trouble is told each time, and each is asked once an
// interval.
func TestOneAccountOfTwo(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if strings.HasSuffix(r.URL.Path, "/B") {
			say(http.StatusInternalServerError, `{}`)(w, r)
			return
		}
		say(http.StatusOK, `{"id":"A","net":"10.00","cash":"5.00"}`)(w, r)
	}, func(c *Config) {
		text := strings.Replace(strings.Replace(small, `["A"]`, `["A", "B"]`, 1), `every = "1ns"`, `every = "1h"`, 1)
		c.Mapping = parsed(t, text)
	})
	for range 3 {
		balances, err := s.Balances(t.Context())
		if len(balances) != 1 || balances[0].AccountID != "A" {
			t.Errorf("balances %+v, want that of A", balances)
		}
		if part, ok := errors.AsType[*source.Partial](err); !ok || source.KindOf(part) != source.Transient {
			t.Errorf("the error is %v, want one of a part", err)
		}
	}
	if got := asked.Load(); got != 2 {
		t.Errorf("asked %d times, want once for each account", got)
	}
}
