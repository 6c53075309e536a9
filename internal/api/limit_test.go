package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/auth"
)

var doorKey = []byte("0123456789abcdef0123456789abcdef")

// token is a header with a token.
func token(t *testing.T, door *auth.Door, sub string, ttl time.Duration) []string {
	t.Helper()
	made, err := door.NewToken(auth.Principal{Subject: sub}, time.Now(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"Authorization", "Bearer " + made}
}

func TestTicket(t *testing.T) {
	t.Parallel()
	door := &auth.Door{Key: doorKey}
	w := setup(t, func(c *Config) { c.Door = door })
	answer := w.ask(http.MethodPost, "/api/ticket", "", token(t, door, "ada", time.Hour)...)
	var got struct {
		Ticket      string `json:"ticket"`
		ExpiresInMS int    `json:"expires_in_ms"`
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil || answer.Code != http.StatusOK || got.ExpiresInMS != 30_000 {
		t.Fatalf("%d %s: %v", answer.Code, answer.Body, err)
	}
	if cache := answer.Header().Get("Cache-Control"); cache != "no-store" {
		t.Errorf("Cache-Control %q", cache)
	}
	upgrade := httptest.NewRequest(http.MethodGet, "/ws/?ticket="+got.Ticket, nil)
	if p, err := door.AuthenticateUpgrade(upgrade); err != nil || p.Subject != "ada" {
		t.Errorf("the ticket lets in %+v, %v", p, err)
	}
	for range 40 {
		answer = w.ask(http.MethodPost, "/api/ticket/", "", token(t, door, "bob", time.Hour)...)
	}
	if answer.Code != http.StatusOK {
		t.Fatalf("the fortieth: %d %s", answer.Code, answer.Body)
	}
	answer = w.ask(http.MethodPost, "/api/ticket", "", token(t, door, "bob", time.Hour)...)
	wantProblem(t, answer, http.StatusTooManyRequests, thor.ETOOMANY, "40 tickets of yours")
	if after := answer.Header().Get("Retry-After"); after != "30" && after != "29" {
		t.Errorf("Retry-After %q", after)
	}
	wantProblem(t, w.ask(http.MethodPost, "/api/ticket", ""), http.StatusUnauthorized, thor.EUNAUTHORIZED)
	keyless := setup(t, nil)
	wantProblem(t, keyless.ask(http.MethodPost, "/api/ticket", ""), http.StatusConflict, thor.ECONFLICT, "needs no ticket", "/ws/")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	door := &auth.Door{Key: doorKey}
	refused := map[string]int{}
	w := setup(t, func(c *Config) {
		c.Door, c.Refused = door, func(reason string) { refused[reason]++ }
	})
	good := token(t, door, "ada", time.Hour)
	tests := []struct {
		name, path string
		header     []string
		status     int
		code       thor.Code
		says       string
		challenge  string
	}{
		{"no token", "/api/status", nil, 401, thor.EUNAUTHORIZED, "Authorization: Bearer", "Bearer"},
		{"another scheme", "/api/status", []string{"Authorization", "Basic YTpi"}, 401, thor.EUNAUTHORIZED, "Authorization: Bearer", `Bearer error="invalid_token"`},
		{"a wrong token", "/api/status", []string{"Authorization", "Bearer x"}, 401, thor.EUNAUTHORIZED, "not a JWT", `Bearer error="invalid_token"`},
		{"an expired token", "/api/status", token(t, door, "ada", -time.Minute), 401, thor.EUNAUTHORIZED, "has expired", `Bearer error="invalid_token"`},
		{"a token in the URL", "/api/status?token=x", good, 422, thor.EINVALID, "/api/ticket", ""},
		{"a token in the URL of the metrics", "/metrics?access_token=x", good, 422, thor.EINVALID, "/api/ticket", ""},
		{"a ticket", "/api/status?ticket=x", nil, 401, thor.EUNAUTHORIZED, "no token", "Bearer"},
	}
	for _, tt := range tests {
		answer := w.get(tt.path, tt.header...)
		wantProblem(t, answer, tt.status, tt.code, tt.says)
		if got := answer.Header().Get("WWW-Authenticate"); got != tt.challenge {
			t.Errorf("%s: challenge %q, want %q", tt.name, got, tt.challenge)
		}
	}
	w.get("/api/status", "Origin", "https://evil.example")
	if diff := cmp.Diff(map[string]int{RefusedToken: len(tests), RefusedOrigin: 1}, refused); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func TestRateOfRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		door := &auth.Door{Key: doorKey, Failures: &auth.Rates{PerSecond: 0.5, Burst: 2}}
		refused := map[string]int{}
		w := setup(t, func(c *Config) {
			c.Door, c.Requests, c.Refused = door, &auth.Rates{PerSecond: 0.25, Burst: 3}, func(reason string) { refused[reason]++ }
		})
		ada := token(t, door, "ada", time.Hour)
		for range 3 {
			if answer := w.get("/api/status", ada...); answer.Code != http.StatusOK {
				t.Fatalf("%d %s", answer.Code, answer.Body)
			}
		}
		answer := w.get("/api/features", append(ada, "Origin", "http://localhost:5173")...)
		wantProblem(t, answer, http.StatusTooManyRequests, thor.ETOOMANY, "you ask too often: try again in 4 s")
		if answer.Header().Get("Retry-After") != "4" || !strings.Contains(answer.Header().Get("Access-Control-Expose-Headers"), "Retry-After") {
			t.Errorf("headers %v", answer.Header())
		}
		if answer := w.get("/api/status", token(t, door, "bob", time.Hour)...); answer.Code != http.StatusOK {
			t.Errorf("another: %d", answer.Code)
		}
		for _, path := range []string{"/", "/healthz", "/readyz", "/api/openapi.json"} { // what has no caller has no limit
			if answer := w.get(path, ada...); answer.Code != http.StatusOK {
				t.Errorf("%s: %d", path, answer.Code)
			}
		}
		time.Sleep(4 * time.Second)
		if answer := w.get("/api/status", ada...); answer.Code != http.StatusOK {
			t.Errorf("after the wait: %d", answer.Code)
		}
		for range 2 {
			wantProblem(t, w.get("/api/status", "Authorization", "Bearer x"), http.StatusUnauthorized, thor.EUNAUTHORIZED)
		}
		answer = w.get("/api/status", "Authorization", "Bearer x")
		wantProblem(t, answer, http.StatusTooManyRequests, thor.ETOOMANY, "too many wrong tokens")
		if answer.Header().Get("Retry-After") != "2" || answer.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("headers %v", answer.Header())
		}
		if answer := w.get("/api/status", token(t, door, "eve", time.Hour)...); answer.Code != http.StatusOK {
			t.Errorf("a right token from that address: %d", answer.Code)
		}
		if diff := cmp.Diff(map[string]int{RefusedRate: 1, RefusedFailures: 1, RefusedToken: 2}, refused); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
		local := setup(t, func(c *Config) { c.Requests = &auth.Rates{PerSecond: 0.25, Burst: 1} })
		for range 10 {
			if answer := local.get("/api/status"); answer.Code != http.StatusOK {
				t.Fatalf("the local operator: %d", answer.Code)
			}
		}
	})
}

