package hub

import (
	"cmp"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"thor"
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
		{"version 2 by query, 1 by subprotocol", nil, "?v=2", http.Header{"Sec-Websocket-Protocol": {"thor.v1"}}, 4406, "version 1"},
		{"another protocol", nil, "", http.Header{"Sec-Websocket-Protocol": {"graphql-ws"}}, 4406, "version 1"},
		{"a client with too long a name", nil, "", http.Header{"Thor-Client": {strings.Repeat("x", 129)}}, 4400, "128"},
		{"version 1 by subprotocol", nil, "", http.Header{"Sec-Websocket-Protocol": {"other, thor.v1"}}, 0, ""},
		{"version 9 by subprotocol", nil, "", http.Header{"Sec-Websocket-Protocol": {"thor.v9"}}, 4406, "version 1"},
		{"a page of this machine", nil, "", http.Header{"Origin": {"http://localhost:5173"}}, 0, ""},
		{"a page of another site", nil, "", http.Header{"Origin": {"https://evil.example"}}, 4403, "--allow-origin"},
		{"a proxy and no key", nil, "", http.Header{"X-Forwarded-For": {"192.0.2.7"}}, 4401, "set --auth-key or THOR_AUTH_KEY"},
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
			if offered := tt.header.Get("Sec-Websocket-Protocol"); offered != "" && !strings.Contains(offered, cmp.Or(hs.Protocol, "none")) {
				t.Errorf("subprotocol %q of %q was taken: a browser goes away and sees no code", hs.Protocol, offered)
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

func TestClientHeaderDecidesAboutCanary(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), func(c *Config) {
		c.Features = func(client string) map[string]FeatureState {
			source := thor.DataSourceREST
			if client == "desk-3" {
				source = thor.DataSourceWS
			}
			return map[string]FeatureState{"positions": {Stage: thor.StageCanary, DataSource: source, Rev: 2}}
		}
	})
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP{"Thor-Client": {"desk-3"}}}
	w.dialer = func(t *testing.T, _ *world, _ *auth.Principal) net.Conn {
		t.Helper()
		conn, br, _, err := dialer.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws/")
		if err != nil {
			t.Fatal(err)
		}
		if br != nil {
			return &bufferedConn{Conn: conn, r: br}
		}
		return conn
	}
	hello := data[helloData](t, w.dial(t).want("hello")[0])
	if got := hello.Features["positions"].DataSource; got != thor.DataSourceWS {
		t.Errorf("data source %s, want the one of the client that was named", got)
	}
}

// TestCloseCodesAreDocumented holds the table of docs/protocol.md to the codes.
func TestCloseCodesAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| close | meaning | the client |\n|---|---|---|\n")
	documented := map[string]bool{}
	for line := range strings.Lines(table) {
		codes, ok := strings.CutPrefix(line, "| ")
		if !ok {
			break
		}
		codes, _, _ = strings.Cut(codes, " | ")
		for code := range strings.SplitSeq(codes, ", ") {
			documented[code] = true
		}
	}
	for _, code := range []ws.StatusCode{
		closeBadRequest, closeUnauthorized, closeForbidden, closeUnsupportedVersion, closeTimeout, closeReplaced, closeTooMany, closeStalled, closeRestarting, closeOverloaded,
		ws.StatusProtocolError, ws.StatusUnsupportedData, ws.StatusInvalidFramePayloadData, ws.StatusMessageTooBig,
		ws.StatusInternalServerError, closeLayerLost,
	} {
		if !documented[strconv.Itoa(int(code))] {
			t.Errorf("docs/protocol.md does not say what %d means", code)
		}
	}
}
