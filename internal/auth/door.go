package auth

import (
	"crypto"
	"crypto/ed25519"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"thor"
)

// Door decides who comes in. Its fields are set before it is used; its methods
// are safe for concurrent use.
type Door struct {
	// Key checks and makes tokens signed with HS256. While neither it nor
	// PublicKey is set only the local operator is served.
	Key []byte
	// PublicKey checks tokens: an [ed25519.PublicKey] those signed with EdDSA, an
	// [*rsa.PublicKey] those signed with RS256. PrivateKey makes those of EdDSA,
	// and a server has none. A door with a private key does not make others.
	PublicKey  crypto.PublicKey
	PrivateKey ed25519.PrivateKey
	// Claims are the names of what the tokens of others say; the zero value is our
	// own names.
	Claims Claims
	// Grants know which accounts the bearer of a token may see that was made by
	// others and names none; nil is that there are none then.
	Grants *Grants
	// Origins are web origins that may talk to the server besides its own and
	// those of this machine: https://desk.example.com.
	Origins []string
	// Proxies may say in X-Forwarded-For whom they speak for; see [Door.Address].
	Proxies []netip.Prefix
	// CookieKey signs the page's cookie; without one there is no cookie.
	CookieKey []byte
	// Failures bounds the wrong tokens and tickets of an address; nil is no bound.
	Failures *Rates

	tickets tickets
}

// TakesTokens reports whether a token could let somebody in.
func (d *Door) TakesTokens() bool { return len(d.Key) > 0 || d.PublicKey != nil }

// Authenticate returns who sent the request. The error is EUNAUTHORIZED, and its
// hint names the setting that would let the request in; EINVALID for a token in
// the URL; ETOOMANY, when too many wrong tokens have come from the address; or
// EUNAVAILABLE, when the backend cannot be asked that says which accounts the
// bearer of its token may see.
func (d *Door) Authenticate(r *http.Request) (Principal, error) {
	if err := tokenInURL(r.URL); err != nil {
		return Principal{}, err
	}
	if !d.TakesTokens() {
		if reason := d.notLocal(r); reason != "" {
			return Principal{}, thor.Errorf(thor.EUNAUTHORIZED,
				"no key is configured, so only this machine's own operator is served, and %s", reason).
				WithHint("Set a key with --auth-key or THOR_AUTH_KEY and send a token.")
		}
		return LocalOperator(), nil
	}
	token, ok := bearer(r)
	if !ok {
		return Principal{}, thor.Errorf(thor.EUNAUTHORIZED, "a key is configured, and the request has no token").
			WithHint("Send the header Authorization: Bearer with a token, or over WebSocket the message auth.")
	}
	p, err := d.TokenFrom(d.Address(r), token)
	if err != nil {
		return Principal{}, err
	}
	return d.Granted(r.Context(), p)
}

// AuthenticateUpgrade is Authenticate for the WebSocket, which takes a ticket in
// its URL as well.
func (d *Door) AuthenticateUpgrade(r *http.Request) (Principal, error) {
	ticket, ok := r.URL.Query()["ticket"]
	if !ok || tokenInURL(r.URL) != nil {
		return d.Authenticate(r)
	}
	p, err := d.redeemFrom(d.Address(r), ticket[0])
	if err != nil {
		return Principal{}, err
	}
	return d.Granted(r.Context(), p) // what it was told when the ticket was made may be over
}

// Offers reports whether the request says who sent it, rightly or not; one that
// does not may still send a token once it is connected.
func Offers(r *http.Request) bool {
	return r.Header.Get("Authorization") != "" || r.URL.Query().Has("ticket")
}

// bearer is the token in the Authorization header.
func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// tokenInURL refuses a token where logs, histories and proxies would keep it.
func tokenInURL(u *url.URL) error {
	for name := range u.Query() {
		if slices.Contains([]string{"token", "access_token", "jwt"}, strings.ToLower(name)) {
			return thor.Errorf(thor.EINVALID, "a token must not be in the URL, where logs keep it: POST /api/ticket gives a ticket for /ws/?ticket=").
				WithHint("REST takes the header Authorization: Bearer with a token.")
		}
	}
	return nil
}

// AllowsOrigin reports whether the page that sent the request may talk to the
// server: there is no Origin, or it is the server's own, this machine's, or one
// of the configured.
func (d *Door) AllowsOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	if slices.Contains(d.Origins, strings.TrimSuffix(origin, "/")) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	return strings.EqualFold(u.Host, r.Host) || isLoopbackOrigin(origin)
}
