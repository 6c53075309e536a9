package app

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thor/internal/auth"
)

// anybody is whoever asks, with a token or without.
const anybody auth.Role = "anybody"

// routes says who may ask for what. A route that is not here fails the test:
// decide who may, and write it down.
var routes = map[string]struct {
	role auth.Role // viewer is everybody with a token
	body string
}{
	"GET /api/account/balance":              {role: auth.Viewer},
	"GET /api/positions":                    {role: auth.Viewer},
	"GET /api/intraday/bars":                {role: auth.Viewer},
	"GET /api/global-market":                {role: auth.Viewer},
	"GET /api/accounts":                     {role: auth.Viewer},
	"GET /api/symbols":                      {role: auth.Viewer},
	"GET /api/status":                       {role: auth.Viewer},
	"GET /api/features":                     {role: auth.Viewer},
	"GET /api/features/{feature}":           {role: auth.Viewer},
	"GET /api/features/{feature}/history":   {role: auth.Viewer},
	"GET /api/audit":                        {role: auth.Viewer},
	"GET /api/consumers":                    {role: auth.Operator},
	"POST /api/features/{feature}/promote":  {role: auth.Operator, body: `{}`},
	"POST /api/features/{feature}/freeze":   {role: auth.Operator, body: `{}`},
	"POST /api/features/{feature}/unfreeze": {role: auth.Operator, body: `{}`},
	"POST /api/features/{feature}/rollback": {role: auth.Operator, body: `{}`},
	"POST /api/ticket":                      {role: auth.Viewer},
	"POST /api/publish":                     {role: auth.Publisher, body: `{}`},
	"GET /metrics":                          {role: auth.Viewer},
	"GET /healthz":                          {role: anybody},
	"GET /readyz":                           {role: anybody},

	// The page shows no data by itself, and the WebSocket has a door of its own.
	"GET /{$}":         {role: anybody},
	"GET /assets/":     {role: anybody},
	"GET /favicon.svg": {role: anybody},
	"GET /ws":          {role: anybody},
	"GET /ws/{$}":      {role: anybody},
}

// openTest is an app with settings, and its handler. It does not run.
func openTest(t *testing.T, change func(*Config)) *App {
	t.Helper()
	c := Default()
	c.Addr, c.Data = "localhost:0", t.TempDir()
	if change != nil {
		change(&c)
	}
	a, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func TestWhoMayAskForWhat(t *testing.T) {
	t.Parallel()
	a := openTest(t, func(c *Config) { c.AuthKey = strings.Repeat("k", 32) })
	keyless := openTest(t, nil)
	described, err := a.api.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(described, &document); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for path, methods := range document.Paths {
		for method := range methods {
			there[strings.ToUpper(method)+" "+path] = true
		}
	}
	for pattern := range a.api.Mount {
		there[pattern] = true
	}
	for route := range there {
		if routes[route].role == "" {
			t.Errorf("nobody has said who may ask for %s", route)
		}
	}
	ask := func(a *App, route, authorization string) *httptest.ResponseRecorder {
		method, path, _ := strings.Cut(route, " ")
		path = strings.TrimSuffix(strings.ReplaceAll(path, "{feature}", "positions"), "{$}")
		r := httptest.NewRequest(method, path, strings.NewReader(routes[route].body))
		r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost:8000"
		r.Header.Set("If-Match", `"1"`)
		if routes[route].body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		answer := httptest.NewRecorder()
		a.api.ServeHTTP(answer, r)
		return answer
	}
	for route, rule := range routes {
		if !there[route] {
			t.Errorf("there is no %s", route)
			continue
		}
		if answer := ask(a, route, ""); (answer.Code == http.StatusUnauthorized) != (rule.role != anybody) {
			t.Errorf("%s for nobody: %d", route, answer.Code)
		}
		for _, role := range auth.Roles() {
			token, err := a.door.NewToken(auth.Principal{Subject: string(role), Roles: []auth.Role{role}}, time.Now(), time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			answer := ask(a, route, "Bearer "+token)
			may := rule.role == anybody || rule.role == auth.Viewer || rule.role == role
			refused := answer.Code == http.StatusUnauthorized || answer.Code == http.StatusForbidden
			if refused == may {
				t.Errorf("%s for %s: %d %s", route, role, answer.Code, answer.Body)
			}
			if refused && !strings.Contains(answer.Body.String(), "role "+string(rule.role)) {
				t.Errorf("%s for %s does not say which role it needs: %s", route, role, answer.Body)
			}
		}
		if answer := ask(keyless, route, ""); answer.Code == http.StatusUnauthorized || answer.Code == http.StatusForbidden {
			t.Errorf("%s for the local operator: %d %s", route, answer.Code, answer.Body)
		}
	}
}
