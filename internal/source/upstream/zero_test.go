package upstream

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"thor"
	"thor/internal/legacy"
	"thor/internal/source"
)

// spoiled are the ways an answer of the backend is made worse. None of them says
// that an amount is zero.
var spoiled = map[string]func(w http.ResponseWriter, r *http.Request, body []byte, n int){
	"an error":             func(w http.ResponseWriter, r *http.Request, _ []byte, _ int) { say(500, `{"detail":"no"}`)(w, r) },
	"an error with values": func(w http.ResponseWriter, r *http.Request, body []byte, _ int) { say(503, string(body))(w, r) },
	"too often": func(w http.ResponseWriter, r *http.Request, _ []byte, _ int) {
		say(429, `{"detail":"no"}`, "Retry-After", "0")(w, r)
	},
	"refused":    func(w http.ResponseWriter, r *http.Request, _ []byte, _ int) { say(403, `{"detail":"no"}`)(w, r) },
	"gone":       func(w http.ResponseWriter, r *http.Request, _ []byte, _ int) { say(404, `{"detail":"no"}`)(w, r) },
	"logged out": func(w http.ResponseWriter, r *http.Request, _ []byte, _ int) { say(401, `{"detail":"no"}`)(w, r) },
	"a web page": func(w http.ResponseWriter, r *http.Request, _ []byte, _ int) {
		say(200, "<html>0.00</html>", "Content-Type", "text/html")(w, r)
	},
	"an empty body":   func(w http.ResponseWriter, r *http.Request, _ []byte, _ int) { say(200, "")(w, r) },
	"an empty object": func(w http.ResponseWriter, r *http.Request, _ []byte, _ int) { say(200, "{}")(w, r) },
	"null":            func(w http.ResponseWriter, r *http.Request, _ []byte, _ int) { say(200, "null")(w, r) },
	"a number":        func(w http.ResponseWriter, r *http.Request, _ []byte, _ int) { say(200, "0")(w, r) },
	"cut off": func(w http.ResponseWriter, r *http.Request, body []byte, n int) {
		say(200, string(body[:n%max(1, len(body))]))(w, r)
	},
	"one field of another name": func(w http.ResponseWriter, r *http.Request, body []byte, n int) {
		say(200, string(rename(body, n)))(w, r)
	},
	"one value null": func(w http.ResponseWriter, r *http.Request, body []byte, n int) {
		say(200, string(revalue(body, n, "null")))(w, r)
	},
	"one value empty": func(w http.ResponseWriter, r *http.Request, body []byte, n int) {
		say(200, string(revalue(body, n, `""`)))(w, r)
	},
	"one value a list": func(w http.ResponseWriter, r *http.Request, body []byte, n int) {
		say(200, string(revalue(body, n, `[]`)))(w, r)
	},
	"one value words": func(w http.ResponseWriter, r *http.Request, body []byte, n int) {
		say(200, string(revalue(body, n, `"n/a"`)))(w, r)
	},
}

var (
	members = regexp.MustCompile(`"[a-z_]+":`)
	values  = regexp.MustCompile(`("[a-z_]+":)("[^"]*"|-?[0-9.]+|null|true|false)`)
)

// rename gives the member at some place of a body another name.
func rename(body []byte, n int) []byte {
	all := members.FindAllIndex(body, -1)
	if len(all) == 0 {
		return body
	}
	at := all[n%len(all)]
	return slices.Concat(body[:at[0]], []byte(`"other_name":`), body[at[1]:])
}

// revalue puts something else in the place of a value.
func revalue(body []byte, n int, value string) []byte {
	all := values.FindAllSubmatchIndex(body, -1)
	if len(all) == 0 {
		return body
	}
	at := all[n%len(all)]
	return slices.Concat(body[:at[4]], []byte(value), body[at[5]:])
}

// spoiler is a backend whose answers to some questions are made worse.
type spoiler struct {
	backend http.Handler
	fault   atomic.Pointer[func(w http.ResponseWriter, r *http.Request, body []byte)]
}

