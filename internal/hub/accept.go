package hub

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"thor"
	"thor/internal/auth"
)

// subprotocol is the version of the protocol this hub speaks.
const subprotocol = "thor.v1"

// ServeHTTP upgrades a request to a WebSocket. Browsers cannot see the status
// of a refused upgrade, so whoever is refused is accepted and closed with a
// code.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.drained.Load() {
		turnAway(w, http.StatusServiceUnavailable, "the server is restarting", int(jitter.Seconds()))
		return
	}
	if r = handshake(w, r); r == nil {
		return
	}
	g := guest{client: r.Header.Get("Thor-Client"), browser: h.Door.Browser(r), address: h.Door.Address(r)}
	g.principal, g.refusal = h.admit(r)
	if g.refusal != nil {
		h.refused(refusalOf(g.refusal.code))
	}
	from := ""
	if g.principal == nil || !g.principal.Local {
		from = auth.Neighbourhood(g.address)
	}
	held, refusal, status := h.enter(from, g.refusal)
	if refusal != g.refusal || status != 0 {
		h.suspectProxy(r, g.address)
	}
	if status != 0 {
		turnAway(w, status, "too many connections", retryFull())
		return
	}
	g.place, g.refusal = held, refusal
	if !h.upgrade(w, r, g) {
		held.leave()
	}
}

// upgrade makes a WebSocket of the request and gives it to the hub, unless
// either is no longer there.
func (h *Hub) upgrade(w http.ResponseWriter, r *http.Request, g guest) bool {
	upgrader := ws.HTTPUpgrader{
		Timeout: helloWait,
		// A browser drops the connection, close code and all, when none of its
		// subprotocols is taken.
		Protocol: func(name string) bool { return name == subprotocol || g.refusal != nil },
	}
	conn, rw, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		h.Logger.Debug("upgrade refused", slog.String("remote", r.RemoteAddr), slog.Any("error", err))
		if conn != nil { // it was taken from the HTTP server, and is nobody's
			conn.Close() //nolint:errcheck,gosec // it is of no use
		}
		return false
	}
	// What the client sent right behind its request is in the server's reader.
	leftover := make([]byte, rw.Reader.Buffered())
	_, _ = rw.Read(leftover) // it is buffered, so it does not fail
	if err := conn.SetDeadline(time.Time{}); err != nil {
		conn.Close() //nolint:errcheck,gosec // it is of no use
		return false
	}
	if !h.serve(conn, leftover, g) {
		conn.Close() //nolint:errcheck,gosec // the hub has ended
		return false
	}
	return true
}

// guest is who a new connection is from.
type guest struct {
	principal *auth.Principal // nil until a token says so
	client    string          // the name the client gives itself, or ""
	browser   string          // the name its cookie gives it, or ""
	address   netip.Addr      // whom it comes from
	place     *place          // among the connections
	refusal   *closeError     // why it is to be closed at once, or nil
}

// serve gives an upgraded connection to the hub.
func (h *Hub) serve(conn net.Conn, leftover []byte, g guest) bool {
	limitUnsent(conn)
	return h.connect(g, func(post func(event)) starter { return newNetTransport(conn, leftover, post) })
}

// admit finds out who is there. Nobody and no refusal is somebody who may still
// send a token.
func (h *Hub) admit(r *http.Request) (*auth.Principal, *closeError) {
	if !h.Door.AllowsOrigin(r) {
		return nil, &closeError{closeForbidden, "this page's origin is not allowed; see --allow-origin"}
	}
	if !speaksOurVersion(r) {
		return nil, &closeError{closeUnsupportedVersion, "this server speaks version 1: ?v=1 or the subprotocol thor.v1"}
	}
	if len(r.Header.Get("Thor-Client")) > maxClient {
		return nil, &closeError{closeBadRequest, fmt.Sprintf("Thor-Client may be %d characters long", maxClient)}
	}
	p, err := h.Door.AuthenticateUpgrade(r)
	switch {
	case err == nil:
		return &p, nil
	case thor.ErrorCode(err) == thor.EINVALID, auth.Offers(r) && h.Door.TakesTokens(), r.URL.Query().Has("ticket"):
		return nil, refuse(err)
	case !h.Door.TakesTokens(): // REST says why in whole sentences; a close has room for one
		return nil, &closeError{closeUnauthorized, "only this machine's own operator is served without a key: set --auth-key or THOR_AUTH_KEY"}
	}
	return nil, nil
}

// backendAway is why nobody is let in whose accounts are not known.
const backendAway = "the backend that says which accounts are yours does not answer"

// refuse says with which code a connection is closed whose token or ticket was
// refused.
func refuse(err error) *closeError {
	switch thor.ErrorCode(err) {
	case thor.ETOOMANY:
		return &closeError{closeTooMany, retry(auth.RetryAfter(err), "too many wrong tokens have come from this address")}
	case thor.EINVALID:
		return &closeError{closeBadRequest, err.Error()}
	case thor.EUNAVAILABLE:
		return &closeError{closeOverloaded, retry(auth.RetryAfter(err), backendAway)}
	default:
		return &closeError{closeUnauthorized, err.Error()}
	}
}

// speaksOurVersion looks at what version the client asks for: by query, by
// subprotocol, or by neither, which means ours.
func speaksOurVersion(r *http.Request) bool {
	for _, v := range r.URL.Query()["v"] {
		if v != "1" {
			return false
		}
	}
	asked := strings.Join(r.Header.Values("Sec-Websocket-Protocol"), ",")
	for name := range strings.SplitSeq(asked, ",") {
		if strings.TrimSpace(name) == subprotocol {
			return true
		}
	}
	return asked == ""
}

var _ http.Handler = (*Hub)(nil)
