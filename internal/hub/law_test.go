package hub

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"thor"
	"thor/internal/auth"
	"thor/internal/store/sqlite"
	"thor/internal/stream"
)

// The laws of delivery, with a reference model. Whatever is published, asked for
// and torn down, for every client and stream:
//
//   - seqs rise within an epoch, and every hole is covered by a gap, a reset or a
//     snapshot;
//   - what comes is what was stored under that version, byte for byte;
//   - a snapshot and the end of a gap are the model's newest event of each key;
//     no final event is left out that the log still held;
//   - a resume replays exactly, and is refused only when it must be;
//   - what a client does not follow or may not see never comes: every stream has
//     a canary, and every byte is scanned for those of others;
//   - a message is one JSON object in one frame, type first and data second;
//   - in the end everybody holds what the model holds.

// lawStep is something that happens. Which of the numbers matter depends on op.
type lawStep struct {
	op       string
	client   int
	streams  []int
	stream   int
	n        int // events, bytes of budget, milliseconds, or the seq of a resume
	key      int
	final    bool
	size     int
	chunk    int
	accounts []string
	resume   string
}

func (s lawStep) String() string {
	switch s.op {
	case "publish", "hole":
		return fmt.Sprintf("%s %d of %s, key %d, final %t, size %d", s.op, s.n, lawStreams[s.stream], s.key, s.final, s.size)
	case "connect", "token":
		return fmt.Sprintf("%s %d %v", s.op, s.client, s.accounts)
	case "subscribe":
		return fmt.Sprintf("subscribe %d %v, resume %s %d", s.client, s.ids(), s.resume, s.n)
	case "unsubscribe":
		return fmt.Sprintf("unsubscribe %d %v", s.client, s.ids())
	case "pace":
		return fmt.Sprintf("pace %d: %d in reads of %d", s.client, s.n, s.chunk)
	case "disconnect":
		return fmt.Sprintf("disconnect %d", s.client)
	case "off", "on":
		return s.op + " " + lawStreams[s.stream].Feature()
	}
	return fmt.Sprintf("%s %d", s.op, s.n)
}

func (s lawStep) ids() []thor.StreamID {
	var ids []thor.StreamID
	for _, i := range s.streams {
		ids = append(ids, lawStreams[i])
	}
	return ids
}

const lawClients = 3

var (
	// lawOps are drawn as often as they are listed; a failure is made simpler
	// towards the first.
	lawOps = []string{
		"rest", "publish", "publish", "publish", "publish", "hole", "connect", "connect", "subscribe", "subscribe", "unsubscribe",
		"pace", "pace", "pace", "disconnect", "off", "on", "token", "restart", "restore", "pause", "pause", "beat",
	}
	lawAccounts = [][]string{{"A"}, {"B"}, {"A", "B"}, {}}
)

func drawStep(t *rapid.T) lawStep {
	s := lawStep{op: rapid.SampledFrom(lawOps).Draw(t, "op"), client: rapid.IntRange(0, lawClients-1).Draw(t, "client")}
	streams := func() {
		s.streams = rapid.SliceOfNDistinct(rapid.IntRange(0, len(lawStreams)-1), 1, len(lawStreams), rapid.ID[int]).Draw(t, "streams")
	}
	switch s.op {
	case "publish", "hole":
		s.stream = rapid.IntRange(0, len(lawStreams)-1).Draw(t, "stream")
		s.n = rapid.SampledFrom([]int{1, 1, 2, 5, 30}).Draw(t, "n")
		s.key = rapid.IntRange(0, 3).Draw(t, "key")
		s.final = rapid.Bool().Draw(t, "final")
		s.size = rapid.SampledFrom([]int{1, 1, 100, 1000}).Draw(t, "size")
	case "connect", "token":
		s.accounts = rapid.SampledFrom(lawAccounts).Draw(t, "accounts")
	case "subscribe":
		streams()
		s.resume = rapid.SampledFrom([]string{"none", "honest", "honest", "any", "beyond", "other"}).Draw(t, "resume")
		s.n = rapid.IntRange(0, 40).Draw(t, "seq")
	case "unsubscribe":
		streams()
	case "pace":
		s.n = rapid.SampledFrom([]int{-1, -1, -1, 0, 1, 200, 5000}).Draw(t, "budget")
		s.chunk = rapid.SampledFrom([]int{1, 7, 4096}).Draw(t, "chunk")
	case "off", "on":
		s.stream = rapid.IntRange(0, len(lawStreams)-1).Draw(t, "feature")
	case "pause":
		s.n = rapid.SampledFrom([]int{0, 5, 20, 1100, 3000}).Draw(t, "ms")
	}
	return s
}

