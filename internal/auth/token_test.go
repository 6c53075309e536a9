package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/auth"
)

// sign makes a token of any kind.
func sign(t *testing.T, method jwt.SigningMethod, key any, said jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, said).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// soon is an expiry that has not come.
func soon() int64 { return time.Now().Add(time.Hour).Unix() }

func TestTheAlgorithmIsTheKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private, public := filepath.Join(dir, "thor.key"), filepath.Join(dir, "thor.pub")
	if err := auth.NewKeyPair(private, public); err != nil {
		t.Fatal(err)
	}
	read, err := auth.ReadPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	pub, ok := read.(ed25519.PublicKey)
	if !ok {
		t.Fatalf("the public key is a %T", read)
	}
	priv, err := auth.ReadPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pubPEM, err := os.ReadFile(public)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaDER, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	rsaPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: rsaDER})
	otherRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	said := jwt.MapClaims{"sub": "ada", "exp": soon()}
	doors := map[string]*auth.Door{
		"shared": {Key: key}, "public": {PublicKey: pub}, "both": {Key: key, PublicKey: pub},
		"rsa": {PublicKey: &rsaKey.PublicKey},
	}
	tests := []struct {
		name, token string
		doors       string // that take it
	}{
		{"HS256 with the shared key", sign(t, jwt.SigningMethodHS256, key, said), "shared both"},
		{"EdDSA with the private key", sign(t, jwt.SigningMethodEdDSA, priv, said), "public both"},
		{"alg none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, said), ""},
		{"HS256 with the public key's bytes", sign(t, jwt.SigningMethodHS256, []byte(pub), said), ""},
		{"HS256 with the public key's file", sign(t, jwt.SigningMethodHS256, pubPEM, said), ""},
		{"HS512 with the shared key", sign(t, jwt.SigningMethodHS512, key, said), ""},
		{"RS256", sign(t, jwt.SigningMethodRS256, rsaKey, said), "rsa"},
		{"RS256 with another key", sign(t, jwt.SigningMethodRS256, otherRSA, said), ""},
		{"RS512 with the private key", sign(t, jwt.SigningMethodRS512, rsaKey, said), ""},
		{"PS256 with the private key", sign(t, jwt.SigningMethodPS256, rsaKey, said), ""},
		{"HS256 with the RSA public key's bytes", sign(t, jwt.SigningMethodHS256, rsaDER, said), ""},
		{"HS256 with the RSA public key's file", sign(t, jwt.SigningMethodHS256, rsaPEM, said), ""},
		{"HS256 with another key", sign(t, jwt.SigningMethodHS256, []byte("another key, just as long as ours is"), said), ""},
		{"HS256 with no key", sign(t, jwt.SigningMethodHS256, []byte{}, said), ""},
		{"EdDSA with another key", sign(t, jwt.SigningMethodEdDSA, other, said), ""},
	}
	for _, tt := range tests {
		for name, door := range doors {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				t.Parallel()
				p, err := door.Token(tt.token)
				if want := strings.Contains(tt.doors, name); want != (err == nil) {
					t.Fatalf("taken: %v, want %v: %+v %v", err == nil, want, p, err)
				}
				if err != nil && (thor.ErrorCode(err) != thor.EUNAUTHORIZED || !strings.Contains(err.Error(), "not signed with the key of this server")) {
					t.Errorf("error %v", err)
				}
			})
		}
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	own := auth.Claims{}
	django := auth.Claims{Subject: "user_id", Accounts: "acc", Roles: "groups"}
	tests := []struct {
		name  string
		names auth.Claims
		said  jwt.MapClaims
		want  auth.Principal
		says  string // of a refusal
	}{
		{"a viewer by default", own, jwt.MapClaims{"sub": "ada"}, auth.Principal{Subject: "ada", Roles: []auth.Role{auth.Viewer}}, ""},
		{
			"a backend's own names", django,
			jwt.MapClaims{"user_id": 42, "acc": "A-1", "groups": "operator", "sub": "other", "roles": "publisher"},
			auth.Principal{Subject: "42", Accounts: []string{"A-1"}, Roles: []auth.Role{auth.Operator}},
			"",
		},
		{
			"a number with more digits than a float has", django,
			jwt.MapClaims{"user_id": 9007199254740993},
			auth.Principal{Subject: "9007199254740993", Roles: []auth.Role{auth.Viewer}},
			"",
		},
		{
			"lists", own,
			jwt.MapClaims{"sub": "ada", "accounts": []any{"A-1", 7}, "roles": []any{"viewer", "operator", "operator"}},
			auth.Principal{Subject: "ada", Accounts: []string{"A-1", "7"}, Roles: []auth.Role{auth.Viewer, auth.Operator}},
			"",
		},
		{
			"roles of the backend's own do not count", own,
			jwt.MapClaims{"sub": "ada", "roles": []any{"staff", "OPERATOR"}},
			auth.Principal{Subject: "ada", Roles: []auth.Role{auth.Viewer}},
			"",
		},
		{
			"an account that cannot exist does not count", own,
			jwt.MapClaims{"sub": "ada", "accounts": []any{"*", "A 1", "A-1"}},
			auth.Principal{Subject: "ada", Accounts: []string{"A-1"}, Roles: []auth.Role{auth.Viewer}},
			"",
		},
		{
			"the features a publisher publishes", own,
			jwt.MapClaims{"sub": "job", "roles": "publisher", "features": []any{"intraday", "bars"}},
			auth.Principal{Subject: "job", Features: []string{"intraday"}, Roles: []auth.Role{auth.Publisher}},
			"",
		},
		{
			"features that mean something else", own,
			jwt.MapClaims{"sub": "ada", "features": jwt.MapClaims{"dark_mode": true}},
			auth.Principal{Subject: "ada", Roles: []auth.Role{auth.Viewer}},
			"",
		},
		{"no subject", own, jwt.MapClaims{}, auth.Principal{}, "does not say who it is for: sub"},
		{"an empty subject", own, jwt.MapClaims{"sub": ""}, auth.Principal{}, "does not say who it is for"},
		{"a subject under another name", django, jwt.MapClaims{"sub": "ada"}, auth.Principal{}, "does not say who it is for: user_id"},
		{"a list as subject", own, jwt.MapClaims{"sub": []any{"ada"}}, auth.Principal{}, "does not say who it is for"},
		{"half a subject", django, jwt.MapClaims{"user_id": 1.5}, auth.Principal{}, "does not say who it is for"},
		{"a subject without end", own, jwt.MapClaims{"sub": strings.Repeat("a", 129)}, auth.Principal{}, "at most 128"},
		{"a subject that moves the cursor", own, jwt.MapClaims{"sub": "ada\x1b[2J"}, auth.Principal{}, "does not say who it is for"},
		{"accounts that are an object", own, jwt.MapClaims{"sub": "ada", "accounts": jwt.MapClaims{}}, auth.Principal{}, "accounts must be"},
		{"roles that are a list of lists", own, jwt.MapClaims{"sub": "ada", "roles": []any{[]any{"operator"}}}, auth.Principal{}, "roles must be"},
		{"no exp", own, jwt.MapClaims{"sub": "ada", "exp": nil}, auth.Principal{}, "does not say when it expires"},
		{"an exp that is no time", own, jwt.MapClaims{"sub": "ada", "exp": "tomorrow"}, auth.Principal{}, "not a time"},
		{"an exp that is past", own, jwt.MapClaims{"sub": "ada", "exp": time.Now().Unix() - 1}, auth.Principal{}, "has expired"},
		{"an nbf to come", own, jwt.MapClaims{"sub": "ada", "nbf": soon()}, auth.Principal{}, "not valid yet"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, ok := tt.said["exp"]; !ok {
				tt.said["exp"] = soon()
			} else if tt.said["exp"] == nil {
				delete(tt.said, "exp")
			}
			token := sign(t, jwt.SigningMethodHS256, key, tt.said)
			p, err := (&auth.Door{Key: key, Claims: tt.names}).Token(token)
			if tt.says != "" {
				if thor.ErrorCode(err) != thor.EUNAUTHORIZED || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %+v, %v; want a refusal that says %q", p, err, tt.says)
				}
				return
			}
			p.Expires = time.Time{}
			if diff := cmp.Diff(tt.want, p); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	t.Run("what we make is read by our names on every server", func(t *testing.T) {
		t.Parallel()
		door := &auth.Door{Key: key, Claims: django}
		made, err := door.NewToken(auth.Principal{
			Subject: "7", Accounts: []string{"A-1"}, Features: []string{"intraday"}, Roles: []auth.Role{auth.Publisher},
		}, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for _, door := range []*auth.Door{
			door, {Key: key}, {Key: key, Grants: &auth.Grants{}, Claims: auth.Claims{
				Subject: "user_id", Named: true, Require: map[string]string{"token_type": "access"},
			}},
		} {
			p, err := door.Token(made)
			if err != nil || p.Subject != "7" || !p.MaySee("A-1") || !p.MayPublish("intraday") || p.MayPublish("positions") || p.Grant != nil {
				t.Errorf("got %+v, %v", p, err)
			}
		}
	})
	t.Run("a token without end is not looked at", func(t *testing.T) {
		t.Parallel()
		if _, err := (&auth.Door{Key: key}).Token(strings.Repeat("a", 20_000)); err == nil || !strings.Contains(err.Error(), "longer than") {
			t.Errorf("error %v", err)
		}
	})
}

func TestATokenIsNeverInAnURL(t *testing.T) {
	t.Parallel()
	door := &auth.Door{Key: key}
	token, err := door.NewToken(auth.Principal{Subject: "ada"}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"token", "access_token", "jwt", "Access_Token"} {
		r := httptest.NewRequest("GET", "/ws/?v=1&"+name+"="+token, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		for way, authenticate := range ways(door) {
			_, err := authenticate(r)
			if thor.ErrorCode(err) != thor.EINVALID || !strings.Contains(err.Error(), "/api/ticket") || strings.Contains(err.Error(), token) {
				t.Errorf("%s, %s: %v", name, way, err)
			}
		}
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := auth.NewKeyPair(path("thor.key"), path("thor.pub")); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) {
		if err := os.WriteFile(path(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	write("rsa.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if read, err := auth.ReadPublicKey(path("rsa.pub")); err != nil || !rsaKey.PublicKey.Equal(read) {
		t.Errorf("the RSA key is read as %T, %v", read, err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKIXPublicKey(&ecKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	write("ec.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: ecDER}))
	short := &rsa.PublicKey{N: new(big.Int).Rsh(rsaKey.N, 1024), E: rsaKey.E}
	shortDER, err := x509.MarshalPKIXPublicKey(short)
	if err != nil {
		t.Fatal(err)
	}
	write("short.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: shortDER}))
	write("text", []byte("hello"))
	write("cut.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der[:20]}))
	for name, says := range map[string]string{
		"missing": "cannot be read", "text": "not a PEM file", "ec.pub": "neither Ed25519 nor RSA", "short.pub": "has 1024 bits, it needs at least 2048", "cut.pub": "no public key that can be read",
		"thor.key": "has a PRIVATE KEY, it needs a PUBLIC KEY",
	} {
		if _, err := auth.ReadPublicKey(path(name)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
	if _, err := auth.ReadPrivateKey(path("thor.pub")); err == nil || !strings.Contains(err.Error(), "it needs a PRIVATE KEY") {
		t.Errorf("a public key as the private one: %v", err)
	}
	if info, err := os.Stat(path("thor.key")); err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("the private key is for everybody to read: %v %v", info, err)
	}
	before, err := os.ReadFile(path("thor.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := auth.NewKeyPair(path("thor.key"), path("new.pub")); thor.ErrorCode(err) != thor.ECONFLICT {
		t.Errorf("a key that is in use was not refused: %v", err)
	}
	if after, err := os.ReadFile(path("thor.key")); err != nil || string(after) != string(before) {
		t.Errorf("a key that is in use was replaced: %v", err)
	}
}
