package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"thor/internal/api"
	"thor/internal/auth"
	"thor/internal/legacy"
	"thor/internal/source/upstream"
)

// madeBy is a token as the double makes it.
func madeBy(t *testing.T, kind string, user int) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"token_type": kind, "user_id": user, "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(legacy.SigningKey))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestUsersOfABackend looks at a server through the tokens of the users of the
// backend it reads.
func TestUsersOfABackend(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	behind := double(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
			return
		}
		behind.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	log := &buffer{}
	c := Default()
	c.Addr, c.Data, c.AuthKey = "localhost:0", t.TempDir(), legacy.SigningKey
	reading(server.URL)(&c)
	a, err := New(t.Context(), c, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	asking := make(chan error, 1)
	go func() { asking <- a.runGrants(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-asking; err != nil {
			t.Error(err)
		}
		closeApp(t, a)
	})
	ops, err := a.door.NewToken(auth.Principal{Subject: "ops", Roles: []auth.Role{auth.Operator}}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	const mine, other = "GET /api/account/balance?account_id=PAPER-1", "GET /api/account/balance?account_id=PAPER-2"
	const freeze = "POST /api/features/positions/freeze"
	ask := func(token, route string) *httptest.ResponseRecorder {
		method, path, _ := strings.Cut(route, " ")
		r := httptest.NewRequest(method, path, strings.NewReader("{}"))
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		a.api.ServeHTTP(answer, r)
		return answer
	}
	// Nothing is stored yet, so what one may see is not found.
	const found, notYours, who, later = http.StatusNotFound, http.StatusForbidden, http.StatusUnauthorized, http.StatusServiceUnavailable
	check := func(name, token, route string, status int, says string) {
		t.Helper()
		answer := ask(token, route)
		if answer.Code != status || !strings.Contains(answer.Body.String(), says) {
			t.Errorf("%s, %s: %d %s; want %d that says %q", name, route, answer.Code, answer.Body, status, says)
		}
		if strings.Contains(answer.Body.String(), token) || strings.Contains(log.String(), token) {
			t.Errorf("%s, %s: the token is shown", name, route)
		}
		if wait := answer.Header().Get("Retry-After"); (status == later) != (wait != "") {
			t.Errorf("%s, %s: Retry-After %q", name, route, wait)
		}
	}
	access := func(user int) string { return madeBy(t, "access", user) }
	ada := access(2) // the token that is known: one of a second later is another
	check("ada", ada, mine, found, "nothing is known")
	check("ada", ada, other, notYours, "there is no account")
	check("ada", ada, freeze, notYours, "this needs the role operator")
	check("bob", access(3), mine, notYours, "there is no account")
	check("bob", access(3), other, found, "nothing is known")
	check("staff", access(1), other, found, "nothing is known")
	check("staff", access(1), freeze, notYours, "this needs the role operator")
	check("a refresh token", madeBy(t, "refresh", 2), mine, who, "its token_type must be access")
	check("a user who is not there", access(99), mine, who, "the backend does not take this token, 401: User not found (user_not_found)")
	check("thor's own", ops, mine, notYours, "there is no account")
	check("thor's own", ops, freeze, http.StatusOK, "durable")
	away.Store(true)
	check("ada, who is known", ada, mine, found, "nothing is known")
	for user := range 2 {
		check("a newcomer", access(4+user), mine, later, "the backend that says which accounts are yours does not answer")
	}
	check("thor's own", ops, mine, notYours, "there is no account")
	if n := strings.Count(log.String(), "the backend does not say which accounts its users may see"); n != 1 || !strings.Contains(log.String(), "failed with 503") {
		t.Errorf("logged %d times:\n%s", n, log)
	}
	metrics := ask(ops, "GET /metrics").Body.String()
	if want := fmt.Sprintf(`rest_refused_total{reason=%q} 2`, api.RefusedBackend); !strings.Contains(metrics, want) {
		t.Errorf("the metrics do not have %s", want)
	}
}

// TestWhoseTokens holds by which names tokens are read, and what the first lines
// say of it.
func TestWhoseTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	preset, err := upstream.Preset("thor")
	if err != nil {
		t.Fatal(err)
	}
	mapping := func(name string, edits ...string) string {
		for i := 0; i < len(edits); i += 2 {
			if !strings.Contains(string(preset), edits[i]) {
				t.Fatalf("the preset has no %q", edits[i])
			}
		}
		text := strings.NewReplacer(edits...).Replace(string(preset))
		path := filepath.Join(dir, name)
		writeFile(t, path, []byte(text))
		return path
	}
	none := mapping("none.toml", "subject = \"user_id\"\nrequire = { token_type = \"access\" }", "")
	other := mapping("other.toml", "subject = \"user_id\"\nrequire = { token_type = \"access\" }", `subject = "uid"`)
	given := mapping("given.toml", "path = \"/api/actandpos/accounts\"\n", "ids = [\"PAPER-1\"]\n", "{book}", "live", "{bookkey}", "id")
	url := "http://localhost:1"
	key := strings.Repeat("k", 32)
	django := auth.Claims{Subject: "user_id", Named: true, Require: map[string]string{"token_type": "access"}}
	with := func(change func(c *auth.Claims)) auth.Claims {
		c := django
		change(&c)
		return c
	}
	for _, tt := range []struct {
		name   string
		change func(c *Config)
		want   auth.Claims
		asks   bool
		says   string // "" is nothing
	}{
		{"no backend", func(c *Config) { c.AuthKey = key }, auth.Claims{}, false, ""},
		{"a backend and no key", func(c *Config) { reading(url)(c) }, auth.Claims{}, false, ""},
		{
			"the preset", func(c *Config) { reading(url)(c); c.AuthKey = key }, django, true,
			"the backend's own tokens are taken: user_id says who it is, token_type must be access; their accounts are those the backend lists for them",
		},
		{
			"names of the settings", func(c *Config) {
				reading(url)(c)
				c.AuthKey, c.AuthClaimSub, c.AuthClaimAccounts, c.AuthClaimRoles = key, "sub", "acc", "roles"
			},
			with(func(c *auth.Claims) { c.Subject, c.Accounts, c.Roles = "sub", "acc", "roles" }), true,
			"sub says who it is, token_type must be access; their accounts are those in acc, or else those the backend lists for them",
		},
		{"a mapping that knows no tokens", func(c *Config) { reading(url)(c); c.AuthKey, c.UpstreamConfig = key, none }, auth.Claims{}, false, ""},
		{
			"a mapping that knows others", func(c *Config) { reading(url)(c); c.AuthKey, c.UpstreamConfig = key, other },
			auth.Claims{Subject: "uid", Named: true},
			true, "uid says who it is; their accounts are those the backend lists for them",
		},
		{
			"a mapping without a list", func(c *Config) { reading(url)(c); c.AuthKey, c.UpstreamConfig = key, given }, django, false,
			"they see no account, for the mapping has no list to ask for",
		},
		{
			"a mapping without a list, and a claim", func(c *Config) {
				reading(url)(c)
				c.AuthKey, c.UpstreamConfig, c.AuthClaimAccounts = key, given, "acc"
			},
			with(func(c *auth.Claims) { c.Accounts = "acc" }), false, "token_type must be access; their accounts are those in acc\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := openApp(t, t.TempDir(), tt.change)
			t.Cleanup(func() { closeApp(t, a) })
			if diff := cmp.Diff(tt.want, a.door.Claims); diff != "" || (a.door.Grants != nil) != tt.asks {
				t.Errorf("asks %v, (-want +got):\n%s", a.door.Grants != nil, diff)
			}
			if note := a.grantNote(); (note == "") != (tt.says == "") || !strings.Contains(note+"\n", tt.says) {
				t.Errorf("it says %q, want %q", note, tt.says)
			}
		})
	}
}
