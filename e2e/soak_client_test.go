//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"thor"
)

var digestSeed = maphash.MakeSeed()

func digest(data []byte) uint64 { return maphash.Bytes(digestSeed, data) }

// soakReader follows the streams and keeps a digest of what came under each
// seq. Its methods are for one goroutine.
type soakReader struct {
	name   string
	server *server
	seen   func(m message) // sees every event; nil is nobody

	at      map[thor.StreamID]resumeFrom
	digests map[thor.StreamID]map[uint64]uint64
	covered map[thor.StreamID]uint64 // up to there a gap has said that something is left out
	faults  []error

	marks []soakMark // where it was, minute by minute

	frames, snapshots, gaps, connections int
	left                                 uint64 // events that gaps have left out
}

type soakMark struct {
	when time.Time
	at   map[thor.StreamID]resumeFrom
}

type resumeFrom struct {
	Epoch string `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

func newReader(name string, s *server) *soakReader {
	return &soakReader{
		name: name, server: s, covered: map[thor.StreamID]uint64{},
		at: map[thor.StreamID]resumeFrom{}, digests: map[thor.StreamID]map[uint64]uint64{},
	}
}

func (r *soakReader) faultf(format string, args ...any) {
	if len(r.faults) < 10 {
		r.faults = append(r.faults, fmt.Errorf(format, args...))
	}
}

// check reports what the reader found wrong.
func (r *soakReader) check(t *testing.T) {
	t.Helper()
	for _, err := range r.faults {
		t.Errorf("the %s reader: %v", r.name, err)
	}
	if r.frames == 0 {
		t.Errorf("the %s reader got nothing", r.name)
	}
}

// agrees reports what was said to this reader and another under one version and
// differs.
func (r *soakReader) agrees(t *testing.T, other *soakReader) {
	t.Helper()
	for id, digests := range r.digests {
		for seq, d := range digests {
			if theirs, ok := other.digests[id][seq]; ok && d != theirs {
				t.Errorf("%s %d: the %s and the %s reader got two things", id, seq, r.name, other.name)
				return
			}
		}
	}
}

// take holds a message to the rules: every seq follows the one before, unless a
// snapshot begins or a gap has said what is left out.
func (r *soakReader) take(m message) {
	switch {
	case m.Type == "gap":
		var gap struct {
			Stream   thor.StreamID
			From, To uint64
		}
		if err := json.Unmarshal(m.Data, &gap); err != nil || gap.From != r.at[gap.Stream].Seq+1 {
			r.faultf("gap %s behind %d: %v", m.Data, r.at[gap.Stream].Seq, err)
		}
		r.gaps++
		r.left += gap.To - gap.From + 1
		r.covered[gap.Stream] = gap.To
		return
	case m.Type == "reset" || m.Type == "error" || m.Type == "server_shutdown":
		r.faultf("%s %s", m.Type, m.Data)
		return
	case m.Type == "subscribed":
		r.subscribed(m)
		return
	case m.Stream == "" || m.Stream == thor.CutoverStream:
		return
	}
	r.frames++
	if n := len(r.marks); n == 0 || time.Since(r.marks[n-1].when) > time.Minute {
		r.marks = append(r.marks, soakMark{time.Now(), maps.Clone(r.at)})
	}
	before := r.at[m.Stream]
	switch {
	case m.Epoch != before.Epoch && before.Epoch != "":
		r.faultf("%s: epoch %s after %s", m.Stream, m.Epoch, before.Epoch)
	case m.Snapshot:
		r.snapshots++
	case m.Seq <= before.Seq || m.Seq > max(before.Seq, r.covered[m.Stream])+1:
		r.faultf("%s: %d after %d", m.Stream, m.Seq, before.Seq)
	case m.Seq <= r.covered[m.Stream]:
		r.left-- // it is the newest of its key
	}
	r.at[m.Stream] = resumeFrom{m.Epoch, max(m.Seq, before.Seq)}
	if r.digests[m.Stream] == nil {
		r.digests[m.Stream] = map[uint64]uint64{}
	}
	d := digest(m.Data)
	if said, ok := r.digests[m.Stream][m.Seq]; ok && said != d {
		r.faultf("%s: two things under %d", m.Stream, m.Seq)
	}
	r.digests[m.Stream][m.Seq] = d
	if r.seen != nil {
		r.seen(m)
	}
}

// subscribed holds the answer to a resume: whoever was away for seconds misses
// nothing.
func (r *soakReader) subscribed(m message) {
	var data struct {
		Streams map[thor.StreamID]struct {
			Seq       uint64
			Recovered *bool
		}
	}
	if err := json.Unmarshal(m.Data, &data); err != nil || len(data.Streams) != len(soakStreams()) {
		r.faultf("subscribed %s: %v", m.Data, err)
	}
	for id, s := range data.Streams {
		if s.Recovered != nil && !*s.Recovered {
			r.faultf("%s at %d was not recovered", id, r.at[id].Seq)
		}
	}
}

// soakConn is a connection that is read by whoever owns it.
type soakConn struct {
	net.Conn
	reader *bufio.Reader
}

// dial connects and asks for every stream from where the reader is.
func (r *soakReader) dial(buffer int) (*soakConn, error) {
	dialer := ws.Dialer{NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok && buffer > 0 {
			err = errors.Join(err, tcp.SetReadBuffer(buffer))
		}
		return conn, err
	}}
	ctx, cancel := context.WithTimeout(r.server.t.Context(), 20*time.Second)
	defer cancel()
	conn, reader, _, err := dialer.Dial(ctx, "ws"+strings.TrimPrefix(r.server.URL, "http")+"/ws/")
	if err != nil {
		return nil, err
	}
	if reader == nil {
		reader = bufio.NewReaderSize(conn, 4096)
	}
	r.connections++
	clear(r.covered)
	return &soakConn{conn, reader}, say(conn, map[string]any{"type": "subscribe", "id": r.name, "streams": soakStreams(), "resume": r.at})
}

func say(conn net.Conn, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return ws.WriteFrame(conn, ws.MaskFrameInPlace(ws.NewTextFrame(payload)))
}

// next reads a message and answers pings on the way.
func (c *soakConn) next() (m message, err error) {
	for {
		if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			return m, err
		}
		f, err := ws.ReadFrame(c.reader)
		if err != nil {
			return m, err
		}
		switch f.Header.OpCode {
		case ws.OpText:
			return m, json.Unmarshal(f.Payload, &m)
		case ws.OpPing:
			if err := ws.WriteFrame(c, ws.MaskFrameInPlace(ws.NewPongFrame(f.Payload))); err != nil {
				return m, err
			}
		case ws.OpClose:
			code, reason := ws.ParseCloseFrameData(f.Payload)
			return m, fmt.Errorf("closed with %d %s", code, reason)
		default:
		}
	}
}

// read takes messages until the reader has enough, and hangs up.
func (r *soakReader) read(buffer int, enough func() bool) {
	c, err := r.dial(buffer)
	if err != nil {
		r.faultf("connect: %w", err)
		return
	}
	defer c.Close() //nolint:errcheck // it is over
	for !enough() {
		m, err := c.next()
		if err != nil {
			r.faultf("read: %w", err)
			return
		}
		r.take(m)
	}
}

func ended(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// follow reads everything there ever was on one connection.
func (r *soakReader) follow(stop <-chan struct{}, epoch string) {
	for _, id := range soakStreams() {
		r.at[id] = resumeFrom{Epoch: epoch}
	}
	r.read(0, func() bool { return ended(stop) })
}

// comeAndGo reads for a moment, hangs up wherever it is, and comes back.
func (r *soakReader) comeAndGo(stop <-chan struct{}) {
	for !ended(stop) && len(r.faults) == 0 {
		until := time.Now().Add(200*time.Millisecond + rand.N(4*time.Second))
		r.read(0, func() bool { return ended(stop) || time.Now().After(until) })
		time.Sleep(rand.N(2 * time.Second))
	}
}

// slowly reads less than there is.
func (r *soakReader) slowly(stop <-chan struct{}) {
	r.read(4096, func() bool {
		time.Sleep(20 * time.Millisecond)
		return ended(stop)
	})
}

// readBack asks once more for the last minutes, compares them with what was
// said, and returns where the streams stand. A server keeps everything for a
// quarter of an hour and gives at most 5000 events of a stream at a time.
func (r *soakReader) readBack() map[thor.StreamID]uint64 {
	again := newReader(r.name+" again", r.server)
	for _, mark := range r.marks {
		if again.at = mark.at; time.Since(mark.when) < 4*time.Minute {
			break
		}
	}
	again.read(0, func() bool {
		for id, p := range r.at {
			if again.at[id].Seq < p.Seq {
				return false
			}
		}
		return true
	})
	again.check(r.server.t)
	again.agrees(r.server.t, r)
	for id, p := range r.at {
		if n := uint64(len(r.digests[id])); n != p.Seq {
			r.faultf("%s has %d events up to %d", id, n, p.Seq)
		}
	}
	heads := map[thor.StreamID]uint64{}
	for id, p := range again.at {
		heads[id] = p.Seq
	}
	return heads
}

// poller asks REST again and again and keeps a digest of each answer by its
// path and version.
type poller struct {
	server *server
	bodies map[string]uint64
	tags   map[string]string // the newest, by path
	faults []error
}

var pollPaths = []string{
	"/api/account/balance?account_id=PAPER-1", "/api/positions?account_id=PAPER-1",
	"/api/account/balance?account_id=PAPER-2", "/api/positions?account_id=PAPER-2",
	"/api/intraday/bars?symbol=CRYPTO.BTC-USD&limit=1", "/api/intraday/bars?symbol=FUT.ES&limit=1", "/api/global-market",
}

func (p *poller) run(stop <-chan struct{}) {
	for !ended(stop) {
		for _, path := range pollPaths {
			if err := p.ask(path); err != nil && len(p.faults) < 10 {
				p.faults = append(p.faults, err)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (p *poller) ask(path string) error {
	response, body, err := p.server.tryGet(path, "If-None-Match", p.tags[path])
	if err != nil {
		return err
	}
	tag := response.Header.Get("ETag")
	if response.StatusCode == 304 && tag == p.tags[path] {
		return nil
	}
	if response.StatusCode != 200 || tag == p.tags[path] {
		return fmt.Errorf("%s: status %d, %s after %s: %s", path, response.StatusCode, tag, p.tags[path], body)
	}
	p.tags[path] = tag
	if inner, ok := strings.CutPrefix(string(body), `{"symbol":"`); ok { // the one bar in the list
		_, inner, _ = strings.Cut(inner, `"bars":[`)
		body = []byte(strings.TrimSuffix(inner, "]}"))
	}
	version, _, _ := strings.Cut(strings.Trim(tag, `"`), ";")
	p.bodies[version] = digest(body)
	return nil
}

// compare holds the answers to what a reader got under the same version, and
// returns how many there were.
func (p *poller) compare(t *testing.T, with *soakReader) (compared int) {
	t.Helper()
	for _, err := range p.faults {
		t.Errorf("REST: %v", err)
	}
	for id, digests := range with.digests {
		if id == "global_market" {
			continue // a list of markets is more than the newest event
		}
		for seq, d := range digests {
			body, ok := p.bodies[thor.Version{Epoch: with.at[id].Epoch, Seq: seq}.ETag(id)]
			if !ok {
				body, ok = p.bodies[fmt.Sprintf("%s:%s-%d", id, with.at[id].Epoch, seq)]
			}
			if !ok {
				continue
			}
			if compared++; body != d {
				t.Errorf("%s %d is not the same over REST and WebSocket", id, seq)
			}
		}
	}
	if compared < 50 {
		t.Errorf("%d answers of REST could be compared, want at least 50", compared)
	}
	return compared
}
