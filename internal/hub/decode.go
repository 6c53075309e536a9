package hub

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// maxMessage is how long a client's message may be.
const maxMessage = 16 << 10

// decoder turns the bytes of a client into messages, however they are cut. It
// holds at most one frame and one message. After the first fault it takes
// nothing more: RFC 6455 (7.1.7) has the rest of the input ignored.
type decoder struct {
	pending []byte // bytes of a frame that is not whole yet
	message []byte // fragments of a message that is not whole yet
	within  bool   // a fragmented message has begun
	failed  bool
}

// frame is what the decoder delivers: a whole text message, or a control frame.
// The payload of a close is one that may be answered.
type frame struct {
	op      ws.OpCode
	payload []byte
}

// feed adds bytes and calls handle for each whole frame until it returns false.
// The error says with which code to close; it comes once.
func (d *decoder) feed(data []byte, handle func(frame) bool) *closeError {
	if d.failed {
		return nil
	}
	d.pending = append(d.pending, data...)
	for {
		f, size, fault := d.next()
		if fault != nil {
			*d = decoder{failed: true}
			return fault
		}
		if size == 0 {
			if len(d.pending) == 0 {
				d.pending = nil // an idle connection holds no buffer
			}
			return nil
		}
		d.pending = d.pending[size:]
		if f != nil && !handle(*f) {
			return nil
		}
	}
}

// rest returns the bytes that are not decoded yet and forgets them.
func (d *decoder) rest() []byte {
	rest := d.pending
	d.pending = nil
	return rest
}

// next reads one frame off the pending bytes; its size is 0 when it is not
// whole. The frame is nil for a fragment that does not end its message.
func (d *decoder) next() (f *frame, size int, fault *closeError) {
	r := bytes.NewReader(d.pending)
	h, err := ws.ReadHeader(r)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, &closeError{ws.StatusProtocolError, err.Error()}
	}
	start := len(d.pending) - r.Len()
	if fault := d.check(h, start); fault != nil {
		return nil, 0, fault
	}
	size = start + int(h.Length)
	if len(d.pending) < size {
		return nil, 0, nil
	}
	payload := d.pending[start:size:size]
	ws.Cipher(payload, h.Mask, 0)
	if h.OpCode.IsControl() {
		if h.OpCode == ws.OpClose {
			fault = checkClose(payload)
		}
		return &frame{op: h.OpCode, payload: bytes.Clone(payload)}, size, fault
	}
	d.message = append(d.message, payload...)
	d.within = !h.Fin
	if !h.Fin {
		return nil, size, nil
	}
	message := d.message
	d.message = nil
	if !utf8.Valid(message) {
		return nil, 0, &closeError{ws.StatusInvalidFramePayloadData, "the message is not UTF-8"}
	}
	return &frame{op: ws.OpText, payload: message}, size, nil
}

// check holds a header, which took size bytes, to the rules of RFC 6455 and of
// this protocol.
func (d *decoder) check(h ws.Header, size int) *closeError {
	state := ws.StateServerSide
	if d.within {
		state = state.Set(ws.StateFragmented)
	}
	switch err := ws.CheckHeader(h, state); {
	case err != nil:
		return &closeError{ws.StatusProtocolError, err.Error()}
	case size != ws.HeaderSize(h):
		return &closeError{ws.StatusProtocolError, "a length takes no more bytes than it needs"}
	case h.OpCode == ws.OpBinary:
		return &closeError{ws.StatusUnsupportedData, "messages are JSON in text frames"}
	case !h.OpCode.IsControl() && h.Length > int64(maxMessage-len(d.message)):
		return &closeError{ws.StatusMessageTooBig, "a message may have 16 KiB"}
	}
	return nil
}

// checkClose holds the payload of a close frame to RFC 6455 (5.5.1, 7.4): empty,
// or a code that may be sent and a reason in UTF-8.
func checkClose(payload []byte) *closeError {
	if len(payload) == 0 {
		return nil
	}
	if len(payload) == 1 {
		return &closeError{ws.StatusProtocolError, "a close code has two bytes"}
	}
	if !mayClose(binary.BigEndian.Uint16(payload)) {
		return &closeError{ws.StatusProtocolError, "this close code may not be sent"}
	}
	if !utf8.Valid(payload[2:]) {
		return &closeError{ws.StatusInvalidFramePayloadData, "the reason is not UTF-8"}
	}
	return nil
}

// mayClose reports whether a code may stand in a close frame: one that RFC 6455
// or its registry defines for the wire (1004, 1005, 1006 and 1015 are not), or
// one of a library or an application.
func mayClose(code uint16) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014:
		return true
	}
	return code >= 3000 && code <= 4999
}
