package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"thor"
)

// Message is what came over the WebSocket.
type Message struct {
	Type   string          `json:"type"`
	Data   json.RawMessage `json:"data"`
	Stream thor.StreamID   `json:"stream"`
	Seq    uint64          `json:"seq"`
	Epoch  string          `json:"epoch"`
	TS     int64           `json:"ts"`

	Snapshot bool            `json:"snapshot"` // part of a snapshot
	At       uint64          `json:"at"`       // on its last part: the version it stands for
	Raw      json.RawMessage `json:"-"`
}

// silence is how long a connection may say nothing: heartbeats come every five
// seconds, pings every twenty-five.
const silence = 40 * time.Second

// Watch connects and calls handle for every message until it returns an error,
// ctx ends or the connection does. A close by the server is an error that says
// why. After hello it asks for nothing: everything it may see follows.
func (c *Client) Watch(ctx context.Context, handle func(Message) error) error {
	conn, reader, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()                                      //nolint:errcheck // the connection is over
	stop := context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck,gosec // it ends the read
	defer stop()
	for {
		payload, err := next(conn, reader)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return c.lost(err)
		}
		m := Message{Raw: payload}
		if err := json.Unmarshal(payload, &m); err != nil {
			return thor.Errorf(thor.EUNAVAILABLE, "%s sent a message that cannot be read: %w", c.URL, err)
		}
		if err := handle(m); err != nil {
			return err
		}
	}
}

// closed is a close frame of the server.
type closed struct {
	code   ws.StatusCode
	reason string
}

func (c *closed) Error() string { return fmt.Sprintf("closed with %d: %s", c.code, c.reason) }

// next reads the next message and answers pings on the way.
func next(conn net.Conn, reader *bufio.Reader) ([]byte, error) {
	for {
		if err := conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return nil, err
		}
		header, payload, err := readFrame(reader)
		if err != nil {
			return nil, err
		}
		switch header.OpCode {
		case ws.OpText:
			return payload, nil // a server sends whole messages
		case ws.OpPing:
			if err := ws.WriteFrame(conn, ws.MaskFrameInPlace(ws.NewPongFrame(payload))); err != nil {
				return nil, err
			}
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(payload)
			err := ws.WriteFrame(conn, ws.MaskFrameInPlace(ws.NewCloseFrame(payload)))
			return nil, errors.Join(&closed{code, reason}, err)
		default: // a pong nobody asked for
		}
	}
}

// readFrame reads one frame of a server, of a length a thor server could send.
func readFrame(reader *bufio.Reader) (ws.Header, []byte, error) {
	header, err := ws.ReadHeader(reader)
	if err != nil {
		return header, nil, err
	}
	if header.Length > maxAnswer {
		return header, nil, fmt.Errorf("a frame of %d bytes", header.Length)
	}
	payload := make([]byte, header.Length)
	_, err = io.ReadFull(reader, payload)
	return header, payload, err
}

func (c *Client) dial(ctx context.Context) (net.Conn, *bufio.Reader, error) {
	base, err := c.base()
	if err != nil {
		return nil, nil, err
	}
	header := http.Header{"User-Agent": {c.Agent}}
	if c.Token != "" {
		header.Set("Authorization", "Bearer "+c.Token)
	}
	trust, err := c.trust()
	if err != nil {
		return nil, nil, err
	}
	dialer := ws.Dialer{TLSConfig: trust, Header: ws.HandshakeHeaderHTTP(header), Timeout: timeout}
	conn, reader, _, err := dialer.Dial(ctx, "ws"+strings.TrimPrefix(base, "http")+"/ws/?v=1")
	if err != nil {
		if status, ok := errors.AsType[ws.StatusError](err); ok {
			return nil, nil, thor.Errorf(thor.EUNAVAILABLE, "%s refuses a WebSocket with status %d", c.URL, int(status)).
				WithHint("Is it a thor server?")
		}
		return nil, nil, c.unreachable(err)
	}
	if reader == nil {
		reader = bufio.NewReader(conn)
	}
	return conn, reader, nil
}

// lost says why a connection has ended.
func (c *Client) lost(err error) error {
	end, ok := errors.AsType[*closed](err)
	switch {
	case ok && end.code == 4401:
		return thor.Errorf(thor.EUNAUTHORIZED, "%s", strings.TrimSuffix(end.reason, ".")).WithHint(howToSignIn)
	case ok:
		return thor.Errorf(thor.EUNAVAILABLE, "the server closed the connection with %d: %s", int(end.code), end.reason)
	}
	return thor.Errorf(thor.EUNAVAILABLE, "the connection to %s was lost: %w", c.URL, err)
}
