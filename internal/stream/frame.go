package stream

import (
	"encoding/binary"

	"github.com/gobwas/ws"

	"thor"
)

// maxHeader is the longest header of an unmasked frame.
const maxHeader = 10

// AppendFrame appends payload as one unfragmented, unmasked text frame, the
// form in which a server sends a message.
func AppendFrame(dst, payload []byte) []byte {
	return append(appendHeader(dst, ws.OpText, len(payload)), payload...)
}

// AppendControl appends a control frame: a ping, a pong or a close.
func AppendControl(dst []byte, op ws.OpCode, payload []byte) []byte {
	return append(appendHeader(dst, op, len(payload)), payload...)
}

// appendHeader is ws.WriteHeader without an io.Writer between, for it runs once
// for every event.
func appendHeader(dst []byte, op ws.OpCode, length int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case length <= 125:
		return append(dst, byte(length&0x7f))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length))
	}
}

// EncodeFrames returns the ordinary frames of events, for a replay from the
// store.
func EncodeFrames(events []thor.Event) []byte {
	var frames []byte
	for _, e := range events {
		frames = AppendFrame(frames, e.AppendEnvelope(nil, ""))
	}
	return frames
}

// Split cuts frames at the last frame boundary at or before limit, but never
// before the end of the first frame.
func Split(frames []byte, limit int) (head, tail []byte) {
	end := 0
	for end < len(frames) {
		next := end + frameLength(frames[end:])
		if end > 0 && next > limit {
			break
		}
		end = next
	}
	return frames[:end:end], frames[end:]
}

// frameLength is the length of the unmasked frame that frames begins with.
func frameLength(frames []byte) int {
	switch n := frames[1] & 0x7f; n {
	case 126:
		return 4 + int(binary.BigEndian.Uint16(frames[2:]))
	case 127:
		return 10 + int(binary.BigEndian.Uint64(frames[2:])) //nolint:gosec // written by appendHeader from an int
	default:
		return 2 + int(n)
	}
}
