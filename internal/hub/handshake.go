package hub

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

// handshake holds a request to what RFC 6455 (4.2.1) asks of one that becomes a
// WebSocket, and returns it in the form the upgrader reads: it knows lists of
// one line alone. When something is missing it answers w and returns nil: the
// upgrader would take the connection from the HTTP server before it looks.
func handshake(w http.ResponseWriter, r *http.Request) *http.Request {
	refuse := func(status int, why string) *http.Request {
		http.Error(w, why, status)
		return nil
	}
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		return refuse(http.StatusMethodNotAllowed, "a WebSocket begins with GET")
	case !r.ProtoAtLeast(1, 1):
		return refuse(http.StatusHTTPVersionNotSupported, "a WebSocket begins with HTTP/1.1")
	case !lists(r.Header, "Connection", "upgrade"), !lists(r.Header, "Upgrade", "websocket"):
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		return refuse(http.StatusUpgradeRequired, "this is a WebSocket: send Connection: Upgrade and Upgrade: websocket")
	case !slices.Equal(r.Header.Values("Sec-Websocket-Version"), []string{"13"}):
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Version", "13")
		return refuse(http.StatusUpgradeRequired, "this server speaks version 13 of WebSocket: send Sec-WebSocket-Version: 13")
	}
	keys := r.Header.Values("Sec-Websocket-Key")
	if len(keys) != 1 {
		return refuse(http.StatusBadRequest, "send one Sec-WebSocket-Key")
	}
	if key, err := base64.StdEncoding.Strict().DecodeString(keys[0]); err != nil || len(key) != 16 {
		return refuse(http.StatusBadRequest, "Sec-WebSocket-Key must be 16 bytes in base64")
	}
	r = r.Clone(r.Context())
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	return r
}

// lists reports whether a header that is a list, over one line or several, has
// the token, in any letters.
func lists(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}
