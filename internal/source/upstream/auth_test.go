package upstream

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"thor/internal/legacy"
	"thor/internal/source"
)

// door is a backend with a sign-in. Its fields are set before anybody asks.
type door struct {
	valid            atomic.Value // the access token that is taken
	logins, renewals atomic.Int64
	login, renew     http.HandlerFunc
	asked            atomic.Int64
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/login/":
		d.logins.Add(1)
		d.login(w, r)
	case "/refresh/":
		d.renewals.Add(1)
		d.renew(w, r)
	default:
		d.asked.Add(1)
		if r.Header.Get("Authorization") != "Bearer "+d.valid.Load().(string) { //nolint:errcheck // it is a string
			say(401, `{"detail":"Given token not valid for any token type","code":"token_not_valid"}`)(w, r)
			return
		}
		say(200, good)(w, r)
	}
}

// behind is a source that signs in at a door.
func behind(t *testing.T, d *door, change func(*Config)) *Source {
	t.Helper()
	if d.valid.Load() == nil {
		d.valid.Store("one")
	}
	s, _ := serve(t, d.ServeHTTP, func(c *Config) {
		c.Mapping.Auth = Auth{Login: "/login/", Refresh: "/refresh/"}
		c.User, c.Password = "trader", "pass word"
		if change != nil {
			change(c)
		}
	})
	return s
}

func wantBalance(t *testing.T, s *Source) {
	t.Helper()
	if balances, err := s.Balances(t.Context()); err != nil || len(balances) != 1 {
		t.Errorf("got %+v, %v", balances, err)
	}
}

func wantKind(t *testing.T, s *Source, kind source.Kind, words string) {
	t.Helper()
	_, err := s.Balances(t.Context())
	if source.KindOf(err) != kind || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want %s with %q", err, kind, words)
	}
	if err != nil && strings.Contains(err.Error(), "pass word") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestItSignsInAndRenews(t *testing.T) {
	t.Parallel()
	d := &door{
		login: func(w http.ResponseWriter, r *http.Request) {
			var form map[string]string
			if err := json.NewDecoder(r.Body).Decode(&form); err != nil || form["email"] != "trader" || form["password"] != "pass word" {
				t.Errorf("signed in with %v, %v", form, err)
			}
			say(200, `{"access":"one","refresh":"r"}`)(w, r)
		},
		renew: func(w http.ResponseWriter, r *http.Request) {
			var form map[string]string
			if err := json.NewDecoder(r.Body).Decode(&form); err != nil || form["refresh"] != "r" {
				t.Errorf("renewed with %v, %v", form, err)
			}
			say(200, `{"access":"two"}`)(w, r)
		},
	}
	s := behind(t, d, nil)
	wantBalance(t, s)
	wantBalance(t, s)
	d.valid.Store("two") // the first has expired
	wantBalance(t, s)
	wantBalance(t, s)
	if d.logins.Load() != 1 || d.renewals.Load() != 1 {
		t.Errorf("%d sign-ins and %d renewals, want one of each", d.logins.Load(), d.renewals.Load())
	}
}

// TestManyRefusalsAreOneRenewal holds that a crowd that is refused at once does
// not stampede.
func TestManyRefusalsAreOneRenewal(t *testing.T) {
	t.Parallel()
	d := &door{login: say(200, `{"access":"one","refresh":"r"}`), renew: say(200, `{"access":"two"}`)}
	s := behind(t, d, nil)
	wantBalance(t, s)
	d.valid.Store("two")
	var crowd sync.WaitGroup
	for range 16 {
		crowd.Go(func() { wantBalance(t, s) })
	}
	crowd.Wait()
	if n := d.renewals.Load(); n != 1 {
		t.Errorf("%d renewals, want one", n)
	}
}

func TestAnExpiredRefreshTokenIsAnotherSignIn(t *testing.T) {
	t.Parallel()
	d := &door{login: say(200, `{"access":"one","refresh":"r"}`), renew: say(401, `{"detail":"Token is invalid or expired","code":"token_not_valid"}`)}
	s := behind(t, d, nil)
	wantBalance(t, s)
	s.client.auth.access = "old" // nobody else asks
	wantBalance(t, s)
	if d.logins.Load() != 2 || d.renewals.Load() != 1 {
		t.Errorf("%d sign-ins and %d renewals", d.logins.Load(), d.renewals.Load())
	}
}

