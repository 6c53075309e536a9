package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"thor"
	"thor/internal/auth"
	"thor/internal/cutover"
	"thor/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an API over a real store.
type world struct {
	*API
	store  *sqlite.Store
	served []string
}

type nowhere struct{}

func (nowhere) Publish(context.Context, []thor.Event) error { return nil }

var minute = time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)

func setup(t *testing.T, change func(*Config)) *world {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	stages, _, err := cutover.Open(t.Context(), cutover.Config{Store: s, Layer: nowhere{}, Build: "test"})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: s}
	c := Config{
		Version: "test", Store: s, Stages: stages, Audit: s.Audit, Door: &auth.Door{},
		Status: func(context.Context) Status { return Status{Version: "test"} },
		Served: func(feature, consumer string) { w.served = append(w.served, feature+" "+consumer) },
		Mount: map[string]http.Handler{
			"GET /{$}":     http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the page") }),
			"GET /metrics": http.NotFoundHandler(),
			"GET /panic":   http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }),
		},
	}
	if change != nil {
		change(&c)
	}
	w.API = New(c)
	return w
}

// keep stores messages as the pipeline does.
func (w *world) keep(t *testing.T, msgs ...thor.Message) []thor.Event {
	t.Helper()
	var events []thor.Event
	for _, m := range msgs {
		data, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, thor.Event{Stream: m.Stream, Type: m.Type, Key: m.Key, Final: m.Final, Data: data})
	}
	stored, err := w.store.Append(t.Context(), time.Now(), events)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func balance(account string) thor.Message {
	return thor.AccountBalanceMessage(thor.AccountBalance{
		AccountID: account, Currency: "USD", Equity: thor.MustDecimal("50000"), Source: "sim", Timestamp: minute,
	})
}

func bar(offset int) thor.Message {
	p, start := thor.MustDecimal("6700.25"), minute.Add(time.Duration(offset)*time.Minute)
	return thor.IntradayBarMessage(thor.Bar{
		Symbol: "FUT.ES", Display: "/ES", Country: "USA", TimestampMinute: start,
		Open: p, High: p, Low: p, Close: p, Volume: p, VWAP: p, Final: true, Timestamp: start.Add(time.Minute),
	})
}

// ask sends a request as the local operator, unless it says otherwise.
func (w *world) ask(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost:8000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, r)
	return answer
}

func (w *world) get(path string, header ...string) *httptest.ResponseRecorder {
	return w.ask(http.MethodGet, path, "", header...)
}

func TestFeatureAnswersAreTheStoredBytes(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	stored := w.keep(t, balance("A-1"))[0]
	for _, path := range []string{"/api/account/balance", "/api/account/balance/", "/api/account/balance?account_id=A-1"} {
		answer := w.get(path)
		if answer.Code != http.StatusOK || answer.Body.String() != string(stored.Data) {
			t.Errorf("%s: %d %s\nwant %s", path, answer.Code, answer.Body, stored.Data)
		}
		want := map[string]string{
			"Content-Type": "application/json", "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie, Thor-Client", "Age": "0",
			"ETag":    `"account_balance:A-1:` + stored.Version.Epoch + `-1"`,
			"Cutover": "stage=shadow, data_source=rest, rev=1",
		}
		for name, value := range want {
			if got := answer.Header().Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
	}
	if diff := cmp.Diff([]string{"account_balance other", "account_balance other", "account_balance other"}, w.served); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *Config) {
		c.Oldest = func(_ thor.StreamID, newest string) string { return newest[:len("2026-11-23T15:")] + "01:00Z" }
	})
	bars := w.keep(t, bar(2), bar(0), bar(1), bar(3)) // out of order, and 0 is of the session before
	list := func(events ...thor.Event) string {
		var data []string
		for _, e := range events {
			data = append(data, string(e.Data))
		}
		return `{"symbol":"FUT.ES","bars":[` + strings.Join(data, ",") + `]}`
	}
	tests := map[string]string{
		"":                            list(bars[2], bars[0], bars[3]),
		"&limit=2":                    list(bars[0], bars[3]),
		"&since=2026-11-23T15:00:00Z": list(bars[1], bars[2], bars[0], bars[3]),
		"&since=2026-11-23T10:02:00-05:00&limit=9": list(bars[0], bars[3]),
		"&since=2027-01-01T00:00:00Z":              list(),
	}
	tags := map[string]bool{}
	for query, want := range tests {
		answer := w.get("/api/intraday/bars?symbol=FUT.ES" + query)
		if diff := cmp.Diff(want, answer.Body.String()); diff != "" || answer.Code != http.StatusOK {
			t.Errorf("%q: %d (-want +got):\n%s", query, answer.Code, diff)
		}
		tag := answer.Header().Get("ETag")
		if !strings.HasPrefix(tag, `"intraday:FUT.ES:`+bars[0].Version.Epoch+`-4;h=`) || tags[tag] {
			t.Errorf("%q: tag %s, want one of its own for each part of the history", query, tag)
		}
		tags[tag] = true
	}
	markets := w.get("/api/global-market")
	wantProblem(t, markets, http.StatusNotFound, thor.ENOTFOUND, "nothing is known of global_market yet")
	if got := markets.Header().Get("Cutover"); got != "stage=shadow, data_source=rest, rev=1" {
		t.Errorf("a 404 with Cutover: %s", got)
	}
	sample := w.keep(t, thor.Features[3].Sample)[0]
	if got := w.get("/api/global-market").Body.String(); got != `{"markets":[`+string(sample.Data)+`]}` {
		t.Errorf("markets %s", got)
	}
}

