package legacy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"thor"
	"thor/internal/calendar"
	"thor/internal/legacy"
	"thor/internal/source/sim"
	"thor/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is a Monday on which New York trades.
var noon = time.Date(2026, 11, 23, 17, 0, 30, 0, time.UTC)

var exchanges = sync.OnceValues(func() (*calendar.Calendar, error) { return calendar.New() })

// world is a backend over the simulator, signed in.
type world struct {
	*legacy.Backend
	t      *testing.T
	clock  *sourcetest.Clock
	source *sim.Source
	token  string
}

func open(t *testing.T, at time.Time, change func(*legacy.Config)) *world {
	t.Helper()
	known, err := exchanges()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, clock: sourcetest.NewClock(at)}
	w.source = &sim.Source{Seed: 7, SourceClock: w.clock, Exchanges: known}
	return w.open(change)
}

// still is a backend over a simulator whose clock stands still, which many tests
// share: making one takes a while.
func still(t *testing.T, at time.Time, change func(*legacy.Config)) *world {
	t.Helper()
	known, err := exchanges()
	if err != nil {
		t.Fatal(err)
	}
	shared, _ := simulators.LoadOrStore(at, &sim.Source{Seed: 7, SourceClock: sourcetest.NewClock(at), Exchanges: known})
	w := &world{t: t, source: shared.(*sim.Source)} //nolint:errcheck // nothing else is in it
	return w.open(change)
}

var simulators sync.Map // by the time their clocks show

func (w *world) open(change func(*legacy.Config)) *world {
	w.t.Helper()
	c := legacy.Config{Source: w.source, Bugs: legacy.AllBugs()}
	if change != nil {
		change(&c)
	}
	var err error
	if w.Backend, err = legacy.New(c); err != nil {
		w.t.Fatal(err)
	}
	var pair struct{ Access string }
	w.read(w.post("/api/users/login/", `{"email":"trader@example.com","password":"simulated"}`), &pair)
	w.token = pair.Access
	return w
}

func (w *world) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, r)
	if got := answer.Header().Get("Server"); !strings.Contains(got, "SIMULATED") {
		w.t.Errorf("%s does not say that it is simulated: %q", path, got)
	}
	return answer
}

func (w *world) post(path, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(http.MethodPost, path, body)
}

func (w *world) get(path string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(http.MethodGet, path, "", "Authorization", "Bearer "+w.token)
}

