package stream

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"thor"
)

// shelf is a store for Logs.
type shelf struct {
	mu     sync.Mutex // guards what follows
	events map[thor.StreamID][]thor.Event
	epoch  string // "" is e1
	err    error
}

func (s *shelf) put(e thor.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[e.Stream] = append(s.events[e.Stream], e)
}

func (s *shelf) Latest(_ context.Context, stream thor.StreamID, _ thor.Window) (thor.Version, []thor.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.events[stream]
	epoch := s.epoch
	if epoch == "" {
		epoch = "e1"
	}
	return thor.Version{Epoch: epoch, Seq: uint64(len(events))}, events, s.err
}

// slowShelf answers its first reader with what it held when it was asked, after
// it was told to go on.
type slowShelf struct {
	*shelf
	asked        atomic.Bool
	read, resume chan struct{}
}

func (s *slowShelf) Latest(ctx context.Context, stream thor.StreamID, w thor.Window) (at thor.Version, events []thor.Event, err error) {
	at, events, err = s.shelf.Latest(ctx, stream, w)
	if s.asked.CompareAndSwap(false, true) {
		close(s.read)
		<-s.resume
	}
	return at, events, err
}

type viewer string

func (v viewer) MaySee(account string) bool { return string(v) == account }

func TestLogs(t *testing.T) {
	t.Parallel()
	setup := func() (*Logs, *shelf) {
		s := &shelf{events: map[thor.StreamID][]thor.Event{}}
		return &Logs{Store: s}, s
	}
	publish := func(t *testing.T, logs *Logs, s *shelf, stream thor.StreamID, seqs ...uint64) {
		t.Helper()
		for _, seq := range seqs {
			e := event(seq, "k", false)
			e.Stream = stream
			s.put(e)
			if err := logs.Append(t.Context(), []thor.Event{e}); err != nil {
				t.Fatal(err)
			}
		}
	}
	attach := func(t *testing.T, logs *Logs, v Viewer, stream thor.StreamID) *Log {
		t.Helper()
		l, err := logs.Attach(v, stream)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}

	t.Run("a log is made with its first event", func(t *testing.T) {
		t.Parallel()
		logs, s := setup()
		if _, err := logs.Attach(viewer("A"), "global_market"); thor.ErrorCode(err) != thor.EFORBIDDEN {
			t.Errorf("attached to nothing: %v", err)
		}
		publish(t, logs, s, "global_market", 1, 2)
		wantBrief(t, attach(t, logs, viewer("A"), "global_market").Snapshot().Frames, "s2")
	})
	t.Run("a private stream is its owner's, and looks to others as if it were not there", func(t *testing.T) {
		t.Parallel()
		logs, s := setup()
		publish(t, logs, s, "positions:A", 1)
		publish(t, logs, s, "global_market", 1)
		attach(t, logs, viewer("A"), "positions:A")
		_, foreign := logs.Attach(viewer("B"), "positions:A")
		_, missing := logs.Attach(viewer("B"), "positions:X")
		if thor.ErrorCode(foreign) != thor.EFORBIDDEN || thor.ErrorCode(missing) != thor.EFORBIDDEN ||
			strings.ReplaceAll(foreign.Error(), "positions:A", "positions:X") != missing.Error() {
			t.Errorf("foreign: %v; missing: %v; want the same answer", foreign, missing)
		}
		if diff := cmp.Diff([]thor.StreamID{"global_market"}, logs.Visible(viewer("B"))); diff != "" {
			t.Errorf("visible to B (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]thor.StreamID{"global_market", "positions:A"}, logs.Visible(viewer("A"))); diff != "" {
			t.Errorf("visible to A (-want +got):\n%s", diff)
		}
	})
	t.Run("a stream of a feature nobody declared is private", func(t *testing.T) {
		t.Parallel()
		logs, s := setup()
		publish(t, logs, s, "mystery:A", 1)
		if _, err := logs.Attach(viewer("B"), "mystery:A"); thor.ErrorCode(err) != thor.EFORBIDDEN {
			t.Errorf("B attached: %v", err)
		}
	})
	t.Run("behind a hole a log is made anew from the store, and nothing is lost", func(t *testing.T) {
		t.Parallel()
		logs, s := setup()
		publish(t, logs, s, "global_market", 1)
		old := attach(t, logs, viewer(""), "global_market")
		missed := event(2, "other", false)
		missed.Stream = "global_market"
		s.put(missed)
		generation := logs.Generation()
		publish(t, logs, s, "global_market", 3)
		if !old.Ended() || logs.Generation() == generation {
			t.Error("readers of the old log are not told")
		}
		wantBrief(t, attach(t, logs, viewer(""), "global_market").Read(2, 1<<20).Frames, "2 3")
	})
	t.Run("an event the log already has is dropped", func(t *testing.T) {
		t.Parallel()
		logs, s := setup()
		publish(t, logs, s, "global_market", 1, 2)
		l := attach(t, logs, viewer(""), "global_market")
		e := event(1, "k", false)
		e.Stream = "global_market"
		if err := logs.Append(t.Context(), []thor.Event{e}); err != nil || l.Ended() || l.Head() != 2 {
			t.Errorf("head %d, %v", l.Head(), err)
		}
	})
	t.Run("an event of another epoch makes the log anew, whatever its number", func(t *testing.T) {
		t.Parallel()
		logs, s := setup()
		publish(t, logs, s, "global_market", 1, 2)
		old := attach(t, logs, viewer(""), "global_market")
		s.events, s.epoch = map[thor.StreamID][]thor.Event{}, "e2" // it was restored
		e := event(1, "k", false)
		e.Stream, e.Version.Epoch = "global_market", "e2"
		s.put(e)
		if err := logs.Append(t.Context(), []thor.Event{e}); err != nil {
			t.Fatal(err)
		}
		if got := attach(t, logs, viewer(""), "global_market").Version(); !old.Ended() || got != e.Version {
			t.Errorf("the log stands at %v, want %v", got, e.Version)
		}
	})
	t.Run("a batch is told of once, whatever is in it", func(t *testing.T) {
		t.Parallel()
		logs, _ := setup()
		told := 0
		logs.Changed = func() { told++ }
		var batch []thor.Event
		for seq := range uint64(100) {
			for _, stream := range []thor.StreamID{"global_market", "intraday:FUT.ES"} {
				e := event(seq+1, "k", false)
				e.Stream = stream
				batch = append(batch, e)
			}
		}
		if err := logs.Open(t.Context(), "global_market", "intraday:FUT.ES"); err != nil {
			t.Fatal(err)
		}
		told = 0
		if err := logs.Append(t.Context(), batch); err != nil || told != 1 {
			t.Errorf("told %d times, %v", told, err)
		}
	})
	t.Run("closing a feature ends its streams, and opening brings them back from the store", func(t *testing.T) {
		t.Parallel()
		logs, s := setup()
		publish(t, logs, s, "positions:A", 1)
		publish(t, logs, s, "global_market", 1)
		old := attach(t, logs, viewer("A"), "positions:A")
		logs.SetPublishing("positions", false)
		if !old.Ended() {
			t.Error("readers are not told")
		}
		publish(t, logs, s, "positions:A", 2)
		if _, err := logs.Attach(viewer("A"), "positions:A"); err == nil {
			t.Error("attached to a closed stream")
		}
		attach(t, logs, viewer("A"), "global_market")
		logs.SetPublishing("positions", true)
		if err := logs.Open(t.Context(), "positions:A"); err != nil {
			t.Fatal(err)
		}
		wantBrief(t, attach(t, logs, viewer("A"), "positions:A").Snapshot().Frames, "s2")
	})
	t.Run("a store that fails is reported, and the next event tries again", func(t *testing.T) {
		t.Parallel()
		logs, s := setup()
		s.err = errors.New("away")
		e := event(1, "k", false)
		e.Stream = "global_market"
		s.put(e)
		if err := logs.Append(t.Context(), []thor.Event{e}); err == nil {
			t.Error("no error")
		}
		s.err = nil
		publish(t, logs, s, "global_market", 2)
		wantBrief(t, attach(t, logs, viewer(""), "global_market").Read(1, 1<<20).Frames, "gap1-2:below_floor 2")
	})
	t.Run("a stream that fails holds nothing back on the others", func(t *testing.T) {
		t.Parallel()
		logs, s := setup()
		publish(t, logs, s, "global_market", 1)
		told := 0
		logs.Changed = func() { told++ }
		s.err = errors.New("away")
		failing, market := event(1, "k", false), event(2, "k", false)
		failing.Stream, market.Stream = "positions:A", "global_market"
		if err := logs.Append(t.Context(), []thor.Event{failing, market}); !errors.Is(err, s.err) {
			t.Errorf("error %v", err)
		}
		if head := attach(t, logs, viewer(""), "global_market").Head(); head != 2 || told != 1 {
			t.Errorf("head %d, told %d times", head, told)
		}
	})
	t.Run("a log that came further while the store was read stays", func(t *testing.T) {
		t.Parallel()
		logs, s := setup()
		slow := &slowShelf{shelf: s, read: make(chan struct{}), resume: make(chan struct{})}
		publish(t, logs, s, "global_market", 1)
		logs.SetPublishing("global_market", false)
		logs.SetPublishing("global_market", true)
		logs.Store = slow
		opened := make(chan error)
		go func() { opened <- logs.Open(t.Context(), "global_market") }()
		<-slow.read
		publish(t, logs, s, "global_market", 2)
		l := attach(t, logs, viewer(""), "global_market")
		close(slow.resume)
		if err := <-opened; err != nil || l.Ended() || attach(t, logs, viewer(""), "global_market").Head() != 2 {
			t.Errorf("the log of 2 was replaced by one of 1: %v", err)
		}
	})
	t.Run("changes are told outside the lock", func(t *testing.T) {
		t.Parallel()
		logs, s := setup()
		told := 0
		logs.Changed = func() { told++; logs.Visible(viewer("")) }
		publish(t, logs, s, "global_market", 1)
		logs.SetPublishing("global_market", false)
		logs.SetPublishing("global_market", false)
		if told != 2 {
			t.Errorf("told %d times, want 2", told)
		}
	})
}
