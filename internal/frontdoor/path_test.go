package frontdoor_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"thor/internal/frontdoor"
)

func TestFeaturesOfPaths(t *testing.T) {
	t.Parallel()
	door := frontdoor.New(frontdoor.Config{Backend: &url.URL{}, Paths: []frontdoor.Path{
		{Feature: "positions", Template: "/api/{book}/positions?{key}={account}"},
		{Feature: "account_balance", Template: "/api/live/positions"}, // more particular
		{Feature: "account_balance", Template: "/api/accounts/balance/?account_id={account}"},
		{Feature: "intraday", Template: "/api/data?kind=bars&symbol={symbol}"},
		{Feature: "global_market", Template: "/api/data?kind=markets"},
		{Feature: "account_balance", Template: "/api/all"},
		{Feature: "positions", Template: "/api/all/"},
		{Feature: "positions", Template: "/x-{a}.json"},
	}})
	for ask, want := range map[string]string{
		"GET /api/accounts/balance":               "account_balance",
		"GET /api/accounts/balance/":              "account_balance",
		"GET /api/accounts/balance//":             "account_balance",
		"HEAD /api/accounts/balance/":             "account_balance",
		"GET /api/accounts/balance/?account_id=7": "account_balance",
		"GET /api/accounts/balance/?q=;%zz":       "account_balance",
		"GET /api/%61ccounts/balance":             "account_balance", // the same path, written otherwise
		"GET /api/accounts/balance/more":          "",
		"GET /api/accounts/balancE":               "",
		"GET /v1/api/accounts/balance":            "",
		"POST /api/accounts/balance/":             "", // not the reading that is replaced
		"OPTIONS /api/accounts/balance/":          "",
		"GET /api/paper/positions?account_key=7":  "positions",
		"GET /api/paper/positions/":               "positions",
		"GET /api//positions":                     "",
		"GET /api/a/b/positions":                  "",
		"GET /api/live/positions":                 "account_balance",
		"GET /api/data?symbol=ES&kind=bars":       "intraday",
		"GET /api/data/?kind=markets":             "global_market",
		"GET /api/data?kind=news":                 "",
		"GET /api/data":                           "",
		"GET /api/all":                            "account_balance positions",
		"GET /x-1.json":                           "positions",
		"GET /x-1_json":                           "",
		"GET /":                                   "",
	} {
		method, target, _ := strings.Cut(ask, " ")
		if got := strings.Join(door.FeaturesOf(httptest.NewRequest(method, target, nil)), " "); got != want {
			t.Errorf("%s reads %q, want %q", ask, got, want)
		}
	}
}

func TestWhatAFeaturesPathCarries(t *testing.T) {
	t.Parallel()
	f := setup(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cutover", "stage=of the backend's own making")
		if r.URL.Path == "/api/live/positions" {
			w.WriteHeader(http.StatusUnauthorized)
		}
		fmt.Fprint(w, `{"cash": 0.0}`)
	}))
	want := func(method, path string, status int, cutover, says string) {
		t.Helper()
		answer, body := f.do(t, method, path, nil, "User-Agent", "desk/1")
		if answer.StatusCode != status || answer.Header.Get("Cutover") != cutover || body != says {
			t.Errorf("%s %s: %d %v %s", method, path, answer.StatusCode, answer.Header, body)
		}
	}
	const balance, positions, theirs = "stage=shadow, of=account_balance", "stage=shadow, of=positions", "stage=of the backend's own making"
	want("GET", "/api/accounts/balance/?account_id=7", 200, balance, `{"cash": 0.0}`)
	want("GET", "/api/live/positions", 401, positions, `{"cash": 0.0}`)
	want("GET", "/api/accounts/balance/more", 200, theirs, `{"cash": 0.0}`)
	want("POST", "/api/accounts/balance/", 200, theirs, `{"cash": 0.0}`)
	want("GET", "/api/all", 200, balance, `{"cash": 0.0}`)

	gone := func(feature string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.gone[feature] = true
	}
	gone("account_balance")
	want("GET", "/api/accounts/balance", 410, balance, "account_balance is complete")
	want("POST", "/api/accounts/balance/", 200, theirs, `{"cash": 0.0}`)
	want("GET", "/api/all", 200, positions, `{"cash": 0.0}`) // somebody still reads it for the other
	gone("positions")
	want("GET", "/api/all", 410, balance, "account_balance is complete")

	f.mu.Lock()
	defer f.mu.Unlock()
	served := []string{
		"account_balance GET /api/accounts/balance/ desk/1", "positions GET /api/live/positions desk/1",
		"account_balance GET /api/all desk/1", "positions GET /api/all desk/1",
		"account_balance GET /api/accounts/balance desk/1",
		"account_balance GET /api/all desk/1", "positions GET /api/all desk/1",
		"account_balance GET /api/all desk/1", "positions GET /api/all desk/1",
	}
	if diff := cmp.Diff(served, f.served); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	const answered = frontdoor.Answered
	outcomes := []frontdoor.Outcome{answered, answered, answered, answered, answered, frontdoor.Gone, answered, answered, frontdoor.Gone}
	if diff := cmp.Diff(outcomes, f.ended); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
}
