package hub

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"thor"
	"thor/internal/auth"
	"thor/internal/stream"
)

// faultyProxy stands between clients and a server and does what networks do: it
// delays and chops, stalls for a while, swallows all that follows, and resets.
type faultyProxy struct {
	net.Listener
	target string
	conns  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	kind   bool // it does no harm any more
	faults map[string]int
}

func newFaultyProxy(t *testing.T, target string, seed uint64) *faultyProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &faultyProxy{Listener: listener, target: target, random: rand.New(rand.NewPCG(seed, 0)), faults: map[string]int{}}
	p.conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.conns.Go(func() { p.serve(conn) })
		}
	})
	return p
}

// draw picks what happens to the next bytes, and for how long.
func (p *faultyProxy) draw() (fault string, n int, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fault, n, wait = "none", 1<<16, 0
	if p.kind {
		return fault, n, wait
	}
	switch at := p.random.IntN(100); {
	case at < 40:
		fault, n = "chop", 1+p.random.IntN(50)
	case at < 60:
		fault, n, wait = "delay", 1+p.random.IntN(500), time.Duration(p.random.IntN(20))*time.Millisecond
	case at < 63:
		fault, wait = "stall", time.Duration(100+p.random.IntN(200))*time.Millisecond
	case at < 65:
		fault = "swallow"
	case at < 67:
		fault = "reset"
	}
	p.faults[fault]++
	return fault, n, wait
}

// serve carries bytes both ways until one end or a fault ends it.
func (p *faultyProxy) serve(client net.Conn) {
	defer client.Close() //nolint:errcheck // it is the end
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // it is the end
	var both sync.WaitGroup
	carry := func(to, from net.Conn) {
		defer to.Close()   //nolint:errcheck // the other way ends with it
		defer from.Close() //nolint:errcheck // the other way ends with it
		for {
			fault, n, wait := p.draw()
			buffer := make([]byte, n)
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			pause(wait)
			switch fault {
			case "swallow": // nothing arrives any more, and nobody is told for a while
				pause(300 * time.Millisecond)
				return
			case "reset":
				if tcp, ok := to.(*net.TCPConn); ok {
					tcp.SetLinger(0) //nolint:errcheck // then it is a quiet end
				}
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	both.Go(func() { carry(server, client) })
	both.Go(func() { carry(client, server) })
	both.Wait()
}

// pause waits in real time.
func pause(d time.Duration) {
	if d > 0 {
		<-time.NewTimer(d).C
	}
}

func (p *faultyProxy) stop() {
	p.Close() //nolint:errcheck // a test
	p.conns.Wait()
}

// TestFaultsOnTheWay publishes while a proxy does its worst. Clients come back
// and resume from what they hold; none may miss a thing in silence, and when the
// network is kind again all hold what was published.
func TestFaultsOnTheWay(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			w := &lawWorld{
				limits: stream.Limits{Keep: 8 << 10, MaxLag: 4 << 10},
				door:   &auth.Door{Key: []byte("0123456789abcdef0123456789abcdef")},
				ledger: &ledger{records: map[thor.StreamID]map[string]*record{}},
			}
			done := w.serve()
			defer done()
			proxy := newFaultyProxy(t, w.address, seed)
			w.transport = lawTransport{name: "through a faulty network", dial: func(ctx context.Context, _ *lawWorld) (io.ReadWriteCloser, error) {
				ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
				defer cancel()
				conn, br, _, err := ws.Dial(ctx, "ws://"+proxy.Addr().String()+"/ws/")
				if br != nil {
					return &bufferedConn{Conn: conn, r: br}, err
				}
				return conn, err
			}}
			if err := w.start(ctx, t.TempDir()); err != nil {
				t.Fatal(err)
			}
			r := &lawRun{lawWorld: w}
			for range lawClients {
				c := newLawClient(w)
				c.harmed = true
				r.clients = append(r.clients, c)
			}
			connected := 0
			revive := func() {
				for _, c := range r.clients {
					if !c.gone() {
						continue
					}
					c.disconnect()
					if c.connect(ctx, []string{"A", "B"}) == nil { // else it is tried again
						connected++
						c.subscribe(lawStreams, c.honest(lawStreams))
					}
				}
			}
			for i := range 120 {
				revive()
				if err := r.publish(ctx, lawStep{op: "publish", stream: i % len(lawStreams), n: 1 + i%7, key: i, final: i%2 == 0, size: 1 + 17*i%300}); err != nil {
					t.Fatal(err)
				}
				pause(10 * time.Millisecond)
			}
			proxy.mu.Lock()
			proxy.kind = true
			faults := proxy.faults
			proxy.mu.Unlock()
			held := await(30*time.Second, func() bool {
				revive()
				for _, c := range r.clients {
					if c.fault() != nil {
						return true
					}
					if c.behind() != "" || c.gone() || !c.follows(lawStreams) {
						return false
					}
				}
				return true
			})
			for i, c := range r.clients {
				if err := c.fault(); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
				if !held {
					t.Errorf("client %d is not back: %s", i, c.behind())
				}
				c.disconnect()
			}
			if connected < 2*lawClients || faults["reset"]+faults["swallow"] == 0 || faults["stall"] == 0 {
				t.Errorf("%d connections, faults %v: too little went wrong", connected, faults)
			}
			if err := w.stop(); err != nil {
				t.Error(err)
			}
			proxy.stop()
		})
	}
}
