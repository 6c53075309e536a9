package hub

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"thor"
)

// resumeFrom asks for what followed a version of positions:A.
func (c *client) resumeFrom(epoch string, seq uint64) {
	c.send(fmt.Sprintf(`{"type":"subscribe","streams":["positions:A"],"resume":{"positions:A":{"epoch":%q,"seq":%d}}}`, epoch, seq))
}

// told is what subscribed says of a resume of positions:A.
func told(t *testing.T, m message) subscribedStream {
	t.Helper()
	s := data[subscribedData](t, m).Streams["positions:A"]
	if s.Recovered == nil {
		t.Fatalf("no word on recovery: %s", m.raw)
	}
	return s
}

func TestResume(t *testing.T) {
	t.Parallel()
	recovers := func(from uint64, want ...string) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) {
			// The log begins with the first event, so it holds 2 and 3.
			epoch := w.publish(t, draft("positions:A", 1))[0].Version.Epoch
			w.publish(t, draft("positions:A", 2), draft("positions:A", 3))
			c := w.dial(t)
			c.want("hello")
			c.resumeFrom(epoch, from)
			s := told(t, c.want("subscribed")[0])
			if !*s.Recovered || s.Replayed != uint64(len(want)) || s.Seq != 3 {
				t.Errorf("told %+v, want %d replayed up to 3", s, len(want))
			}
			c.want(want...)
			w.publish(t, draft("positions:A", 4))
			c.want("positions:A/4")
		}
	}
	environments(t, "what was missed is replayed exactly", nil, recovers(1, "positions:A/2", "positions:A/3"))
	environments(t, "at the head nothing is replayed, and it counts as recovered", nil, recovers(3))
	environments(t, "from the very beginning", nil, recovers(0, "positions:A/1", "positions:A/2", "positions:A/3"))

	snapshots := func(epoch func(real string) string, from uint64) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) {
			actual := w.publish(t, draft("positions:A", 1))[0].Version.Epoch
			w.publish(t, draft("positions:A", 2))
			c := w.dial(t)
			c.want("hello")
			c.resumeFrom(epoch(actual), from)
			if s := told(t, c.want("subscribed", "snapshot positions:A/2")[0]); *s.Recovered || s.Seq != 2 {
				t.Errorf("told %+v", s)
			}
		}
	}
	same := func(epoch string) string { return epoch }
	environments(t, "another epoch gets a snapshot", nil, snapshots(func(string) string { return "other" }, 1))
	environments(t, "beyond the head gets a snapshot", nil, snapshots(same, 99))

	environments(t, "below what the log holds the store is asked", nil, func(t *testing.T, w *world) {
		epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2), draft("positions:A", 3))[0].Version.Epoch
		w.forget(t, "positions:A")
		c := w.dial(t)
		c.want("hello")
		c.resumeFrom(epoch, 1)
		if s := told(t, c.want("subscribed", "positions:A/2", "positions:A/3")[0]); !*s.Recovered || s.Replayed != 2 {
			t.Errorf("told %+v", s)
		}
		w.publish(t, draft("positions:A", 4))
		c.want("positions:A/4")
	})
	environments(t, "what is said while the store is asked is done after it, in order", nil, func(t *testing.T, w *world) {
		epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2), draft("global_market", 1))[0].Version.Epoch
		w.forget(t, "positions:A")
		c := w.dial(t)
		c.want("hello")
		c.resumeFrom(epoch, 1)
		c.send(`{"type":"unsubscribe","streams":["positions:A"]}`)
		c.send(`{"type":"subscriptions"}`)
		for {
			m := c.next()
			if m.Type == "subscriptions" {
				if got := data[streamsData](t, m).Streams; len(got) != 0 {
					t.Errorf("subscriptions %v, want none", got)
				}
				break
			}
		}
		w.publish(t, draft("positions:A", 3))
		c.silent(50 * time.Millisecond)
	})
	environments(t, "below what the store keeps gets a snapshot", nil, func(t *testing.T, w *world) {
		epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2), draft("positions:A", 3))[0].Version.Epoch
		if _, err := w.store.Prune(t.Context(), time.Now().Add(time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.forget(t, "positions:A")
		c := w.dial(t)
		c.want("hello")
		c.resumeFrom(epoch, 1)
		if s := told(t, c.want("subscribed", "snapshot positions:A/3")[0]); *s.Recovered {
			t.Errorf("told %+v", s)
		}
	})
}

func TestResumeAcrossARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before := newWorld(t, dir, nil)
	epoch := before.publish(t, draft("positions:A", 1), draft("positions:A", 2), draft("positions:A", 3))[0].Version.Epoch
	before.stop()
	after := newWorld(t, dir, nil)
	after.dialer = pipe
	if err := after.logs.Open(t.Context(), "positions:A"); err != nil {
		t.Fatal(err)
	}
	c := after.dial(t)
	c.want("hello")
	c.resumeFrom(epoch, 1)
	if s := told(t, c.want("subscribed", "positions:A/2", "positions:A/3")[0]); !*s.Recovered || s.Replayed != 2 {
		t.Errorf("told %+v", s)
	}
	after.publish(t, draft("positions:A", 4))
	c.want("positions:A/4")

	other := newWorld(t, t.TempDir(), nil)
	other.dialer = pipe
	other.publish(t, draft("positions:A", 1), draft("positions:A", 2))
	c = other.dial(t)
	c.want("hello")
	c.resumeFrom(epoch, 1)
	if s := told(t, c.want("subscribed", "snapshot positions:A/2")[0]); *s.Recovered || s.Epoch == epoch {
		t.Errorf("of another store it was told %+v", s)
	}
}

func TestResumeOfMany(t *testing.T) {
	t.Parallel()
	environments(t, "each stream is resumed on its own, wherever it stands", nil, func(t *testing.T, w *world) {
		var epoch string
		for _, id := range []thor.StreamID{"positions:LOG", "positions:HEAD", "positions:BEYOND", "positions:EPOCH", "account_balance:STORE"} {
			epoch = w.publish(t, draft(id, 1), draft(id, 2), draft(id, 3))[0].Version.Epoch
		}
		w.forget(t, "account_balance:STORE")
		c := w.dial(t)
		c.want("hello")
		c.send(strings.ReplaceAll(`{"type":"subscribe","streams":["positions:LOG","positions:HEAD","positions:BEYOND","positions:EPOCH","account_balance:STORE","positions:NONE"],
			"resume":{"positions:LOG":{"epoch":"E","seq":1},"positions:HEAD":{"epoch":"E","seq":3},"positions:BEYOND":{"epoch":"E","seq":9007199254740991},
			"positions:EPOCH":{"epoch":"other","seq":1},"account_balance:STORE":{"epoch":"E","seq":1},"positions:NONE":{"epoch":"E","seq":1},"positions:UNASKED":{"epoch":"E","seq":1}}}`, `"E"`, `"`+epoch+`"`))
		answers := c.want("error", "subscribed")
		if e := data[errorData](t, answers[0]); e.Code != thor.EFORBIDDEN || !strings.Contains(e.Message, "positions:NONE") {
			t.Errorf("error %+v", e)
		}
		var got []string
		for id, s := range data[subscribedData](t, answers[1]).Streams {
			got = append(got, fmt.Sprintf("%s %v %d", id, *s.Recovered, s.Replayed))
		}
		for _, want := range []string{"positions:LOG true 2", "positions:HEAD true 0", "positions:BEYOND false 0", "positions:EPOCH false 0", "account_balance:STORE true 2"} {
			if !strings.Contains(strings.Join(got, ", "), want) {
				t.Errorf("told %q, want %q among it", got, want)
			}
		}
		came := map[string]bool{}
		for range 6 {
			came[c.next().brief()] = true
		}
		for _, want := range []string{
			"positions:LOG/2", "positions:LOG/3", "snapshot positions:BEYOND/3", "snapshot positions:EPOCH/3",
			"account_balance:STORE/2", "account_balance:STORE/3",
		} {
			if !came[want] {
				t.Errorf("%s did not come, %v did", want, came)
			}
		}
	})
}

// slowStore counts what it is asked, and fails or takes its time.
type slowStore struct {
	history
	fails error
	delay time.Duration
	reads atomic.Int64
}

