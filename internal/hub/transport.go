package hub

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// transport is a pipe of bytes to one client. What comes from the client
// arrives at the connection's shard as events: bytes to read, room to write
// again, the end.
type transport interface {
	// TryWrite takes as many bytes as fit without waiting. When it takes fewer
	// than all, an event says when there is room again. It does not keep b.
	TryWrite(b []byte) (int, error)
	// Close writes what was taken, bounded by a second, and closes the pipe. What
	// the client still sends is read and thrown away.
	Close() error
}

// starter is a transport that begins to deliver events when it is told to.
type starter interface {
	transport
	start(h *Hub) bool
}

const (
	sendBuffer = 32 << 10 // bytes a transport takes beyond the kernel
	readBuffer = 2 << 10
	stallAfter = 10 * time.Second // without a byte of progress a write has stalled
	lingerTime = time.Second
	// A write over TLS that runs out of time cannot go on, whatever part of it
	// went out; so it has as long for each piece as a stall may last.
	tlsPiece = 4 << 10
)

var errStalled = errors.New("no progress")

// sendBuffers are lent to transports while they have something to write.
var sendBuffers = sync.Pool{New: func() any { return new([sendBuffer]byte) }}

// netTransport is a transport over a [net.Conn], with a goroutine that reads
// and one that writes.
type netTransport struct {
	conn     net.Conn
	piece    int         // bytes of one write at most
	leftover []byte      // read from conn before
	post     func(event) // to the shard
	ended    <-chan struct{}
	silent   chan struct{} // closed when nothing more is read

	mu      sync.Mutex // guards what follows
	buffer  *[sendBuffer]byte
	taken   int  // bytes in buffer
	short   bool // a TryWrite took fewer than all
	closing bool
	failed  bool
	wake    chan struct{}
}

var _ starter = (*netTransport)(nil)

func newNetTransport(conn net.Conn, leftover []byte, post func(event)) *netTransport {
	piece := sendBuffer
	if _, encrypted := conn.(*tls.Conn); encrypted {
		piece = tlsPiece
	}
	return &netTransport{conn: conn, piece: piece, leftover: leftover, post: post, silent: make(chan struct{}), wake: make(chan struct{}, 1)}
}

// start runs the two goroutines. They end after Close, or when the peer is gone.
func (t *netTransport) start(h *Hub) bool {
	t.ended = h.done
	return h.spawn(t.write, t.read)
}

// TryWrite implements transport.
func (t *netTransport) TryWrite(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed || t.closing {
		return 0, net.ErrClosed
	}
	if t.buffer == nil {
		t.buffer, _ = sendBuffers.Get().(*[sendBuffer]byte)
	}
	n := copy(t.buffer[t.taken:], b)
	t.taken += n
	t.short = n < len(b)
	t.signal()
	return n, nil
}

// Close implements transport.
func (t *netTransport) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closing {
		t.closing = true
		t.signal()
	}
	return t.conn.SetDeadline(time.Now().Add(lingerTime))
}

func (t *netTransport) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// read hands what arrives to the shard, until the transport is closing.
func (t *netTransport) read() {
	defer close(t.silent)
	if len(t.leftover) > 0 {
		t.post(event{kind: eventReadable, data: t.leftover})
	}
	buffer := make([]byte, readBuffer)
	for {
		n, err := t.conn.Read(buffer)
		if t.isClosing() {
			if err != nil {
				return
			}
			continue
		}
		if n > 0 {
			t.post(event{kind: eventReadable, data: append([]byte(nil), buffer[:n]...)})
		}
		if errors.Is(err, io.EOF) {
			// The client says no more and may still listen: what was taken for it,
			// the answer to its close perhaps, goes out when the shard closes.
			t.post(event{kind: eventClosed, err: err})
			return
		}
		if err != nil {
			t.fail(err)
			return
		}
	}
}

// write empties the buffer whenever something is in it.
func (t *netTransport) write() {
	defer t.conn.Close() //nolint:errcheck // the peer is told by the close
	for range t.wake {
		for {
			t.mu.Lock()
			buffer, n := t.buffer, t.taken
			t.buffer, t.taken = nil, 0
			short, closing, failed := t.short, t.closing, t.failed
			t.short = false
			t.mu.Unlock()
			if n > 0 && !failed {
				if err := t.writeAll(buffer[:n]); err != nil {
					t.fail(err)
					failed = true
				}
			}
			if buffer != nil {
				sendBuffers.Put(buffer)
			}
			if !failed && n == 0 && closing {
				t.linger()
			}
			if failed || n == 0 && closing {
				return
			}
			if short {
				t.post(event{kind: eventWritable})
			}
			if n == 0 {
				break
			}
		}
	}
}

// linger says that nothing more comes, and waits until the client has nothing
// more to say either: a socket closed while bytes lie unread in it is reset, and
// a reset may take what was written with it. Close has set how long.
func (t *netTransport) linger() {
	half, ok := t.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	select {
	case <-t.silent:
	case <-t.ended:
	}
}

func (t *netTransport) isClosing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.closing
}

// writeAll writes b. As long as some bytes leave within the time for a stall it
// goes on; once the transport is closing, Close has set the last deadline.
func (t *netTransport) writeAll(b []byte) error {
	for len(b) > 0 {
		closing, err := t.extend()
		if err != nil {
			return err
		}
		n, err := t.conn.Write(b[:min(len(b), t.piece)])
		b = b[n:]
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && n > 0 && !closing:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return errStalled
		default:
			return err
		}
	}
	return nil
}

// extend gives the next write its time, unless the transport is closing.
func (t *netTransport) extend() (closing bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return true, nil
	}
	return false, t.conn.SetWriteDeadline(time.Now().Add(stallAfter))
}

// fail ends the transport and tells the shard, once.
func (t *netTransport) fail(err error) {
	t.mu.Lock()
	first := !t.failed
	t.failed = true
	t.signal()
	t.mu.Unlock()
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		err = io.EOF
	}
	if first {
		t.post(event{kind: eventClosed, err: err})
	}
}
