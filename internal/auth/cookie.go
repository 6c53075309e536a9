package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// CookieName is the name of the page's cookie.
const CookieName = "thor_client"

const cookieTTL = 365 * 24 * time.Hour

// GiveCookie names the browser that loads the page, unless it has a name
// already. The name decides which arm of a canary it is in, and nothing else.
func (d *Door) GiveCookie(w http.ResponseWriter, r *http.Request) {
	if len(d.CookieKey) == 0 || d.Browser(r) != "" {
		return
	}
	id := rand.Text()
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // without TLS a browser would not send it back if it were Secure
		Name: CookieName, Value: id + "." + d.signature(id), Path: "/", MaxAge: int(cookieTTL.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: d.Secure(r),
	})
}

// Browser is the name of the browser that sent the request, from its cookie; ""
// when it has none that this server has signed.
func (d *Door) Browser(r *http.Request) string {
	if len(d.CookieKey) == 0 {
		return ""
	}
	for _, cookie := range r.CookiesNamed(CookieName) {
		id, signature, _ := strings.Cut(cookie.Value, ".")
		if id != "" && hmac.Equal([]byte(signature), []byte(d.signature(id))) {
			return id
		}
	}
	return ""
}

func (d *Door) signature(id string) string {
	mac := hmac.New(sha256.New, d.CookieKey)
	mac.Write([]byte("client " + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
