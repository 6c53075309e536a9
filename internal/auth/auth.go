// Package auth says who is asking and what they may see and do: the local
// operator, or the bearer of a token. It also says which web pages may talk to
// the server.
//
// It does not know streams or features; whoever hands out data asks the
// [Principal].
package auth

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"thor"
)

// Role is a set of things a principal may do.
type Role string

// The roles.
const (
	Viewer    Role = "viewer"    // sees public data and its own accounts
	Operator  Role = "operator"  // moves stages as well
	Publisher Role = "publisher" // hands in messages
)

// Roles lists every role.
func Roles() []Role { return []Role{Viewer, Operator, Publisher} }

// Principal is somebody who asks. The zero value may see public data only.
type Principal struct {
	Subject  string
	Local    bool // the local operator: sees everything, may do everything
	Accounts []string
	Roles    []Role
	Expires  time.Time // zero is never
}

// LocalOperator is whoever sits at this machine while no key is configured.
func LocalOperator() Principal { return Principal{Subject: "local operator", Local: true} }

// Identity is who the principal is over several connections; "" when that is
// not known, as for the local operator, who may have many browsers.
func (p Principal) Identity() string {
	if p.Local {
		return ""
	}
	return p.Subject
}

// MaySee reports whether the principal may see this account.
func (p Principal) MaySee(account string) bool {
	return p.Local || slices.Contains(p.Accounts, account)
}

// May reports whether the principal has the role.
func (p Principal) May(role Role) bool { return p.Local || slices.Contains(p.Roles, role) }

// Door decides who comes in.
type Door struct {
	// Key signs tokens. While it is empty only the local operator is served.
	Key []byte
	// Origins are web origins that may talk to the server besides its own and
	// those of this machine: https://desk.example.com.
	Origins []string
}

// TakesTokens reports whether a token could let somebody in.
func (d *Door) TakesTokens() bool { return len(d.Key) > 0 }

// Authenticate returns who sent the request. The error is EUNAUTHORIZED, and its
// hint names the setting that would let the request in.
func (d *Door) Authenticate(r *http.Request) (Principal, error) {
	if !d.TakesTokens() {
		if reason := notLocal(r); reason != "" {
			return Principal{}, thor.Errorf(thor.EUNAUTHORIZED,
				"no key is configured, so only this machine's own operator is served, and %s", reason).
				WithHint("Set a key with --auth-key or THOR_AUTH_KEY and send a token.")
		}
		return LocalOperator(), nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Principal{}, thor.Errorf(thor.EUNAUTHORIZED, "a key is configured, and the request has no token").
			WithHint("Send the header Authorization: Bearer with a token, or over WebSocket the message auth.")
	}
	return d.Token(strings.TrimSpace(token))
}

// isProxyHeader reports whether a reverse proxy or a tunnel adds this header. A
// request that has passed one does not come from whoever sits at this machine,
// though its peer address looks like it.
func isProxyHeader(name string) bool {
	return name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Cf-")
}

// notLocal returns why a request is not the local operator's, or "".
func notLocal(r *http.Request) string {
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !peer.Addr().Unmap().IsLoopback() {
		return "this request comes from " + r.RemoteAddr
	}
	if !isLoopbackHost(r.Host) {
		return "this request was sent to the host " + quote(r.Host)
	}
	for _, origin := range r.Header.Values("Origin") {
		if !isLoopbackOrigin(origin) {
			return "this request comes from a page of " + quote(origin)
		}
	}
	for name := range r.Header {
		if isProxyHeader(http.CanonicalHeaderKey(name)) {
			return "this request passed a proxy: it has the header " + name
		}
	}
	return ""
}

func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return `"` + s + `"`
}

// isLoopbackHost reports whether a Host header, with or without a port, names
// this machine.
func isLoopbackHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}

func isLoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && isLoopbackHost(u.Host)
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
