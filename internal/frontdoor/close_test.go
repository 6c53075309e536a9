package frontdoor_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"thor/internal/frontdoor"
)

// TestClose holds that nothing that is open keeps a server from stopping: not a
// stream, nor a WebSocket, nor a client that does not read.
func TestClose(t *testing.T) {
	t.Parallel()
	flood := func(w io.Writer) {
		for chunk := make([]byte, 64<<10); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	ended := make(chan string, 10)
	f := setup(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- r.URL.Path }()
		switch r.URL.Path {
		case "/stream":
			fmt.Fprint(w, "data: 1\n\n")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
		case "/flood":
			flood(w)
		case "/upload":
			_, _ = io.Copy(io.Discard, r.Body)
		default:
			conn, _, _, err := ws.UpgradeHTTP(r, w)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close() //nolint:errcheck // it is over
			_ = wsutil.WriteServerText(conn, []byte("hello"))
			if r.URL.Path == "/ws/flood" {
				flood(conn)
			}
			_, _ = wsutil.ReadClientText(conn)
		}
	}))
	host := strings.TrimPrefix(f.URL, "http://")
	begin := func(request string) *bufio.Reader {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() }) //nolint:errcheck // it is over
		fmt.Fprint(conn, request)
		return bufio.NewReader(conn)
	}
	stream := begin("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
	readUntil(t, stream, "data: 1")
	readUntil(t, begin("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n"), "200 OK") // and nothing more
	begin("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
	var talk net.Conn
	for _, path := range []string{"/ws/flood", "/ws/talk"} {
		conn, early, _, err := ws.Dial(t.Context(), "ws://"+host+path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() }) //nolint:errcheck // it is over
		talk = conn
		if early != nil {
			ws.PutReader(early)
		}
	}
	f.door.Close()
	f.door.Close() // twice is no fault
	for range 5 {
		<-ended
	}
	if rest, err := io.ReadAll(stream); err != nil || strings.Contains(string(rest), "0\r\n\r\n") {
		t.Errorf("the stream looks complete: %q, %v", rest, err)
	}
	if _, err := io.ReadAll(talk); err != nil {
		t.Errorf("the WebSocket did not end: %v", err)
	}
	if answer, _ := f.do(t, http.MethodGet, "/stream", nil); answer.StatusCode != http.StatusServiceUnavailable {
		t.Error("a door that is closed lets in")
	}
	if got := f.outcomes(); got[len(got)-1] != frontdoor.Refused {
		t.Errorf("outcomes %v", got)
	}
}

func readUntil(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, want) {
			return
		}
	}
}