func TestNotModified(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.keep(t, balance("A-1"))
	tag := w.get("/api/account/balance").Header().Get("ETag")
	for _, header := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
		answer := w.get("/api/account/balance", "If-None-Match", header)
		if answer.Code != http.StatusNotModified || answer.Body.Len() != 0 {
			t.Errorf("%s: %d %s", header, answer.Code, answer.Body)
		}
		for _, name := range []string{"ETag", "Cutover", "Age"} {
			if answer.Header().Get(name) == "" {
				t.Errorf("%s: a 304 without %s", header, name)
			}
		}
	}
	w.keep(t, balance("A-1"))
	if answer := w.get("/api/account/balance", "If-None-Match", tag); answer.Code != http.StatusOK || answer.Header().Get("ETag") == tag {
		t.Errorf("after a change: %d, tag %s", answer.Code, answer.Header().Get("ETag"))
	}
}

func TestWhoMaySeeWhat(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef0123456789abcdef")
	door := &auth.Door{Key: key}
	w := setup(t, func(c *Config) { c.Door = door })
	w.keep(t, balance("A-1"), balance("A-2"), balance("B-1"), bar(0))
	bearer := func(roles []auth.Role, accounts ...string) string {
		token, err := door.NewToken(auth.Principal{Subject: "ada", Accounts: accounts, Roles: roles}, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token
	}
	ada := bearer([]auth.Role{auth.Viewer}, "A-1", "A-2")

	t.Run("without a token nothing behind /api is shown", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/api/account/balance", "/api/global-market", "/api/status", "/api/features", "/api/accounts", "/metrics"} {
			answer := w.get(path)
			wantProblem(t, answer, http.StatusUnauthorized, thor.EUNAUTHORIZED, "the request has no token")
			if answer.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: no challenge", path)
			}
		}
		for _, path := range []string{"/", "/healthz", "/api/openapi.json"} {
			if answer := w.get(path); answer.Code != http.StatusOK {
				t.Errorf("%s: %d", path, answer.Code)
			}
		}
	})
	t.Run("one's own accounts, and another's is refused like one that does not exist", func(t *testing.T) {
		t.Parallel()
		if answer := w.get("/api/account/balance?account_id=A-1", "Authorization", ada); answer.Code != http.StatusOK {
			t.Errorf("own: %d %s", answer.Code, answer.Body)
		}
		foreign := w.get("/api/account/balance?account_id=B-1", "Authorization", ada)
		missing := w.get("/api/account/balance?account_id=X-1", "Authorization", ada)
		wantProblem(t, foreign, http.StatusForbidden, thor.EFORBIDDEN)
		if strings.ReplaceAll(foreign.Body.String(), "B-1", "X-1") != missing.Body.String() {
			t.Errorf("foreign %s, missing %s; want the same", foreign.Body, missing.Body)
		}
	})
	t.Run("with several accounts one must be named", func(t *testing.T) {
		t.Parallel()
		wantProblem(t, w.get("/api/account/balance", "Authorization", ada), http.StatusUnprocessableEntity, thor.EINVALID, "2 accounts", "/api/accounts")
		one := bearer(nil, "A-2")
		if answer := w.get("/api/account/balance", "Authorization", one); !strings.Contains(answer.Body.String(), `"A-2"`) {
			t.Errorf("the only one: %s", answer.Body)
		}
		wantProblem(t, w.get("/api/account/balance", "Authorization", bearer(nil)), http.StatusUnprocessableEntity, thor.EINVALID, "0 accounts")
	})
	t.Run("the lists show what there is for the caller", func(t *testing.T) {
		t.Parallel()
		if got := w.get("/api/accounts", "Authorization", ada).Body.String(); got != `{"accounts":[{"account_id":"A-1"},{"account_id":"A-2"}]}` {
			t.Errorf("accounts %s", got)
		}
		if got := w.get("/api/accounts/", "Authorization", bearer(nil)).Body.String(); got != `{"accounts":[]}` {
			t.Errorf("no accounts: %s", got)
		}
		if got := w.get("/api/symbols", "Authorization", ada).Body.String(); got != `{"symbols":[{"symbol":"FUT.ES","display":"/ES","country":"USA"}]}` {
			t.Errorf("symbols %s", got)
		}
	})
	t.Run("only an operator moves stages", func(t *testing.T) {
		t.Parallel()
		for _, verb := range []string{"promote", "rollback"} {
			answer := w.ask("POST", "/api/features/positions/"+verb, `{}`, "Authorization", ada, "If-Match", `"1"`)
			wantProblem(t, answer, http.StatusForbidden, thor.EFORBIDDEN, "operator")
		}
		answer := w.ask("POST", "/api/features/positions/rollback", `{}`, "Authorization", bearer([]auth.Role{auth.Operator}))
		if answer.Code != http.StatusOK {
			t.Errorf("an operator: %d %s", answer.Code, answer.Body)
		}
	})
}

