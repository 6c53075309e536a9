package hub

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), nil)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	for _, tt := range []struct {
		query     string
		protocols []string
		taken     string // the subprotocol
		ok        bool
	}{
		{query: "", ok: true},
		{query: "?v=1", ok: true},
		{query: "?v=1&v=1", ok: true},
		{query: "?other=2", ok: true},
		{query: "?v="},
		{query: "?v"},
		{query: "?v=0"},
		{query: "?v=2"},
		{query: "?v=01"},
		{query: "?v=1.0"},
		{query: "?v=1&v=2"},
		{query: "?v=2&v=1"},
		{protocols: []string{"thor.v1"}, taken: "thor.v1", ok: true},
		{protocols: []string{"thor.v2", "thor.v1"}, taken: "thor.v1", ok: true},
		{protocols: []string{"thor.v2"}, taken: "thor.v2"}, // or a browser would not see the code
		{protocols: []string{"THOR.V1"}, taken: "THOR.V1"},
		{protocols: []string{"graphql-ws"}, taken: "graphql-ws"},
		{query: "?v=1", protocols: []string{"thor.v1"}, taken: "thor.v1", ok: true},
		{query: "?v=2", protocols: []string{"thor.v1"}, taken: "thor.v1"},
		{query: "?v=1", protocols: []string{"thor.v2"}, taken: "thor.v2"},
	} {
		t.Run(fmt.Sprintf("%s %v", tt.query, tt.protocols), func(t *testing.T) {
			t.Parallel()
			conn, br, hs, err := ws.Dialer{Protocols: tt.protocols}.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws/"+tt.query)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // a test
			if br != nil {
				conn = &bufferedConn{Conn: conn, r: br}
			}
			if hs.Protocol != tt.taken {
				t.Errorf("the subprotocol %q was taken, want %q", hs.Protocol, tt.taken)
			}
			f, err := ws.ReadFrame(conn)
			if err != nil {
				t.Fatal(err)
			}
			code, reason := ws.ParseCloseFrameData(f.Payload)
			switch refused := f.Header.OpCode == ws.OpClose; {
			case refused == tt.ok:
				t.Errorf("refused: %v", refused)
			case refused && (code != closeUnsupportedVersion || !strings.Contains(reason, "version 1")):
				t.Errorf("closed with %d %q", code, reason)
			}
		})
	}
}
