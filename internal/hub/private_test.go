package hub

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sync/errgroup"

	"thor"
	"thor/internal/auth"
	"thor/internal/stream"
)

const (
	spyOwners   = 50
	spies       = 60 // connections at a time; some spyOwners have two
	spySteps    = 40 // of each
	canaryMark  = "canary-"
	spyPatience = 30 * time.Second // only so that a fault ends the test
)

// TestEveryByte lets sixty connections of fifty users do at random what clients
// may do, while everybody's data is published, and looks at every byte they
// receive: none may be of a stream the principal of that moment may not see.
//
// The moment is exact, for a connection's bytes have an order: up to and with
// the frame that answers auth they belong to the principal before, everything
// behind it to the new one. What was on its way when a token was sent is
// therefore before the answer, and nothing is excused.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	const seed = 20261123

	p := newPrivateWorld(t, seed)
	stop, published := make(chan struct{}), make(chan error, 1)
	go func() { published <- p.publishOn(t.Context(), stop) }()

	var spying errgroup.Group
	for i := range spies {
		spying.Go(func() error {
			s := &spy{world: p, chance: rand.New(rand.NewPCG(seed, uint64(i))), owner: i % spyOwners}
			defer s.hangUp()
			if err := s.run(t.Context(), i%3 == 0); err != nil {
				return fmt.Errorf("seed %d, connection %d as %s: %w", seed, i, p.names[s.owner], err)
			}
			return nil
		})
	}
	if err := errors.Join(spying.Wait(), p.stopPublishing(stop, published)); err != nil {
		t.Fatal(err)
	}
	// A check that saw nothing has checked nothing.
	for i := range spyOwners {
		if p.seen[i].Load() == 0 {
			t.Errorf("%s has never got any of its own data", p.names[i])
		}
	}
	for what, count := range map[string]*atomic.Int64{
		"swaps of a token": &p.swaps, "refusals of a foreign stream": &p.refusals,
		"resumes from the log": &p.replays, "resumes from the store": &p.stored, "resumes that were not recovered": &p.lost,
		"returns": &p.returns,
	} {
		t.Logf("%d %s", count.Load(), what)
		if count.Load() < spies/2 {
			t.Errorf("%d %s: that is no test of them", count.Load(), what)
		}
	}
}

// privateWorld is a hub whose streams are all somebody's own, but for one.
type privateWorld struct {
	*world
	url      string
	names    [spyOwners]string
	tokens   [spyOwners]string
	canaries [spyOwners]string
	whose    map[string]int // canary
	seen     [spyOwners]atomic.Int64

	swaps, refusals, replays, stored, lost, returns atomic.Int64
}

// keptEntries is about how many entries of a stream the logs hold: few, so that
// resumes lie below their floor and are read from the store.
const keptEntries = 8

