package hub

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// maxMessage is how long a client's message may be.
const maxMessage = 16 << 10

// decoder turns the bytes of a client into messages, however they are cut. It
// holds at most one frame and one message.
type decoder struct {
	pending []byte // bytes of a frame that is not whole yet
	message []byte // fragments of a message that is not whole yet
	within  bool   // a fragmented message has begun
}

// frame is what the decoder delivers: a whole text message, or a control frame.
type frame struct {
	op      ws.OpCode
	payload []byte
}

// feed adds bytes and calls handle for each whole frame until it returns false.
// The error says with which code to close.
func (d *decoder) feed(data []byte, handle func(frame) bool) *closeError {
	d.pending = append(d.pending, data...)
	for {
		f, size, fault := d.next()
		if fault != nil {
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
	if fault := d.check(h); fault != nil {
		return nil, 0, fault
	}
	start := len(d.pending) - r.Len()
	size = start + int(h.Length)
	if len(d.pending) < size {
		return nil, 0, nil
	}
	payload := d.pending[start:size:size]
	ws.Cipher(payload, h.Mask, 0)
	if h.OpCode.IsControl() {
		return &frame{op: h.OpCode, payload: bytes.Clone(payload)}, size, nil
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

// check holds a header to the rules of RFC 6455 and of this protocol.
func (d *decoder) check(h ws.Header) *closeError {
	state := ws.StateServerSide
	if d.within {
		state = state.Set(ws.StateFragmented)
	}
	switch err := ws.CheckHeader(h, state); {
	case err != nil:
		return &closeError{ws.StatusProtocolError, err.Error()}
	case h.OpCode == ws.OpBinary:
		return &closeError{ws.StatusUnsupportedData, "messages are JSON in text frames"}
	case !h.OpCode.IsControl() && h.Length > int64(maxMessage-len(d.message)):
		return &closeError{ws.StatusMessageTooBig, "a message may have 16 KiB"}
	}
	return nil
}
