package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"thor"
	"thor/internal/legacy"
	"thor/internal/source"
)

// listing is a mapping with a list of accounts in it, and headers of ours.
const listing = small + `
[tokens]
subject = "user_id"
headers = { X-Api-Key = "theirs" }
[headers]
Cookie = "sessionid=ours"
X-Api-Key = "ours"
`

var listed = strings.NewReplacer(`ids = ["A"]`, `path = ["/accounts", "/old/accounts"]
root = "/results"
next = "/next"
every = "1ns"
fields.id = { from = "/id", required = true }`).Replace(listing)

// users is a backend whose accounts depend on who asks.
type users struct {
	mu      sync.Mutex // guards what follows
	answers map[string]http.HandlerFunc
	seen    []http.Header // of the requests for accounts
}

func (u *users) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/accounts") {
		say(404, `{"detail":"Not found."}`)(w, r)
		return
	}
	u.mu.Lock()
	answer := u.answers[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	u.seen = append(u.seen, r.Header.Clone())
	u.mu.Unlock()
	if answer == nil {
		answer = say(401, `{"detail":"User not found","code":"user_not_found"}`)
	}
	answer(w, r)
}

func (u *users) last() http.Header {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen[len(u.seen)-1]
}

// TestAccountsOf holds what a backend's answer to somebody's own token means.
func TestAccountsOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   []string
		code   thor.Code   // of a token that is not taken
		kind   source.Kind // of anything else
		words  string
	}{
		{"accounts", say(200, `{"results":[{"id":"A"},{"id":"B"}]}`), []string{"A", "B"}, "", "", ""},
		{"none", say(200, `{"results":[]}`), nil, "", "", ""},
		{"a token it does not take", say(401, `{"detail":"Given token not valid for any token type","code":"token_not_valid"}`), nil, thor.EUNAUTHORIZED, "", "the backend does not take this token, 401: Given token not valid for any token type (token_not_valid)"},
		{"a user who waits", say(403, `{"detail":"wait for approval","code":"not_approved"}`), nil, thor.EUNAUTHORIZED, "", "403: wait for approval (not_approved)"},
		{"a failure", say(500, `{"detail":"oops"}`), nil, "", source.Transient, "500"},
		{"too often", say(429, `{"detail":"Request was throttled."}`, "Retry-After", "3600"), nil, "", source.RateLimited, "429"},
		{"not there", say(404, `{"detail":"Not found."}`), nil, "", source.NotSupported, "404"},
		{"no list", say(200, `{"results":{"id":"A"}}`), nil, "", source.BadData, "not a list"},
		{"nothing", say(200, `null`), nil, "", source.BadData, "not a list"},
		{"a list of all kinds", say(200, `{"results":["A"]}`), nil, "", source.BadData, "not an object"},
		{"an account that is none", say(200, `{"results":[{"id":"A"},{"id":"*"}]}`), nil, "", source.BadData, "not an id"},
		{"an account without an id", say(200, `{"results":[{"name":"A"}]}`), nil, "", source.BadData, "/id is missing"},
		{"one twice", say(200, `{"results":[{"id":"A"},{"id":"A"}]}`), nil, "", source.BadData, "the id of another"},
		{"a page to sign in", say(200, `<html><title>Log in</title>`, "Content-Type", "text/html"), nil, "", source.BadData, "Log in"},
		{"a way to somebody else", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost:1/accounts", http.StatusFound)
		}, nil, "", source.BadData, "where the token must not go"},
		{"a next page that is somebody else's", say(200, `{"results":[{"id":"A"}],"next":"http://localhost:1/accounts"}`), nil, "", source.BadData, "is not on the backend"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const token = "the-token-of-ada"
			u := &users{answers: map[string]http.HandlerFunc{token: tt.answer, "ours": say(200, `{"results":[{"id":"A"}]}`)}}
			s, _ := serve(t, u.ServeHTTP, func(c *Config) { c.Mapping, c.Token = parsed(t, listed), "ours" })
			got, err := s.AccountsOf(t.Context(), token)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			refused := thor.ErrorCode(err) == thor.EUNAUTHORIZED
			if refused != (tt.code != "") || !refused && source.KindOf(err) != tt.kind || err != nil && !strings.Contains(err.Error(), tt.words) {
				t.Errorf("error %v, want %s%s that says %q", err, tt.code, tt.kind, tt.words)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the error shows the token: %v", err)
			}
			h := u.last()
			if h.Get("Cookie") != "" || h.Get("X-Api-Key") != "theirs" || h.Get("Authorization") != "Bearer "+token {
				t.Errorf("sent %v", h)
			}
			// Whatever it was, our own reading goes on.
			if list, err := s.askAccounts(t.Context()); err != nil || len(list) != 1 || list[0].id != "A" {
				t.Errorf("our own list: %+v, %v", list, err)
			}
		})
	}
}

