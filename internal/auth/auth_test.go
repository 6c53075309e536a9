package auth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"thor"
	"thor/internal/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLocalOperator(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		peer    string
		host    string
		headers map[string]string
		refused string // what the refusal says; "" is let in
	}{
		{"loopback", "127.0.0.1:5000", "localhost:8000", nil, ""},
		{"loopback without a port", "127.0.0.1:5000", "localhost", nil, ""},
		{"loopback by address", "127.8.9.1:5000", "127.0.0.1:8000", nil, ""},
		{"loopback by IPv6", "[::1]:5000", "[::1]:8000", nil, ""},
		{"loopback by mapped IPv6", "[::ffff:127.0.0.1]:5000", "localhost:8000", nil, ""},
		{"a page of this machine", "127.0.0.1:5000", "localhost:8000", map[string]string{"Origin": "http://localhost:5173"}, ""},
		{"a peer elsewhere", "192.0.2.7:5000", "localhost:8000", nil, "comes from 192.0.2.7:5000"},
		{"a peer that cannot be read", "@", "localhost:8000", nil, "comes from @"},
		{"a name that resolves here", "127.0.0.1:5000", "evil.example:8000", nil, `sent to the host "evil.example:8000"`},
		{"a name that begins like ours", "127.0.0.1:5000", "localhost.evil.example", nil, "sent to the host"},
		{"no host", "127.0.0.1:5000", "", nil, "sent to the host"},
		{"a page of another site", "127.0.0.1:5000", "localhost:8000", map[string]string{"Origin": "https://evil.example"}, `page of "https://evil.example"`},
		{"a sandboxed page", "127.0.0.1:5000", "localhost:8000", map[string]string{"Origin": "null"}, "page of"},
		{"through a proxy", "127.0.0.1:5000", "localhost:8000", map[string]string{"X-Forwarded-For": "192.0.2.7"}, "X-Forwarded-For"},
		{"through a standard proxy", "127.0.0.1:5000", "localhost:8000", map[string]string{"Forwarded": "for=192.0.2.7"}, "Forwarded"},
		{"through a proxy that names itself", "127.0.0.1:5000", "localhost:8000", map[string]string{"Via": "1.1 squid"}, "Via"},
		{"through a proxy by the lines everybody copies", "127.0.0.1:5000", "localhost:8000", map[string]string{"X-Real-IP": "192.0.2.7"}, "X-Real-Ip"},
		{"through a proxy that names the host", "127.0.0.1:5000", "localhost:8000", map[string]string{"X-Forwarded-Host": "desk.example"}, "X-Forwarded-Host"},
		{"through a proxy that names the scheme", "127.0.0.1:5000", "localhost:8000", map[string]string{"x-forwarded-proto": "https"}, "X-Forwarded-Proto"},
		{"through a content network", "127.0.0.1:5000", "localhost:8000", map[string]string{"True-Client-IP": "192.0.2.7"}, "True-Client-Ip"},
		{"through a proxy that says it of nobody", "127.0.0.1:5000", "localhost:8000", map[string]string{"X-Forwarded-For": ""}, "X-Forwarded-For"},
		{"through a tunnel", "127.0.0.1:5000", "localhost:8000", map[string]string{"CF-Connecting-IP": "192.0.2.7"}, "Cf-Connecting-Ip"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr, r.Host = tt.peer, tt.host
			for name, value := range tt.headers {
				r.Header.Set(name, value)
			}
			p, err := (&auth.Door{}).Authenticate(r)
			if tt.refused == "" {
				if err != nil || !p.Local {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if thor.ErrorCode(err) != thor.EUNAUTHORIZED {
				t.Fatalf("let in, or refused by another code: %v", err)
			}
			for _, want := range []string{tt.refused, "--auth-key"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the refusal %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestLocalOperatorBehindAProxy(t *testing.T) {
	t.Parallel()
	ask := func(door *auth.Door, change func(*http.Request)) error {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host = "127.0.0.1:5000", "127.0.0.1:8000"
		change(r)
		_, err := door.Authenticate(r)
		return err
	}
	old := func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0 }
	if err := ask(&auth.Door{}, old); err == nil || !strings.Contains(err.Error(), "HTTP/1.0") {
		t.Errorf("HTTP/1.0, as nginx speaks it to a server without another word: %v", err)
	}
	proxies, err := auth.ParseProxies([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(&auth.Door{Proxies: proxies}, func(*http.Request) {}); err == nil || !strings.Contains(err.Error(), "trusted proxy") {
		t.Errorf("from where a proxy is known to be: %v", err)
	}
	if err := ask(&auth.Door{}, func(*http.Request) {}); err != nil {
		t.Errorf("the operator: %v", err)
	}
}

var key = []byte("0123456789abcdef0123456789abcdef")

func TestTokens(t *testing.T) {
	t.Parallel()
	door := &auth.Door{Key: key}
	now := time.Now()
	ada := auth.Principal{Subject: "ada", Accounts: []string{"A-1"}, Roles: []auth.Role{auth.Viewer}}
	token := func(t *testing.T, d *auth.Door, p auth.Principal, ttl time.Duration) string {
		t.Helper()
		made, err := d.NewToken(p, now, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}

	t.Run("a token brings its principal, by header and by message alike", func(t *testing.T) {
		t.Parallel()
		made := token(t, door, ada, time.Hour)
		want := ada
		want.Expires = now.Add(time.Hour).Truncate(time.Second)
		got, err := door.Token(made)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		r := httptest.NewRequest("GET", "/", nil) // from elsewhere: the token counts
		r.Header.Set("Authorization", "bearer "+made)
		got, err = door.Authenticate(r)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
	t.Run("with a key the local operator needs a token too", func(t *testing.T) {
		t.Parallel()
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
		if _, err := door.Authenticate(r); thor.ErrorCode(err) != thor.EUNAUTHORIZED {
			t.Errorf("let in: %v", err)
		}
	})
	refused := []struct{ name, token string }{
		{"expired", token(t, door, ada, -time.Minute)},
		{"signed with another key", token(t, &auth.Door{Key: []byte("another key, just as long as ours is")}, ada, time.Hour)},
		{"without a subject", token(t, door, auth.Principal{}, time.Hour)},
		{"unsigned", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEiLCJleHAiOjk5OTk5OTk5OTl9."},
		{"nonsense", "nonsense"},
		{"empty", ""},
	}
	for _, tt := range refused {
		t.Run("a token is refused: "+tt.name, func(t *testing.T) {
			t.Parallel()
			if p, err := door.Token(tt.token); thor.ErrorCode(err) != thor.EUNAUTHORIZED {
				t.Errorf("accepted as %+v: %v", p, err)
			}
		})
	}
	t.Run("without a key no token counts, not even one signed with an empty key", func(t *testing.T) {
		t.Parallel()
		keyless := &auth.Door{}
		if p, err := keyless.Token(token(t, keyless, ada, time.Hour)); thor.ErrorCode(err) != thor.EUNAUTHORIZED {
			t.Errorf("accepted as %+v: %v", p, err)
		}
	})
}

func TestPrincipal(t *testing.T) {
	t.Parallel()
	ada := auth.Principal{Subject: "ada", Accounts: []string{"A-1"}, Roles: []auth.Role{auth.Viewer}}
	if !ada.MaySee("A-1") || ada.MaySee("A-2") || ada.MaySee("") {
		t.Error("a principal sees its own accounts and no other")
	}
	if !ada.May(auth.Viewer) || ada.May(auth.Operator) {
		t.Error("a principal has its own roles and no other")
	}
	if local := auth.LocalOperator(); !local.MaySee("A-2") || !local.May(auth.Operator) {
		t.Error("the local operator may everything")
	}
	if nobody := (auth.Principal{}); nobody.MaySee("A-1") || nobody.May(auth.Viewer) {
		t.Error("nobody may something")
	}
}

func TestAllowsOrigin(t *testing.T) {
	t.Parallel()
	door := &auth.Door{Origins: []string{"https://desk.example.com"}}
	tests := []struct {
		name, host, origin string
		want               bool
	}{
		{"no origin", "thor.example.com", "", true},
		{"the server's own", "thor.example.com", "https://thor.example.com", true},
		{"a configured one", "thor.example.com", "https://desk.example.com", true},
		{"a page of this machine", "localhost:8000", "http://127.0.0.1:5173", true},
		{"a page of the reader's machine to a server elsewhere", "thor.example.com", "http://localhost:5173", true},
		{"another site", "thor.example.com", "https://evil.example", false},
		{"a configured one by another scheme", "thor.example.com", "http://desk.example.com", false},
		{"one that ends like a configured one", "thor.example.com", "https://evildesk.example.com", false},
		{"a sandboxed page", "thor.example.com", "null", false},
		{"no url", "thor.example.com", "::", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/", nil)
			r.Host = tt.host
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			if got := door.AllowsOrigin(r); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
