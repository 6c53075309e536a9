package hub

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"thor"
	"thor/internal/auth"
)

// TestCloseCodes makes the server close with each code it has, as a client on a
// socket sees it. 4408 takes more than a minute and is in TestTimes.
func TestCloseCodes(t *testing.T) {
	t.Parallel()
	repeat := func(n int, text string) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = text
		}
		return list
	}
	frame := func(f ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrame(f)) }
	for _, tt := range []struct {
		code   ws.StatusCode
		reason string
		query  string
		origin string
		bytes  []byte   // sent first
		texts  []string // then
		after  func(w *world)
	}{
		{code: 1000, bytes: frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye")))},
		{code: 1002, reason: "mask", bytes: ws.MustCompileFrame(ws.NewTextFrame([]byte(`{"type":"ping"}`)))},
		{code: 1003, reason: "JSON in text frames", bytes: frame(ws.NewBinaryFrame([]byte(`{"type":"ping"}`)))},
		{code: 1007, reason: "UTF-8", texts: []string{"\xff"}},
		{code: 1009, reason: "16 KiB", texts: []string{strings.Repeat(" ", maxMessage+1)}},
		{code: 1011, reason: "its log says why", texts: []string{`{"type":"subscribe","streams":["cutover"],"client":"boom"}`}},
		{code: 1012, reason: "restarting", after: func(w *world) { w.Drain(t.Context()) }},
		{code: 4400, reason: "too many messages that cannot be used", texts: repeat(maxBad, `{"type":"dance"}`)},
		{code: 4403, reason: "--allow-origin", origin: "https://evil.example"},
		{code: 4406, reason: "version 1", query: "?v=2"},
		{code: 4429, reason: "retry_after=5", texts: repeat(inboundBurst+2*maxOver, `{"type":"ping"}`)},
		{code: 4503, reason: "REST answers", after: func(w *world) { w.Lost() }},
		{code: 4508, reason: "answers are not being read", texts: repeat(30, unknownStreams())},
	} {
		t.Run(fmt.Sprint(tt.code), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, t.TempDir(), func(c *Config) {
				c.Features = func(client string) map[string]FeatureState {
					if client == "boom" {
						panic("planted")
					}
					return nil
				}
			})
			server := httptest.NewServer(w)
			t.Cleanup(server.Close)
			header := http.Header{}
			if tt.origin != "" {
				header.Set("Origin", tt.origin)
			}
			dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}
			conn, br, _, err := dialer.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws/"+tt.query)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // a test
			if br != nil {
				conn = &bufferedConn{Conn: conn, r: br}
			}
			if tt.origin == "" && tt.query == "" {
				if f, err := ws.ReadFrame(conn); err != nil || !strings.HasPrefix(string(f.Payload), `{"type":"hello"`) {
					t.Fatalf("got %q, %v; want hello", f.Payload, err)
				}
			}
			said := tt.bytes
			for _, text := range tt.texts {
				said = append(said, frame(ws.NewTextFrame([]byte(text)))...)
			}
			if _, err := conn.Write(said); err != nil {
				t.Fatal(err)
			}
			if tt.after != nil {
				go tt.after(w)
			}
			if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			for {
				f, err := ws.ReadFrame(conn)
				if err != nil {
					t.Fatalf("the connection ended without a close: %v", err)
				}
				if f.Header.OpCode != ws.OpClose {
					continue
				}
				code, reason := ws.ParseCloseFrameData(f.Payload)
				if code != tt.code || !strings.Contains(reason, tt.reason) || len(reason) > maxReason {
					t.Errorf("closed with %d %q, want %d and %q", code, reason, tt.code, tt.reason)
				}
				return
			}
		})
	}
}

// unknownStreams is a subscribe that is answered with many errors.
func unknownStreams() string {
	ids := make([]string, maxStreams)
	for i := range ids {
		ids[i] = fmt.Sprintf(`"positions:%064d"`, i)
	}
	return `{"type":"subscribe","streams":[` + strings.Join(ids, ",") + `]}`
}