// TestABrokenRenewalKeepsTheToken holds that a backend that fails says nothing
// of the refresh token.
func TestABrokenRenewalKeepsTheToken(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	d := &door{login: say(200, `{"access":"one","refresh":"r"}`)}
	d.renew = func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			say(503, `{}`)(w, r)
			return
		}
		say(200, `{"access":"two"}`)(w, r)
	}
	s := behind(t, d, nil)
	wantBalance(t, s)
	d.valid.Store("two")
	broken.Store(true)
	wantKind(t, s, source.Transient, "POST /refresh/: the backend failed with 503")
	broken.Store(false)
	wantBalance(t, s)
	if d.logins.Load() != 1 {
		t.Errorf("%d sign-ins, want one", d.logins.Load())
	}
}

// TestARefusedSignInNeedsAPerson holds that a wrong password is tried once a
// minute, so that nobody is locked out.
func TestARefusedSignInNeedsAPerson(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		words  string
	}{
		{"a wrong password", say(401, `{"detail":"No active account found"}`), "the sign-in was refused: POST /login/: it was refused with 401: No active account found"},
		{"a user without approval", say(403, `{"detail":"wait","code":"not_approved"}`), "403: wait (not_approved)"},
		{"a missing field", say(400, `{"username":["This field is required."]}`), "did not understand, 400"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := &door{login: tt.answer}
			s := behind(t, d, nil)
			for range 3 {
				wantKind(t, s, source.AuthRequired, tt.words)
			}
			_, err := s.Balances(t.Context())
			e, ok := errors.AsType[*source.Error](err)
			if !ok || time.Until(e.NotBefore()) > refusedWait || time.Until(e.NotBefore()) <= 0 || !strings.Contains(err.Error(), "Check THOR_UPSTREAM_USER") {
				t.Errorf("got %v", err)
			}
			if d.logins.Load() != 1 || d.asked.Load() != 0 {
				t.Errorf("%d sign-ins and %d questions", d.logins.Load(), d.asked.Load())
			}
		})
	}
}

func TestANewTokenThatIsRefused(t *testing.T) {
	t.Parallel()
	d := &door{login: say(201, `{"access":"other","refresh":"r"}`), renew: say(200, `{"access":"third"}`)}
	s := behind(t, d, nil)
	wantKind(t, s, source.AuthRequired, "a new token was refused as well: GET /balance/{account}: it was refused with 401")
	wantKind(t, s, source.AuthRequired, "a new token was refused as well")
	if n := d.asked.Load(); n != 2 {
		t.Errorf("it asked %d times", n)
	}
}

func TestATokenOfAPersonsOwn(t *testing.T) {
	t.Parallel()
	d := &door{}
	s := behind(t, d, func(c *Config) { c.Token = "one" })
	wantBalance(t, s)
	d.valid.Store("two")
	wantKind(t, s, source.AuthRequired, "token_not_valid). Set THOR_UPSTREAM_TOKEN to a valid token")
	if d.logins.Load() != 0 {
		t.Error("it signed in though it has a token")
	}
}

func TestOddSignIns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		kind   source.Kind
		words  string
	}{
		{"no token in it", say(200, `{"key":"x"}`), source.BadData, "the answer has no token at /access"},
		{"a list", say(200, `[]`), source.BadData, "the answer is a list, not an object"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusMovedPermanently)
		}, source.BadData, "it redirects to /login, and what was posted would get lost"},
		{"a failure", say(500, `<h1>`), source.Transient, "POST /login/: the backend failed with 500"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantKind(t, behind(t, &door{login: tt.answer}, nil), tt.kind, tt.words)
		})
	}
}

// TestTheDoublesTokensExpire runs against the double of a backend: an access
// token of five hours, and a week later another sign-in.
func TestTheDoublesTokensExpire(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	for range 3 {
		if balances, err := w.Balances(t.Context()); err != nil || len(balances) != 2 {
			t.Fatalf("got %+v, %v", balances, err)
		}
		w.clock.Advance(5*time.Hour + time.Minute)
	}
	w.clock.Advance(8 * 24 * time.Hour)
	if balances, err := w.Balances(t.Context()); err != nil || len(balances) != 2 {
		t.Errorf("got %+v, %v", balances, err)
	}
	wrong := connect(t, Config{URL: w.url, Mapping: preset(t), User: legacy.DefaultUser, Password: "no"})
	_, err := wrong.Balances(t.Context())
	if source.KindOf(err) != source.AuthRequired || !strings.Contains(err.Error(), "No active account found with the given credentials") {
		t.Errorf("got %v", err)
	}
}
