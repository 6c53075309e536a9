package hub

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// upgradeRequest is a good request, changed by lines: "Name: value" replaces or
// adds a header, "+Name: value" adds another of the name, "-Name" leaves it out,
// and "GET / HTTP/1.1" without a colon is the first line.
func upgradeRequest(changes ...string) string {
	lines := []string{
		"GET /ws/ HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
	}
	for _, change := range changes {
		name, _, isHeader := strings.Cut(strings.TrimLeft(change, "+-"), ":")
		if !isHeader && change[0] != '-' {
			lines[0] = change
			continue
		}
		if change[0] != '+' {
			lines = slices.DeleteFunc(lines, func(line string) bool {
				other, _, _ := strings.Cut(line, ":")
				return strings.EqualFold(other, name)
			})
		}
		if change[0] != '-' {
			lines = append(lines, strings.TrimPrefix(change, "+"))
		}
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// TestUpgrade is what RFC 6455 (4.2) asks of the request, and of the answer.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		changes []string
		status  int
		says    string // in the body of a refusal, or the name and value of a header
	}{
		{"the RFC's own", nil, 101, "Sec-Websocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		{"it is answered as an upgrade", nil, 101, "Upgrade: websocket"},
		{"and the connection is told", nil, 101, "Connection: Upgrade"},
		{"names in small letters", []string{"-Upgrade", "upgrade: websocket", "-Connection", "connection: upgrade", "-Sec-WebSocket-Key", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="}, 101, ""},
		{"values in any letters", []string{"Upgrade: WebSocket", "Connection: UPGRADE"}, 101, ""},
		{"Connection is a list", []string{"Connection: keep-alive, Upgrade"}, 101, ""},
		{"Connection is two lines", []string{"Connection: keep-alive", "+Connection: Upgrade"}, 101, ""},
		{"Upgrade is a list", []string{"Upgrade: h2c, websocket"}, 101, ""},
		{"Connection says another thing", []string{"Connection: keep-alive"}, 426, "Upgrade: websocket"},
		{"Connection ends like it", []string{"Connection: not-upgrade"}, 426, "Connection: Upgrade"},
		{"no Connection", []string{"-Connection"}, 426, "a WebSocket"},
		{"no Upgrade", []string{"-Upgrade"}, 426, "a WebSocket"},
		{"Upgrade to another thing", []string{"Upgrade: h2c"}, 426, "Upgrade: websocket"},
		{"version 8", []string{"Sec-WebSocket-Version: 8"}, 426, "Sec-Websocket-Version: 13"},
		{"version 0", []string{"Sec-WebSocket-Version: 0"}, 426, "Sec-Websocket-Version: 13"},
		{"two versions", []string{"Sec-WebSocket-Version: 13", "+Sec-WebSocket-Version: 8"}, 426, "Sec-Websocket-Version: 13"},
		{"no version", []string{"-Sec-WebSocket-Version"}, 426, "Sec-Websocket-Version: 13"},
		{"no key", []string{"-Sec-WebSocket-Key"}, 400, "Sec-WebSocket-Key"},
		{"an empty key", []string{"Sec-WebSocket-Key:"}, 400, "Sec-WebSocket-Key"},
		{"a short key", []string{"Sec-WebSocket-Key: c2hvcnQ="}, 400, "16 bytes"},
		{"a key of 24 letters that are no base64", []string{"Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!!!"}, 400, "16 bytes"},
		{"a key of 17 bytes", []string{"Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Njc="}, 400, "16 bytes"},
		{"two keys", []string{"+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, 400, "Sec-WebSocket-Key"},
		{"POST", []string{"POST /ws/ HTTP/1.1", "Content-Length: 0"}, 405, "Allow: GET"},
		{"HTTP/1.0", []string{"GET /ws/ HTTP/1.0"}, 505, "HTTP/1.1"},
		{"our subprotocol", []string{"Sec-WebSocket-Protocol: thor.v1"}, 101, "Sec-Websocket-Protocol: thor.v1"},
		{"ours among others", []string{"Sec-WebSocket-Protocol: other, thor.v1, more"}, 101, "Sec-Websocket-Protocol: thor.v1"},
		{"ours among others on two lines", []string{"Sec-WebSocket-Protocol: other", "+Sec-WebSocket-Protocol: thor.v1"}, 101, "Sec-Websocket-Protocol: thor.v1"},
		{"none of ours is taken, so that a browser sees the close", []string{"Sec-WebSocket-Protocol: a, b"}, 101, "Sec-Websocket-Protocol: a"},
		{"a subprotocol that is no token", []string{`Sec-WebSocket-Protocol: thor.v1, "`}, 101, "Sec-Websocket-Protocol: thor.v1"},
		{"no subprotocol that is a token", []string{`Sec-WebSocket-Protocol: "`}, 400, "malformed"},
		{"compression is offered and not taken", []string{"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"}, 101, "Sec-Websocket-Extensions:"},
	}
	server := httptest.NewServer(plainHub(t))
	t.Cleanup(server.Close)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn := sendTo(t, server, upgradeRequest(tt.changes...))
			r := bufio.NewReader(conn)
			answer, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close() //nolint:errcheck // it was read
			if answer.StatusCode == http.StatusSwitchingProtocols {
				if brief, err := nextBrief(r); err != nil || brief != "hello" && brief != "close 4406" {
					t.Errorf("the first frame: %q %v", brief, err)
				}
				if ext := answer.Header.Values("Sec-WebSocket-Extensions"); len(ext) > 0 {
					t.Errorf("extensions %q", ext)
				}
			}
			body := ""
			if answer.StatusCode != http.StatusSwitchingProtocols {
				all, err := io.ReadAll(answer.Body)
				if err != nil {
					t.Errorf("the answer does not end: %v", err)
				}
				body = string(all)
			}
			name, value, isHeader := strings.Cut(tt.says, ": ")
			if answer.StatusCode != tt.status || isHeader && answer.Header.Get(name) != value ||
				!isHeader && answer.StatusCode != 101 && !strings.Contains(body, tt.says) {
				t.Errorf("got %d %q %v, want %d that says %q", answer.StatusCode, body, answer.Header, tt.status, tt.says)
			}
		})
	}
}

// sendTo writes to a server.
func sendTo(t *testing.T, server *httptest.Server, data string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // a test
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, data); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestARefusedUpgradeLeavesNothingBehind holds that a connection that does not
// become a WebSocket is served on or closed: it once stayed open for good.
func TestARefusedUpgradeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(plainHub(t))
	t.Cleanup(server.Close)
	for _, changes := range [][]string{{"-Sec-WebSocket-Key"}, {"Sec-WebSocket-Version: 8"}, {`Sec-WebSocket-Protocol: "`}} {
		conn := sendTo(t, server, upgradeRequest(append(changes, "Connection: Upgrade, close")...))
		if all, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 4") {
			t.Errorf("%q: got %q, %v; want a refusal and the end", changes, all, err)
		}
	}
}