func TestWhoTheClientIsForCanary(t *testing.T) {
	t.Parallel()
	door := &auth.Door{Key: doorKey, CookieKey: []byte("cookie")}
	asked := &recorder{}
	w := setup(t, func(c *Config) {
		asked.controller = c.Stages
		c.Door, c.Stages = door, asked
	})
	given := httptest.NewRecorder()
	door.GiveCookie(given, httptest.NewRequest(http.MethodGet, "/", nil))
	cookie := given.Result().Cookies()[0].Value
	id, _, _ := strings.Cut(cookie, ".")
	w.keep(t, balance("A-1"))
	for _, path := range []string{"/api/global-market", "/api/features/positions", "/api/features"} {
		for _, tt := range []struct {
			client, cookie, want string
		}{
			{"desk-3", cookie, "desk-3"}, {"", cookie, id}, {"", cookie + "x", "ada"}, {"", "", "ada"},
		} {
			asked.clients = nil
			header := token(t, door, "ada", time.Hour)
			if tt.client != "" {
				header = append(header, "Thor-Client", tt.client)
			}
			if tt.cookie != "" {
				header = append(header, "Cookie", "thor_client="+tt.cookie)
			}
			w.get(path, header...)
			if len(asked.clients) == 0 || asked.clients[0] != tt.want {
				t.Errorf("%s of %+v: asked for %q", path, tt, asked.clients)
			}
		}
	}
	keyless := setup(t, func(c *Config) { asked.controller, c.Stages = c.Stages, asked })
	asked.clients = nil
	keyless.get("/api/global-market")
	if fmt.Sprintf("%q", asked.clients) != `[""]` {
		t.Errorf("nobody knows who asks: %q", asked.clients)
	}
}

// recorder notes for whom the data source is asked.
type recorder struct {
	controller
	clients []string
}

func (r *recorder) DataSource(feature, client string) thor.DataSource {
	r.clients = append(r.clients, client)
	return r.controller.DataSource(feature, client)
}