func (w *world) read(answer *httptest.ResponseRecorder, into any) {
	w.t.Helper()
	if answer.Code != http.StatusOK {
		w.t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	if err := json.Unmarshal(answer.Body.Bytes(), into); err != nil {
		w.t.Fatalf("%s: %v", answer.Body, err)
	}
}

// without takes one fault away.
func without(bug legacy.Bug) func(*legacy.Config) {
	return func(c *legacy.Config) { c.Bugs[bug] = false }
}

const (
	live  = "/api/accounts/balance/?account_id=PAPER-1"
	paper = "/api/accounts/balance/?account_id=PAPER-2"
)

func TestTheSameSeedAndTimeAreTheSameBytes(t *testing.T) {
	t.Parallel()
	for _, era := range legacy.Eras() {
		one := still(t, noon, func(c *legacy.Config) { c.Era = era })
		two := open(t, noon, func(c *legacy.Config) { c.Era = era })
		if one.token == "" || one.token != two.token {
			t.Errorf("era %s: the tokens differ", era)
		}
		for _, path := range []string{
			live, paper, "/api/actandpos/accounts", "/api/actandpos/positions?account_id=1", "/api/actandpos/activity/today",
			"/api/actandpos/live/positions?broker_account_id=PAPER-1", "/api/actandpos/paper/positions?account_key=PAPER-2",
			"/api/session?market=USA&future=ES", "/api/session/?market=USA&future=ES", "/api/global-markets/markets/", "/api/intraday/health",
		} {
			a, b := one.get(path), two.get(path)
			if a.Code != b.Code || a.Body.String() != b.Body.String() {
				t.Errorf("era %s: %s:\n%d %s\n%d %s", era, path, a.Code, a.Body, b.Code, b.Body)
			}
		}
	}
}

// TestTheNumbersAreTheSimulators compares every amount with the source, of
// accounts of every kind.
func TestTheNumbersAreTheSimulators(t *testing.T) {
	t.Parallel()
	w := scripted(t, "", without(legacy.BugEmptyCache))
	accounts, err := w.source.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		var b struct {
			NetLiq      thor.Decimal `json:"net_liquidation"`
			Cash        thor.Decimal
			Equity      thor.Decimal
			BuyingPower thor.Decimal `json:"buying_power"`
		}
		w.read(w.get("/api/accounts/balance/?account_id="+a.Balance.AccountID), &b)
		if !b.NetLiq.Equal(a.Balance.PortfolioValue) || !b.Cash.Equal(a.Balance.Cash) || !b.Equity.Equal(a.Balance.Equity) || !b.BuyingPower.Equal(a.Balance.BuyingPower) {
			t.Errorf("got %+v, want %+v", b, a.Balance)
		}
		var p struct {
			Positions []struct {
				Symbol, Quantity string
				Avg              string `json:"avg_price"`
				Mark             string `json:"mark_price"`
				Worth            string `json:"market_value"`
				PL               string `json:"unrealized_pl"`
			}
		}
		w.read(w.get("/api/actandpos/positions?account_id="+a.Balance.AccountID), &p)
		if len(p.Positions) != len(a.Positions.Positions)+1 {
			t.Fatalf("%d rows, want those of the simulator and a ghost", len(p.Positions))
		}
		rows := map[string]string{}
		for _, r := range p.Positions {
			rows[r.Symbol] = fmt.Sprintln(r.Quantity, r.Avg, r.Mark, r.Worth, r.PL)
		}
		for _, r := range a.Positions.Positions {
			value := r.Quantity.Mul(r.Multiplier).Mul(r.CurrentPrice).Round(2)
			entry := r.EntryPrice
			if !entry.Known() {
				entry = thor.NewDecimal(0, 0) // as the original has it
			}
			want := fmt.Sprintln(r.Quantity.Round(4), entry.Round(6), r.CurrentPrice.Round(6), value, r.PnL.Round(2))
			if got := rows[strings.TrimPrefix(r.Display, "/")]; got != want {
				t.Errorf("%s: got %s, want %s", r.Symbol, got, want)
			}
		}
	}
	bars, err := w.source.Bars(t.Context(), noon.Truncate(time.Minute).Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bars {
		if b.Symbol != "FUT.ES" || !b.Final {
			continue
		}
		var got struct {
			Market string
			Latest struct{ Open, High, Low, Close, Volume thor.Decimal } `json:"intraday_latest"`
		}
		w.read(w.get("/api/session?market=New+York&future=ES"), &got)
		l := got.Latest
		if got.Market != "USA" || !l.Open.Equal(b.Open) || !l.High.Equal(b.High) || !l.Low.Equal(b.Low) || !l.Close.Equal(b.Close) || !l.Volume.Equal(b.Volume) {
			t.Errorf("got %+v, want %+v", got, b)
		}
		return
	}
	t.Error("ES has no bar")
}

// TestEachBugCanBeTakenAway looks at an answer with a fault and without it.
func TestEachBugCanBeTakenAway(t *testing.T) {
	t.Parallel()
	expired := noon.Add(29 * time.Minute) // 17:29:30
	lunch := time.Date(2026, 11, 26, 15, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		bug           legacy.Bug
		era           legacy.Era
		at            time.Time
		path          string
		with, without string
	}{
		{legacy.BugNaiveTimes, "S", noon, paper, `"updated_at":"2026-11-23T17:00:30"}`, `"updated_at":"2026-11-23T17:00:30+00:00"}`},
		{legacy.BugExpiredToken, "S", expired, live, `"net_liquidation":0.0,`, `"source":"redis"`},
		{legacy.BugExpiredToken, "H", expired, "/api/actandpos/account", `"net_liq":"0.00",`, `"ok_to_trade":true`},
		{legacy.BugEmptyCache, "S", noon, live, `"equity":0.0,"cash":0.0`, `"equity":`},
		{legacy.BugGhostRows, "H", noon, "/api/actandpos/positions?account_id=2", `"symbol":"TSLA"`, `"symbol":"MSFT"`},
		{legacy.BugFloats, "S", noon, paper, `"day_trade_bp":0.0,`, `"day_trade_bp":"0.00",`},
		{legacy.BugDefault, "D", noon, "/api/accounts/balance/?account_id=nobody", `"account_id":"PAPER-1"`, `{"detail":"Account not found"}`},
		{legacy.BugHours, "H", lunch, "/api/global-markets/", `"key":"usa"`, `"status":"CLOSED"`},
		{legacy.BugSlashes, "S", noon, "/api/accounts/balance", "", `"net_liquidation":`},
		{legacy.BugSlashes, "S", noon, "/api/actandpos/accounts/", "<h1>Not Found</h1>", `"net_liq":`},
	} {
		t.Run(fmt.Sprintf("%s in era %s at %s", tt.bug, tt.era, tt.path), func(t *testing.T) {
			t.Parallel()
			ask := func(bugs map[legacy.Bug]bool) string {
				known, err := exchanges()
				if err != nil {
					t.Fatal(err)
				}
				w := still(t, tt.at, func(c *legacy.Config) {
					c.Era, c.Bugs = tt.era, bugs
					c.Markets = marketsAt{known, tt.at}
				})
				return w.get(tt.path).Body.String()
			}
			with := ask(legacy.AllBugs())
			bugs := legacy.AllBugs()
			bugs[tt.bug] = false
			fixed := ask(bugs)
			if with == fixed || !strings.Contains(with, tt.with) || !strings.Contains(fixed, tt.without) {
				t.Errorf("with the fault:\n%s\nwant %s\nwithout:\n%s\nwant %s", with, tt.with, fixed, tt.without)
			}
			if tt.with != "" && strings.Contains(fixed, tt.with) && tt.bug != legacy.BugHours {
				t.Errorf("%s is still there without the fault", tt.with)
			}
		})
	}
}

func TestThanksgivingIsADayLikeAnyOther(t *testing.T) {
	t.Parallel()
	holiday := time.Date(2026, 11, 26, 17, 0, 0, 0, time.UTC)
	known, err := exchanges()
	if err != nil {
		t.Fatal(err)
	}
	for bug, want := range map[bool]string{true: "OPEN", false: "CLOSED"} {
		w := still(t, holiday, func(c *legacy.Config) {
			c.Era, c.Markets = legacy.EraHome, marketsAt{known, holiday}
			c.Bugs[legacy.BugHours] = bug
		})
		var list []struct{ Key, Status, Next string }
		w.read(w.get("/api/global-markets/"), &list)
		if len(list) != 10 || list[6].Key != "usa" || list[6].Status != want {
			t.Errorf("with the fault %v: %+v, want usa %s", bug, list, want)
		}
	}
}

func TestMarketHoursOfTheDay(t *testing.T) {
	t.Parallel()
	type market struct {
		Country, Status string
		State           struct {
			State string `json:"current_state"`
			Next  string `json:"next_event"`
			In    int    `json:"seconds_to_next_event"`
		} `json:"market_status"`
	}
	for _, tt := range []struct {
		at    time.Time
		state string
		in    int
	}{
		{time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC), "PREOPEN", 1800},
		{time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC), "OPEN", 23400},
		{time.Date(2026, 11, 23, 20, 45, 0, 0, time.UTC), "PRECLOSE", 900},
		{time.Date(2026, 11, 23, 21, 0, 0, 0, time.UTC), "CLOSED", 17*3600 + 1800},
		{time.Date(2026, 11, 21, 14, 30, 0, 0, time.UTC), "CLOSED", 48 * 3600},
	} {
		w := still(t, tt.at, nil)
		var page struct{ Results []market }
		w.read(w.get("/api/worldclock/"), &page)
		usa := page.Results[6]
		if usa.Country != "USA" || usa.State.State != tt.state || usa.State.In != tt.in {
			t.Errorf("at %s: %+v, want %s for %d s", tt.at, usa, tt.state, tt.in)
		}
	}
}

