package hub

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// What a client may send and what it gets back, frame by frame: RFC 6455 as this
// server reads it. Each row runs over a pipe in virtual time and over TCP, with
// the client's bytes cut at several sizes: how they are cut makes no difference.
//
// Where the RFC leaves a choice: a message's UTF-8 is judged at its end, not
// within; an empty close is answered with 1000; after a fault the server closes
// and looks at nothing that follows.

// exchange is a row of the table.
type exchange struct {
	name string
	sent []byte
	// want is what the server answers, in brief: "pong" and "error" are text
	// messages, "pong:x" a control frame, "close 1002" its last word, and "…"
	// nothing yet. Without a close the connection must still be alive.
	want []string
}

// rfc6455 is the table.
func rfc6455() []exchange {
	protocolError, tooBig, unsupported, notUTF8 := is("close 1002"), is("close 1009"), is("close 1003"), is("close 1007")
	big := strings.Repeat("x", 1<<16)
	table := []exchange{
		// Opcodes (5.2).
		{"a text", wire(fin|text, say), is("pong")},
		{"two texts", join(wire(fin|text, say), wire(fin|text, say)), is("pong", "pong")},
		{"an empty text", wire(fin|text, ""), is("error")},
		{"binary", wire(fin|binaryOp, say), unsupported},
		{"binary, empty", wire(fin|binaryOp, ""), unsupported},
		{"binary, its first fragment", wire(binaryOp, say), unsupported},
		{"binary within a text", join(wire(text, say), wire(fin|binaryOp, "")), protocolError},

		// Lengths (5.2), and the limit of a message.
		{"125 bytes", wire(fin|text, sized(125)), is("pong")},
		{"126 bytes", wire(fin|text, sized(126)), is("pong")},
		{"127 bytes", wire(fin|text, sized(127)), is("pong")},
		{"128 bytes", wire(fin|text, sized(128)), is("pong")},
		{"the longest message", wire(fin|text, sized(maxMessage)), is("pong")},
		{"a byte more", wire(fin|text, sized(maxMessage+1)), tooBig},
		{"65535 bytes", wire(fin|text, big[:65535]), tooBig},
		{"65536 bytes", wire(fin|text, big), tooBig},
		{"too long, declared only", lengthy(fin|text, "", in16(maxMessage+1)...), tooBig},
		{"65536 bytes, declared only", lengthy(fin|text, "", in64(1<<16)...), tooBig},
		{"2^32 bytes, declared only", lengthy(fin|text, "", in64(1<<32)...), tooBig},
		{"2^63-1 bytes, declared only", lengthy(fin|text, "", in64(1<<63-1)...), tooBig},
		{"a length with the top bit", lengthy(fin|text, "", in64(1<<63)...), protocolError},
		{"a length of all ones", lengthy(fin|text, "", in64(1<<64-1)...), protocolError},
		{"the longest message in fragments", fragments(nil, sized(maxMessage-1), " "), is("pong")},
		{"fragments a byte too long", fragments(nil, sized(maxMessage), " "), tooBig},
		{"fragments too long, declared only", join(wire(text, sized(maxMessage-5)), lengthy(fin, "", 6)), tooBig},
		{"a fragment too long on its own", wire(text, sized(maxMessage+1)), tooBig},
		{"the limit begins anew with each message", join(wire(fin|text, sized(maxMessage)), wire(fin|text, sized(maxMessage))), is("pong", "pong")},
		{"0 bytes in 16 bits", lengthy(fin|text, "", in16(0)...), protocolError},
		{"15 bytes in 16 bits", lengthy(fin|text, say, in16(15)...), protocolError},
		{"125 bytes in 16 bits", lengthy(fin|text, sized(125), in16(125)...), protocolError},
		{"15 bytes in 64 bits", lengthy(fin|text, say, in64(15)...), protocolError},
		{"126 bytes in 64 bits", lengthy(fin|text, sized(126), in64(126)...), protocolError},
		{"65535 bytes in 64 bits", lengthy(fin|text, big[:65535], in64(65535)...), protocolError},
		{"a ping's length in 16 bits", lengthy(fin|pingOp, "ping", in16(4)...), protocolError},

		// Masks (5.1, 5.3).
		{"a text without a mask", bare(fin|text, say), protocolError},
		{"an empty text without a mask", bare(fin|text, ""), protocolError},
		{"a ping without a mask", bare(fin|pingOp, "x"), protocolError},
		{"a close without a mask", bare(fin|closeOp, "\x03\xe8"), protocolError},
		{"a continuation without a mask", join(wire(text, sayHalf), bare(fin|continuation, sayRest)), protocolError},
		{"a mask of zeros", keyed([4]byte{}, fin|text, say, byte(len(say))), is("pong")},
		{"a mask of ones", keyed([4]byte{255, 255, 255, 255}, fin|text, say, byte(len(say))), is("pong")},

		// Fragments (5.4).
		{"two fragments", fragments(nil, sayHalf, sayRest), is("pong")},
		{"a fragment for each byte", fragments(nil, bytewise(say)...), is("pong")},
		{"the first fragment is empty", fragments(nil, "", say), is("pong")},
		{"a middle fragment is empty", fragments(nil, sayHalf, "", sayRest), is("pong")},
		{"the last fragment is empty", fragments(nil, say, ""), is("pong")},
		{"all fragments are empty", fragments(nil, "", "", ""), is("error")},
		{"two messages in fragments", join(fragments(nil, sayHalf, sayRest), fragments(nil, sayHalf, sayRest)), is("pong", "pong")},
		{"a message that goes on", wire(text, say), is("…")},
		{"a continuation of nothing", wire(fin|continuation, say), protocolError},
		{"a continuation of nothing that goes on", wire(continuation, say), protocolError},
		{"a continuation of a message that has ended", join(fragments(nil, sayHalf, sayRest), wire(fin|continuation, "")), is("pong", "close 1002")},
		{"a text within a text", join(wire(text, sayHalf), wire(fin|text, say)), protocolError},
		{"a text in fragments within a text", join(wire(text, sayHalf), wire(text, sayHalf)), protocolError},
		{"a ping between fragments", fragments(wire(fin|pingOp, "?"), sayHalf, sayRest), is("pong:?", "pong")},
		{"a ping between all fragments", fragments(wire(fin|pingOp, "?"), "", sayHalf, sayRest, ""), is("pong:?", "pong:?", "pong:?", "pong")},
		{"a ping before and after fragments", join(wire(fin|pingOp, "a"), fragments(nil, sayHalf, sayRest), wire(fin|pingOp, "b")), is("pong:a", "pong", "pong:b")},
		{"a pong between fragments", fragments(wire(fin|pongOp, "?"), sayHalf, sayRest), is("pong")},
		{"a close between fragments", fragments(closing(1000, ""), sayHalf, sayRest), is("close 1000")},

		// Control frames (5.5).
		{"a ping", wire(fin|pingOp, ""), is("pong:")},
		{"a ping of any bytes", wire(fin|pingOp, "\x00\xff\xfe\xc0"), is("pong:\x00\xff\xfe\xc0")},
		{"a ping of 125 bytes", wire(fin|pingOp, big[:125]), is("pong:" + big[:125])},
		{"a ping of 126 bytes", wire(fin|pingOp, big[:126]), protocolError},
		{"a ping of 65536 bytes, declared only", lengthy(fin|pingOp, "", in64(1<<16)...), protocolError},
		{"pings in order", join(wire(fin|pingOp, "1"), wire(fin|pingOp, "2"), wire(fin|text, say), wire(fin|pingOp, "3")), is("pong:1", "pong:2", "pong", "pong:3")},
		{"a ping in fragments", join(wire(pingOp, "a"), wire(fin|continuation, "b")), protocolError},
		{"a pong nobody asked for", wire(fin|pongOp, "x"), is()},
		{"an empty pong nobody asked for", wire(fin|pongOp, ""), is()},
		{"a pong of 126 bytes", wire(fin|pongOp, big[:126]), protocolError},
		{"a pong in fragments", wire(pongOp, "a"), protocolError},

		// The end (5.5.1, 7).
		{"a close without a code", wire(fin|closeOp, ""), is("close 1000")},
		{"a close of one byte", wire(fin|closeOp, "\x03"), protocolError},
		{"a close with a reason", closing(1000, "bye"), is("close 1000")},
		{"a close with the longest reason", closing(1000, big[:123]), is("close 1000")},
		{"a close of 126 bytes", closing(1000, big[:124]), protocolError},
		{"a close in fragments", wire(closeOp, "\x03\xe8"), protocolError},
		{"a close whose reason is not UTF-8", closing(1000, "bye \xff"), notUTF8},
		{"a close whose reason ends within a rune", closing(1000, "bye \xe2\x82"), notUTF8},
		{"data after a close", join(closing(1000, ""), wire(fin|text, say), wire(fin|binaryOp, big)), is("close 1000")},
		{"a ping after a close", join(closing(1000, ""), wire(fin|pingOp, "x")), is("close 1000")},
		{"a close after a close", join(closing(1000, ""), closing(1001, "")), is("close 1000")},
		{"a close while the server closes", join(wire(fin|binaryOp, ""), closing(1000, "")), unsupported},
		{"a text while the server closes", join(wire(fin|binaryOp, ""), wire(fin|text, say), wire(fin|pingOp, "x")), unsupported},
		{"a close behind a text", join(wire(fin|text, say), closing(1001, "")), is("pong", "close 1001")},

		// UTF-8 (5.6, 8.1).
		{"a byte order mark", wire(fin|text, "\ufeff"+say), is("error")},
		{"UTF-8 that is no JSON", wire(fin|text, "κόσμε"), is("error")},
		{"a rune ends with the message", fragments(nil, quoted("κ")[:21], quoted("κ")[21:]), is("pong κ")},
		{"not UTF-8, and a ping before the message ends", fragments(wire(fin|pingOp, "?"), "\xff", say), is("pong:?", "close 1007")},
		{"not UTF-8 in a message that goes on", wire(text, "\xff"), is("…")},
		{"not UTF-8 behind a message", join(wire(fin|text, say), wire(fin|text, "\xff")), is("pong", "close 1007")},
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF} {
		table = append(table, exchange{fmt.Sprintf("the reserved opcode %#x", op), wire(fin|op, say), protocolError})
	}
	for i, bit := range []byte{rsv1, rsv2, rsv3} {
		name := []string{"first", "second", "third"}[i]
		table = append(table,
			exchange{"the " + name + " reserved bit of a text", wire(fin|bit|text, say), protocolError},
			exchange{"the " + name + " reserved bit of a continuation", join(wire(text, sayHalf), wire(fin|bit|continuation, sayRest)), protocolError},
			exchange{"the " + name + " reserved bit of a ping", wire(fin|bit|pingOp, "x"), protocolError},
			exchange{"the " + name + " reserved bit of a close", wire(fin|bit|closeOp, ""), protocolError})
	}
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		table = append(table, exchange{fmt.Sprintf("a close with %d", code), closing(code, ""), is(fmt.Sprintf("close %d", code))})
	}
	for _, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		table = append(table, exchange{fmt.Sprintf("a close with %d, which may not be sent", code), closing(code, ""), protocolError})
	}
	for _, r := range []string{"\u00e9", "\u07ff", "\u0800", "\u20ac", "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U00010000", "\U0001f60b", "\U0010ffff"} {
		message := quoted(r)
		at := strings.Index(message, r)
		table = append(table, exchange{fmt.Sprintf("the rune %+q", r), wire(fin|text, message), is("pong " + r)})
		for cut := 1; cut < len(r); cut++ {
			table = append(table, exchange{
				fmt.Sprintf("the rune %+q cut after %d bytes by a fragment, a ping and an empty one", r, cut),
				join(wire(text, message[:at+cut]), wire(fin|pingOp, "?"), wire(continuation, ""), wire(fin|continuation, message[at+cut:])),
				is("pong:?", "pong "+r),
			})
		}
		table = append(table, exchange{fmt.Sprintf("the rune %+q, each byte a fragment", r), fragments(nil, bytewise(message)...), is("pong " + r)})
	}
	for _, bad := range []struct{ name, bytes string }{
		{"a byte that never occurs", "\xff"},
		{"another", "\xfe"},
		{"a continuation byte alone", "\x80"},
		{"another alone", "\xbf"},
		{"a slash in two bytes", "\xc0\xaf"},
		{"a NUL in two bytes", "\xc0\x80"},
		{"the last overlong of two bytes", "\xc1\xbf"},
		{"the first overlong of three bytes", "\xe0\x80\x80"},
		{"the last overlong of three bytes", "\xe0\x9f\xbf"},
		{"the first overlong of four bytes", "\xf0\x80\x80\x80"},
		{"the last overlong of four bytes", "\xf0\x8f\xbf\xbf"},
		{"the first surrogate", "\xed\xa0\x80"},
		{"the last surrogate", "\xed\xbf\xbf"},
		{"a pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80"},
		{"a rune beyond the last", "\xf4\x90\x80\x80"},
		{"a rune far beyond", "\xf5\x80\x80\x80"},
		{"five bytes", "\xf8\x88\x80\x80\x80"},
		{"six bytes", "\xfc\x84\x80\x80\x80\x80"},
		{"a rune of two bytes cut short", "\xc3"},
		{"a rune of three bytes cut short", "\xe2\x82"},
		{"a rune of four bytes cut short", "\xf0\x9f\x98"},
	} {
		table = append(table,
			exchange{bad.name + " in a message", wire(fin|text, quoted(bad.bytes)), notUTF8},
			exchange{bad.name + " at its end", wire(fin|text, say+bad.bytes), notUTF8},
			exchange{bad.name + ", each byte a fragment", fragments(nil, bytewise(say+bad.bytes)...), notUTF8})
	}
	return table
}