func (s *spoiler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := s.fault.Load()
	if fault == nil {
		s.backend.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	s.backend.ServeHTTP(answer, r)
	(*fault)(w, r, answer.Body.Bytes())
}

// TestNoAmountIsZeroBecauseTheSourceFailed spoils the answers to any question in
// any way, in every era and with the broker's token valid and expired, and
// compares what would be published with what is so: no amount is zero that is
// not, and no position is missing.
func TestNoAmountIsZeroBecauseTheSourceFailed(t *testing.T) {
	t.Parallel()
	expired := noon.Truncate(30 * time.Minute).Add(29*time.Minute + 30*time.Second)
	for _, era := range legacy.Eras() {
		for _, at := range []time.Time{noon, expired} {
			w := still(t, at, nil)
			truth, err := w.sim.Accounts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			backend, err := legacy.New(legacy.Config{Source: w.sim, Era: era, Bugs: legacy.AllBugs()})
			if err != nil {
				t.Fatal(err)
			}
			s := &spoiler{backend: backend}
			server := httptest.NewServer(s)
			t.Cleanup(server.Close)
			mapping := preset(t)
			rapid.Check(t, func(rt *rapid.T) {
				s.fault.Store(nil)
				source, err := New(Config{
					URL: server.URL, Mapping: mapping, User: legacy.DefaultUser, Password: legacy.DefaultPassword, SourceClock: w.sim.SourceClock,
				})
				if err != nil {
					rt.Fatal(err)
				}
				defer source.Close() //nolint:errcheck // it never fails
				for range rapid.IntRange(0, 1).Draw(rt, "questions before") {
					ask(rt, source, truth)
				}
				path := rapid.SampledFrom([]string{"/", "/accounts", "/balance", "/positions", "/login"}).Draw(rt, "path")
				name := rapid.SampledFrom(slices.Sorted(maps.Keys(spoiled))).Draw(rt, "fault")
				n := rapid.IntRange(0, 5000).Draw(rt, "place")
				fault := func(w http.ResponseWriter, r *http.Request, body []byte) {
					if strings.Contains(r.URL.Path, path) {
						spoiled[name](w, r, body, n)
						return
					}
					say(200, string(body))(w, r)
				}
				s.fault.Store(&fault)
				ask(rt, source, truth)
				ask(rt, source, truth)
				s.fault.Store(nil)
				ask(rt, source, truth)
			})
		}
	}
}

// ask asks for everything once and compares it with the truth.
func ask(t *rapid.T, s *Source, truth []source.Account) {
	t.Helper()
	balances, _ := s.Balances(t.Context()) // an error is no value
	for _, b := range balances {
		i := slices.IndexFunc(truth, func(a source.Account) bool { return a.Balance.AccountID == b.AccountID })
		if i < 0 {
			t.Fatalf("a balance of nobody: %+v", b)
		}
		is := truth[i].Balance
		for name, pair := range map[string][2]thor.Decimal{
			"cash": {b.Cash, is.Cash}, "equity": {b.Equity, is.Equity}, "portfolio value": {b.PortfolioValue, is.PortfolioValue},
			"buying power": {b.BuyingPower, is.BuyingPower}, "day-trading buying power": {b.DayTradingBuyingPower, is.DayTradingBuyingPower},
		} {
			if got, want := pair[0], pair[1]; got.Known() && got.Sign() == 0 && want.Sign() != 0 { // what the simulator has not the backend calls zero itself
				t.Fatalf("the %s of %s is %s, and should be %s or unknown", name, b.AccountID, got, want)
			}
		}
	}
	positions, _ := s.Positions(t.Context())
	for _, p := range positions {
		i := slices.IndexFunc(truth, func(a source.Account) bool { return a.Positions.AccountID == p.AccountID })
		if i < 0 {
			t.Fatalf("positions of nobody: %+v", p)
		}
		if len(p.Positions) < len(truth[i].Positions.Positions) {
			t.Fatalf("of %d positions of %s there are %+v", len(truth[i].Positions.Positions), p.AccountID, p.Positions)
		}
		for _, is := range truth[i].Positions.Positions {
			j := slices.IndexFunc(p.Positions, func(row thor.Position) bool {
				return strings.HasSuffix(is.Symbol, strings.TrimPrefix(row.Symbol, "EQ."))
			})
			if j < 0 {
				continue // it has another name
			}
			row := p.Positions[j]
			for name, pair := range map[string][2]thor.Decimal{
				"quantity": {row.Quantity, is.Quantity}, "entry price": {row.EntryPrice, is.EntryPrice}, "price": {row.CurrentPrice, is.CurrentPrice},
				"value": {row.MarketValue, is.MarketValue}, "profit": {row.PnL, is.PnL},
			} {
				if got, want := pair[0], pair[1]; got.Known() && got.Sign() == 0 && want.Sign() != 0 {
					t.Fatalf("the %s of %s is %s, and should be %s or unknown", name, is.Symbol, got, want)
				}
			}
		}
	}
}