func TestCORS(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.keep(t, balance("A-1"))
	allowed := w.get("/api/account/balance", "Origin", "http://localhost:5173")
	if allowed.Code != http.StatusOK || allowed.Header().Get("Access-Control-Allow-Origin") != "http://localhost:5173" ||
		!strings.Contains(allowed.Header().Get("Access-Control-Expose-Headers"), "Cutover") || !slices.Contains(allowed.Header().Values("Vary"), "Origin") {
		t.Errorf("a page of this machine: %d %v", allowed.Code, allowed.Header())
	}
	preflight := w.ask("OPTIONS", "/api/features/positions/promote", "", "Origin", "http://localhost:5173")
	if preflight.Code != http.StatusNoContent {
		t.Errorf("preflight: %d", preflight.Code)
	}
	for _, header := range []string{"If-Match", "Idempotency-Key"} {
		if !strings.Contains(preflight.Header().Get("Access-Control-Allow-Headers"), header) {
			t.Errorf("preflight without %s: %v", header, preflight.Header())
		}
	}
	wantProblem(t, w.get("/api/account/balance", "Origin", "https://evil.example"), http.StatusForbidden, thor.EFORBIDDEN, "--allow-origin")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var broken error
	w := setup(t, func(c *Config) {
		c.Checks = []Check{
			{Name: "store", Run: func(context.Context) error { return nil }},
			{Name: "jobs", Run: func(context.Context) error { return broken }},
		}
	})
	if answer := w.get("/readyz"); answer.Code != http.StatusOK || answer.Body.String() != `{"ok":true,"checks":{"jobs":"ok","store":"ok"}}` {
		t.Errorf("ready: %d %s", answer.Code, answer.Body)
	}
	broken = errors.New("job positions has failed")
	if answer := w.get("/readyz"); answer.Code != http.StatusServiceUnavailable || !strings.Contains(answer.Body.String(), `"jobs":"job positions has failed"`) {
		t.Errorf("not ready: %d %s", answer.Code, answer.Body)
	}
	for _, path := range []string{"/healthz", "/healthz/"} {
		if answer := w.get(path); answer.Code != http.StatusOK || answer.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", path, answer.Code, answer.Header())
		}
	}
	if answer := w.get("/readyz/"); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("with a slash: %d", answer.Code)
	}
}

func TestAgeIsThatOfTheNewestEvent(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	m := bar(0)
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	event := thor.Event{Stream: m.Stream, Type: m.Type, Key: m.Key, Final: true, Data: data}
	if _, err := w.store.Append(t.Context(), time.Now().Add(-100*time.Second), []thor.Event{event}); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"", "&since=2027-01-01T00:00:00Z"} { // of the second nothing is known
		answer := w.get("/api/intraday/bars?symbol=FUT.ES" + query)
		if age, err := strconv.Atoi(answer.Header().Get("Age")); err != nil || age < 100 || age > 110 {
			t.Errorf("%q: age %q", query, answer.Header().Get("Age"))
		}
	}
}

// TestAnswersAreAsDescribed holds real answers to the OpenAPI document.
func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	for _, f := range thor.Features {
		w.keep(t, f.Sample)
	}
	document := w.huma.OpenAPI()
	if got := document.OpenAPI; got != "3.1.0" {
		t.Errorf("version %s", got)
	}
	query := map[string]string{"/api/intraday/bars": "?symbol=FUT.ES"}
	checked := 0
	for path, item := range document.Paths {
		if item.Get == nil {
			continue
		}
		response := item.Get.Responses["200"]
		if response.Content["application/json"] == nil {
			continue
		}
		answer := w.get(strings.ReplaceAll(path, "{feature}", "positions") + query[path])
		if answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
			continue
		}
		var value any
		if err := json.Unmarshal(answer.Body.Bytes(), &value); err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		result := &huma.ValidateResult{}
		huma.Validate(document.Components.Schemas, response.Content["application/json"].Schema, huma.NewPathBuffer(nil, 0),
			huma.ModeReadFromServer, value, result)
		for _, err := range result.Errors {
			t.Errorf("%s: %v", path, err)
		}
		checked++
	}
	if checked < 11 {
		t.Errorf("%d answers were checked", checked)
	}
	answer := w.get("/api/openapi.json")
	var served map[string]any
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&served); err != nil || served["openapi"] != "3.1.0" {
		t.Errorf("served %v, %v", served["openapi"], err)
	}
}
