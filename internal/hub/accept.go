package hub

import (
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
		Timeout:  helloWait,
		Protocol: func(name string) bool { return name == subprotocol },
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
	if !h.serve(conn, leftover, principal, refusal) {
		conn.Close() //nolint:errcheck,gosec // the hub has ended
	}
}

// serve gives an upgraded connection to the hub.
func (h *Hub) serve(conn net.Conn, leftover []byte, p *auth.Principal, refusal *closeError) bool {
	limitUnsent(conn)
	return h.connect(p, refusal, func(post func(event)) starter { return newNetTransport(conn, leftover, post) })
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
	p, err := h.Door.Authenticate(r)
	switch {
	case err == nil:
		return &p, nil
	case r.Header.Get("Authorization") != "" || !h.Door.TakesTokens():
		return nil, &closeError{closeUnauthorized, err.Error()}
	}
	return nil, nil
}

// speaksOurVersion looks at what version the client asks for: by query, by
// subprotocol, or none.
func speaksOurVersion(r *http.Request) bool {
	if v := r.URL.Query().Get("v"); v != "" {
		return v == "1"
	}
	asked := strings.Join(r.Header.Values("Sec-Websocket-Protocol"), ",")
	versioned := false
	for name := range strings.SplitSeq(asked, ",") {
		name = strings.TrimSpace(name)
		if name == subprotocol {
			return true
		}
		versioned = versioned || strings.HasPrefix(name, "thor.v")
	}
	return !versioned
}

var _ http.Handler = (*Hub)(nil)