func (s *slowStore) Since(ctx context.Context, id thor.StreamID, after uint64, limit int) ([]thor.Event, error) {
	s.reads.Add(1)
	if s.fails != nil {
		return nil, s.fails
	}
	timer := time.NewTimer(s.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return s.history.Since(ctx, id, after, limit)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestResumeFromASickStore(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]*slowStore{
		"a store that fails":         {fails: errors.New("disk I/O error")},
		"a store that does not come": {delay: time.Hour},
	} {
		log := &page{}
		virtual(t, name+" is a snapshot, and the log says so", func(c *Config) {
			store.history, c.History, c.Logger = c.History, store, logger(log)
		}, func(t *testing.T, w *world) {
			epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2))[0].Version.Epoch
			w.forget(t, "positions:A")
			c := w.dial(t)
			c.want("hello")
			c.resumeFrom(epoch, 1)
			time.Sleep(replayWait)
			if s := told(t, c.want("subscribed", "snapshot positions:A/2")[0]); *s.Recovered || s.Replayed != 0 {
				t.Errorf("told %+v", s)
			}
			if !strings.Contains(log.String(), "read for a resume") {
				t.Errorf("the log says %q", log.String())
			}
		})
	}
}

func TestResumeTogether(t *testing.T) {
	t.Parallel()
	store := &slowStore{delay: time.Second}
	virtual(t, "clients that come back together share a read of the store", func(c *Config) {
		store.history, c.History = c.History, store
	}, func(t *testing.T, w *world) {
		epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2))[0].Version.Epoch
		w.forget(t, "positions:A")
		for range 100 {
			c := w.dial(t)
			c.want("hello")
			c.resumeFrom(epoch, 1)
			t.Cleanup(func() { c.want("subscribed", "positions:A/2") })
		}
		time.Sleep(2 * time.Second)
		if got := store.reads.Load(); got != 1 {
			t.Errorf("%d reads, want one", got)
		}
	})
	many := &slowStore{delay: time.Second}
	virtual(t, "and no more than four read at a time", func(c *Config) {
		many.history, c.History = c.History, many
	}, func(t *testing.T, w *world) {
		var drafts []thor.Event
		for i := range 20 {
			drafts = append(drafts, draft("positions:A", i))
		}
		epoch := w.publish(t, drafts...)[0].Version.Epoch
		w.forget(t, "positions:A")
		for i := range uint64(19) {
			c := w.dial(t)
			c.want("hello")
			c.resumeFrom(epoch, i)
		}
		synctest.Wait()
		if got := many.reads.Load(); got != replayReads {
			t.Errorf("%d reads at a time, want %d", got, replayReads)
		}
	})
}

// everything is a store that keeps every event.
type everything struct{ asked atomic.Int64 }

func (e *everything) Since(_ context.Context, id thor.StreamID, after uint64, limit int) ([]thor.Event, error) {
	e.asked.Add(1)
	events := make([]thor.Event, min(uint64(limit), manyDigits-after))
	for i := range events {
		events[i] = draft(id, i)
		events[i].Version = thor.Version{Epoch: "e1", Seq: after + uint64(i) + 1}
	}
	return events, nil
}

func TestResumeOfTooMuch(t *testing.T) {
	t.Parallel()
	store := &everything{}
	virtual(t, "who was away for more than 5,000 events gets the snapshot, and the store is not asked", func(c *Config) {
		c.Logs.Store, c.History = noStore{}, store
	}, func(t *testing.T, w *world) {
		if err := w.logs.Open(t.Context(), "positions:A"); err != nil {
			t.Fatal(err)
		}
		resume := func(away uint64) subscribedStream {
			t.Helper()
			c := w.dial(t)
			c.want("hello")
			c.resumeFrom("e1", manyDigits-away)
			return told(t, c.want("subscribed")[0])
		}
		if s := resume(maxReplay + 1); *s.Recovered || store.asked.Load() != 0 {
			t.Errorf("told %+v", s)
		}
		if s := resume(maxReplay); !*s.Recovered || s.Replayed != maxReplay || s.Seq != manyDigits {
			t.Errorf("told %+v", s)
		}
	})
}
