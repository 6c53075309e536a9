//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
)

// answered is an answer as it came.
type answered struct {
	Status int
	Header http.Header
	Body   string
}

// exchange sends a request and takes the answer as it comes: nothing is followed
// and nothing unpacked.
func exchange(t *testing.T, method, url, body string, header ...string) answered {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	client := http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	response.Header.Del("Date")
	return answered{response.StatusCode, response.Header, string(content)}
}

var number = regexp.MustCompile(`[0-9]+`)

// timeless is an answer without its numbers, and what follows from them.
func (a answered) timeless() answered {
	a.Body = number.ReplaceAllString(a.Body, "#")
	a.Header.Del("Content-Length")
	a.Header.Del("ETag")
	return a
}

// oldPaths are the paths of the backend's versions, with the feature that is
// read there. Each version answers some of them with 404, which counts as well.
var oldPaths = map[string]string{
	"GET /api/accounts/balance/":                                       "account_balance",
	"GET /api/accounts/balance":                                        "account_balance",
	"GET /api/accounts/balance/?account_id=PAPER-2":                    "account_balance",
	"HEAD /api/accounts/balance/":                                      "account_balance",
	"GET /api/accounts/balance/?account_id=nobody":                     "account_balance",
	"GET /api/actandpos/accounts/balance?account_id=PAPER-1":           "account_balance",
	"GET /api/actandpos/positions?account_id=PAPER-1":                  "positions",
	"GET /api/actandpos/positions/":                                    "positions",
	"GET /api/actandpos/live/positions?broker_account_id=PAPER-1":      "positions",
	"GET /api/actandpos/paper/positions?account_key=PAPER-2":           "positions",
	"GET /api/session?market=USA&future=ES":                            "intraday",
	"GET /api/session/?market=Tokyo&future=/NQ":                        "intraday",
	"GET /api/session/?market=USA":                                     "intraday",
	"GET /api/global-markets/markets/":                                 "global_market",
	"GET /api/global-markets/markets/?page=2":                          "global_market",
	"GET /api/global-markets/":                                         "global_market",
	"GET /api/worldclock/":                                             "global_market",
	"GET /api/world-markets/":                                          "global_market",
	"GET /api/users/profile/":                                          "",
	"GET /api/actandpos/account":                                       "",
	"GET /api/actandpos/accounts":                                      "",
	"GET /api/actandpos/activity/today?account_id=PAPER-1":             "",
	"GET /api/intraday/health?markets=USA,Pre_USA&threshold_minutes=3": "",
	"POST /api/accounts/balance/":                                      "",
	"OPTIONS /api/accounts/balance/":                                   "",
	"DELETE /api/positions":                                            "",
	"GET /":                                                            "thor",
	"POST /":                                                           "",
	"GET /favicon.ico":                                                 "",
	"GET /static/../x//y?q=%2F;&q":                                     "",
	"POST /api/users/login/":                                           "",
	"POST /api/users/login":                                            "",
	"POST /api/users/token/refresh/":                                   "",
	"PROPFIND /dav":                                                    "",
}