// TestAnswersAreNobodyElses holds that what is remembered of answers is never
// given to somebody else: a backend that says "not modified" to everybody would
// show it.
func TestAnswersAreNobodyElses(t *testing.T) {
	t.Parallel()
	list := func(ids ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			var body []string
			for _, id := range ids {
				body = append(body, fmt.Sprintf(`{"id":%q}`, id))
			}
			say(200, `{"results":[`+strings.Join(body, ",")+`]}`, "ETag", `"one for all"`)(w, r)
		}
	}
	u := &users{answers: map[string]http.HandlerFunc{"ours": list("A", "B"), "ada": list("A"), "bob": list("B"), "nobody": list()}}
	s, _ := serve(t, u.ServeHTTP, func(c *Config) { c.Mapping, c.Token = parsed(t, listed), "ours" })
	for range 2 {
		for token, want := range map[string][]string{"ada": {"A"}, "bob": {"B"}, "nobody": nil} {
			if got, err := s.AccountsOf(t.Context(), token); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %q, %v; want %q", token, got, err, want)
			}
			ours, err := s.askAccounts(t.Context())
			if err != nil || len(ours) != 2 {
				t.Errorf("ours after %s: %+v, %v", token, ours, err)
			}
		}
	}
}

// TestAPathIsNobodyElses holds that a path that answers somebody is not taken for
// ours.
func TestAPathIsNobodyElses(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ours := r.Header.Get("Authorization") == "Bearer ours"
		switch {
		case r.URL.Path == "/accounts" && ours:
			say(200, `{"results":[{"id":"A"}]}`)(w, r)
		case r.URL.Path == "/old/accounts":
			say(200, `{"results":[{"id":"OLD"}]}`)(w, r)
		default:
			say(404, `{"detail":"Not found."}`)(w, r)
		}
	}, func(c *Config) { c.Mapping, c.Token = parsed(t, listed), "ours" })
	if got, err := s.AccountsOf(t.Context(), "ada"); err != nil || !slices.Equal(got, []string{"OLD"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if list, err := s.askAccounts(t.Context()); err != nil || len(list) != 1 || list[0].id != "A" {
		t.Errorf("ours are %+v, %v", list, err)
	}
}

// TestATokenDoesNotSignUsIn holds that a refused token of somebody else neither
// makes thor sign in anew, nor stops its own sign-in.
func TestATokenDoesNotSignUsIn(t *testing.T) {
	t.Parallel()
	w := still(t, noon, nil)
	var logins atomic.Int64
	ours := w.client.http.Transport
	w.client.http.Transport = transport(func(r *http.Request) (*http.Response, error) {
		if strings.Contains(r.URL.Path, "/users/") {
			logins.Add(1)
		}
		return ours.RoundTrip(r)
	})
	if _, err := w.AccountsOf(t.Context(), "wrong"); thor.ErrorCode(err) != thor.EUNAUTHORIZED || !strings.Contains(err.Error(), "token_not_valid") {
		t.Errorf("error %v", err)
	}
	if n := logins.Load(); n != 0 {
		t.Errorf("signed in %d times", n)
	}
	if list, err := w.askAccounts(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("our own list: %+v, %v", list, err)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// TestTheDoublesUsers holds what the preset makes of the double's users: of each
// era the ids that the source reads, and of each user their own.
func TestTheDoublesUsers(t *testing.T) {
	t.Parallel()
	for _, era := range legacy.Eras() {
		w := still(t, noon, func(c *legacy.Config) { c.Era = era })
		all := map[string][]string{"trader": {"PAPER-1", "PAPER-2"}, "ada": {"PAPER-1"}, "bob": {"PAPER-2"}}
		for user, want := range all {
			got, err := w.AccountsOf(t.Context(), signInAt(t, w.url, user).Access)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("era %s: %s has %q, %v; want %q", era, user, got, err, want)
			}
		}
		if _, err := w.AccountsOf(t.Context(), signInAt(t, w.url, "ada").Refresh); thor.ErrorCode(err) != thor.EUNAUTHORIZED {
			t.Errorf("era %s: a refresh token: %v", era, err)
		}
	}
}

type pair struct{ Access, Refresh string }

func signInAt(t *testing.T, url, user string) (p pair) {
	t.Helper()
	form := fmt.Sprintf(`{"email":"%s@example.com","password":"simulated"}`, user)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/api/users/login/", bytes.NewReader([]byte(form)))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it is read
	body, err := io.ReadAll(answer.Body)
	if err != nil || json.Unmarshal(body, &p) != nil || p.Access == "" {
		t.Fatalf("%s cannot sign in: %s, %v", user, body, err)
	}
	http.DefaultClient.CloseIdleConnections()
	return p
}

// TestTokensOfAMapping holds what a mapping may say of tokens.
func TestTokensOfAMapping(t *testing.T) {
	t.Parallel()
	m := preset(t)
	if m.Tokens.Subject != "user_id" || m.Tokens.Require["token_type"] != "access" || len(m.Tokens.Require) != 1 || len(m.Accounts.Path) == 0 {
		t.Errorf("the preset says %+v", m.Tokens)
	}
	for text, says := range map[string]string{
		`require = { token_type = "access" }`:         "tokens.subject: which claim says who a token is for?",
		"subject = \"id\"\nrequire = { kind = \"\" }": "tokens.require: write claims with the values they must have",
		"subject = \"id\"\nroles = \"groups\"":        "tokens.roles: there is no such setting",
	} {
		if _, err := Parse("test", []byte(small+"[tokens]\n"+text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
	_, err := New(Config{URL: "http://localhost:1", Mapping: parsed(t, strings.Replace(listing, `"theirs"`, `"$NOT_THERE"`, 1))})
	if err == nil || !strings.Contains(err.Error(), "NOT_THERE, which is not set") {
		t.Errorf("a variable that is not set: %v", err)
	}
	// A list beside given accounts is for tokens alone, and those that are not
	// given are nobody's: C is what another is called here.
	both := strings.Replace(listed, "[accounts]", "[accounts]\nids = [\"A\", \"C=7\"]", 1)
	u := &users{answers: map[string]http.HandlerFunc{
		"ada": say(200, `{"results":[{"id":"A"},{"id":"C"}]}`), "bob": say(200, `{"results":[{"id":"7"}]}`),
	}}
	s, _ := serve(t, u.ServeHTTP, func(c *Config) { c.Mapping, c.Token = parsed(t, both), "ours" })
	if list, err := s.list(t.Context()); err != nil || len(list) != 2 || list[0].id != "A" || !s.ListsAccounts() {
		t.Errorf("read are %+v, %v", list, err)
	}
	for token, want := range map[string]string{"ada": "A", "bob": "C"} {
		if got, err := s.AccountsOf(t.Context(), token); err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("listed for %s are %q, %v", token, got, err)
		}
	}
	if none, _ := serve(t, u.ServeHTTP, nil); none.ListsAccounts() {
		t.Error("given accounts alone are a list")
	}
}