// TestWhatIsSentBehindTheRequest holds that nothing is lost between HTTP and
// WebSocket.
func TestWhatIsSentBehindTheRequest(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(plainHub(t))
	t.Cleanup(server.Close)
	whole := upgradeRequest() + string(join(wire(fin|text, say), wire(fin|pingOp, "a"), wire(text, sayHalf), wire(fin|continuation, sayRest)))
	for cut := len(upgradeRequest()); cut <= len(whole); cut++ {
		conn := sendTo(t, server, whole[:cut])
		if _, err := io.WriteString(conn, whole[cut:]); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		answer, err := http.ReadResponse(r, nil)
		if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v %v", answer, err)
		}
		answer.Body.Close() //nolint:errcheck // there is none
		var got []string
		for range 4 {
			next, err := nextBrief(r)
			if err != nil {
				t.Fatalf("with %d bytes at first: %v after %q", cut, err, got)
			}
			got = append(got, next)
		}
		// The answer to a protocol ping goes before those to messages.
		i := slices.Index(got, "pong:a")
		if i < 0 || !slices.Equal(slices.Delete(slices.Clone(got), i, i+1), is("hello", "pong", "pong")) {
			t.Fatalf("with %d bytes at first: got %q", cut, got)
		}
		conn.Close() //nolint:errcheck // a test
	}
}
