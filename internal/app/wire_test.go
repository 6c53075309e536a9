package app

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"thor"
)

// wire is a WebSocket client of the rig.
type wire struct {
	mu       sync.Mutex // guards messages
	messages []wireMessage
}

type wireMessage struct {
	Type     string          `json:"type"`
	Data     json.RawMessage `json:"data"`
	Stream   thor.StreamID   `json:"stream"`
	Snapshot bool            `json:"snapshot"`
	came     time.Time
}

// connect opens a WebSocket over a pipe and follows everything.
func (r *rig) connect() *wire {
	r.t.Helper()
	ours, theirs := net.Pipe()
	request := httptest.NewRequest(http.MethodGet, "http://localhost/ws/", nil)
	request.RemoteAddr = "127.0.0.1:1"
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		request.Header.Set(name, value)
	}
	go r.api.ServeHTTP(hijacked{httptest.NewRecorder(), theirs}, request)
	reader := bufio.NewReader(ours)
	if response, err := http.ReadResponse(reader, request); err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		r.t.Fatalf("upgrade: %v %v", response, err)
	}
	w := &wire{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.read(ours, reader)
	}()
	r.t.Cleanup(func() {
		ours.Close() //nolint:errcheck // a test
		<-done
	})
	return w
}

func (w *wire) read(conn net.Conn, reader io.Reader) {
	for {
		f, err := ws.ReadFrame(reader)
		if err != nil {
			return
		}
		if f.Header.OpCode == ws.OpPing {
			_ = ws.WriteFrame(conn, ws.MaskFrameInPlace(ws.NewPongFrame(f.Payload)))
		}
		m := wireMessage{came: time.Now()}
		if f.Header.OpCode == ws.OpText && json.Unmarshal(f.Payload, &m) == nil {
			w.mu.Lock()
			w.messages = append(w.messages, m)
			w.mu.Unlock()
		}
	}
}

func (w *wire) all() []wireMessage {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.messages)
}

// hijacked gives its connection away.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(strings.NewReader("")), bufio.NewWriter(h.conn)), nil
}
