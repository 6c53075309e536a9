package hub

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slowConn gives a kibibyte every half second, when it is told to.
type slowConn struct {
	net.Conn
	pause atomic.Bool
}

func (c *slowConn) Read(b []byte) (int, error) {
	if c.pause.Load() {
		time.Sleep(time.Second / 2)
		b = b[:min(len(b), 1<<10)]
	}
	return c.Conn.Read(b)
}

// TestASlowReaderOverTLS has as much time as one without: a write over TLS that
// runs out of time cannot go on, whatever part of it went out.
func TestASlowReaderOverTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	certificates := server.TLS.Certificates
	server.Close()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		encrypted := tls.Server(theirs, &tls.Config{Certificates: certificates, MinVersion: tls.VersionTLS12})
		slow := &slowConn{Conn: ours}
		reader := tls.Client(slow, &tls.Config{InsecureSkipVerify: true})
		shaken := make(chan error, 1)
		go func() { shaken <- encrypted.HandshakeContext(t.Context()) }()
		if err := errors.Join(reader.HandshakeContext(t.Context()), <-shaken); err != nil {
			t.Fatal(err)
		}
		slow.pause.Store(true)
		ended := make(chan error, 10)
		tr := newNetTransport(encrypted, nil, func(e event) {
			if e.kind == eventClosed {
				ended <- e.err
			}
		})
		var running sync.WaitGroup
		running.Go(tr.write)
		if n, err := tr.TryWrite(make([]byte, sendBuffer)); n != sendBuffer || err != nil {
			t.Fatalf("took %d, %v", n, err)
		}
		got, err := io.ReadFull(reader, make([]byte, sendBuffer))
		select {
		case ended := <-ended:
			t.Errorf("ended by %v", ended)
		default:
		}
		if got != sendBuffer || err != nil {
			t.Errorf("got %d bytes, %v", got, err)
		}
		if err := errors.Join(tr.Close(), ours.Close()); err != nil {
			t.Error(err)
		}
		running.Wait()
	})
}
