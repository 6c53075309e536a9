package auth

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thor"
)

// TestPassing holds who a request is from that is for somebody else.
func TestPassing(t *testing.T) {
	t.Parallel()
	failures := &Rates{PerSecond: 0.001, Burst: 1}
	keyed := &Door{Key: []byte(strings.Repeat("k", 32)), Failures: failures}
	other := &Door{Key: []byte(strings.Repeat("o", 32))}
	token := func(d *Door) string {
		made, err := d.NewToken(Principal{Subject: "ada"}, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + made
	}
	for _, tt := range []struct {
		name, host, token string
		door              *Door
		who, refused      string
	}{
		{"of this machine, without a key", "localhost:8000", "", &Door{}, "local operator", ""},
		{"with a token of the backend's, without a key", "127.0.0.1:8000", token(other), &Door{}, "local operator", ""},
		{"to another name", "evil.example.com", "", &Door{}, "", `this request was sent to the host "evil.example.com"`},
		{"with a key and its token", "desk.example.com", token(keyed), keyed, "ada", ""},
		{"with a key and no token", "desk.example.com", "", keyed, "", ""},
		{"with a key and another's token", "desk.example.com", token(other), keyed, "", ""},
		{"with a key and a password", "desk.example.com", "Basic eA==", keyed, "", ""},
	} {
		for range 3 { // wrong tokens count against nobody
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Host, r.RemoteAddr = tt.host, "127.0.0.1:5000"
			if tt.token != "" {
				r.Header.Set("Authorization", tt.token)
			}
			who, known := tt.door.Passing(r)
			if who.Subject != tt.who && known || known != (tt.who != "") {
				t.Errorf("%s: %+v, %v", tt.name, who, known)
			}
			err := tt.door.RefusePassing(r)
			if (err != nil) != (tt.refused != "") || err != nil && (!strings.Contains(err.Error(), tt.refused) || thor.ErrorCode(err) != thor.EFORBIDDEN) {
				t.Errorf("%s: refused with %v", tt.name, err)
			}
		}
	}
	if _, ok := failures.Take("127.0.0.1"); !ok {
		t.Error("a token of somebody else's was counted as a wrong one")
	}
	proxied := httptest.NewRequest(http.MethodGet, "/", nil)
	proxied.Host, proxied.RemoteAddr = "localhost", "127.0.0.1:5000"
	proxied.Header.Set("X-Forwarded-For", "192.0.2.1")
	if who, known := (&Door{}).Passing(proxied); known {
		t.Errorf("what passed a proxy is %+v", who)
	}
}
