package auth_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"thor"
	"thor/internal/auth"
)

// backend is one that lists accounts, in virtual time.
type backend struct {
	mu       sync.Mutex          // guards what follows
	accounts map[string][]string // by token
	fails    error
	slow     time.Duration
	asked    int
	at, most int // on their way now, and at the most
}

func (b *backend) ask(ctx context.Context, token string) ([]string, error) {
	b.mu.Lock()
	b.asked++
	b.at++
	b.most = max(b.most, b.at)
	slow := b.slow
	b.mu.Unlock()
	timer := time.NewTimer(slow)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at--
	accounts, ok := b.accounts[token]
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case b.fails != nil:
		return nil, b.fails
	case !ok:
		return nil, thor.Errorf(thor.EUNAUTHORIZED, "the backend does not take this token, 401: User not found")
	}
	return slices.Clone(accounts), nil
}

func (b *backend) set(change func(b *backend)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *backend) times() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

// virtual runs a test with a door of a backend's tokens, in virtual time.
func virtual(t *testing.T, name string, test func(t *testing.T, b *backend, door *auth.Door)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := &backend{accounts: map[string][]string{}}
			door := &auth.Door{Key: key, Grants: &auth.Grants{Ask: b.ask}, Claims: auth.Claims{
				Subject: "user_id", Named: true, Require: map[string]string{"token_type": "access"},
			}}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- door.Grants.Run(ctx) }()
			test(t, b, door)
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	})
}

// never is an expiry that stays the same, so that tokens do.
const never = 4_102_444_800

// bearing is the principal of a backend's token for a user, not yet asked about.
func (b *backend) bearing(t *testing.T, door *auth.Door, user int, accounts ...string) auth.Principal {
	t.Helper()
	token := sign(t, jwt.SigningMethodHS256, key, jwt.MapClaims{"user_id": user, "token_type": "access", "exp": never})
	if accounts != nil {
		b.set(func(b *backend) { b.accounts[token] = accounts })
	}
	p, err := door.Token(token)
	if err != nil || p.Grant == nil || len(p.Accounts) != 0 {
		t.Fatalf("got %+v, %v", p, err)
	}
	return p
}

func granted(t *testing.T, door *auth.Door, p auth.Principal, want ...string) auth.Principal {
	t.Helper()
	p, err := door.Granted(t.Context(), p)
	if err != nil || !slices.Equal(p.Accounts, want) {
		t.Fatalf("granted %q, %v; want %q", p.Accounts, err, want)
	}
	return p
}

func refused(t *testing.T, door *auth.Door, p auth.Principal, code thor.Code, says string) {
	t.Helper()
	got, err := door.Granted(t.Context(), p)
	if thor.ErrorCode(err) != code || !strings.Contains(err.Error(), says) || got.Subject != "" || len(got.Accounts) != 0 {
		t.Fatalf("got %+v, %v; want %s that says %q", got, err, code, says)
	}
}

const away = "the backend that says which accounts are yours does not answer"