// chops are the sizes of the pieces a client sends; 0 is all at once.
func chops() []int { return []int{0, 1, 2, 3, 7} }

func TestRFC6455(t *testing.T) {
	t.Parallel()
	table := rfc6455()
	seen := map[string]bool{}
	for _, row := range table {
		if seen[row.name] {
			t.Errorf("two rows are called %s", row.name)
		}
		seen[row.name] = true
	}
	t.Logf("%d rows", len(table))
	t.Run("over a pipe", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			h := plainHub(t)
			for _, row := range table {
				for _, chop := range chops() {
					ours, theirs := net.Pipe()
					if !h.serve(theirs, nil, guest{principal: local()}) {
						t.Fatal("the hub has ended")
					}
					row.run(t, ours, chop)
				}
			}
		})
	})
	for _, chop := range chops() {
		t.Run(fmt.Sprintf("over TCP in pieces of %d", chop), func(t *testing.T) {
			t.Parallel()
			dial := tcp(t, plainHub(t))
			for _, row := range table {
				row.run(t, dial(t), chop)
			}
		})
	}
}

// TestHalfOpenClose ends the client's side without a close frame: what it asked
// before is answered, and the connection ends.
func TestHalfOpenClose(t *testing.T) {
	t.Parallel()
	dial := tcp(t, plainHub(t))
	for _, tt := range []struct {
		name string
		sent []byte
		want []string
	}{
		{"at rest", nil, is("hello")},
		{"behind a text", wire(fin|text, say), is("hello", "pong")},
		{"within a message", wire(text, sayHalf), is("hello")},
		{"within a frame", wire(fin|text, say)[:9], is("hello")},
		{"within a header", wire(fin|text, sized(300))[:3], is("hello")},
		{"behind a close", closing(1000, ""), is("hello", "close 1000")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t)
			defer conn.Close() //nolint:errcheck // a test
			if _, err := conn.Write(tt.sent); err != nil {
				t.Fatal(err)
			}
			finish(conn)
			all, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for r := bytes.NewReader(all); r.Len() > 0; {
				brief, err := nextBrief(r)
				if err != nil {
					t.Fatalf("%q: %v", all, err)
				}
				got = append(got, brief)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
