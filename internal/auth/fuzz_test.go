package auth_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"thor"
	"thor/internal/auth"
)

// FuzzToken lets anybody say anything at the door. What nobody signed lets
// nobody in, and what a signed token says, however strange, makes a principal
// that can be relied on or none.
func FuzzToken(f *testing.F) {
	door := &auth.Door{Key: key, CookieKey: bytes.Repeat([]byte{1}, 32), Failures: &auth.Rates{PerSecond: 1}}
	good, err := door.NewToken(auth.Principal{Subject: "ada"}, time.Now().Add(-time.Hour), time.Minute)
	if err != nil {
		f.Fatal(err)
	}
	for _, said := range []string{
		`{"sub":"ada","exp":99999999999,"accounts":["A-1"],"roles":["operator"]}`,
		`{"sub":42,"exp":99999999999.5,"accounts":"A-1","roles":"viewer"}`,
		`{"sub":"ada","exp":1e300}`, `{"sub":"ada","exp":-1}`, `{"sub":"ada","exp":"soon"}`, `{"sub":null,"exp":99999999999}`,
		`{"sub":"ada","exp":99999999999,"nbf":1e300,"iat":"x","accounts":[null],"roles":[[]]}`, `[]`, `{`, ``,
	} {
		f.Add(good, said, "thor_client=x.y; thor_client=", "AAAAAAAAAAAAAAAAAAAAAAAAAA")
	}
	f.Add("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEiLCJleHAiOjk5OTk5OTk5OTl9.", `{}`, "thor_client=.", "")
	f.Add("..", `{"exp":99999999999}`, ";", "%")
	f.Fuzz(func(t *testing.T, token, said, cookie, ticket string) {
		r := httptest.NewRequest("GET", "/ws/", nil)
		r.Header = http.Header{"Authorization": {"Bearer " + token}, "Cookie": {cookie}, "X-Forwarded-For": {token}}
		if p, err := door.Authenticate(r); err == nil {
			t.Fatalf("nobody signed it, and it lets in %+v", p)
		} else if len(token) > 20 && strings.Contains(err.Error(), token) {
			t.Fatalf("the error has the token in it: %v", err)
		}
		if name := door.Browser(r); name != "" {
			t.Fatalf("nobody signed it, and it names %q", name)
		}
		r.URL.RawQuery = "ticket=" + ticket
		if p, err := door.AuthenticateUpgrade(r); err == nil {
			t.Fatalf("nobody gave it, and it lets in %+v", p)
		}
		claims := jwt.MapClaims{}
		if json.Unmarshal([]byte(said), &claims) != nil {
			return
		}
		signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(key)
		if err != nil {
			return
		}
		p, err := door.Token(signed)
		if err != nil {
			if thor.ErrorCode(err) != thor.EUNAUTHORIZED {
				t.Fatalf("error %v", err)
			}
			return
		}
		if p.Subject == "" || len(p.Subject) > 128 || p.Local || len(p.Roles) == 0 || !p.Expires.After(time.Now()) {
			t.Fatalf("%s makes %+v", said, p)
		}
		for _, role := range p.Roles {
			if !slices.Contains(auth.Roles(), role) {
				t.Fatalf("%s makes %+v", said, p)
			}
		}
		if slices.ContainsFunc(p.Accounts, func(a string) bool { return !thor.ValidID(a) }) {
			t.Fatalf("%s makes %+v", said, p)
		}
	})
}
