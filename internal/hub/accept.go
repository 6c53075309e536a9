package hub

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"thor/internal/auth"
)

// subprotocol is the version of the protocol this hub speaks.
const subprotocol = "thor.v1"

// ServeHTTP upgrades a request to a WebSocket. Browsers cannot see the status
// of a refused upgrade, so whoever is refused is accepted and closed with a
// code.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.drained.Load() {
		w.Header().Set("Retry-After", strconv.Itoa(int(jitter.Seconds())))
		http.Error(w, "the server is restarting", http.StatusServiceUnavailable)
		return
	}
	principal, refusal := h.admit(r)
	upgrader := ws.HTTPUpgrader{
		Timeout: helloWait,
		// A browser drops the connection, close code and all, when none of its
		// subprotocols is taken.
		Protocol: func(name string) bool { return name == subprotocol || refusal != nil },
	}
	conn, rw, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		h.Logger.Debug("upgrade refused", slog.String("remote", r.RemoteAddr), slog.Any("error", err))
		return
	}
	// What the client sent right behind its request is in the server's reader.
	leftover := make([]byte, rw.Reader.Buffered())
	_, _ = rw.Read(leftover) // it is buffered, so it does not fail
	if err := conn.SetDeadline(time.Time{}); err != nil {
		conn.Close() //nolint:errcheck,gosec // it is of no use
		return
	}
	if !h.serve(conn, leftover, guest{principal: principal, client: r.Header.Get("Thor-Client"), refusal: refusal}) {
		conn.Close() //nolint:errcheck,gosec // the hub has ended
	}
}

// guest is who a new connection is from.
type guest struct {
	principal *auth.Principal // nil until a token says so
	client    string          // the name the client gives itself, or ""
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
	p, err := h.Door.Authenticate(r)
	switch {
	case err == nil:
		return &p, nil
	case !h.Door.TakesTokens(): // REST says why in whole sentences; a close has room for one
		return nil, &closeError{closeUnauthorized, "only this machine's own operator is served without a key: set --auth-key or THOR_AUTH_KEY"}
	case r.Header.Get("Authorization") != "":
		return nil, &closeError{closeUnauthorized, err.Error()}
	}
	return nil, nil
}

// speaksOurVersion looks at what version the client asks for: by query, by
// subprotocol, or by neither, which means ours.
func speaksOurVersion(r *http.Request) bool {
	if v := r.URL.Query().Get("v"); v != "" && v != "1" {
		return false
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
