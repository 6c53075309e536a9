package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"thor"
	"thor/internal/auth"
)

func TestAccessSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private, public := filepath.Join(dir, "thor.key"), filepath.Join(dir, "thor.pub")
	if err := auth.NewKeyPair(private, public); err != nil {
		t.Fatal(err)
	}
	long, short := filepath.Join(dir, "long"), filepath.Join(dir, "short")
	writeFile(t, long, []byte(strings.Repeat("k", 40)+"\n"))
	writeFile(t, short, []byte(strings.Repeat("k", 10)+strings.Repeat("\n", 40)))
	for _, tt := range []struct {
		name   string
		change func(*Config)
		says   []string // nothing is that it is good
	}{
		{"a public key lets the server be reached", func(c *Config) { c.Addr, c.AuthPublicKey = "0.0.0.0:8000", public }, nil},
		{"a key in a file too", func(c *Config) { c.Addr, c.AuthKeyFile = "0.0.0.0:8000", long }, nil},
		{"both kinds of key", func(c *Config) { c.AuthKeyFile, c.AuthPublicKey = long, public }, nil},
		{"neither", func(c *Config) { c.Addr = "0.0.0.0:8000" }, []string{"--addr: 0.0.0.0:8000 can be reached"}},
		{"the private key", func(c *Config) { c.AuthPublicKey = private }, []string{"--auth-public-key: ", "has a PRIVATE KEY, it needs a PUBLIC KEY"}},
		{"a key that is not there", func(c *Config) { c.AuthKeyFile = filepath.Join(dir, "none") }, []string{"--auth-key-file: the file cannot be read"}},
		{"a short key in a file", func(c *Config) { c.AuthKeyFile = short }, []string{"--auth-key-file: the key has 10 characters"}},
		{"two shared keys", func(c *Config) { c.AuthKey, c.AuthKeyFile = strings.Repeat("k", 32), long }, []string{"--auth-key-file: there is a key already"}},
		{
			"claims", func(c *Config) { c.AuthClaimSub, c.AuthClaimAccounts, c.AuthClaimRoles = "exp", " ", "exp" },
			[]string{`--auth-claim-sub: "exp" means something else`, `--auth-claim-accounts: " " is not the name`, `--auth-claim-roles: "exp" means`},
		},
		{"a public key as the shared one", func(c *Config) { c.AuthKeyFile = public }, []string{"--auth-key-file: the key is a PEM file", "belongs in --auth-public-key"}},
		{"one claim for two", func(c *Config) { c.AuthClaimRoles = "sub" }, []string{`--auth-claim-roles: two claims have the name "sub"`}},
		{"a proxy", func(c *Config) { c.AuthKeyFile, c.TrustedProxy = long, []string{"127.0.0.1", "10.0.0.0/8"} }, nil},
		{
			"a proxy and no key", func(c *Config) { c.TrustedProxy = []string{"localhost"} },
			[]string{`--trusted-proxy: "localhost" is neither an address`, "--trusted-proxy: what comes through a proxy is never the local operator's"},
		},
		{
			"limits", func(c *Config) {
				c.MaxConnections, c.MaxConnectionsPerUser, c.MaxConnectionsPerAddress, c.ConnectRate, c.RequestRate = 0, -1, 0, 0, 1e9
			},
			[]string{
				"--max-connections: 0 is not a limit", "--max-connections-per-user: -1", "--max-connections-per-address: 0",
				"--connect-rate: 0 is not a rate; it is at least 0.1 and at most 100000", "--request-rate: 1e+09",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := Default()
			tt.change(&c)
			err := c.Validate()
			if len(tt.says) == 0 {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("taken")
			}
			for _, says := range tt.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%v does not say %q", err, says)
				}
			}
			for line := range strings.Lines(err.Error()) {
				if strings.Contains(line, "kkk") {
					t.Errorf("%q shows the key", line)
				}
			}
		})
	}
}

func TestAccessNotes(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("k", 32)
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string // "" is nothing
	}{
		{"no key", nil, "no key: whoever reaches this port from this machine is the operator"},
		{"a key", func(c *Config) { c.AuthKey = key }, ""},
		{"a key and no TLS, for all to reach", func(c *Config) { c.AuthKey, c.Addr = key, "0.0.0.0:0" }, "no TLS: "},
		{
			"behind a proxy", func(c *Config) { c.AuthKey, c.Addr, c.TrustedProxy = key, "0.0.0.0:0", []string{"10.0.0.1"} }, "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			notes := strings.Join(openTest(t, tt.change).accessNotes(), "\n")
			if (tt.want == "") != (notes == "") || !strings.Contains(notes, tt.want) {
				t.Errorf("notes %q, want %q", notes, tt.want)
			}
		})
	}
}

func TestThePageNamesTheBrowser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	load := func(a *App, cookie string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if cookie != "" {
			r.Header.Set("Cookie", cookie)
		}
		answer := httptest.NewRecorder()
		a.api.ServeHTTP(answer, r)
		return answer
	}
	open := func() *App {
		c := Default()
		c.Addr, c.Data = "localhost:0", dir
		a, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := open()
	answer := load(a, "")
	set := answer.Result().Cookies()
	if len(set) != 1 || answer.Header().Get("Vary") != "Cookie" {
		t.Fatalf("headers %v", answer.Header())
	}
	cookie := set[0].Name + "=" + set[0].Value
	if again := load(a, cookie).Header().Get("Set-Cookie"); again != "" {
		t.Errorf("at the second load: %s", again)
	}
	asset := httptest.NewRecorder()
	a.api.ServeHTTP(asset, httptest.NewRequest(http.MethodGet, "/favicon.svg", nil))
	if asset.Header().Get("Set-Cookie") != "" {
		t.Error("a file that caches share has a cookie")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	a = open() // after a restart it is the same browser
	if again := load(a, cookie).Header().Get("Set-Cookie"); again != "" {
		t.Errorf("named anew: %s", again)
	}
	if info, err := os.Stat(filepath.Join(dir, "thor.db")); err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
		t.Errorf("the key can be read by others: %v, %v", info, err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// TestStatusHasNoSecret looks at what the server tells of itself.
func TestStatusHasNoSecret(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("secret-key-", 4)
	a := openTest(t, func(c *Config) { c.AuthKey = key })
	secret, err := a.store.Secret(t.Context(), "cookie")
	if err != nil {
		t.Fatal(err)
	}
	token, err := a.door.NewToken(auth.Principal{Subject: "ada", Roles: []auth.Role{auth.Operator}}, a.started, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/status", "/metrics", "/api/features", "/readyz", "/api/openapi.json", "/api/status?token=" + token} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		answer := httptest.NewRecorder()
		a.api.ServeHTTP(answer, r)
		for what, text := range map[string]string{"key": key, "cookie's key": string(secret), "token": token} {
			if strings.Contains(answer.Body.String(), text) {
				t.Errorf("%s shows the %s", path, what)
			}
		}
	}
	_, err = a.door.Token(token + "x")
	if thor.ErrorCode(err) != thor.EUNAUTHORIZED || strings.Contains(err.Error(), token[:20]) {
		t.Errorf("error %v", err)
	}
}
