package hub

import (
	"log/slog"
	"runtime/debug"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"thor/internal/stream"
)

// Close codes of the application. docs/protocol.md says what a client does.
const (
	closeBadRequest         ws.StatusCode = 4400
	closeUnauthorized       ws.StatusCode = 4401
	closeForbidden          ws.StatusCode = 4403
	closeUnsupportedVersion ws.StatusCode = 4406
	closeTimeout            ws.StatusCode = 4408
	closeReplaced           ws.StatusCode = 4409
	closeTooMany            ws.StatusCode = 4429
	closeLayerLost          ws.StatusCode = 4503
	closeStalled            ws.StatusCode = 4508

	closeRestarting ws.StatusCode = 1012
	closeOverloaded ws.StatusCode = 1013
)

// closeError is a reason to close a connection.
type closeError struct {
	code   ws.StatusCode
	reason string
}

// maxReason is how long the reason in a close frame may be.
const maxReason = 123

// closeFrame encodes a close; the reason is cut at a rune.
func closeFrame(code ws.StatusCode, reason string) []byte {
	return stream.AppendControl(nil, ws.OpClose, ws.NewCloseFrameBody(code, cut(reason, maxReason)))
}

// cut is at most so many bytes of s, and no part of a rune.
func cut(s string, length int) string {
	if len(s) <= length {
		return s
	}
	for length > 0 && !utf8.RuneStart(s[length]) {
		length--
	}
	return s[:length]
}

// close begins the end of the connection: a close frame goes out behind what
// was taken already, nothing else follows, and the transport is closed when the
// client answers or its time is up.
func (c *conn) close(code ws.StatusCode, reason string) {
	if c.closing {
		return
	}
	c.closing = true
	c.deadline = time.Now().Add(closeWait)
	c.control = append(c.control, closeFrame(code, reason)...)
	c.subs, c.order = nil, nil
	c.flush()
}

// answerClose echoes the client's close frame, which the decoder has checked,
// and ends the connection when the answer is on its way: behind the frame that
// has begun, and not behind the streams.
func (c *conn) answerClose(payload []byte) {
	c.leaving = true
	code := ws.StatusNormalClosure
	if len(payload) > 0 {
		code, _ = ws.ParseCloseFrameData(payload)
	}
	c.close(code, "") // nothing when the server was first: then its own is the answer
}

// drop closes the transport and forgets the connection.
func (c *conn) drop() {
	if c.gone {
		return
	}
	c.gone = true
	delete(c.shard.conns, c)
	c.hub.conns.Add(-1)
	c.part()
	c.t.Close() //nolint:errcheck,gosec // it may be gone already
}

// crashed ends a connection on which something impossible has happened. What it
// was about to do is forgotten; the client is told if that still works.
func (c *conn) crashed(fault any) {
	c.hub.panics.Add(1)
	c.hub.Logger.Error("connection ended by a panic", slog.String("connection", c.id),
		slog.Any("panic", fault), slog.String("stack", string(debug.Stack())))
	defer func() {
		if recover() != nil {
			c.drop()
		}
	}()
	if c.closing {
		c.drop()
		return
	}
	c.close(ws.StatusInternalServerError, "a fault of the server; its log says why")
}
