package auth_test

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"thor/internal/auth"
)

func TestCookie(t *testing.T) {
	t.Parallel()
	proxies, err := auth.ParseProxies([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	door := &auth.Door{CookieKey: bytes.Repeat([]byte{1}, 32), Proxies: proxies}
	give := func(door *auth.Door, change func(*http.Request)) *http.Cookie {
		r, answer := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		if change != nil {
			change(r)
		}
		door.GiveCookie(answer, r)
		for _, cookie := range answer.Result().Cookies() {
			return cookie
		}
		return nil
	}
	read := func(door *auth.Door, values ...string) string {
		r := httptest.NewRequest("GET", "/", nil)
		for _, value := range values {
			r.AddCookie(&http.Cookie{Name: "thor_client", Value: value})
		}
		return door.Browser(r)
	}
	cookie := give(door, nil)
	if cookie == nil || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.Path != "/" || cookie.MaxAge != 365*24*3600 {
		t.Fatalf("cookie %+v", cookie)
	}
	id, signature, _ := strings.Cut(cookie.Value, ".")
	if got := read(door, cookie.Value); got != id || len(id) < 26 {
		t.Errorf("read as %q of %q", got, cookie.Value)
	}
	if other := give(door, nil); other.Value == cookie.Value {
		t.Error("two browsers have the same name")
	}
	if again := give(door, func(r *http.Request) { r.AddCookie(cookie) }); again != nil {
		t.Errorf("a browser that has a name got %+v", again)
	}
	if renewed := give(door, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "thor_client", Value: id}) }); renewed == nil {
		t.Error("a browser whose cookie is no good got none")
	}
	if got := read(door, "forged", cookie.Value); got != id {
		t.Errorf("behind a forged one: %q", got)
	}
	for name, value := range map[string]string{
		"cut": cookie.Value[:len(cookie.Value)-1], "without a signature": id, "with an empty one": id + ".",
		"of another name": "desk-3." + signature, "without a name": "." + signature, "empty": "",
		"with a tail": cookie.Value + ".x",
	} {
		if got := read(door, value); got != "" {
			t.Errorf("%s: read as %q", name, got)
		}
	}
	if got := read(&auth.Door{CookieKey: bytes.Repeat([]byte{2}, 32)}, cookie.Value); got != "" {
		t.Errorf("signed by another server: read as %q", got)
	}
	if got := give(&auth.Door{}, nil); got != nil || read(&auth.Door{}, cookie.Value) != "" {
		t.Errorf("without a key: %v", got)
	}
	if !give(door, func(r *http.Request) { r.TLS = &tls.ConnectionState{} }).Secure {
		t.Error("under TLS: not Secure")
	}
	forwarded := func(peer string) func(*http.Request) {
		return func(r *http.Request) {
			r.RemoteAddr = peer
			r.Header.Set("X-Forwarded-Proto", "https")
		}
	}
	if !give(door, forwarded("127.0.0.1:1")).Secure {
		t.Error("under the TLS of a trusted proxy: not Secure")
	}
	if give(door, forwarded("192.0.2.7:1")).Secure {
		t.Error("anybody says that there is TLS")
	}
}