type marketsAt struct {
	*calendar.Calendar
	at time.Time
}

func TestMarketsComeInPages(t *testing.T) {
	t.Parallel()
	w := still(t, noon, func(c *legacy.Config) { c.PageSize = 4 })
	next, seen := "/api/global-markets/markets/", 0
	for pages := 0; next != ""; pages++ {
		var page struct {
			Count    int
			Next     *string
			Previous *string
			Results  []struct{ ID int }
		}
		w.read(w.get(next), &page)
		seen += len(page.Results)
		if page.Count != 10 || (page.Previous == nil) != (pages == 0) || pages > 3 {
			t.Fatalf("page %d: %+v", pages, page)
		}
		next = ""
		if page.Next != nil {
			next = *page.Next
		}
	}
	if seen != 10 {
		t.Errorf("%d markets on all pages, want 10", seen)
	}
	if answer := w.get("/api/global-markets/markets/?page=9"); answer.Code != 404 || answer.Body.String() != `{"detail":"Invalid page."}` {
		t.Errorf("a page that is not there: %d %s", answer.Code, answer.Body)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	w := open(t, noon, nil)
	var pair struct{ Access, Refresh string }
	w.read(w.post("/api/users/login/", `{"email":"trader@example.com","password":"simulated"}`), &pair)

	w.clock.Advance(5*time.Hour + time.Second) // the access token is over
	for _, tt := range []struct {
		name   string
		answer *httptest.ResponseRecorder
		status int
		body   string
	}{
		{"an expired token", w.get(live), 401, `{"detail":"Given token not valid for any token type","code":"token_not_valid","messages":[{"token_class":"AccessToken","token_type":"access","message":"Token is expired"}]}`},
		{"a token that is none", w.do("GET", live, "", "Authorization", "Bearer x"), 401, `"message":"Token is invalid"`},
		{"a refresh token in its place", w.do("GET", live, "", "Authorization", "Bearer "+pair.Refresh), 401, `"message":"Token is invalid"`},
		{"no token", w.do("GET", live, ""), 401, `{"detail":"Authentication credentials were not provided."}`},
		{"no token where none is needed", w.do("GET", "/api/worldclock/", ""), 200, `"count":10`},
		{"a bad token where none is needed", w.do("GET", "/api/worldclock/", "", "Authorization", "Bearer x"), 401, `token_not_valid`},
		{"a wrong password", w.post("/api/users/login/", `{"email":"trader@example.com","password":"no"}`), 401, `{"detail":"No active account found with the given credentials"}`},
		{"no password", w.post("/api/users/login/", `{"email":"trader@example.com"}`), 400, `{"password":["This field is required."]}`},
		{"no JSON", w.post("/api/users/login/", `email=x`), 400, `{"detail":"JSON parse error`},
		{"a refresh token that is none", w.post("/api/users/token/refresh/", `{"refresh":"x"}`), 401, `{"detail":"Token is invalid or expired","code":"token_not_valid"}`},
		{"no refresh token", w.post("/api/users/token/refresh/", `{}`), 400, `{"refresh":["This field is required."]}`},
		{"a POST without the slash", w.post("/api/users/login", `{}`), 500, `APPEND_SLASH`},
		{"another method", w.do("DELETE", "/api/worldclock/", ""), 405, `{"detail":"Method \"DELETE\" not allowed."}`},
	} {
		if tt.answer.Code != tt.status || !strings.Contains(tt.answer.Body.String(), tt.body) {
			t.Errorf("%s: %d %s, want %d %s", tt.name, tt.answer.Code, tt.answer.Body, tt.status, tt.body)
		}
	}
	var renewed struct{ Access string }
	w.read(w.post("/api/users/token/refresh/", fmt.Sprintf(`{"refresh":%q}`, pair.Refresh)), &renewed)
	w.token = renewed.Access
	if answer := w.get("/api/users/profile/"); answer.Code != 200 || !strings.Contains(answer.Body.String(), `"email":"trader@example.com"`) {
		t.Errorf("with the renewed token: %d %s", answer.Code, answer.Body)
	}
	w.clock.Advance(7 * 24 * time.Hour)
	if answer := w.post("/api/users/token/refresh/", fmt.Sprintf(`{"refresh":%q}`, pair.Refresh)); answer.Code != 401 {
		t.Errorf("an expired refresh token: %d %s", answer.Code, answer.Body)
	}
}

func TestAnETagWithoutItsBug(t *testing.T) {
	t.Parallel()
	if tag := still(t, noon, nil).get(paper).Header().Get("ETag"); tag != "" {
		t.Errorf("the original has an ETag %q", tag)
	}
	w := open(t, noon, without(legacy.BugNoETag))
	tag := w.get(paper).Header().Get("ETag")
	again := func() int {
		return w.do("GET", paper, "", "Authorization", "Bearer "+w.token, "If-None-Match", tag).Code
	}
	if tag == "" || again() != http.StatusNotModified {
		t.Errorf("with the tag %q: %d, want 304", tag, again())
	}
	w.clock.Advance(time.Second)
	if again() != http.StatusOK {
		t.Error("another balance is not another answer")
	}
}

func TestASymbolsNewestBar(t *testing.T) {
	t.Parallel()
	saturday := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	w := open(t, saturday, nil)
	newest := w.get("/api/session?market=USA&future=ES").Body.String()
	w.clock.Advance(4 * time.Hour)
	if again := w.get("/api/session?market=USA&future=ES").Body.String(); again != newest || !strings.Contains(newest, `"close":`) {
		t.Errorf("on a Saturday %s, and later %s", newest, again)
	}
	for path, want := range map[string]string{
		"/api/session?market=USA&future=NONE": `{"market":"USA","future":"NONE","intraday_latest":null}`,
		"/api/session?market=USA":             `{"detail":"market and future are required","market":"USA","future":null,"intraday_latest":null}`,
		"/api/intraday/health?markets=USA":    `"status":"red"`,
	} {
		if body := w.get(path).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s: %s, want %s", path, body, want)
		}
	}
}

