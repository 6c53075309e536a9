//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"thor"
)

// plainClient is a WebSocket client that only connects and reads, unless it is
// told to say something.
type plainClient struct {
	conn     net.Conn
	messages chan message
	closed   chan ws.StatusCode // the close code; 0 when the connection just ended
}

// message is a frame and when it came.
type message struct {
	Type   string          `json:"type"`
	Data   json.RawMessage `json:"data"`
	Stream thor.StreamID   `json:"stream"`
	Seq    uint64          `json:"seq"`
	Epoch  string          `json:"epoch"`
	TS     int64           `json:"ts"`

	Snapshot bool `json:"snapshot"`
	came     time.Time
}

func (m message) version() string { return fmt.Sprintf("%s:%s-%d", m.Stream, m.Epoch, m.Seq) }

func connect(t *testing.T, s *server) *plainClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, reader, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+"/ws/")
	if err != nil {
		t.Fatal(err)
	}
	return newPlainClient(t, conn, reader)
}

// newPlainClient reads from a connection; the reader has what came with the
// handshake, or is nil.
func newPlainClient(t *testing.T, conn net.Conn, reader *bufio.Reader) *plainClient {
	t.Helper()
	if reader == nil {
		reader = bufio.NewReader(conn)
	}
	c := &plainClient{conn: conn, messages: make(chan message, 100_000), closed: make(chan ws.StatusCode, 1)}
	go c.read(reader)
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // it is over
	return c
}

func (c *plainClient) read(reader *bufio.Reader) {
	defer close(c.messages)
	for {
		f, err := ws.ReadFrame(reader)
		if err != nil {
			c.closed <- 0
			return
		}
		switch f.Header.OpCode {
		case ws.OpText:
			m := message{came: time.Now()}
			if err := json.Unmarshal(f.Payload, &m); err != nil {
				panic(err)
			}
			c.messages <- m
		case ws.OpClose:
			code, _ := ws.ParseCloseFrameData(f.Payload)
			c.closed <- code
			_ = ws.WriteFrame(c.conn, ws.MaskFrameInPlace(ws.NewCloseFrame(f.Payload)))
			return
		default:
		}
	}
}

func (c *plainClient) say(t *testing.T, v any) {
	t.Helper()
	payload, err := json.Marshal(v)
	if err == nil {
		err = ws.WriteFrame(c.conn, ws.MaskFrameInPlace(ws.NewTextFrame(payload)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// until collects messages until one satisfies the condition, or time is up.
func (c *plainClient) until(within time.Duration, done func(message) bool) (list []message, ok bool) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case m, open := <-c.messages:
			if !open {
				return list, false
			}
			list = append(list, m)
			if done(m) {
				return list, true
			}
		case <-timer.C:
			return list, false
		}
	}
}

// collect collects messages for a time.
func (c *plainClient) collect(d time.Duration) []message {
	list, _ := c.until(d, func(message) bool { return false })
	return list
}