func TestGrants(t *testing.T) {
	t.Parallel()
	virtual(t, "what the backend lists, asked once a minute at most", func(t *testing.T, b *backend, door *auth.Door) {
		p := b.bearing(t, door, 7, "A", "B")
		p = granted(t, door, p, "A", "B")
		if p.Subject != "7" || !p.MaySee("A") || p.MaySee("C") || p.May(auth.Operator) {
			t.Errorf("got %+v", p)
		}
		time.Sleep(44 * time.Second)
		granted(t, door, p, "A", "B")
		if n := b.times(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
	virtual(t, "a user without accounts sees none", func(t *testing.T, b *backend, door *auth.Door) {
		p := granted(t, door, b.bearing(t, door, 7, []string{}...))
		if p.Subject != "7" || p.MaySee("") || b.times() != 1 {
			t.Errorf("got %+v, asked %d times", p, b.times())
		}
	})
	virtual(t, "a thousand come back at once, and one asks", func(t *testing.T, b *backend, door *auth.Door) {
		b.set(func(b *backend) { b.slow = time.Second })
		p := b.bearing(t, door, 7, "A")
		var group sync.WaitGroup
		var wrong sync.Map
		for range 1000 {
			group.Go(func() {
				if p, err := door.Granted(t.Context(), p); err != nil || !p.MaySee("A") {
					wrong.Store(fmt.Sprint(p.Accounts, err), true)
				}
			})
		}
		group.Wait()
		wrong.Range(func(what, _ any) bool { t.Error(what); return true })
		if n := b.times(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
	virtual(t, "many users take turns", func(t *testing.T, b *backend, door *auth.Door) {
		b.set(func(b *backend) { b.slow = 100 * time.Millisecond })
		var group sync.WaitGroup
		for user := range 100 {
			p := b.bearing(t, door, user, fmt.Sprint("A", user))
			group.Go(func() { // 13 rounds of eight: a second and a half
				if p, err := door.Granted(t.Context(), p); err != nil || len(p.Accounts) != 1 || p.Accounts[0] != "A"+p.Subject {
					t.Errorf("%+v, %v", p, err)
				}
			})
		}
		group.Wait()
		if b.most != 8 || b.asked != 100 {
			t.Errorf("%d at once, %d in all", b.most, b.asked)
		}
	})
	virtual(t, "one who goes does not take the answer from the others", func(t *testing.T, b *backend, door *auth.Door) {
		b.set(func(b *backend) { b.slow = time.Second })
		p := b.bearing(t, door, 7, "A")
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := door.Granted(ctx, p); thor.ErrorCode(err) != thor.EUNAVAILABLE {
			t.Errorf("who goes gets %v", err)
		}
		granted(t, door, p, "A")
		if n := b.times(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
	virtual(t, "a token the backend does not take is refused, and asked about again soon", func(t *testing.T, b *backend, door *auth.Door) {
		p := b.bearing(t, door, 99)
		refused(t, door, p, thor.EUNAUTHORIZED, "User not found")
		time.Sleep(4 * time.Second)
		refused(t, door, p, thor.EUNAUTHORIZED, "User not found")
		if n := b.times(); n != 1 {
			t.Errorf("asked %d times within 5 s", n)
		}
		b.bearing(t, door, 99, "A") // approved
		time.Sleep(1100 * time.Millisecond)
		granted(t, door, p, "A")
	})
	virtual(t, "away: within the minute nothing changes, then nobody is let in by a guess", func(t *testing.T, b *backend, door *auth.Door) {
		p := granted(t, door, b.bearing(t, door, 7, "A"), "A")
		newcomer := b.bearing(t, door, 8, "B")
		b.set(func(b *backend) { b.fails = errors.New("nobody listens") })
		refused(t, door, newcomer, thor.EUNAVAILABLE, away)
		if _, err := door.Granted(t.Context(), newcomer); auth.RetryAfter(err) != 2 {
			t.Errorf("wait %d s", auth.RetryAfter(err))
		}
		for range 58 {
			time.Sleep(time.Second)
			p = granted(t, door, p, "A")
		}
		time.Sleep(time.Second)
		refused(t, door, p, thor.EUNAVAILABLE, away)
		if n := b.times(); n > 12 {
			t.Errorf("asked %d times: not every two seconds", n)
		}
		b.set(func(b *backend) { b.fails = nil })
		time.Sleep(2 * time.Second)
		granted(t, door, p, "A")
		granted(t, door, newcomer, "B")
	})
	virtual(t, "an answer counts from when it was asked for", func(t *testing.T, b *backend, door *auth.Door) {
		b.set(func(b *backend) { b.slow = 4 * time.Second })
		asked := time.Now()
		p := granted(t, door, b.bearing(t, door, 7, "A"), "A")
		if p.Grant.Due(asked.Add(44*time.Second)) || !p.Grant.Due(asked.Add(45*time.Second)) || !p.Grant.Over(asked.Add(59*time.Second)) {
			t.Error("it counts from when it came")
		}
	})
	virtual(t, "slow: whoever waits is told to come back, and the next who comes waits no longer", func(t *testing.T, b *backend, door *auth.Door) {
		b.set(func(b *backend) { b.slow = time.Hour })
		p := b.bearing(t, door, 7, "A")
		began := time.Now()
		refused(t, door, p, thor.EUNAVAILABLE, away)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		refused(t, door, p, thor.EUNAVAILABLE, away)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the next took %v", took)
		}
	})
	virtual(t, "an account that was taken away is gone within a minute", func(t *testing.T, b *backend, door *auth.Door) {
		p := granted(t, door, b.bearing(t, door, 7, "A", "B"), "A", "B")
		b.bearing(t, door, 7, "B")
		began := time.Now()
		for p.MaySee("A") {
			time.Sleep(time.Second)
			var err error
			if p, err = door.Regranted(p); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > time.Minute || !p.MaySee("B") {
			t.Errorf("it took %v, left is %q", took, p.Accounts)
		}
	})
	virtual(t, "a look never waits, and what is over says so", func(t *testing.T, b *backend, door *auth.Door) {
		p := granted(t, door, b.bearing(t, door, 7, "A"), "A")
		if p.Grant.Due(time.Now()) || p.Grant.Over(time.Now()) {
			t.Error("due at once")
		}
		b.set(func(b *backend) { b.slow = time.Hour })
		time.Sleep(45 * time.Second)
		if !p.Grant.Due(time.Now()) || p.Grant.Over(time.Now()) {
			t.Error("not due after 45 s, or over")
		}
		began := time.Now()
		if again, err := door.Regranted(p); err != nil || !again.MaySee("A") || time.Since(began) != 0 {
			t.Errorf("%+v, %v after %v", again, err, time.Since(began))
		}
		time.Sleep(14 * time.Second)
		if p, err := door.Regranted(p); err != nil || !p.Grant.Over(time.Now()) {
			t.Errorf("%+v, %v: not over", p, err)
		}
	})
	virtual(t, "a token taken back ends what it let in", func(t *testing.T, b *backend, door *auth.Door) {
		p := granted(t, door, b.bearing(t, door, 7, "A"), "A")
		b.set(func(b *backend) { clear(b.accounts) })
		time.Sleep(45 * time.Second)
		if _, err := door.Regranted(p); err != nil { // now it is asked
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := door.Regranted(p); thor.ErrorCode(err) != thor.EUNAUTHORIZED {
			t.Errorf("got %v", err)
		}
	})
	virtual(t, "a request, an upgrade and a ticket are asked about alike", func(t *testing.T, b *backend, door *auth.Door) {
		token := sign(t, jwt.SigningMethodHS256, key, jwt.MapClaims{"user_id": 7, "token_type": "access", "exp": never})
		b.set(func(b *backend) { b.accounts[token] = []string{"A"} })
		r := httptest.NewRequest("GET", "/ws/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		var p auth.Principal
		for way, authenticate := range ways(door) {
			var err error
			if p, err = authenticate(r); err != nil || !slices.Equal(p.Accounts, []string{"A"}) {
				t.Errorf("%s: %+v, %v", way, p, err)
			}
		}
		redeem := func(p auth.Principal) (auth.Principal, error) {
			ticket, err := door.NewTicket(p)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(25 * time.Second)
			return door.AuthenticateUpgrade(httptest.NewRequest("GET", "/ws/?ticket="+ticket, nil))
		}
		// What a ticket was made with is over before it is used.
		time.Sleep(40 * time.Second)
		b.set(func(b *backend) { b.accounts[token] = []string{"B"} })
		if p, err := redeem(p); err != nil || !slices.Equal(p.Accounts, []string{"B"}) {
			t.Errorf("by ticket: %+v, %v", p, err)
		}
		time.Sleep(40 * time.Second)
		b.set(func(b *backend) { clear(b.accounts) })
		if p, err := redeem(p); thor.ErrorCode(err) != thor.EUNAUTHORIZED || p.Subject != "" {
			t.Errorf("by ticket of who is gone: %+v, %v", p, err)
		}
		for way, authenticate := range ways(door) {
			if p, err := authenticate(r); thor.ErrorCode(err) != thor.EUNAUTHORIZED || p.Subject != "" {
				t.Errorf("%s of who is gone: %+v, %v", way, p, err)
			}
		}
	})
	virtual(t, "memory is bounded, and never by letting somebody in", func(t *testing.T, b *backend, door *auth.Door) {
		var last auth.Principal
		for user := range auth.MaxGrants + 50 {
			last = granted(t, door, b.bearing(t, door, user, fmt.Sprint("A", user)), fmt.Sprint("A", user))
		}
		if n := door.Grants.Len(); n != auth.MaxGrants {
			t.Errorf("%d are remembered", n)
		}
		granted(t, door, last, "A"+last.Subject)
		time.Sleep(2 * time.Minute)
		granted(t, door, b.bearing(t, door, auth.MaxGrants+99, "B"), "B")
		if n := door.Grants.Len(); n != 1 {
			t.Errorf("%d are remembered after two minutes", n)
		}
	})
	t.Run("nobody asks while it does not run, or no longer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := &backend{accounts: map[string][]string{}, slow: time.Hour}
			door := &auth.Door{Key: key, Grants: &auth.Grants{Ask: b.ask}, Claims: auth.Claims{Subject: "user_id", Named: true}}
			p := b.bearing(t, door, 7, "A")
			refused(t, door, p, thor.EUNAVAILABLE, away)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- door.Grants.Run(ctx) }()
			synctest.Wait()
			waiting := make(chan error, 1)
			go func() {
				_, err := door.Granted(t.Context(), p)
				waiting <- err
			}()
			synctest.Wait()
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if err := <-waiting; thor.ErrorCode(err) != thor.EUNAVAILABLE {
				t.Errorf("who waited gets %v", err)
			}
			refused(t, door, b.bearing(t, door, 8, "A"), thor.EUNAVAILABLE, away)
		})
	})
}

// TestBackendTokens holds what of a backend's tokens counts.
func TestBackendTokens(t *testing.T) {
	t.Parallel()
	claims := auth.Claims{Subject: "user_id", Named: true, Require: map[string]string{"token_type": "access"}}
	named := claims
	named.Accounts, named.Roles = "acc", "groups"
	access := func(said jwt.MapClaims) jwt.MapClaims {
		all := jwt.MapClaims{"user_id": 7, "token_type": "access"}
		maps.Copy(all, said)
		return all
	}
	for _, tt := range []struct {
		name    string
		claims  auth.Claims
		said    jwt.MapClaims
		want    auth.Principal
		grant   bool   // the backend says which accounts
		refused string // says a refusal
	}{
		{"an access token", claims, access(nil), auth.Principal{Subject: "7", Roles: []auth.Role{auth.Viewer}}, true, ""},
		{"a refresh token", claims, access(jwt.MapClaims{"token_type": "refresh"}), auth.Principal{}, false, "its token_type must be access"},
		{"a token of no kind", claims, jwt.MapClaims{"user_id": 7}, auth.Principal{}, false, "its token_type must be access"},
		{"a kind that is an object", claims, access(jwt.MapClaims{"token_type": jwt.MapClaims{"access": true}}), auth.Principal{}, false, "its token_type must be access"},
		{"a sub and no user_id", claims, jwt.MapClaims{"sub": "ada", "token_type": "access"}, auth.Principal{}, false, "does not say who it is for: user_id"},
		{
			"accounts and roles nobody has named", claims, access(jwt.MapClaims{"accounts": []any{"A"}, "roles": "operator", "": "operator"}),
			auth.Principal{Subject: "7", Roles: []auth.Role{auth.Viewer}},
			true, "",
		},
		{
			"accounts and roles that are named", named, access(jwt.MapClaims{"acc": []any{"A"}, "groups": "operator"}),
			auth.Principal{Subject: "7", Accounts: []string{"A"}, Roles: []auth.Role{auth.Operator}},
			false, "",
		},
		{"named accounts that are not there", named, access(nil), auth.Principal{Subject: "7", Roles: []auth.Role{auth.Viewer}}, true, ""},
		{"named accounts that are null", named, access(jwt.MapClaims{"acc": nil}), auth.Principal{Subject: "7", Roles: []auth.Role{auth.Viewer}}, true, ""},
		{"no accounts, by name", named, access(jwt.MapClaims{"acc": []any{}}), auth.Principal{Subject: "7", Roles: []auth.Role{auth.Viewer}}, false, ""},
		{
			"one of thor's own", claims,
			jwt.MapClaims{"iss": "urn:thor", "sub": "ops", "roles": "operator"},
			auth.Principal{Subject: "ops", Roles: []auth.Role{auth.Operator}},
			false, "",
		},
		{"a user_id under thor's own name", claims, access(jwt.MapClaims{"iss": "urn:thor"}), auth.Principal{}, false, "does not say who it is for: sub"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.said["exp"] = soon()
			token := sign(t, jwt.SigningMethodHS256, key, tt.said)
			p, err := (&auth.Door{Key: key, Claims: tt.claims, Grants: &auth.Grants{}}).Token(token)
			if tt.refused != "" {
				if thor.ErrorCode(err) != thor.EUNAUTHORIZED || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("got %+v, %v; want %q", p, err, tt.refused)
				}
				return
			}
			if err != nil || p.Subject != tt.want.Subject || !slices.Equal(p.Accounts, tt.want.Accounts) || !slices.Equal(p.Roles, tt.want.Roles) || (p.Grant != nil) != tt.grant {
				t.Errorf("got %+v, %v", p, err)
			}
			if said := fmt.Sprintf("%v %+v", p, p); strings.Contains(said, token) {
				t.Errorf("the principal shows its token: %s", said)
			}
		})
	}
}