// TestLaws runs the laws over every transport:
//
//	go test -run TestLaws -rapid.checks 500 ./internal/hub
func TestLaws(t *testing.T) {
	t.Parallel()
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue { // a hundred take a minute
		if err := flag.Set("rapid.checks", "20"); err != nil {
			t.Fatal(err)
		}
	}
	for _, transport := range lawTransports() {
		t.Run(transport.name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				limits := stream.Limits{
					Keep:   rapid.SampledFrom([]int{lawKeep, 8 << 10, 1}).Draw(rt, "keep"),
					MaxLag: rapid.SampledFrom([]int{1, 300, 4 << 10, 64 << 10}).Draw(rt, "max lag"),
				}
				steps := rapid.SliceOfN(rapid.Custom(drawStep), 15, 60).Draw(rt, "steps")
				for i := range steps {
					steps[i].size = min(steps[i].size, transport.most)
				}
				if err := transport.run(t, limits, steps); err != nil {
					rt.Fatal(err)
				}
			})
		})
	}
}

// TestLawsOfKnownRuns are runs that chance meets seldom.
func TestLawsOfKnownRuns(t *testing.T) {
	t.Parallel()
	all := []int{0, 1, 2, 3}
	runs := map[string]struct {
		limits stream.Limits
		steps  []lawStep
	}{
		"finals within a gap": {stream.Limits{Keep: lawKeep, MaxLag: 1}, []lawStep{
			{op: "pause", n: 1100}, {op: "publish", stream: 2, n: 30, final: true, size: 1}, {op: "pause", n: 20},
		}},
		"a resume from the store meets a log that moves on": {stream.Limits{Keep: 1, MaxLag: 1}, []lawStep{
			{op: "publish", stream: 0, n: 30, size: 1000},
			{op: "pause", n: 20},
			{op: "subscribe", streams: all, resume: "any", n: 2},
			{op: "publish", stream: 0, n: 30, size: 1000},
			{op: "publish", stream: 0, n: 30, size: 1000},
			{op: "pause", n: 20},
		}},
		"what is said while the store is read": {stream.Limits{Keep: lawKeep, MaxLag: 1}, []lawStep{
			{op: "publish", stream: 0, n: 5, size: 1},
			{op: "restart"},
			{op: "connect", accounts: []string{"A"}},
			{op: "subscribe", streams: all, resume: "any", n: 2},
			{op: "unsubscribe", streams: []int{0}},
			{op: "token", accounts: []string{"B"}},
			{op: "publish", stream: 0, n: 5, size: 1},
			{op: "publish", stream: 1, n: 5, size: 1},
			{op: "pause", n: 20},
		}},
		"a token that takes a stream away within its snapshot": {stream.Limits{Keep: lawKeep, MaxLag: 1}, []lawStep{
			{op: "publish", stream: 0, n: 4, size: 20_000},
			{op: "pace", n: 5000, chunk: 7},
			{op: "pause", n: 1100},
			{op: "subscribe", streams: all, resume: "none"},
			{op: "token", accounts: []string{"B"}},
			{op: "pace", n: -1, chunk: 4096},
			{op: "pause", n: 20},
		}},
		"a token comes as a stream is closed": {stream.Limits{Keep: lawKeep, MaxLag: 1}, []lawStep{
			{op: "publish", stream: 0, n: 1, size: 1}, // so that the close waits for the next sweep
			{op: "off", stream: 0},
			{op: "token", client: 1, accounts: []string{"A"}},
			{op: "publish", stream: 0, n: 1, size: 1},
			{op: "pause", n: 20},
		}},
		"a subscribe comes as a stream is closed": {stream.Limits{Keep: lawKeep, MaxLag: 1}, []lawStep{
			{op: "pause", n: 3000}, // until the default follows a stream that has no event yet
			{op: "publish", stream: 2, n: 1, size: 1},
			{op: "publish", stream: 0, n: 1, size: 1},
			{op: "off", stream: 0},
			{op: "subscribe", streams: []int{0, 2}, resume: "honest"},
			{op: "pause", n: 20},
		}},
		"a gap of many finals": {stream.Limits{Keep: lawKeep, MaxLag: 1}, []lawStep{
			{op: "pause", n: 1100},
			{op: "pace", client: 1, n: 0, chunk: 4096},
			{op: "publish", stream: 2, n: 100, size: 1000, final: true},
			{op: "publish", stream: 2, n: 100, size: 1000, final: true},
			{op: "pace", client: 1, n: -1, chunk: 4096},
			{op: "pause", n: 20},
		}},
		"a gap of many finals that are no longer held": {stream.Limits{Keep: 8 << 10, MaxLag: 1}, []lawStep{
			{op: "pause", n: 1100},
			{op: "pace", client: 1, n: 0, chunk: 4096},
			{op: "publish", stream: 2, n: 100, size: 1000, final: true},
			{op: "publish", stream: 2, n: 100, size: 1000, final: true},
			{op: "pace", client: 1, n: -1, chunk: 4096},
			{op: "pause", n: 20},
		}},
		"more is said than is taken at once": {stream.Limits{Keep: lawKeep, MaxLag: 1}, slices.Repeat([]lawStep{
			{op: "subscribe", client: 1, streams: all, resume: "honest"},
		}, inboundBurst+10)},
	}
	for name, run := range runs {
		for _, transport := range lawTransports() {
			t.Run(name+", "+transport.name, func(t *testing.T) {
				t.Parallel()
				if err := transport.run(t, run.limits, run.steps); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// emptyStores are two stores of different epochs, to copy: to make one takes
// longer than most runs.
var emptyStores struct {
	once sync.Once
	dirs [2]fs.FS
	err  error
}

func makeStores(ctx context.Context) (dirs [2]fs.FS, err error) {
	for i := range dirs {
		dir, err := os.MkdirTemp("", "thor-laws-")
		if err != nil {
			return dirs, err
		}
		defer os.RemoveAll(dir) //nolint:errcheck // it is temporary
		store, err := sqlite.Open(ctx, dir)
		if err == nil {
			err = store.Close() //nolint:contextcheck // it has its own end
		}
		if err != nil {
			return dirs, err
		}
		files := fstest.MapFS{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return dirs, err
		}
		for _, e := range entries {
			content, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				return dirs, err
			}
			files[e.Name()] = &fstest.MapFile{Data: content, Mode: 0o600}
		}
		dirs[i] = files
	}
	return dirs, nil
}

// emptyStore is a directory of its own with one of them.
func emptyStore(t *testing.T, which int) string {
	t.Helper()
	emptyStores.once.Do(func() { emptyStores.dirs, emptyStores.err = makeStores(t.Context()) })
	err := emptyStores.err
	dir := filepath.Join(t.TempDir(), "store")
	if err == nil {
		err = os.CopyFS(dir, emptyStores.dirs[which])
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// lawKeep is more than the laws ever publish into a log.
const lawKeep = 16 << 20

// run does the steps in a world of their own.
func (tr lawTransport) run(t *testing.T, limits stream.Limits, steps []lawStep) (err error) {
	t.Helper()
	first, second := emptyStore(t, 0), emptyStore(t, 1)
	inWorld := func(t *testing.T) {
		t.Helper()
		w := &lawWorld{
			transport: tr, limits: limits,
			door:   &auth.Door{Key: []byte("0123456789abcdef0123456789abcdef")},
			ledger: &ledger{records: map[thor.StreamID]map[string]*record{}},
		}
		if !tr.virtual {
			defer w.serve()()
		}
		if err = w.start(t.Context(), first); err != nil {
			return
		}
		r := &lawRun{lawWorld: w, spare: second}
		for range lawClients {
			r.clients = append(r.clients, newLawClient(w))
		}
		err = r.run(t.Context(), steps)
		for _, c := range r.clients {
			c.disconnect()
		}
		err = errors.Join(err, w.stop())
	}
	if tr.virtual {
		synctest.Test(t, inWorld)
	} else {
		inWorld(t)
	}
	return err
}

// lawRun is one run of the laws.
type lawRun struct {
	*lawWorld
	clients []*lawClient
	spare   string // where another store may be made; "" when it was
	beats   uint64
}

func (r *lawRun) run(ctx context.Context, steps []lawStep) error {
	for _, c := range r.clients {
		if err := c.connect(ctx, []string{"A", "B"}); err != nil {
			return err
		}
	}
	r.clients[1].subscribe(lawStreams, nil)
	for i, s := range steps {
		if err := r.step(ctx, s); err != nil {
			return fmt.Errorf("step %d, %v: %w", i, s, err)
		}
		if r.transport.virtual && s.op != "publish" { // some meet, some do not
			synctest.Wait()
		}
		for j, c := range r.clients {
			if err := c.fault(); err != nil {
				return fmt.Errorf("at step %d, %v: client %d: %w", i, s, j, err)
			}
		}
	}
	return r.settle(ctx)
}

func (r *lawRun) step(ctx context.Context, s lawStep) error {
	c := r.clients[s.client]
	switch s.op {
	case "publish", "hole":
		return r.publish(ctx, s)
	case "connect":
		c.disconnect()
		return c.connect(ctx, s.accounts)
	case "disconnect":
		c.disconnect()
	case "subscribe":
		if !c.gone() {
			c.subscribe(s.ids(), r.resume(c, s))
		}
	case "unsubscribe":
		c.say(map[string]any{"type": "unsubscribe", "streams": s.ids()})
	case "token":
		if !c.gone() {
			return c.auth(s.accounts)
		}
	case "pace":
		c.setPace(reading{s.n, s.chunk})
	case "off", "on":
		return r.publishing(ctx, lawStreams[s.stream].Feature(), s.op == "on")
	case "restart":
		return r.restart(ctx, r.dir)
	case "restore":
		if r.spare == "" {
			return r.restart(ctx, r.dir)
		}
		dir := r.spare
		r.spare = ""
		return r.restart(ctx, dir)
	case "beat":
		r.beats++
		return r.hub.Beat(thor.Heartbeat{HeartbeatCount: r.beats})
	case "pause":
		if r.transport.virtual {
			time.Sleep(time.Duration(s.n) * time.Millisecond)
		}
	}
	return nil
}

// resume is what a step resumes from.
func (r *lawRun) resume(c *lawClient, s lawStep) map[thor.StreamID]resumePoint {
	points := map[thor.StreamID]resumePoint{}
	for _, id := range s.ids() {
		head := r.ledger.shown(id)
		switch s.resume {
		case "honest":
			return c.honest(s.ids())
		case "any":
			points[id] = resumePoint{r.epoch(), min(uint64(s.n), head)}
		case "beyond":
			points[id] = resumePoint{r.epoch(), head + 1000}
		case "other":
			points[id] = resumePoint{"other", min(uint64(s.n), head)}
		}
	}
	return points
}

// restart ends the hub and begins another, over the same store or one that is
// new.
func (r *lawRun) restart(ctx context.Context, dir string) error {
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	err := r.stop()
	for _, c := range r.clients {
		c.disconnect()
	}
	err = errors.Join(err, r.start(ctx, dir))
	r.mu.Lock()
	r.stopping = false
	r.mu.Unlock()
	return err
}

// settle lets everybody read and catch up, first with what they follow, then,
// when they have asked for everything from where they are, with everything.
func (r *lawRun) settle(ctx context.Context) error {
	for _, id := range lawStreams {
		if r.hole[id] {
			if err := r.publish(ctx, lawStep{op: "publish", stream: slices.Index(lawStreams, id), n: 1}); err != nil {
				return err
			}
		}
	}
	for _, c := range r.clients {
		c.setPace(reading{-1, 4096})
	}
	if err := r.caughtUp(nil); err != nil {
		return fmt.Errorf("in the end: %w", err)
	}
	for _, feature := range []string{"positions", "intraday", "global_market"} {
		if err := r.publishing(ctx, feature, true); err != nil {
			return err
		}
	}
	for _, c := range r.clients {
		if c.gone() {
			c.disconnect()
			if err := c.connect(ctx, []string{"A", "B"}); err != nil {
				return err
			}
		} else if err := c.auth([]string{"A", "B"}); err != nil {
			return err
		}
		c.subscribe(lawStreams, c.honest(lawStreams))
	}
	if err := r.caughtUp(lawStreams); err != nil {
		return fmt.Errorf("in the end, with everything resumed: %w", err)
	}
	return nil
}

// caughtUp waits until every client holds what the model holds, of these
// streams at least.
func (r *lawRun) caughtUp(ids []thor.StreamID) error {
	var behind []string
	await(20*time.Second, func() bool {
		behind = nil
		for i, c := range r.clients {
			if why := c.behind(); why != "" {
				behind = append(behind, fmt.Sprintf("client %d: %s", i, why))
			} else if ids != nil && (c.gone() || !c.follows(ids)) {
				behind = append(behind, fmt.Sprintf("client %d does not follow everything", i))
			}
		}
		return len(behind) == 0
	})
	var errs []error
	for i, c := range r.clients {
		if err := c.fault(); err != nil {
			errs = append(errs, fmt.Errorf("client %d: %w", i, err))
		}
	}
	if len(errs) == 0 && len(behind) > 0 {
		return errors.New(strings.Join(behind, "; "))
	}
	return errors.Join(errs...)
}