// scripted is a backend over a simulator with accounts of every kind that plays a
// script, at noon.
func scripted(t *testing.T, text string, change func(*legacy.Config)) *world {
	t.Helper()
	known, err := exchanges()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, clock: sourcetest.NewClock(noon)}
	w.source = &sim.Source{Seed: 7, Special: []string{"all"}, SourceClock: w.clock, Exchanges: known}
	if text != "" {
		if w.source.Script, err = sim.ParseScript("test", text); err != nil {
			t.Fatal(err)
		}
	}
	return w.open(change)
}

// TestAccountsOfEveryKind holds what the original makes of them.
func TestAccountsOfEveryKind(t *testing.T) {
	t.Parallel()
	w := scripted(t, "", func(c *legacy.Config) { c.Bugs = nil })
	for path, want := range map[string]string{
		"/api/actandpos/account?account_id=PAPER-MARGIN":  `"cash":"-`,
		"/api/actandpos/positions?account_id=PAPER-SHORT": `"symbol":"AAPL","description":"","asset_type":"EQ","quantity":"-`,
		"/api/actandpos/positions?account_id=PAPER-EMPTY": `"positions":[]`,
		"/api/actandpos/account?account_id=PAPER-ZERO":    `"net_liq":"0.00","cash":"0.00"`,
		"/api/actandpos/positions?account_id=PAPER-LARGE": `"symbol":"BTC/USD","description":"","asset_type":"CRYPTO","quantity":"0.0000"`,
	} {
		if answer := w.get(path); answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%s: %d %s, want %s", path, answer.Code, answer.Body, want)
		}
	}
}

