package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"thor"
	"thor/internal/pipeline"
	"thor/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a running pipeline over a real store.
type bench struct {
	*pipeline.Pipeline
	store *sqlite.Store
	layer *layer

	mu   sync.Mutex // guards off and tap
	off  map[string]bool
	taps int
}

// layer records what is published.
type layer struct {
	mu     sync.Mutex // guards events and err
	events []thor.Event
	err    error
}

func (l *layer) Publish(_ context.Context, events []thor.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, events...)
	return l.err
}

func (l *layer) published() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for _, e := range l.events {
		list = append(list, fmt.Sprintf("%s/%d", e.Stream, e.Version.Seq))
	}
	return list
}

func (l *layer) want(t *testing.T, want ...string) {
	t.Helper()
	if got := l.published(); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("published %v, want %v", got, want)
	}
}

// setup starts a pipeline; it must be called inside a synctest bubble.
func setup(t *testing.T, dir string) *bench {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{store: s, layer: &layer{}, off: map[string]bool{}}
	b.Pipeline = pipeline.New(pipeline.Config{
		Store: s, Layer: b.layer,
		Publishes: func(feature string) bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return !b.off[feature]
		},
		Tap: func(events []thor.Event) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.taps += len(events)
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-stopped, s.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return b
}

func (b *bench) setOff(feature string, off bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.off[feature] = off
}

func (b *bench) send(t *testing.T, msgs ...thor.Message) {
	t.Helper()
	if err := b.Broadcast(t.Context(), msgs...); err != nil {
		t.Fatalf("broadcast: %v", err)
	}
}

func balance(account, equity string) thor.Message {
	return thor.AccountBalanceMessage(thor.AccountBalance{
		AccountID: account, Currency: "USD", Equity: thor.MustDecimal(equity), Source: "sim", Timestamp: time.Now(),
	})
}

func bar(minute int, price string, final bool) thor.Message {
	p, start := thor.MustDecimal(price), time.Date(2026, 11, 23, 15, minute, 0, 0, time.UTC)
	return thor.IntradayBarMessage(thor.Bar{
		Symbol: "FUT.ES", Display: "/ES", Country: "USA", TimestampMinute: start,
		Open: p, High: p, Low: p, Close: p, Volume: thor.MustDecimal("1"), VWAP: p,
		Final: final, Timestamp: start.Add(time.Minute),
	})
}

func market(status thor.MarketPhase) thor.Message {
	return thor.MarketStatusMessage(thor.MarketStatus{
		MarketID: "XNYS", Market: "New York", Country: "USA", Timezone: "America/New_York",
		Status: status, Trading: status == thor.MarketOpen, Weight: thor.MustDecimal("0.25"), Timestamp: time.Now(),
	})
}

func TestPipeline(t *testing.T) {
	t.Parallel()
	run := func(name string, test func(t *testing.T, b *bench)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { test(t, setup(t, dir)) })
		})
	}
	const second = time.Second

	run("messages are stored, numbered and published in order", func(t *testing.T, b *bench) {
		b.send(t, balance("A", "1"), balance("B", "1"))
		b.send(t, balance("A", "2"))
		b.layer.want(t, "account_balance:A/1", "account_balance:B/1", "account_balance:A/2")
		events, err := b.store.Since(t.Context(), "account_balance:A", 0, 10)
		if err != nil || len(events) != 2 {
			t.Errorf("stored %d events, %v; want 2", len(events), err)
		}
		if b.taps != 3 {
			t.Errorf("the tap saw %d events, want 3", b.taps)
		}
	})
	run("equal data within the cadence is dropped, after it sent with its new timestamp", func(t *testing.T, b *bench) {
		b.send(t, balance("A", "1"))
		time.Sleep(second / 2)
		b.send(t, balance("A", "1"))
		b.layer.want(t, "account_balance:A/1")
		time.Sleep(second/2 - 50*time.Millisecond) // a beat that comes a little early counts as on time
		b.send(t, balance("A", "1"))
		b.layer.want(t, "account_balance:A/1", "account_balance:A/2")
		if c := b.Counts(); c.Unchanged != 1 || c.Stored != 2 {
			t.Errorf("counts %+v", c)
		}
	})
	run("after the clock went back it speaks at once, then in its cadence", func(t *testing.T, b *bench) {
		ahead := time.Now().Add(10 * time.Minute)
		said := balance("A", "1")
		data, err := said.Encode()
		if err != nil {
			t.Fatal(err)
		}
		event := thor.Event{Stream: said.Stream, Type: said.Type, Key: said.Key, Data: data}
		if _, err := b.store.Append(t.Context(), ahead, []thor.Event{event}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(second)
		b.send(t, balance("A", "1"))
		b.layer.want(t, "account_balance:A/2")
		time.Sleep(second / 2)
		b.send(t, balance("A", "1"))
		b.layer.want(t, "account_balance:A/2")
	})
	run("a stage is not a job's to publish", func(t *testing.T, b *bench) {
		err := b.Broadcast(t.Context(), thor.CutoverMessage(thor.FeatureStage{Feature: "positions", Stage: thor.StageLive, Since: time.Now()}))
		if thor.ErrorCode(err) != thor.ENOTFOUND {
			t.Errorf("error %v, want %s", err, thor.ENOTFOUND)
		}
		b.layer.want(t)
	})
	run("silence is measured by the clock it is given", func(t *testing.T, b *bench) {
		shows := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		b.Now = func() time.Time { return shows }
		b.send(t, balance("A", "1"))
		time.Sleep(time.Hour)
		b.send(t, balance("A", "1"))
		b.layer.want(t, "account_balance:A/1")
		shows = shows.Add(second)
		b.send(t, balance("A", "1"))
		b.layer.want(t, "account_balance:A/1", "account_balance:A/2")
	})
	run("a feature with cadence 0 speaks on change only", func(t *testing.T, b *bench) {
		b.send(t, market(thor.MarketClosed))
		time.Sleep(time.Hour)
		b.send(t, market(thor.MarketClosed))
		b.send(t, market(thor.MarketOpen))
		b.layer.want(t, "global_market/1", "global_market/2")
	})
	run("a complete bar is not replaced by a version from before, nor sent twice, but corrected", func(t *testing.T, b *bench) {
		b.send(t, bar(0, "100", false), bar(0, "101", true))
		b.send(t, bar(0, "100", false), bar(0, "101", true))
		time.Sleep(time.Hour)
		b.send(t, bar(0, "101", true))
		b.layer.want(t, "intraday:FUT.ES/1", "intraday:FUT.ES/2")
		b.send(t, bar(0, "102", true))
		b.layer.want(t, "intraday:FUT.ES/1", "intraday:FUT.ES/2", "intraday:FUT.ES/3")
	})
	run("what was said before its memory begins is not said again", func(t *testing.T, b *bench) {
		f, err := thor.FeatureNamed("intraday")
		if err != nil {
			t.Fatal(err)
		}
		kept := make([]thor.Message, f.Window+10)
		for i := range kept {
			kept[i] = bar(i, "100", true)
		}
		b.send(t, kept...)
		b.layer.events = nil
		fresh := pipeline.New(pipeline.Config{Store: b.store, Layer: b.layer, Publishes: func(string) bool { return true }})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- fresh.Run(ctx) }()
		if err := fresh.Broadcast(t.Context(), kept...); err != nil {
			t.Error(err)
		}
		if err := fresh.Broadcast(t.Context(), bar(len(kept), "100", true)); err != nil {
			t.Error(err)
		}
		b.layer.want(t, fmt.Sprintf("intraday:FUT.ES/%d", len(kept)+1))
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	run("what its memory has given up is not said again", func(t *testing.T, b *bench) {
		f, err := thor.FeatureNamed("intraday")
		if err != nil {
			t.Fatal(err)
		}
		kept := make([]thor.Message, 2*f.Window+10)
		for i := range kept {
			kept[i] = bar(i, "100", true)
		}
		b.send(t, kept...)
		stored := b.Counts().Stored
		b.send(t, kept...)
		if again := b.Counts().Stored - stored; again != 0 {
			t.Errorf("%d bars were stored twice", again)
		}
	})
	run("the same message twice in one call is one event", func(t *testing.T, b *bench) {
		m := balance("A", "1")
		b.send(t, m, m)
		b.layer.want(t, "account_balance:A/1")
	})
	run("invalid messages are named and the others go out", func(t *testing.T, b *bench) {
		wrong := balance("A B", "1")
		unknown := balance("C", "1")
		unknown.Stream = "nothing:C"
		err := b.Broadcast(t.Context(), wrong, balance("B", "2"), unknown)
		if err == nil || !strings.Contains(err.Error(), `A B`) || !strings.Contains(err.Error(), `there is no feature "nothing"`) {
			t.Errorf("error %v, want one that names both", err)
		}
		b.layer.want(t, "account_balance:B/1")
		if c := b.Counts(); c.Invalid != 2 || c.Received != 3 {
			t.Errorf("counts %+v", c)
		}
	})
	run("while a feature is off its messages are stored only", func(t *testing.T, b *bench) {
		b.setOff("account_balance", true)
		b.send(t, balance("A", "1"))
		b.layer.want(t)
		b.setOff("account_balance", false)
		b.send(t, balance("A", "2"))
		b.layer.want(t, "account_balance:A/2")
	})
	run("lost digits are counted", func(t *testing.T, b *bench) {
		b.send(t, balance("A", "1.005"), balance("B", "1.50"))
		if c := b.Counts(); c.LostDigits != 1 {
			t.Errorf("%d values lost digits, want 1", c.LostDigits)
		}
	})
	run("a publisher that fails is reported, and the event stays stored", func(t *testing.T, b *bench) {
		b.layer.err = errors.New("the layer is away")
		if err := b.Broadcast(t.Context(), balance("A", "1")); err == nil {
			t.Error("no error")
		}
		if events, err := b.store.Since(t.Context(), "account_balance:A", 0, 10); err != nil || len(events) != 1 {
			t.Errorf("stored %d events, %v; want 1", len(events), err)
		}
	})
	run("what the publisher refused goes out with the next call, though it says nothing new", func(t *testing.T, b *bench) {
		b.layer.err = errors.New("the layer is away")
		if err := b.Broadcast(t.Context(), market(thor.MarketOpen)); err == nil {
			t.Error("no error")
		}
		b.layer.events, b.layer.err = nil, nil
		b.send(t, market(thor.MarketOpen))
		b.send(t, market(thor.MarketOpen))
		b.layer.want(t, "global_market/1")
	})
	run("concurrent calls keep the order of each stream", func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for _, account := range []string{"A", "B", "C", "D"} {
			wg.Go(func() {
				for i := range 20 {
					if err := b.Broadcast(t.Context(), balance(account, fmt.Sprint(i))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		last := map[thor.StreamID]uint64{}
		for _, e := range b.layer.events {
			if e.Version.Seq != last[e.Stream]+1 {
				t.Fatalf("%s: %d after %d", e.Stream, e.Version.Seq, last[e.Stream])
			}
			last[e.Stream] = e.Version.Seq
		}
	})
	run("a call whose context has ended stores nothing", func(t *testing.T, b *bench) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for i := range 100 {
			if err := b.Broadcast(ctx, balance("A", fmt.Sprint(i))); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if c := b.Counts(); c.Stored != 0 || c.Received != 0 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestWhatWasSaidBeforeARestartIsNotSaidAgain(t *testing.T) { //nolint:tparallel // one run after the other
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		t.Run("run", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(t, dir)
				b.send(t, bar(0, "100", true), market(thor.MarketClosed))
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		b := setup(t, dir)
		for _, id := range []thor.StreamID{"intraday:FUT.ES", "global_market"} {
			if events, err := b.store.Since(t.Context(), id, 0, 10); err != nil || len(events) != 1 {
				t.Errorf("%s: %d events, %v; want 1", id, len(events), err)
			}
		}
	})
}

type nowhere struct{}

func (nowhere) Publish(context.Context, []thor.Event) error { return nil }

func BenchmarkBroadcast(b *testing.B) {
	s, err := sqlite.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	p := pipeline.New(pipeline.Config{Store: s, Layer: nowhere{}, Publishes: func(string) bool { return true }})
	ctx, cancel := context.WithCancel(b.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- p.Run(ctx) }()
	i := 0
	for b.Loop() {
		i++
		if err := p.Broadcast(ctx, balance("A", fmt.Sprint(i))); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	if err := errors.Join(<-stopped, s.Close()); err != nil {
		b.Fatal(err)
	}
}
