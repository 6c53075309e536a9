package hub

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"thor/internal/auth"
)

func TestAccept(t *testing.T) {
	t.Parallel()
	key := []byte("0123456789abcdef0123456789abcdef")
	tests := []struct {
		name   string
		key    []byte
		query  string
		header http.Header
		code   ws.StatusCode // 0 is hello
		says   string
	}{
		{"no version", nil, "", nil, 0, ""},
		{"version 1 by query", nil, "?v=1", nil, 0, ""},
		{"version 2 by query", nil, "?v=2", nil, 4406, "version 1"},
		{"version 1 by subprotocol", nil, "", http.Header{"Sec-Websocket-Protocol": {"other, thor.v1"}}, 0, ""},
		{"version 9 by subprotocol", nil, "", http.Header{"Sec-Websocket-Protocol": {"thor.v9"}}, 4406, "version 1"},
		{"a page of this machine", nil, "", http.Header{"Origin": {"http://localhost:5173"}}, 0, ""},
		{"a page of another site", nil, "", http.Header{"Origin": {"https://evil.example"}}, 4403, "--allow-origin"},
		{"a proxy and no key", nil, "", http.Header{"X-Forwarded-For": {"192.0.2.7"}}, 4401, "no key is configured"},
		{"a bad token in the header", key, "", http.Header{"Authorization": {"Bearer nonsense"}}, 4401, "not valid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, t.TempDir(), func(c *Config) { c.Door = &auth.Door{Key: tt.key} })
			server := httptest.NewServer(w)
			t.Cleanup(server.Close)
			dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(tt.header)}
			if p := tt.header.Get("Sec-Websocket-Protocol"); p != "" {
				dialer = ws.Dialer{Protocols: strings.Split(p, ", ")}
			}
			conn, br, hs, err := dialer.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws/"+tt.query)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // a test
			var f ws.Frame
			if br != nil {
				f, err = ws.ReadFrame(br)
			} else {
				f, err = ws.ReadFrame(conn)
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.code == 0 {
				if f.Header.OpCode != ws.OpText || !strings.HasPrefix(string(f.Payload), `{"type":"hello"`) {
					t.Errorf("got %v %q, want hello", f.Header.OpCode, f.Payload)
				}
				if tt.header.Get("Sec-Websocket-Protocol") != "" && hs.Protocol != subprotocol {
					t.Errorf("subprotocol %q, want %q", hs.Protocol, subprotocol)
				}
				return
			}
			code, reason := ws.ParseCloseFrameData(f.Payload)
			if f.Header.OpCode != ws.OpClose || code != tt.code || !strings.Contains(reason, tt.says) {
				t.Errorf("got %v %d %q, want a close with %d that says %q", f.Header.OpCode, code, reason, tt.code, tt.says)
			}
		})
	}
}
