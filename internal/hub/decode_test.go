package hub

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

// masked is a client's frame.
func masked(op ws.OpCode, fin bool, payload string) []byte {
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, fin, []byte(payload)), [4]byte{1, 2, 3, 4}))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// decodeAll feeds input in pieces of the given size and returns what came out.
func decodeAll(input []byte, size int) (out []string, code ws.StatusCode) {
	var d decoder
	for len(input) > 0 {
		n := min(size, len(input))
		fault := d.feed(bytes.Clone(input[:n]), func(f frame) bool {
			out = append(out, string(rune('0'+f.op))+":"+string(f.payload))
			return true
		})
		if fault != nil {
			return out, fault.code
		}
		input = input[n:]
	}
	return out, 0
}

func TestDecoder(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxMessage)
	rsv := masked(ws.OpText, true, "x")
	rsv[0] |= 0x40
	reserved := masked(ws.OpCode(3), true, "x")
	tests := []struct {
		name  string
		input []byte
		want  []string
		code  ws.StatusCode
	}{
		{"a text", masked(ws.OpText, true, "hello"), []string{"1:hello"}, 0},
		{"an empty text", masked(ws.OpText, true, ""), []string{"1:"}, 0},
		{"two texts in one read", join(masked(ws.OpText, true, "a"), masked(ws.OpText, true, "b")), []string{"1:a", "1:b"}, 0},
		{"125 bytes", masked(ws.OpText, true, long[:125]), []string{"1:" + long[:125]}, 0},
		{"126 bytes", masked(ws.OpText, true, long[:126]), []string{"1:" + long[:126]}, 0},
		{"the longest", masked(ws.OpText, true, long), []string{"1:" + long}, 0},
		{"one byte too long", masked(ws.OpText, true, long+"x"), nil, 1009},
		{"fragments", join(masked(ws.OpText, false, "a"), masked(ws.OpContinuation, false, "b"), masked(ws.OpContinuation, true, "c")), []string{"1:abc"}, 0},
		{"a ping between fragments", join(masked(ws.OpText, false, "a"), masked(ws.OpPing, true, "p"), masked(ws.OpContinuation, true, "b")), []string{"9:p", "1:ab"}, 0},
		{"fragments too long together", join(masked(ws.OpText, false, long), masked(ws.OpContinuation, true, "x")), nil, 1009},
		{"a continuation of nothing", masked(ws.OpContinuation, true, "x"), nil, 1002},
		{"a text within a text", join(masked(ws.OpText, false, "a"), masked(ws.OpText, true, "b")), nil, 1002},
		{"unmasked", ws.MustCompileFrame(ws.NewTextFrame([]byte("x"))), nil, 1002},
		{"a reserved bit", rsv, nil, 1002},
		{"a reserved opcode", reserved, nil, 1002},
		{"a fragmented ping", masked(ws.OpPing, false, "x"), nil, 1002},
		{"a ping of 126 bytes", masked(ws.OpPing, true, long[:126]), nil, 1002},
		{"binary", masked(ws.OpBinary, true, "x"), nil, 1003},
		{"UTF-8", masked(ws.OpText, true, "κόσμε"), []string{"1:κόσμε"}, 0},
		{"UTF-8 cut by a fragment", join(masked(ws.OpText, false, "\xce"), masked(ws.OpContinuation, true, "\xba")), []string{"1:κ"}, 0},
		{"no UTF-8", masked(ws.OpText, true, "\xff"), nil, 1007},
		{"a surrogate", masked(ws.OpText, true, "\xed\xa0\x80"), nil, 1007},
		{"a close", masked(ws.OpClose, true, "\x03\xe8bye"), []string{"8:\x03\xe8bye"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 2, 3, 7, 64, 1 << 20} {
				out, code := decodeAll(tt.input, size)
				if diff := cmp.Diff(tt.want, out); diff != "" || code != tt.code {
					t.Errorf("in pieces of %d: code %d, want %d (-want +got):\n%s", size, code, tt.code, diff)
				}
			}
		})
	}
}

func TestDecoderHoldsNothingWhenIdle(t *testing.T) {
	t.Parallel()
	var d decoder
	if fault := d.feed(masked(ws.OpText, true, "x"), func(frame) bool { return true }); fault != nil {
		t.Fatal(fault)
	}
	if d.pending != nil || d.message != nil {
		t.Errorf("it holds %d and %d bytes", cap(d.pending), cap(d.message))
	}
}

// FuzzDecoder holds that no input makes the decoder panic or keep more than a
// frame and a message, and that how the input is cut makes no difference.
func FuzzDecoder(f *testing.F) {
	f.Add(masked(ws.OpText, true, `{"type":"ping"}`), 3)
	f.Add(join(masked(ws.OpText, false, "a"), masked(ws.OpPing, true, "p"), masked(ws.OpContinuation, true, "b")), 1)
	f.Add([]byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, 5)
	f.Fuzz(func(t *testing.T, input []byte, size int) {
		size = 1 + max(size, -size)%1000
		if size <= 0 {
			size = 1
		}
		whole, wholeCode := decodeAll(input, len(input)+1)
		pieces, piecesCode := decodeAll(input, size)
		if diff := cmp.Diff(whole, pieces); diff != "" || wholeCode != piecesCode {
			t.Errorf("code %d whole, %d in pieces of %d (-whole +pieces):\n%s", wholeCode, piecesCode, size, diff)
		}
	})
}

// FuzzCommand holds that no message makes the parser panic, and that an error
// is one a client may see.
func FuzzCommand(f *testing.F) {
	f.Add([]byte(`{"type":"subscribe","id":"8","streams":["intraday:FUT.ES"],"resume":{"intraday:FUT.ES":{"epoch":"k3f9","seq":1040}}}`))
	f.Add([]byte(`{"type":"ping","timestamp":1e400}`))
	f.Fuzz(func(t *testing.T, message []byte) {
		cmd, err := parseCommand(message)
		if len(cmd.ID) > 0 {
			encode("error", cmd.ID, nil)
		}
		if err == nil {
			for _, id := range cmd.Streams {
				if err := id.Validate(); err != nil {
					t.Errorf("a malformed stream came through: %q", id)
				}
			}
		}
	})
}
