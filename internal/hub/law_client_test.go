package hub

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"thor"
)

// lawClient is a client that believes nothing: it reads bytes, holds them to the
// wire and to the model, and keeps the first thing that is wrong. What it holds
// of a stream outlives its connections, for the next one resumes from it.
type lawClient struct {
	w      *lawWorld
	harmed bool // the network may end its connections

	mu    sync.Mutex // guards what follows
	moved *sync.Cond // the pace or the connection changed
	pace  reading
	err   error
	views map[thor.StreamID]*view

	// Of the connection.
	conn      io.ReadWriteCloser
	read      chan struct{} // closed when the reader has ended
	ended     bool
	held      bool // the pace was less than all at some time, so the server may have given up
	closing   bool // a close frame came
	greeted   bool
	accounts  []string          // by the token that rules
	granted   map[string]bool   // by any token of this connection
	tokens    [][]string        // on their way
	asks      map[string]lawAsk // subscribes on their way, by id
	byDefault bool              // no subscribe was answered
	attached  map[thor.StreamID]bool
	nextID    int
	said      int    // messages
	tail      []byte // the last bytes, for a canary cut in two
}

// reading is how a client reads.
type reading struct {
	budget int // bytes it still reads; negative is no bound
	chunk  int // bytes in one read
}

// view is what a client holds of a stream.
type view struct {
	epoch  string
	last   uint64
	state  map[string]uint64 // seq by key
	finals map[uint64]bool

	awaiting bool   // only a snapshot can come
	told     uint64 // the version it must have; 0 is any
	exactTo  uint64 // replayed up to here, without a gap
	gapFrom  uint64
	gapTo    uint64 // 0 is none

	part, parts int // of the snapshot that is coming
	coming      map[string]uint64
	comingSeq   uint64
}

// lawAsk is a subscribe.
type lawAsk struct {
	resume map[thor.StreamID]resumePoint
	heads  map[thor.StreamID]uint64 // when it was asked
}

func newLawClient(w *lawWorld) *lawClient {
	c := &lawClient{w: w, views: map[thor.StreamID]*view{}, pace: reading{-1, 4096}, ended: true}
	c.moved = sync.NewCond(&c.mu)
	return c
}

// failf notes what is wrong, if it is the first. mu is held.
func (c *lawClient) failf(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// connect begins a connection with a token for some accounts.
func (c *lawClient) connect(ctx context.Context, accounts []string) error {
	conn, err := c.w.transport.dial(ctx, c.w)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.conn, c.read = conn, make(chan struct{})
	c.ended, c.closing, c.greeted, c.held = false, false, false, c.harmed || c.pace.budget >= 0
	c.accounts, c.granted, c.tokens, c.said = nil, map[string]bool{}, nil, 0
	c.asks, c.attached, c.byDefault, c.tail = map[string]lawAsk{}, map[thor.StreamID]bool{}, true, nil
	for _, v := range c.views {
		v.drop()
	}
	c.mu.Unlock()
	go c.receive(conn, c.read)
	return c.auth(accounts)
}

// disconnect ends the connection without a word.
func (c *lawClient) disconnect() {
	if c.conn == nil {
		return
	}
	c.mu.Lock()
	c.ended = true
	c.moved.Broadcast()
	c.mu.Unlock()
	c.conn.Close() //nolint:errcheck // it may have ended
	<-c.read
	c.conn = nil
}

func (c *lawClient) auth(accounts []string) error {
	token, err := c.w.token(accounts)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.tokens = append(c.tokens, accounts)
	for _, a := range accounts {
		c.granted[a] = true
	}
	c.mu.Unlock()
	c.say(map[string]any{"type": "auth", "token": token})
	return nil
}

// subscribe asks for streams; resume says from where, and may lie.
func (c *lawClient) subscribe(ids []thor.StreamID, resume map[thor.StreamID]resumePoint) {
	heads := map[thor.StreamID]uint64{}
	for _, id := range ids {
		heads[id] = c.w.ledger.shown(id)
	}
	c.mu.Lock()
	c.nextID++
	id := strconv.Itoa(c.nextID)
	c.asks[id] = lawAsk{resume, heads}
	c.mu.Unlock()
	points := map[thor.StreamID]map[string]any{}
	for stream, p := range resume {
		points[stream] = map[string]any{"epoch": p.Epoch, "seq": p.Seq}
	}
	c.say(map[string]any{"type": "subscribe", "id": id, "streams": ids, "resume": points})
}

// honest is the resume points of what the client holds.
func (c *lawClient) honest(ids []thor.StreamID) map[thor.StreamID]resumePoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	points := map[thor.StreamID]resumePoint{}
	for _, id := range ids {
		if v := c.views[id]; v != nil && v.state != nil {
			points[id] = resumePoint{v.epoch, v.last}
		}
	}
	return points
}