// TestFrontDoorSaysWhatTheBackendSays asks each version of the backend, and thor
// before it, the same: status, headers and body are the same, to the byte, but
// for the stage on what belongs to a feature.
func TestFrontDoorSaysWhatTheBackendSays(t *testing.T) {
	t.Parallel()
	for _, era := range []string{"S", "H", "D"} {
		for _, bugs := range []string{"all", "none"} {
			t.Run(era+" with bugs "+bugs, func(t *testing.T) {
				t.Parallel()
				// Its clock hardly moves: what is asked twice is mostly the same.
				d := startDouble(t, "0", "--era", era, "--bugs", bugs, "--sim-start", "2026-11-18T15:00:05Z", "--sim-speed", "0.01")
				s := serveUpstream(t, d)
				for request, feature := range oldPaths {
					method, path, _ := strings.Cut(request, " ")
					sameAnswer(t, d, s, method, path, feature)
				}
				seen := map[string]string{}
				for _, one := range census(t, s) {
					if one.Via == "frontdoor" && one.UserAgent == "desk/1" {
						seen[one.Feature] = one.Principal
					}
				}
				want := map[string]string{}
				for _, feature := range thor.FeatureNames() {
					want[feature] = "local operator"
				}
				if diff := cmp.Diff(want, seen); diff != "" {
					t.Errorf("the census (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// sameAnswer asks both, and the backend once more: while that is the same, what
// thor said in between must be.
func sameAnswer(t *testing.T, d *double, s *server, method, path, feature string) {
	t.Helper()
	if feature == "thor" { // its own
		if got := exchange(t, method, s.URL+path, ""); got.Status != http.StatusOK || !strings.Contains(got.Body, "<title>thor</title>") {
			t.Errorf("%s %s is not thor's own: %+v", method, path, got)
		}
		return
	}
	body := ""
	if method == http.MethodPost {
		body = `{"email":"trader@example.com","password":"simulated"}`
	}
	header := []string{"User-Agent", "desk/1", "Authorization", "Bearer " + d.token, "Content-Type", "application/json", "Accept-Encoding", "gzip"}
	for i := range 10 {
		before := exchange(t, method, d.url+path, body, header...)
		got := exchange(t, method, s.URL+path, body, header...)
		after := exchange(t, method, d.url+path, body, header...)
		if i >= 5 { // it says what time it is, to the microsecond
			before, got, after = before.timeless(), got.timeless(), after.timeless()
		}
		if !cmp.Equal(before, after) {
			continue // its clock has moved
		}
		stage := "stage=shadow, data_source=rest, rev=1"
		if feature == "" {
			stage = ""
		}
		if said := got.Header.Get("Cutover"); said != stage {
			t.Errorf("%s %s: Cutover %q, want %q", method, path, said, stage)
		}
		got.Header.Del("Cutover")
		if diff := cmp.Diff(before, got); diff != "" {
			t.Errorf("%s %s (-the backend +through thor):\n%s", method, path, diff)
		}
		if tag := before.Header.Get("ETag"); tag != "" {
			if again := exchange(t, method, s.URL+path, body, append(header, "If-None-Match", tag)...); again.Status != http.StatusNotModified && again.Header.Get("ETag") == tag {
				t.Errorf("%s %s with its own tag: %d", method, path, again.Status)
			}
		}
		return
	}
	t.Errorf("%s %s: the backend never says the same twice", method, path)
}

// consumer is a line of the census.
type consumer struct {
	Feature   string
	Via       string
	UserAgent string `json:"user_agent"`
	Principal string
	Requests  int
}

func census(t *testing.T, s *server) []consumer {
	t.Helper()
	var list struct{ Consumers []consumer }
	if response, body := s.get("/api/consumers"); response.StatusCode != http.StatusOK || json.Unmarshal(body, &list) != nil {
		t.Fatalf("the census: %d %s", response.StatusCode, body)
	}
	return list.Consumers
}

// TestFrontDoorBeside has a browser that knows the old paths alone, and one on
// the WebSocket: all four features flow to the one and the backend's answers to
// the other. When the backend dies the old paths say 502, and what came last
// stays, growing old; when it is back, so is everything.
func TestFrontDoorBeside(t *testing.T) {
	t.Parallel()
	d := startDouble(t, "0", "--bugs=-expired-token", "--sim-start", "2026-11-18T15:00:05Z", "--sim-speed", "5")
	s := serveUpstream(t, d)
	c := connect(t, s)

	// It signs in through thor.
	var pair struct{ Access string }
	login := exchange(t, http.MethodPost, s.URL+"/api/users/login/", `{"email":"trader@example.com","password":"simulated"}`, "Content-Type", "application/json")
	if err := json.Unmarshal([]byte(login.Body), &pair); err != nil || pair.Access == "" {
		t.Fatalf("signing in: %+v", login)
	}
	polls := []string{
		"/api/accounts/balance/?account_id=PAPER-1", "/api/actandpos/positions?account_id=PAPER-1",
		"/api/session?market=USA&future=ES", "/api/global-markets/markets/",
	}
	poll := func(status int) {
		t.Helper()
		for _, path := range polls {
			got := exchange(t, http.MethodGet, s.URL+path, "", "User-Agent", "old desk/2", "Authorization", "Bearer "+pair.Access)
			if got.Status != status || got.Header.Get("Cutover") == "" {
				t.Fatalf("%s: %+v", path, got)
			}
			if status == http.StatusBadGateway && (got.Header.Get("Content-Type") != "application/problem+json" ||
				!strings.Contains(got.Body, "urn:thor:problem:upstream") || !strings.Contains(got.Body, "did not answer: it cannot be reached")) {
				t.Fatalf("%s: %+v", path, got)
			}
		}
	}
	rounds := 0
	flowing := map[string]bool{}
	for deadline := time.Now().Add(90 * time.Second); len(flowing) < len(thor.FeatureNames()); rounds++ {
		poll(http.StatusOK)
		for _, m := range c.collect(200 * time.Millisecond) {
			if m.Stream != "" && m.Stream != thor.CutoverStream {
				flowing[m.Stream.Feature()] = true
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("of the features only %v flow", flowing)
		}
	}
	counted := map[string]int{}
	for _, one := range census(t, s) {
		if one.UserAgent == "old desk/2" && one.Via == "frontdoor" {
			counted[one.Feature] = one.Requests
		}
	}
	for _, feature := range thor.FeatureNames() {
		if counted[feature] != rounds {
			t.Errorf("the census counts %d polls of %s, want %d", counted[feature], feature, rounds)
		}
	}

	// Dead: the old paths say so, and the last values stay.
	d.kill()
	poll(http.StatusBadGateway)
	time.Sleep(6 * time.Second) // until every client must call it stale
	poll(http.StatusBadGateway)
	late := connect(t, s)
	last := map[thor.StreamID]message{}
	cadence := map[thor.StreamID]time.Duration{}
	streams := []thor.StreamID{"account_balance:PAPER-1", "account_balance:PAPER-2", "positions:PAPER-1", "positions:PAPER-2", "intraday:FUT.ES"}
	_, ok := late.until(10*time.Second, func(m message) bool {
		if m.Type == "hello" {
			var hello struct {
				Streams map[thor.StreamID]struct {
					CadenceMS int64 `json:"cadence_ms"`
				}
			}
			if err := json.Unmarshal(m.Data, &hello); err != nil {
				t.Fatal(err)
			}
			for id, told := range hello.Streams {
				cadence[id] = time.Duration(told.CadenceMS) * time.Millisecond
			}
		}
		if m.Stream != "" {
			last[m.Stream] = m
		}
		for _, id := range streams {
			if last[id].Stream == "" {
				return false
			}
		}
		return true
	})
	if !ok {
		t.Fatalf("who comes while the backend is away gets %v", last)
	}
	for _, id := range streams {
		m := last[id]
		age := m.came.Sub(time.UnixMilli(m.TS))
		// The rule of protocol.md, and of the page: three times the cadence, at
		// least five seconds. A future that rests speaks every five seconds, and is
		// not old yet; an account has a coin, which never rests.
		if strings.HasPrefix(string(id), "intraday:") && cadence[id] == 5*time.Second {
			continue
		}
		if limit := max(3*cadence[id], 5*time.Second); cadence[id] == 0 || age < limit {
			t.Errorf("%s: %v old with a cadence of %v, and must look stale", id, age, cadence[id])
		}
	}
	balance := decode[thor.AccountBalance](t, last["account_balance:PAPER-1"])
	if balance.PortfolioValue.Sign() <= 0 {
		t.Errorf("the last balance is %s", last["account_balance:PAPER-1"].Data)
	}
	response, body := s.get("/api/account/balance?account_id=PAPER-1")
	if response.StatusCode != http.StatusOK || string(body) != string(last["account_balance:PAPER-1"].Data) || response.Header.Get("Age") < "5" {
		t.Errorf("thor's own REST: %d, Age %s, %s", response.StatusCode, response.Header.Get("Age"), body)
	}
	if n := strings.Count(s.said(), "the backend does not answer"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	for line := range strings.Lines(s.said()) {
		if strings.Contains(line, `msg="the backend`) && (strings.Contains(line, "PAPER-1") || strings.Contains(line, pair.Access)) {
			t.Errorf("the log has an account or a token: %s", line)
		}
	}

	// Back.
	d.again()
	poll(http.StatusOK)
	if _, ok := late.until(60*time.Second, func(m message) bool {
		return m.Stream == "account_balance:PAPER-1" && m.Seq > last[m.Stream].Seq
	}); !ok {
		t.Error("nothing comes after the backend is back")
	}
	var outcomes []string
	_, metrics := s.get("/metrics")
	for line := range strings.Lines(string(metrics)) {
		if strings.HasPrefix(line, "frontdoor_requests_total{") {
			outcomes = append(outcomes, strings.TrimSpace(line))
		}
	}
	want := []string{
		fmt.Sprintf(`frontdoor_requests_total{outcome="answered"} %d`, (rounds+1)*len(polls)+1),
		fmt.Sprintf(`frontdoor_requests_total{outcome="failed"} %d`, 2*len(polls)),
		`frontdoor_requests_total{outcome="gone"} 0`, `frontdoor_requests_total{outcome="left"} 0`, `frontdoor_requests_total{outcome="refused"} 0`,
	}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