func TestStall(t *testing.T) {
	t.Parallel()
	virtual(t, "a client that takes a byte every nine seconds stays", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1))
		conn := w.dialer(t, w, local())
		defer conn.Close() //nolint:errcheck // a test
		one := make([]byte, 1)
		for range 40 { // six minutes
			time.Sleep(9 * time.Second)
			if _, err := io.ReadFull(conn, one); err != nil {
				t.Fatal(err)
			}
			// It is heard, so it is not silent; a pipe waits for the server to read.
			if err := ws.WriteFrame(conn, ws.MaskFrame(ws.NewPongFrame(nil))); err != nil {
				t.Fatal(err)
			}
			w.publish(t, draft("positions:A", 2))
		}
		if got := w.Stats().Connections; got != 1 {
			t.Errorf("%d connections, want the slow one", got)
		}
	})
	virtual(t, "one that takes a byte every eleven seconds is gone", nil, func(t *testing.T, w *world) {
		conn := w.dialer(t, w, local())
		defer conn.Close() //nolint:errcheck // a test
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if got := w.Stats().Connections; got != 0 {
			t.Errorf("%d connections are left", got)
		}
	})
}

// TestMemoryOfWhoDoesNotRead lets many clients connect, ask for everything and
// never read: what the server keeps for them does not grow with what they miss.
// It is not parallel, for it looks at the heap.
func TestMemoryOfWhoDoesNotRead(t *testing.T) {
	const clients, rounds = 200, 40
	w := newWorld(t, t.TempDir(), nil)
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	news := func(i int) []thor.Event {
		var drafts []thor.Event
		for key := range 200 { // 100 KB of 200 keys
			e := draft("global_market", i)
			e.Key = fmt.Sprint(key)
			e.Data = fmt.Appendf(nil, `{"value":%d,"pad":%q}`, i, strings.Repeat("x", 400))
			drafts = append(drafts, e)
		}
		return drafts
	}
	w.publish(t, news(0)...)
	conns := make([]net.Conn, clients)
	for i := range conns {
		conn, _, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws/")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() }) //nolint:errcheck // a test
		if err := ws.WriteFrame(conn, ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"subscribe","streams":["global_market"]}`)))); err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	for i := range rounds { // 4 MB for each client, 800 MB for all
		w.deliver(t, news(i+1)...)
	}
	const limit = clients * (2*sendBuffer + 2*quantum)
	if grown := heap() - before; grown > limit {
		t.Errorf("the heap has grown by %d KiB, want at most %d", grown>>10, limit>>10)
	}
	if got := w.Stats(); got.Connections != clients || got.Skipped == 0 {
		t.Fatalf("%d connections and %d entries left out", got.Connections, got.Skipped)
	}
	// Each learns that something was left out and ends with the newest.
	gap, newest := []byte(`"type":"gap"`), fmt.Appendf(nil, `{"value":%d,`, rounds)
	for _, conn := range conns[:5] {
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		told, got := false, 0
		for got < 200 {
			f, err := ws.ReadFrame(conn)
			if err != nil {
				t.Fatalf("after %d of 200 newest values: %v", got, err)
			}
			told = told || bytes.Contains(f.Payload, gap)
			if bytes.Contains(f.Payload, newest) {
				got++
			}
		}
		if !told {
			t.Error("no gap was told")
		}
	}
}

func TestClientClose(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]ws.StatusCode{
		"":         1000,
		"\x03\xe8": 1000,
		"\x0f\xa0": 4000,
		"\x03":     1002,
		"\x03\xe7": 1002, // 999
		"\x03\xed": 1002, // 1005 is never sent
	} {
		virtual(t, fmt.Sprintf("%q", body), func(c *Config) { c.Door = &auth.Door{} }, func(t *testing.T, w *world) {
			c := w.dial(t)
			c.want("hello")
			c.write(ws.NewCloseFrame([]byte(body)))
			if m := c.next(); m.Close != want {
				t.Errorf("answered with %d, want %d", m.Close, want)
			}
			if _, err := c.conn.Write(nil); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Error(err)
			}
		})
	}
}