// TestFaultsOfTheSource holds that a backend whose source fails says so.
func TestFaultsOfTheSource(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"17:00 disconnect for 1m", "17:00 half for 1m", "17:00 bad for 1m", "17:00 expire for 1m"} {
		w := scripted(t, line, nil)
		for _, path := range []string{live, "/api/actandpos/positions", "/api/session?market=USA&future=ES"} {
			if answer := w.get(path); answer.Code != http.StatusInternalServerError || answer.Body.String() != `{"detail":"A server error occurred."}` {
				t.Errorf("%q: %s: %d %s", line, path, answer.Code, answer.Body)
			}
		}
	}
	plain, disorder := scripted(t, "", nil), scripted(t, "17:00 disorder for 10m", nil)
	const path = "/api/session?market=USA&future=ES"
	if want, got := plain.get(path).Body.String(), disorder.get(path).Body.String(); got != want {
		t.Errorf("in no order: %s, want %s", got, want)
	}
}

func TestParseBugs(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]int{
		"all": len(legacy.Bugs), "none": 0, "floats": 1, "floats,slashes": 2, "-floats": len(legacy.Bugs) - 1,
		"-floats,-slashes": len(legacy.Bugs) - 2, "all,-floats": len(legacy.Bugs) - 1, "none,floats": 1, "floats,-floats": 0,
	} {
		bugs, err := legacy.ParseBugs(strings.Split(words, ","))
		got := 0
		for _, on := range bugs {
			if on {
				got++
			}
		}
		if err != nil || got != want {
			t.Errorf("%s: %d bugs and %v, want %d", words, got, err, want)
		}
	}
	if _, err := legacy.ParseBugs([]string{"flaots"}); err == nil || !strings.Contains(err.Error(), `"flaots" is not a bug; there are all, none, naive-times`) {
		t.Errorf("got %v", err)
	}
}

// Markets are those of the calendar at one time.
func (m marketsAt) Markets(context.Context) ([]thor.MarketStatus, error) {
	return m.Statuses(m.at), nil
}
