package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// What a backend is told in confidence, or knows of an account.
const (
	secretPassword = "correct horse+battery"
	secretKey      = "key-93b1f0c7"
	secretNumber   = "55218734"
	secretAccess   = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoxfQ.c2lnbmF0dXJlLW9mLWl0"
	secretRefresh  = "refresh.0123456789.abcdef"
)

// TestWordsOfABackendKeepNoSecret lets a backend say everything it was told, at
// every place whose words get into an error.
func TestWordsOfABackendKeepNoSecret(t *testing.T) {
	t.Parallel()
	secrets := []string{secretPassword, secretKey, secretNumber, secretAccess, secretRefresh}
	all := strings.Join(secrets, " ")
	long := strings.Repeat("so it goes ", 200)
	mapping := strings.Replace(small, `ids = ["A"]`, `path = "/accounts"
every = "1ns"
fields.id = { from = "/id", required = true }
fields.number = { from = "/number" }
fields.pk = { from = "/pk" }`, 1)
	mapping = strings.Replace(mapping, `fields.asset_class = { const = "equity" }`,
		`fields.asset_class = { from = "/class", type = "enum", map = { EQ = "equity" } }`, 1)
	row := func(symbol, class, quantity string) string {
		return fmt.Sprintf(`{"results":[{"symbol":%q,"class":%q,"quantity":%q,"price":1,"entry":1}]}`, symbol, class, quantity)
	}
	for name, balance := range map[string]http.HandlerFunc{
		"the words of a refusal":      say(403, fmt.Sprintf(`{"detail":%q}`, all)),
		"escaped":                     say(403, fmt.Sprintf(`{"detail":%q}`, url.QueryEscape(all))),
		"a code":                      say(403, fmt.Sprintf(`{"detail":"no","code":%q}`, all)),
		"many words":                  say(500, fmt.Sprintf(`{"message":%q}`, long+all)),
		"a secret at the cut":         say(500, fmt.Sprintf(`{"message":%q}`, strings.Repeat("x ", 92)+all)),
		"a web page":                  say(200, "<html><title>"+all+"</title></html>", "Content-Type", "text/html"),
		"a field of another type":     say(200, fmt.Sprintf(`{"net":%q}`, all)),
		"every field of another type": say(200, fmt.Sprintf(`{"net":%q,"cash":%q,"at":%q}`, all, secretAccess, secretNumber)),
		"no object":                   say(200, fmt.Sprintf(`%q`, all)),
		"a redirect elsewhere":        say(302, "", "Location", "http://"+secretNumber+".localhost/"),
		"no HTTP":                     raw(t, all+"\r\n\r\n"),
		"a long line that is no HTTP": raw(t, secretAccess+long+"\r\n\r\n"),
	} {
		wantNoSecret(t, name, mapping, secrets, map[string]http.HandlerFunc{"/balance/" + secretNumber: balance})
	}
	for name, positions := range map[string]http.HandlerFunc{
		"a symbol":       say(200, row(all, "EQ", "1")),
		"a long symbol":  say(200, row(secretAccess+long, "EQ", "1")),
		"a class":        say(200, row("AAPL", all, "1")),
		"a quantity":     say(200, row("AAPL", "EQ", all)),
		"the next page":  say(200, fmt.Sprintf(`{"results":[],"next":%q}`, "http://localhost:1/"+all)),
		"instead of one": say(200, fmt.Sprintf(`{"results":%q}`, all)),
	} {
		wantNoSecret(t, name, mapping, secrets, map[string]http.HandlerFunc{"/positions": positions})
	}
	for name, login := range map[string]http.HandlerFunc{
		"a sign-in": say(401, fmt.Sprintf(`{"detail":%q}`, all)), "a sign-in that fails": say(500, fmt.Sprintf(`{"detail":%q}`, all)),
		"a sign-in that moved":      say(302, "", "Location", "/"+url.PathEscape(all)),
		"a sign-in without a token": say(200, fmt.Sprintf(`[%q]`, all)),
	} {
		wantNoSecret(t, name, mapping, []string{secretPassword, secretKey, secretAccess}, map[string]http.HandlerFunc{"/login": login})
	}
}

// wantNoSecret asks a backend for everything, of which some paths are as given.
func wantNoSecret(t *testing.T, name, mapping string, secrets []string, paths map[string]http.HandlerFunc) {
	t.Helper()
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if answer := paths[r.URL.Path]; answer != nil {
			answer(w, r)
			return
		}
		switch r.URL.Path {
		case "/login":
			say(200, fmt.Sprintf(`{"access":%q,"refresh":%q}`, secretAccess, secretRefresh))(w, r)
		case "/accounts":
			say(200, fmt.Sprintf(`[{"id":%q,"number":%q,"pk":7}]`, secretNumber, secretNumber))(w, r)
		case "/positions":
			say(200, `{"results":[]}`)(w, r)
		default:
			say(200, `{"net":"1000.00"}`)(w, r)
		}
	}, func(c *Config) {
		c.Mapping = parsed(t, mapping)
		c.Mapping.Headers = map[string]string{"X-Api-Key": "$KEY"}
		c.Mapping.Auth = Auth{Login: "/login"}
		c.User, c.Password = "trader", secretPassword
		c.Env = func(string) (string, bool) { return secretKey, true }
	})
	_, balances := s.Balances(t.Context())
	_, positions := s.Positions(t.Context())
	_, bars := s.Bars(t.Context(), time.Time{})
	err := errors.Join(balances, positions, bars)
	if err == nil {
		t.Errorf("%s: there is no error", name)
		return
	}
	report := s.Check(t.Context())
	texts := []string{err.Error()}
	for _, e := range report.Endpoints {
		texts = append(texts, e.Of, e.Problem, e.Note)
	}
	for _, text := range texts {
		for _, secret := range secrets {
			for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), secret[:min(len(secret), 12)]} {
				if strings.Contains(text, form) {
					t.Errorf("%s: %q is in %q", name, form, text)
				}
			}
		}
		if n := utf8.RuneCountInString(text); n > 4*maxWords {
			t.Errorf("%s: %d characters: %.100s…", name, n, text)
		}
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"Account 55218734 is closed", "Account ••• is closed"},
		{"5521-8734", "•••"},
		{"insufficient_permissions_for_this_account", "insufficient_permissions_for_this_account"},
		{"at 2026-11-23T15:30:00.123456Z", "at 2026-11-23T15:30:00.123456Z"},
		{"lookup backend-2.example.com: no such host", "lookup backend-2.example.com: no such host"},
		{"OPT.SPY261218C00700000 at 1234.5678", "OPT.SPY261218C00700000 at 1234.5678"},
		{"Bearer eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoxfQ12", "Bearer •••.•••"},
		{"token 4d0fa7dd1cb08d4ef4ccf15d5ae38a5f", "token •••"},
	} {
		if got := scrub(tt.text); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.text, got, tt.want)
		}
	}
}
