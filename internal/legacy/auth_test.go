package legacy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"thor/internal/legacy"
	"thor/internal/source"
	"thor/internal/source/sim"
	"thor/internal/source/sourcetest"
)

type pair struct{ Access, Refresh string }

func (w *world) signIn(user string) (p pair) {
	w.t.Helper()
	w.read(w.post("/api/users/login/", fmt.Sprintf(`{"email":"%s@example.com","password":"simulated"}`, user)), &p)
	return p
}

// as asks with a token.
func (w *world) as(token, path string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(http.MethodGet, path, "", "Authorization", "Bearer "+token)
}

// TestUsers holds that each user sees their own accounts, in every era and by
// every path, and that together they have all.
func TestUsers(t *testing.T) {
	t.Parallel()
	known, err := exchanges()
	if err != nil {
		t.Fatal(err)
	}
	shared := &sim.Source{Seed: 7, Books: 3, SourceClock: sourcetest.NewClock(noon), Exchanges: known}
	for _, era := range legacy.Eras() {
		w := (&world{t: t, source: shared}).open(func(c *legacy.Config) { c.Era = era; delete(c.Bugs, legacy.BugDefault) })
		for user, want := range map[string][]string{
			"trader": {"PAPER-1", "PAPER-2", "PAPER-3"}, "ada": {"PAPER-1", "PAPER-3"}, "bob": {"PAPER-2"},
		} {
			token := w.signIn(user).Access
			body := w.as(token, "/api/actandpos/accounts").Body.String()
			var got []string
			for i := range 3 {
				if id := fmt.Sprintf("PAPER-%d", i+1); strings.Contains(body, `"broker_account_id":"`+id+`"`) {
					got = append(got, id)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("era %s: %s sees %v, want %v", era, user, got, want)
			}
			for i := range 3 {
				id := fmt.Sprintf("PAPER-%d", i+1)
				paths := []string{"/api/accounts/balance/?account_id=" + id, "/api/actandpos/account?account_id=" + id}
				if era != legacy.EraDev {
					paths = append(paths, "/api/actandpos/positions?account_id="+id, "/api/actandpos/activity/today?account_id="+id)
				}
				for _, path := range paths {
					status := http.StatusNotFound
					if slices.Contains(want, id) {
						status = http.StatusOK
					}
					if answer := w.as(token, path); answer.Code != status {
						t.Errorf("era %s: %s asks for %s: %d %s", era, user, path, answer.Code, answer.Body)
					}
				}
			}
			if body := w.as(token, "/api/users/profile/").Body.String(); !strings.Contains(body, `"email":"`+user+`@example.com"`) {
				t.Errorf("%s is %s", user, body)
			}
		}
	}
}

// TestTokens holds that tokens are those of the original: anybody who has the
// key can check them and make them.
func TestTokens(t *testing.T) {
	t.Parallel()
	w := still(t, noon, func(c *legacy.Config) { c.Tokens = source.WallClock{} })
	bob := w.signIn("bob")
	for kind, token := range map[string]string{"access": bob.Access, "refresh": bob.Refresh} {
		said := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(token, said, func(*jwt.Token) (any, error) { return []byte(legacy.SigningKey), nil },
			jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
		if err != nil || said["token_type"] != kind || said["user_id"] != 3.0 || said["sub"] != nil || said["accounts"] != nil {
			t.Errorf("%s: %v, %v", kind, said, err)
		}
	}
	var renewed pair
	w.read(w.post("/api/users/token/refresh/", fmt.Sprintf(`{"refresh":%q}`, bob.Refresh)), &renewed)
	if body := w.as(renewed.Access, "/api/users/profile/").Body.String(); !strings.Contains(body, "bob@example.com") {
		t.Errorf("renewed it is %s", body)
	}
	if answer := w.as(bob.Refresh, "/api/users/profile/"); answer.Code != http.StatusUnauthorized {
		t.Errorf("a refresh token: %d %s", answer.Code, answer.Body)
	}
	gone, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"token_type": "access", "user_id": 99, "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(legacy.SigningKey))
	if err != nil {
		t.Fatal(err)
	}
	if answer := w.as(gone, "/api/actandpos/accounts"); answer.Code != http.StatusUnauthorized || answer.Body.String() != `{"detail":"User not found","code":"user_not_found"}` {
		t.Errorf("a user who is gone: %d %s", answer.Code, answer.Body)
	}
}
