package hub

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"thor"
	"thor/internal/auth"
	"thor/internal/stream"
)

// Bits of a frame's first byte, and of its second.
const (
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10

	continuation, text, binaryOp = 0x0, 0x1, 0x2
	closeOp, pingOp, pongOp      = 0x8, 0x9, 0xA

	masks byte = 0x80
)

// A message that is answered, whole and in halves.
const (
	say     = sayHalf + sayRest
	sayHalf = `{"type":`
	sayRest = `"ping"}`
)

// wire is a client's frame: its first byte, and the payload with the shortest
// length and a mask.
func wire(first byte, payload string) []byte {
	switch n := len(payload); {
	case n <= 125:
		return lengthy(first, payload, byte(n))
	case n <= 0xffff:
		return lengthy(first, payload, binary.BigEndian.AppendUint16([]byte{126}, uint16(n))...)
	default:
		return lengthy(first, payload, binary.BigEndian.AppendUint64([]byte{127}, uint64(n))...)
	}
}

// lengthy is a frame whose length is written as given, true or not.
func lengthy(first byte, payload string, length ...byte) []byte {
	return keyed([4]byte{0x37, 0xfa, 0x21, 0x3d}, first, payload, length...)
}

// keyed is a frame with a mask of choice.
func keyed(key [4]byte, first byte, payload string, length ...byte) []byte {
	frame := append([]byte{first}, length...)
	frame[1] |= masks
	frame = append(frame, key[:]...)
	for i := range len(payload) {
		frame = append(frame, payload[i]^key[i%4])
	}
	return frame
}

// bare is a frame without a mask.
func bare(first byte, payload string) []byte {
	return append([]byte{first, byte(len(payload))}, payload...)
}

// in16 and in64 write a length in 16 and 64 bits, needed or not.
func in16(n uint16) []byte { return binary.BigEndian.AppendUint16([]byte{126}, n) }
func in64(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{127}, n) }

// sized is a message of n bytes that is answered.
func sized(n int) string { return say + strings.Repeat(" ", n-len(say)) }

// quoted is a message around some text, which is echoed.
func quoted(s string) string { return `{"type":"ping","n":"` + s + `"}` }

// fragments is one message in pieces, with something between them.
func fragments(between []byte, pieces ...string) []byte {
	var out []byte
	for i, piece := range pieces {
		first := byte(continuation)
		if i == 0 {
			first = text
		}
		if i == len(pieces)-1 {
			first |= fin
		}
		if i > 0 {
			out = append(out, between...)
		}
		out = append(out, wire(first, piece)...)
	}
	return out
}

// bytewise is a string in pieces of one byte.
func bytewise(s string) []string {
	var pieces []string
	for i := range len(s) {
		pieces = append(pieces, s[i:i+1])
	}
	return pieces
}