// say sends a message. Who says more at once than is taken is refused, which is
// not what the laws are about: so it says the rest as fast as it may.
func (c *lawClient) say(message map[string]any) {
	c.mu.Lock()
	c.said++
	over := c.said > inboundBurst
	c.mu.Unlock()
	if over {
		pause(time.Second/inboundRate + time.Millisecond)
	}
	payload, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	c.send(wire(fin|text, string(payload)))
}

func (c *lawClient) send(frame []byte) {
	c.mu.Lock()
	conn, ended := c.conn, c.ended
	c.mu.Unlock()
	if !ended {
		conn.Write(frame) //nolint:errcheck // the server may have ended it
	}
}

// setPace changes how the client reads.
func (c *lawClient) setPace(p reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pace = p
	c.held = c.held || p.budget >= 0
	c.moved.Broadcast()
}

// receive reads until the connection ends.
func (c *lawClient) receive(conn io.Reader, read chan struct{}) {
	defer close(read)
	var pending []byte
	buffer := make([]byte, 4096)
	for {
		c.mu.Lock()
		for c.pace.budget == 0 && !c.ended {
			c.moved.Wait()
		}
		n := min(c.pace.chunk, len(buffer))
		if c.pace.budget > 0 {
			n = min(n, c.pace.budget)
		}
		stop := c.ended
		c.mu.Unlock()
		if stop {
			return
		}
		n, err := conn.Read(buffer[:n])
		c.mu.Lock()
		if c.pace.budget > 0 {
			c.pace.budget -= min(n, c.pace.budget)
		}
		c.scan(buffer[:n])
		pending = append(pending, buffer[:n]...)
		for c.err == nil {
			size := c.frame(pending)
			if size == 0 {
				break
			}
			pending = pending[size:]
		}
		if err != nil {
			if !c.held && !c.closing && !c.ended && c.w.lives() {
				c.failf("the server ended the connection: %w", err)
			}
			c.ended = true
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
	}
}

// scan looks for what belongs to somebody else in every byte.
func (c *lawClient) scan(data []byte) {
	c.tail = append(c.tail, data...)
	for _, id := range lawStreams {
		if id.Private() && !c.granted[id.Owner()] && bytes.Contains(c.tail, []byte(canaryOf(id))) {
			c.failf("bytes of %s, which is not the client's", id)
		}
	}
	c.tail = bytes.Clone(c.tail[max(0, len(c.tail)-64):])
}

// frame takes one frame off the bytes and returns its size; 0 when it is not
// whole.
func (c *lawClient) frame(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	start, length := 2, uint64(b[1])
	switch {
	case b[0]&^0xf != fin || b[1]&masks != 0:
		c.failf("a server's frame begins with %x", b[:2])
		return 0
	case length == 126 && len(b) >= 4:
		start, length = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case length == 127 && len(b) >= 10:
		start, length = 10, binary.BigEndian.Uint64(b[2:])
	case length >= 126:
		return 0
	}
	if uint64(len(b)-start) < length {
		return 0
	}
	payload := b[start : start+int(length)]
	if c.closing {
		c.failf("behind the close came %q", payload)
	}
	switch ws.OpCode(b[0] & 0xf) {
	case ws.OpText:
		c.message(payload)
	case ws.OpClose:
		c.closing = true
		if code := binary.BigEndian.Uint16(payload); !c.held {
			c.failf("the server closed with %d %s", code, payload[2:])
		}
	case ws.OpPing:
		go c.send(wire(fin|pongOp, string(payload)))
	default:
		c.failf("a server's frame begins with %x", b[:2])
	}
	return start + int(length)
}

// lawMessage is what the client looks at.
type lawMessage struct {
	Type     string          `json:"type"`
	ID       json.RawMessage `json:"id"`
	Data     json.RawMessage `json:"data"`
	Stream   thor.StreamID   `json:"stream"`
	Seq      uint64          `json:"seq"`
	Epoch    string          `json:"epoch"`
	TS       int64           `json:"ts"`
	Snapshot bool            `json:"snapshot"`
	Part     int             `json:"part"`
	Parts    int             `json:"parts"`
	At       uint64          `json:"at"`
}

// message holds one message to the laws.
func (c *lawClient) message(payload []byte) {
	var m lawMessage
	if err := json.Unmarshal(payload, &m); err != nil || bytes.ContainsRune(payload, '\n') {
		c.failf("not one JSON object: %q: %v", payload, err)
		return
	}
	want := fmt.Sprintf(`{"type":%q,`, m.Type)
	if len(m.ID) > 0 {
		want += `"id":` + string(m.ID) + `,`
	}
	if !bytes.HasPrefix(payload, append([]byte(want+`"data":`), m.Data...)) {
		c.failf("type is not first and data not second: %s", payload)
	}
	switch m.Type {
	case "hello":
		c.greeted = true
	case "heartbeat":
	case "authenticated":
		c.authenticated()
	case "subscribed":
		c.subscribed(m)
	case "unsubscribed":
		for _, id := range lawData[streamsData](c, m).Streams {
			c.detached(id)
		}
	case "gap":
		c.gap(m)
	case "reset":
		c.reset(lawData[resetData](c, m))
	case "error":
		if e := lawData[errorData](c, m); e.Code != thor.EFORBIDDEN {
			c.failf("the server refused: %s", m.Data)
		}
	default:
		c.event(m)
	}
}

func lawData[T any](c *lawClient, m lawMessage) (v T) {
	if err := json.Unmarshal(m.Data, &v); err != nil {
		c.failf("the data of %s: %w", m.Type, err)
	}
	return v
}

func (c *lawClient) sees(id thor.StreamID) bool {
	return !id.Private() || slices.Contains(c.accounts, id.Owner())
}

func (c *lawClient) authenticated() {
	if len(c.tokens) == 0 {
		c.failf("authenticated by no token")
		return
	}
	c.accounts, c.tokens = c.tokens[0], c.tokens[1:]
	for id := range c.attached {
		if !c.sees(id) {
			c.detached(id)
		}
	}
}

// detached is told that nothing of a stream may come until it begins again.
func (c *lawClient) detached(id thor.StreamID) {
	delete(c.attached, id)
	if v := c.views[id]; v != nil {
		v.drop()
	}
}

// drop forgets what was on its way.
func (v *view) drop() {
	v.awaiting, v.told, v.exactTo, v.gapTo, v.part, v.parts = false, 0, 0, 0, 0, 0
}

func (c *lawClient) subscribed(m lawMessage) {
	id := strings.Trim(string(m.ID), `"`)
	ask, ok := c.asks[id]
	if !ok {
		c.failf("an answer to %s, which was not asked", m.ID)
		return
	}
	delete(c.asks, id)
	if c.byDefault { // it ends what was not asked for
		for old := range maps.Clone(c.attached) {
			if _, again := ask.heads[old]; !again {
				c.detached(old)
			}
		}
	}
	c.byDefault = false
	for id, told := range lawData[subscribedData](c, m).Streams {
		if !c.sees(id) {
			c.failf("subscribed to %s", id)
		}
		c.begin(id, told, ask)
	}
}

// begin begins a stream as the answer to a subscribe says.
func (c *lawClient) begin(id thor.StreamID, told subscribedStream, ask lawAsk) {
	v := c.views[id]
	if v == nil {
		v = &view{}
		c.views[id] = v
	}
	v.drop()
	c.attached[id] = true
	from, resumed := ask.resume[id]
	head, epoch := c.w.ledger.head(id), c.w.epoch()
	switch {
	case told.Epoch != epoch || told.Seq > head:
		c.failf("%s: told %+v of a stream at %s-%d", id, told, epoch, head)
	case resumed != (told.Recovered != nil):
		c.failf("%s: asked %+v and told %+v", id, from, told)
	case resumed && *told.Recovered:
		if from.Epoch != epoch || from.Seq > head || from.Seq+told.Replayed != told.Seq {
			c.failf("%s: recovered from %+v to %+v, at %d", id, from, told, head)
		}
		if v.state == nil || v.epoch != from.Epoch || v.last != from.Seq { // it had lied
			v.state, v.finals = c.w.ledger.latest(id, from.Epoch, from.Seq), map[uint64]bool{}
		}
		v.epoch, v.last, v.exactTo = from.Epoch, from.Seq, told.Seq
	default:
		quiet := c.w.ledger.shown(id) == ask.heads[id] || !c.w.evicts()
		if resumed && from.Epoch == epoch && from.Seq <= ask.heads[id] && c.w.transport.virtual && quiet {
			c.failf("%s: not recovered from %+v, at %d", id, from, head)
		}
		v.awaiting, v.told = told.Seq > 0, told.Seq
		if told.Seq == 0 {
			v.epoch, v.last, v.state, v.finals = epoch, 0, map[string]uint64{}, map[uint64]bool{}
		}
	}
}

// empty begins a stream of the default that had no event when it began: nothing
// is said of it until its first.
func (c *lawClient) empty(id thor.StreamID, first uint64) bool {
	if c.attached[id] || !c.byDefault || first != 1 {
		return false
	}
	c.views[id] = &view{epoch: c.w.epoch(), state: map[string]uint64{}, finals: map[uint64]bool{}}
	c.attached[id] = true
	return true
}

func (c *lawClient) gap(m lawMessage) {
	g := lawData[struct {
		Stream   thor.StreamID
		From, To uint64
		Reason   string
	}](c, m)
	if !c.attached[g.Stream] && !c.empty(g.Stream, g.From) {
		c.failf("a gap of %s, which the client does not follow", g.Stream)
		return
	}
	v := c.views[g.Stream]
	if v.awaiting || v.parts > 0 || v.gapTo > 0 || v.last < v.exactTo || g.From != v.last+1 || g.To < g.From || g.To > c.w.ledger.head(g.Stream) || g.Reason == "" {
		c.failf("%s: the gap %+v after %d (%+v)", g.Stream, g, v.last, *v)
	}
	v.gapFrom, v.gapTo = g.From, g.To
}

func (c *lawClient) reset(r resetData) {
	if !c.attached[r.Stream] && c.byDefault && c.sees(r.Stream) {
		return // it had no event yet
	}
	if !c.attached[r.Stream] {
		c.failf("a reset of %s, which the client does not follow", r.Stream)
		return
	}
	c.detached(r.Stream)
	switch r.Reason {
	case "off":
	case "epoch_changed":
		c.attached[r.Stream], c.views[r.Stream].awaiting = true, true
	default:
		c.failf("a reset for %q", r.Reason)
	}
}

// event takes an event of a stream.
func (c *lawClient) event(m lawMessage) {
	stored, ok := c.w.ledger.event(m.Stream, m.Epoch, m.Seq)
	if !ok || stored.Type != m.Type || !bytes.Equal(stored.Data, m.Data) || stored.Time.UnixMilli() != m.TS {
		c.failf("%s/%d of %s is not what was stored: %s, want %s", m.Stream, m.Seq, m.Epoch, m.Data, stored.Data)
		return
	}
	if !c.sees(m.Stream) {
		c.failf("%s/%d, which the client may not see", m.Stream, m.Seq)
	}
	if m.Snapshot {
		c.part(m, stored.Key)
		return
	}
	if !c.attached[m.Stream] && !c.empty(m.Stream, m.Seq) {
		c.failf("%s/%d, which the client does not follow", m.Stream, m.Seq)
		return
	}
	v := c.views[m.Stream]
	switch {
	case v.awaiting || v.parts > 0:
		c.failf("%s/%d before its snapshot", m.Stream, m.Seq)
	case m.Epoch != v.epoch:
		c.failf("%s/%d of %s in the epoch %s", m.Stream, m.Seq, m.Epoch, v.epoch)
	case m.Seq <= v.last:
		c.failf("%s/%d after %d", m.Stream, m.Seq, v.last)
	case m.Seq != v.last+1 && m.Seq > v.gapTo:
		c.failf("%s/%d after %d, and nothing says why", m.Stream, m.Seq, v.last)
	}
	v.last, v.state[stored.Key] = m.Seq, m.Seq
	if stored.Final {
		v.finals[m.Seq] = true
	}
	if v.gapTo > 0 && m.Seq == v.gapTo {
		c.endGap(m.Stream, v)
	}
}

// endGap holds what came instead of a gap to the policy: the newest event of
// each key, and every final one. A long gap comes in pieces, each with what is
// newest when it goes out; so a key may be behind at the end of one if a newer
// event of it lies behind the gap. That it comes is held by [lawClient.behind].
func (c *lawClient) endGap(id thor.StreamID, v *view) {
	now := c.w.ledger.latest(id, v.epoch, c.w.ledger.head(id))
	for key, want := range c.w.ledger.latest(id, v.epoch, v.last) {
		if v.state[key] != want && now[key] == want {
			c.failf("%s: behind the gap %d-%d the client holds %v, want %d of %s", id, v.gapFrom, v.gapTo, v.state, want, key)
		}
	}
	for _, seq := range c.w.ledger.owed(id, v.epoch, v.gapFrom, v.gapTo, c.w.evicts()) {
		if !v.finals[seq] {
			c.failf("%s: the gap %d-%d left out the final %d", id, v.gapFrom, v.gapTo, seq)
		}
	}
	v.gapTo = 0
}

// part takes a part of a snapshot.
func (c *lawClient) part(m lawMessage, key string) {
	v := c.views[m.Stream]
	if v == nil {
		v = &view{}
		c.views[m.Stream] = v
	}
	if m.Part == 1 {
		if c.attached[m.Stream] && !v.awaiting || !c.attached[m.Stream] && !c.byDefault {
			c.failf("%s: a snapshot nobody asked for", m.Stream)
		}
		if v.parts > 0 {
			c.failf("%s: a snapshot begins within another", m.Stream)
		}
		c.attached[m.Stream], v.awaiting = true, true
		v.coming, v.part, v.parts, v.comingSeq = map[string]uint64{}, 0, m.Parts, 0
	}
	v.part++
	if m.Part != v.part || m.Parts != v.parts || m.Seq <= v.comingSeq || m.Epoch != c.w.epoch() {
		c.failf("%s: part %d of %d with seq %d, after part %d of %d with %d", m.Stream, m.Part, m.Parts, m.Seq, v.part-1, v.parts, v.comingSeq)
	}
	v.coming[key], v.comingSeq = m.Seq, m.Seq
	if (m.At != 0) != (m.Part == m.Parts) {
		c.failf("%s: part %d of %d with at %d", m.Stream, m.Part, m.Parts, m.At)
	}
	if m.At == 0 {
		return
	}
	if want := c.w.ledger.latest(m.Stream, m.Epoch, m.At); !maps.Equal(want, v.coming) {
		c.failf("%s: the snapshot at %d is %v, want %v", m.Stream, m.At, v.coming, want)
	}
	if v.told != 0 && v.told != m.At || v.epoch == m.Epoch && m.At < v.last {
		c.failf("%s: a snapshot at %d, told %d, after %d", m.Stream, m.At, v.told, v.last)
	}
	v.drop()
	v.epoch, v.last, v.state, v.finals = m.Epoch, m.At, v.coming, map[uint64]bool{}
}

// behind says why the client is not where the model is, or "".
func (c *lawClient) behind() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil, c.ended:
		return ""
	case len(c.tokens) > 0, len(c.asks) > 0, !c.greeted:
		return "an answer is missing"
	}
	for id := range c.attached {
		v := c.views[id]
		head := c.w.ledger.head(id)
		switch {
		case v.awaiting || v.parts > 0:
			return fmt.Sprintf("%s: no snapshot", id)
		case v.last != head || v.gapTo > 0:
			return fmt.Sprintf("%s: at %d, the stream at %d", id, v.last, head)
		case !maps.Equal(v.state, c.w.ledger.latest(id, v.epoch, head)):
			return fmt.Sprintf("%s: holds %v, want %v", id, v.state, c.w.ledger.latest(id, v.epoch, head))
		}
	}
	return ""
}

// follows reports whether the client follows all of these.
func (c *lawClient) follows(ids []thor.StreamID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.ContainsFunc(ids, func(id thor.StreamID) bool { return !c.attached[id] })
}

// fault is the first thing that was wrong.
func (c *lawClient) fault() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// gone reports whether the connection has ended.
func (c *lawClient) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}