func newPrivateWorld(t *testing.T, seed uint64) *privateWorld {
	t.Helper()
	door := &auth.Door{Key: bytes.Repeat([]byte("k"), auth.MinKey)}
	p := &privateWorld{whose: map[string]int{}}
	p.world = newWorld(t, t.TempDir(), func(c *Config) { c.Door = door })
	p.logs.Limits = func(thor.StreamID) stream.Limits { return stream.Limits{Keep: keptEntries * 300} }
	chance := rand.New(rand.NewPCG(seed, spyOwners))
	for i := range spyOwners {
		p.names[i] = fmt.Sprintf("U%02d", i)
		random := make([]byte, 16)
		for b := range random {
			random[b] = byte(chance.Uint32())
		}
		p.canaries[i] = canaryMark + hex.EncodeToString(random)
		p.whose[p.canaries[i]] = i
		var err error
		p.tokens[i], err = door.NewToken(auth.Principal{
			Subject: p.names[i], Accounts: []string{p.names[i]}, Roles: []auth.Role{auth.Viewer},
		}, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range 2 * keptEntries { // there is a past from the beginning
		p.publish(t, p.round(n)...)
	}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = "ws" + strings.TrimPrefix(server.URL, "http") + "/ws/"
	return p
}

// round is one event of everything.
func (p *privateWorld) round(n int) []thor.Event {
	drafts := []thor.Event{{Stream: "global_market", Type: "market_status", Key: "k", Data: fmt.Appendf(nil, `{"n":%d}`, n)}}
	for i := range spyOwners {
		for _, feature := range []string{"positions", "account_balance"} {
			drafts = append(drafts, thor.Event{
				Stream: thor.NewStreamID(feature, p.names[i]), Type: feature, Key: p.names[i],
				Data: fmt.Appendf(nil, `{"n":%d,"secret":%q}`, n, p.canaries[i]),
			})
		}
	}
	return drafts
}

func (p *privateWorld) publishOn(ctx context.Context, stop <-chan struct{}) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 2 * keptEntries; ; n++ {
		events, err := p.store.Append(ctx, time.Now(), p.round(n))
		if err == nil {
			err = p.logs.Append(ctx, events)
		}
		if err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
	}
}

func (p *privateWorld) stopPublishing(stop chan struct{}, published <-chan error) error {
	close(stop)
	return <-published
}

// streams are an owner's own.
func (p *privateWorld) streams(owner int) []thor.StreamID {
	return []thor.StreamID{thor.NewStreamID("positions", p.names[owner]), thor.NewStreamID("account_balance", p.names[owner])}
}

// spy is a client that reads everything and trusts nothing.
type spy struct {
	world  *privateWorld
	chance *rand.Rand
	owner  int // whose token the connection was told last, and has answered

	conn    net.Conn
	reader  *bufio.Reader
	asked   int
	said    int // on this connection
	own     int // canaries of the owner since it became the owner
	held    map[thor.StreamID]resumePoint
	pending map[string]int // owners by the id of an auth that is not answered yet
}

func (s *spy) run(ctx context.Context, byDefault bool) error {
	s.held = map[thor.StreamID]resumePoint{}
	if err := s.dial(ctx); err != nil {
		return err
	}
	if byDefault { // the default begins, and follows every swap by itself
		if err := s.ownArrives(); err != nil {
			return err
		}
	}
	for step := range spySteps {
		if err := s.step(ctx); err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
	}
	return s.ask(command{Type: "subscribe", Streams: s.world.streams(s.owner)}, s.ownArrives)
}

// step does one thing at random, and reads at least up to its answer.
func (s *spy) step(ctx context.Context) error {
	other := s.chance.IntN(spyOwners)
	own, foreign := s.world.streams(s.owner), s.world.streams(other)
	switch s.chance.IntN(9) {
	case 0:
		return s.ask(command{Type: "subscribe", Streams: own}, s.ownArrives)
	case 1:
		return s.ask(command{Type: "subscribe", Streams: append(foreign, "global_market")}, nil)
	case 2:
		return s.ask(command{Type: "subscribe", Streams: own, Resume: s.held}, nil)
	case 3: // somebody else's stream from where it stands: epoch and seq are no secrets
		return s.ask(command{Type: "subscribe", Streams: foreign, Resume: s.guesses(foreign)}, nil)
	case 4:
		return s.ask(command{Type: "subscribe", Streams: own, Resume: s.guesses(own)}, nil)
	case 5:
		return s.ask(command{Type: "unsubscribe", Streams: []thor.StreamID{own[s.chance.IntN(2)], foreign[0]}}, nil)
	case 6:
		s.world.returns.Add(1)
		s.hangUp()
		if s.chance.IntN(2) == 0 { // as somebody else
			s.owner, s.held = other, map[thor.StreamID]resumePoint{}
		}
		return s.dial(ctx)
	default:
		s.world.swaps.Add(1)
		// A resume that has to wait for the store, then the swap, in one breath.
		if err := s.send(command{Type: "subscribe", Streams: own, Resume: s.guesses(own)}, nil); err != nil {
			return err
		}
		if err := s.ask(command{Type: "auth", Token: s.world.tokens[other]}, nil); err != nil {
			return err
		}
		return s.ask(command{Type: "subscribe", Streams: s.world.streams(other)}, s.ownArrives)
	}
}

// guesses are points a client could make up: below the floor, at the head,
// beyond it, of another epoch.
func (s *spy) guesses(ids []thor.StreamID) map[thor.StreamID]resumePoint {
	guesses := map[thor.StreamID]resumePoint{}
	for _, id := range ids {
		log, err := s.world.logs.Attach(auth.LocalOperator(), id)
		if err != nil {
			continue
		}
		at := log.Version()
		point := resumePoint{Epoch: at.Epoch, Seq: at.Seq}
		switch s.chance.IntN(5) {
		case 0:
			point.Seq = s.chance.Uint64N(keptEntries)
		case 1:
			point.Seq -= min(point.Seq, 2)
		case 2:
			point.Seq += 1000
		case 3:
			point.Epoch = "guess"
		default:
		}
		guesses[id] = point
	}
	return guesses
}

// dial connects with the owner's token, in the header or as the first message.
func (s *spy) dial(ctx context.Context) error {
	s.pending, s.own, s.said = map[string]int{}, 0, 0
	byHeader := s.chance.IntN(2) == 0
	dialer := ws.Dialer{Timeout: spyPatience}
	if byHeader {
		dialer.Header = ws.HandshakeHeaderHTTP(http.Header{"Authorization": {"Bearer " + s.world.tokens[s.owner]}})
	}
	conn, reader, _, err := dialer.Dial(ctx, s.world.url)
	if err != nil {
		return err
	}
	s.conn, s.reader = conn, reader
	if reader == nil {
		s.reader = bufio.NewReader(conn)
	}
	if err := conn.SetDeadline(time.Now().Add(spyPatience)); err != nil {
		return err
	}
	if !byHeader {
		if err := s.ask(command{Type: "auth", Token: s.world.tokens[s.owner]}, nil); err != nil {
			return err
		}
	}
	return s.readUntil(func(m message) bool { return m.Type == "hello" })
}

func (s *spy) hangUp() { s.conn.Close() } //nolint:errcheck // it is over

// ask sends a command, reads up to its answer, and does what comes then.
func (s *spy) ask(c command, then func() error) error {
	var id string
	if err := s.send(c, &id); err != nil {
		return err
	}
	want := `"` + id + `"`
	if err := s.readUntil(func(m message) bool { return string(m.ID) == want && m.Type != "error" }); err != nil {
		return fmt.Errorf("%s: %w", c.Type, err)
	}
	if then == nil {
		return nil
	}
	return then()
}

// send sends a command, as fast as commands are taken: one too many would not be
// looked at.
func (s *spy) send(c command, id *string) error {
	if s.said++; s.said > inboundBurst {
		pause(time.Second/inboundRate + time.Millisecond)
	}
	s.asked++
	own := fmt.Sprintf("%s-%d", s.world.names[s.owner], s.asked)
	if id != nil {
		*id = own
	}
	if c.Type == "auth" {
		s.pending[`"`+own+`"`] = slices.Index(s.world.tokens[:], c.Token)
	}
	said := map[string]any{"type": c.Type, "id": own}
	if len(c.Streams) > 0 {
		said["streams"] = c.Streams
	}
	if len(c.Resume) > 0 {
		points := map[thor.StreamID]any{}
		for id, point := range c.Resume {
			points[id] = map[string]any{"epoch": point.Epoch, "seq": point.Seq}
		}
		said["resume"] = points
	}
	if c.Token != "" {
		said["token"] = c.Token
	}
	payload, err := json.Marshal(said)
	if err != nil {
		return err
	}
	return ws.WriteFrame(s.conn, ws.MaskFrameInPlace(ws.NewTextFrame(payload)))
}

// ownArrives reads until the owner has got something of their own.
func (s *spy) ownArrives() error {
	before := s.own
	return s.readUntil(func(message) bool { return s.own > before })
}

// readUntil reads frames, looks at every byte of each, and returns when one
// satisfies the condition.
func (s *spy) readUntil(done func(message) bool) error {
	for {
		var raw bytes.Buffer
		frame, err := ws.ReadFrame(io.TeeReader(s.reader, &raw))
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if err := s.inspect(raw.Bytes()); err != nil {
			return err
		}
		switch frame.Header.OpCode {
		case ws.OpText:
		case ws.OpClose:
			return fmt.Errorf("closed: %s", frame.Payload)
		default:
			continue
		}
		m := message{raw: string(frame.Payload)}
		if err := json.Unmarshal(frame.Payload, &m); err != nil {
			return fmt.Errorf("frame %q: %w", frame.Payload, err)
		}
		if err := s.note(m); err != nil {
			return err
		}
		if done(m) {
			return nil
		}
	}
}

// inspect looks for canaries of others.
func (s *spy) inspect(raw []byte) error {
	for rest := raw; ; {
		at := bytes.Index(rest, []byte(canaryMark))
		if at < 0 {
			return nil
		}
		rest = rest[at:]
		canary := string(rest[:min(len(rest), len(s.world.canaries[0]))])
		owner, ok := s.world.whose[canary]
		if !ok {
			return fmt.Errorf("%q is nobody's", canary)
		}
		if owner != s.owner {
			return fmt.Errorf("got data of %s: %q", s.world.names[owner], raw)
		}
		s.own++
		s.world.seen[owner].Add(1)
		rest = rest[len(canary):]
	}
}

// note keeps what a message says: who the connection is now, where streams
// stand, and that no answer names a stream of somebody else.
func (s *spy) note(m message) error {
	if owner, ok := s.pending[string(m.ID)]; ok && m.Type == "authenticated" {
		delete(s.pending, string(m.ID))
		if want := fmt.Sprintf(`{"sub":%q,"roles":["viewer"]}`, s.world.names[owner]); string(m.Data) != want {
			return fmt.Errorf("authenticated as %s, want %s", m.Data, want)
		}
		if owner != s.owner {
			s.owner, s.own, s.held = owner, 0, map[thor.StreamID]resumePoint{}
		}
	}
	if m.Stream != "" {
		s.held[m.Stream] = resumePoint{Epoch: m.Epoch, Seq: m.Seq}
		return s.mayName(m.Stream)
	}
	switch m.Type {
	case "error":
		var fault errorData
		if err := json.Unmarshal(m.Data, &fault); err != nil || fault.Code != thor.EFORBIDDEN {
			return fmt.Errorf("error %s", m.raw)
		}
		s.world.refusals.Add(1)
	case "hello", "subscribed":
		var told struct {
			Streams map[thor.StreamID]subscribedStream `json:"streams"`
		}
		if err := json.Unmarshal(m.Data, &told); err != nil {
			return err
		}
		for id, at := range told.Streams {
			if err := s.mayName(id); err != nil {
				return err
			}
			s.count(at)
		}
	}
	return nil
}

// count counts what became of a resume.
func (s *spy) count(at subscribedStream) {
	switch {
	case at.Recovered == nil:
	case !*at.Recovered:
		s.world.lost.Add(1)
	case at.Replayed > 2*keptEntries:
		s.world.stored.Add(1)
	default:
		s.world.replays.Add(1)
	}
}

func (s *spy) mayName(id thor.StreamID) error {
	if id.Private() && id.Owner() != s.world.names[s.owner] {
		return fmt.Errorf("was told of the stream %s", id)
	}
	return nil
}