// closing is a close frame.
func closing(code uint16, reason string) []byte {
	return wire(fin|closeOp, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// is makes rows readable.
func is(want ...string) []string { return want }

// plainHub is a hub with nothing to say.
func plainHub(t *testing.T) *Hub {
	t.Helper()
	h := New(Config{
		Logs: &stream.Logs{}, Door: &auth.Door{}, Shards: 1,
		Features: func(string) map[string]FeatureState { return nil },
		Cadence:  func(thor.StreamID) time.Duration { return 0 },
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return h
}

// tcp serves a hub and returns how to connect to it.
func tcp(t *testing.T, h *Hub) func(t *testing.T) net.Conn {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return func(t *testing.T) net.Conn {
		t.Helper()
		conn, br, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws/")
		if err != nil {
			t.Fatal(err)
		}
		if br != nil {
			return &bufferedConn{Conn: conn, r: br}
		}
		return conn
	}
}

// run sends the row over a connection and compares what comes back. Texts come
// in order, and pongs do; between the two there is no order, and of pings that
// came together the newest is answered at least (5.5.3).
func (row exchange) run(t *testing.T, conn net.Conn, chop int) {
	t.Helper()
	defer conn.Close() //nolint:errcheck // a test
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if hello, err := nextBrief(conn); err != nil || hello != "hello" {
		t.Fatalf("%s: got %q %v, want hello", row.name, hello, err)
	}
	var want answers
	within := slices.Equal(row.want, is("…"))
	if !within {
		want.add(row.want...)
	}
	sent := row.sent
	if !want.closed { // still alive, also within a message
		sent = join(sent, wire(fin|pingOp, "alive?"))
		want.add("pong:alive?")
		if !within {
			sent = join(sent, wire(fin|text, quoted("alive?")))
			want.add("pong alive?")
		}
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for at := 0; len(sent) > 0; {
			n := len(sent)
			switch {
			case chop > 0 && at > 200 && n > 200: // within a long payload the place of a cut matters little
				n = min(chop*61, n)
			case chop > 0:
				n = min(chop, n)
			}
			if _, err := conn.Write(sent[:n]); err != nil {
				return // the server may have closed, and then needs no more
			}
			sent, at = sent[n:], at+n
		}
	}()
	var got answers
	var err error
	for !got.complete(want) && err == nil {
		var brief string
		if brief, err = nextBrief(conn); err == nil {
			got.add(brief)
		}
	}
	if err != nil || !got.fits(want) {
		t.Errorf("%s, in pieces of %d: got %q, want %q; %v", row.name, chop, got.all(), want.all(), err)
	}
	if want.closed {
		finish(conn)
		if brief, err := nextBrief(conn); !errors.Is(err, io.EOF) {
			t.Errorf("%s, in pieces of %d: behind the close came %q %v, want the end", row.name, chop, brief, err)
		}
	}
	conn.Close() //nolint:errcheck // a test; the writer may still be at it
	<-written
}

// answers are what the server says, in brief.
type answers struct {
	texts  []string // and the close
	pongs  []string
	closed bool
}

func (a *answers) add(briefs ...string) {
	for _, brief := range briefs {
		if strings.HasPrefix(brief, "pong:") {
			a.pongs = append(a.pongs, brief)
		} else {
			a.texts = append(a.texts, brief)
		}
		a.closed = a.closed || strings.HasPrefix(brief, "close ")
	}
}

// complete reports whether nothing more is to come.
func (a *answers) complete(want answers) bool {
	return a.closed || len(a.texts) >= len(want.texts) && last(a.pongs) == last(want.pongs)
}

func (a *answers) fits(want answers) bool {
	rest := want.pongs
	for _, pong := range a.pongs {
		i := slices.Index(rest, pong)
		if i < 0 {
			return false
		}
		rest = rest[i+1:]
	}
	return slices.Equal(a.texts, want.texts) && last(a.pongs) == last(want.pongs)
}

func (a *answers) all() []string { return append(slices.Clone(a.pongs), a.texts...) }

func last(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[len(list)-1]
}

// finish says that the client has no more to send, where that can be said.
func finish(conn net.Conn) {
	if b, ok := conn.(*bufferedConn); ok {
		conn = b.Conn
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite() //nolint:errcheck // it may be gone already
	}
}

// nextBrief reads a frame of the server and writes it in brief.
func nextBrief(r io.Reader) (string, error) {
	f, err := ws.ReadFrame(r)
	if err != nil {
		return "", err
	}
	if f.Header.Masked || !f.Header.Fin || f.Header.Rsv != 0 {
		return "", fmt.Errorf("a server's frame with the header %+v", f.Header)
	}
	switch f.Header.OpCode {
	case ws.OpText:
		var m struct{ Type, N string }
		if err := json.Unmarshal(f.Payload, &m); err != nil {
			return "", fmt.Errorf("%q: %w", f.Payload, err)
		}
		return strings.TrimSpace(m.Type + " " + m.N), nil
	case ws.OpClose:
		code, _ := ws.ParseCloseFrameData(f.Payload)
		return fmt.Sprintf("close %d", code), nil
	case ws.OpPong:
		return "pong:" + string(f.Payload), nil
	default:
		return "", fmt.Errorf("a server's frame with the opcode %v", f.Header.OpCode)
	}
}
