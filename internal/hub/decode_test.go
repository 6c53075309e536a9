package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/stream"
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

// FuzzDecoder holds that the decoder takes what a simple reading of RFC 6455
// takes, says the same code where it stops, and that how the input is cut makes
// no difference; and that it never keeps more than a frame and a message.
func FuzzDecoder(f *testing.F) {
	for _, row := range rfc6455() {
		if len(row.sent) < 1000 {
			f.Add(row.sent, 3)
		}
	}
	f.Fuzz(func(t *testing.T, input []byte, size int) {
		size = 1 + max(size, -size)%1000
		if size <= 0 {
			size = 1
		}
		want, wantCode := simpleDecode(input)
		for _, size := range []int{len(input) + 1, size} {
			if got, code := decodeAll(input, size); !slices.Equal(got, want) || code != wantCode {
				t.Errorf("in pieces of %d: code %d, want %d (-want +got):\n%s", size, code, wantCode, cmp.Diff(want, got))
			}
		}
		var d decoder
		for at := 0; at < len(input); at += size {
			d.feed(bytes.Clone(input[at:min(at+size, len(input))]), func(frame) bool { return true })
			if len(d.pending) > maxMessage+ws.MaxHeaderSize+size || len(d.message) > maxMessage {
				t.Fatalf("it keeps %d and %d bytes", len(d.pending), len(d.message))
			}
		}
	})
}

// simpleDecode reads all of an input as decodeAll does, byte by byte as the RFC
// writes it down, and with nothing of the decoder's.
func simpleDecode(in []byte) (out []string, code ws.StatusCode) {
	var message []byte
	within := false
	for len(in) >= 2 {
		final, reserved, op, isMasked := in[0]&0x80 != 0, in[0]&0x70, in[0]&0xf, in[1]&0x80 != 0
		extended := map[byte]int{126: 2, 127: 8}[in[1]&0x7f]
		start, length := 2+extended, uint64(in[1]&0x7f)
		if isMasked {
			start += 4
		}
		if len(in) < start {
			return out, 0
		}
		if extended > 0 {
			length = 0
			for _, b := range in[2 : 2+extended] {
				length = length<<8 | uint64(b)
			}
		}
		control := op >= 8
		switch {
		case reserved != 0, op > 2 && op < 8, op > 10, !isMasked, length >= 1<<63,
			extended == 2 && length < 126, extended == 8 && length < 1<<16,
			control && (!final || length > 125),
			!control && within != (op == 0):
			return out, 1002
		case op == 2:
			return out, 1003
		case !control && uint64(len(message))+length > maxMessage:
			return out, 1009
		case uint64(len(in)-start) < length:
			return out, 0
		}
		payload := make([]byte, length)
		for i := range payload {
			payload[i] = in[start+i] ^ in[start-4+i%4]
		}
		in = in[start+len(payload):]
		if !control {
			message, within = append(message, payload...), !final
			if within {
				continue
			}
			payload, op, message = message, 1, nil
			if !utf8.Valid(payload) {
				return out, 1007
			}
		}
		if op == 8 && len(payload) > 0 {
			if len(payload) == 1 {
				return out, 1002
			}
			n := int(payload[0])<<8 | int(payload[1])
			if n < 1000 || n > 4999 || n > 1014 && n < 3000 || n >= 1004 && n <= 1006 {
				return out, 1002
			}
			if !utf8.Valid(payload[2:]) {
				return out, 1007
			}
		}
		out = append(out, string(rune('0'+op))+":"+string(payload))
	}
	return out, 0
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
			return
		}
		if thor.ErrorCode(err) != thor.EINVALID || err.Error() == "" {
			t.Errorf("%q is refused with %v", message, err)
		}
	})
}

// FuzzResume resumes from anything: it is always answered, and recovered only
// if what follows is exactly what the client has not got.
func FuzzResume(f *testing.F) {
	for _, from := range []string{
		`{"epoch":"e1","seq":0}`, `{"epoch":"e1","seq":7}`, `{"epoch":"e1","seq":29}`, `{"epoch":"e1","seq":30}`, `{"epoch":"e1","seq":31}`,
		`{"epoch":"e2","seq":7}`, `{"epoch":"","seq":0}`, `{}`, `null`, `[]`, `{"epoch":"e1","seq":-1}`, `{"epoch":"e1","seq":7.5}`,
		`{"epoch":"e1","seq":18446744073709551615}`, `{"epoch":"e1","seq":18446744073709551616}`, `{"epoch":"e1","seq":9007199254740993}`, `{"epoch":7,"seq":"7"}`,
	} {
		f.Add([]byte(from))
	}
	const id, floor, head = thor.StreamID("global_market"), 10, 30
	log := stream.NewLog(id, stream.Limits{MaxLag: 1}, thor.Version{Epoch: "e1", Seq: floor}, nil)
	for seq := uint64(floor + 1); seq <= head; seq++ {
		log.Append(thor.Event{Stream: id, Version: thor.Version{Epoch: "e1", Seq: seq}, Type: "market_status", Key: "k", Data: []byte(`{}`)})
	}
	f.Fuzz(func(t *testing.T, from []byte) {
		cmd, err := parseCommand(fmt.Appendf(nil, `{"type":"subscribe","streams":[%q],"resume":{%q:%s}}`, id, id, from))
		if err != nil {
			if thor.ErrorCode(err) != thor.EINVALID {
				t.Errorf("%q is refused with %v", from, err)
			}
			return
		}
		point, asked := cmd.Resume[id]
		if !asked {
			return
		}
		s := &sub{id: id}
		s.begin(log)
		replayed, recovered := s.resume(point, nil)
		seqs := seqsOf(t, slices.Concat(append([][]byte{s.pending}, s.later...)...))
		if can := point.Epoch == "e1" && point.Seq >= floor && point.Seq <= head; recovered != can {
			t.Fatalf("resumed from %+v: recovered %t", point, recovered)
		}
		if s.cursor != head+1 {
			t.Errorf("resumed from %+v: goes on at %d", point, s.cursor)
		}
		if !recovered {
			if !slices.Equal(seqs, []uint64{head}) { // the snapshot
				t.Errorf("not resumed from %+v: %d", point, seqs)
			}
			return
		}
		var want []uint64
		for seq := point.Seq + 1; seq <= head; seq++ {
			want = append(want, seq)
		}
		if !slices.Equal(seqs, want) || replayed != uint64(len(want)) {
			t.Errorf("resumed from %+v: %d replayed, %d", point, replayed, seqs)
		}
	})
}

// seqsOf reads the seqs of frames.
func seqsOf(t *testing.T, frames []byte) (seqs []uint64) {
	t.Helper()
	for r := bytes.NewReader(frames); r.Len() > 0; {
		f, err := ws.ReadFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		var m message
		if err := json.Unmarshal(f.Payload, &m); err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, m.Seq)
	}
	return seqs
}
