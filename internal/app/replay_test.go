package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"thor"
	"thor/internal/source"
	"thor/internal/source/replay"
	"thor/internal/store"
)

// secretToken is what a source should not have said.
const secretToken = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.bm90YXNpZ25hdHVyZTEyMw"

// troubles are what a source does one after the other, in so long a time.
func troubles(lasts time.Duration) []fault {
	failing := func(part float64, err error) fault {
		return func(context.Context) (float64, error) { return part, err }
	}
	return []fault{
		nil,
		func(context.Context) (float64, error) { // asks for patience
			return 0, &source.Error{Kind: source.RateLimited, Source: "sim", Op: "x", Status: 429, RetryAt: time.Now().Add(lasts / 15)}
		},
		nil,
		func(ctx context.Context) (float64, error) { <-ctx.Done(); return 0, ctx.Err() },
		nil,
		failing(.5, &source.Error{Kind: source.Forbidden, Source: "sim", Op: "positions of PAPER-2", Status: 403, Err: errors.New(secretToken)}),
		nil,
		func(context.Context) (float64, error) { panic("boom") },
		nil,
		func(context.Context) (float64, error) { time.Sleep(2300 * time.Millisecond); return 1, nil },
		func(context.Context) (float64, error) { // every other answer
			if time.Now().Second()%2 == 0 {
				return 0, errors.New("PAPER-1 is away")
			}
			return 1, nil
		},
		nil,
		failing(0, &source.Error{Kind: source.BadData, Source: "sim", Op: "x"}),
		nil, nil, nil, // so long it mostly takes until the next try
	}
}

// recordTroubles records the simulator with troubles, one after the other, for so
// long by the wall clock.
func recordTroubles(t *testing.T, start time.Time, speed float64, lasts time.Duration) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "day.thor")
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start))
		a := &App{config: Default(), logger: slog.New(slog.DiscardHandler), started: time.Now()}
		var src *faulty
		a.tamper = func(a *App) {
			a.clock = source.NewVirtualClock(time.Now(), speed)
			src = &faulty{Source: clocked{a.source, a.clock}, clock: a.clock, running: map[string]int{}}
			a.source = src
		}
		if err := errors.Join(a.openCalendars(), a.openSource(t.Context())); err != nil {
			t.Fatal(err)
		}
		list := troubles(lasts)
		for i, trouble := range list {
			time.AfterFunc(lasts*time.Duration(i)/time.Duration(len(list)), func() { src.set(trouble) })
		}
		var out, progress buffer
		if err := a.record(t.Context(), path, time.Duration(float64(lasts)*speed), nil, &out, &progress); err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`accounts: 2: ACCT-.*\nsymbols:  10: .*\nanswers:  \d{2,}, of which [1-9]\d* with errors\n`).MatchString(out.String()) {
			t.Errorf("it says\n%s", out.String())
		}
		if !regexp.MustCompile(`\d+ answers, \d+ with errors\n`).MatchString(progress.String()) {
			t.Errorf("meanwhile it said\n%s", progress.String())
		}
	})
	return path
}

// clocked is a source with a clock of its own.
type clocked struct {
	source.Source
	clock source.Clock
}

func (c clocked) Clock() source.Clock { return c.clock }

// stumbling is a store that does not take something every now and then.
type stumbling struct {
	store.Store
	random *rand.Rand
}

func (s *stumbling) Append(ctx context.Context, at time.Time, events []thor.Event) ([]thor.Event, error) {
	if s.random.IntN(20) == 0 {
		return nil, errors.New("the store is away")
	}
	return s.Store.Append(ctx, at, events)
}

// outcome is what came of a replay.
type outcome struct {
	events  map[thor.StreamID][]string
	failed  map[string]int64 // runs of each job
	failing []string         // jobs whose last run failed
	took    time.Duration
}

// replayAll plays a recording through a whole server to its end.
func replayAll(t *testing.T, path string, speed float64, change func(*App)) (o outcome) {
	t.Helper()
	data := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := Default()
		c.Addr, c.Data, c.Source, c.Replay, c.Speed = "localhost:0", data, replayName, path, speed
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		a := &App{config: c, logger: slog.New(slog.DiscardHandler), started: time.Now(), data: data}
		if err := a.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex // guards o.events
		o.events, o.failed = map[thor.StreamID][]string{}, map[string]int64{}
		tap := a.pipeline.Tap
		a.pipeline.Tap = func(events []thor.Event) {
			tap(events)
			mu.Lock()
			defer mu.Unlock()
			for _, e := range events {
				o.events[e.Stream] = append(o.events[e.Stream], fmt.Sprintf("%d %s %v %s", e.Version.Seq, e.Key, e.Final, e.Data))
			}
		}
		if change != nil {
			change(a)
		}
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var group errgroup.Group
		for _, run := range []func(context.Context) error{a.pipeline.Run, a.hub.Run, a.beat.Run, a.play} {
			group.Go(func() error { return run(ctx) })
		}
		for !a.replay.Over() {
			time.Sleep(time.Second)
		}
		o.took = time.Since(began)
		for _, s := range a.beat.Status() {
			o.failed[s.Job] = s.Failed
		}
		status := a.Status(t.Context())
		if r := status.Source.Replay; r == nil || !r.Over || r.Of != "sim" || !status.Source.Simulated || status.Source.Speed != 0 || !status.Source.Time.Equal(r.To) {
			t.Errorf("status %+v, %+v", status.Source, r)
		}
		if !slices.ContainsFunc(status.Troubles, func(s string) bool { return strings.Contains(s, "the recording is over") }) {
			t.Errorf("troubles %q", status.Troubles)
		}
		time.Sleep(time.Minute) // the last values stay, and it is well
		for _, s := range a.beat.Status() {
			if s.Failures > 0 {
				o.failing = append(o.failing, s.Job)
			} else if trouble := s.Trouble(time.Now()); trouble != "" {
				t.Errorf("a minute after the end job %s %s", s.Job, trouble)
			}
		}
		cancel()
		if err := errors.Join(group.Wait(), a.Close()); err != nil {
			t.Error(err)
		}
	})
	return o
}

// TestAReplayIsTheSameAtEverySpeed records simulated time with troubles, and holds
// that the same bytes go out on every stream, slow or fast, on a machine that
// cannot keep up, and on one that fails to store now and then.
func TestAReplayIsTheSameAtEverySpeed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		start time.Time
		speed float64
		lasts time.Duration
		final int // minutes of AAPL that become final
	}{
		"a day, an answer every few minutes": {time.Date(2026, 11, 23, 13, 50, 0, 0, time.UTC), 1800, 20 * time.Second, 390},
		"minutes around an opening":          {time.Date(2026, 11, 23, 14, 29, 55, 0, time.UTC), 1, 70 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := recordTroubles(t, tt.start, tt.speed, tt.lasts)
			want := replayAll(t, path, 60, nil)
			for range 9 {
				if want.failing == nil {
					break
				}
				// After a failure the next try is at random, here behind the end.
				path = recordTroubles(t, tt.start, tt.speed, tt.lasts)
				want = replayAll(t, path, 60, nil)
			}
			if want.failing != nil {
				t.Fatalf("%q end with a failure in each of ten recordings", want.failing)
			}
			if n := finals(want.events["intraday:EQ.AAPL"], tt.start); n < tt.final || len(want.events["global_market"]) < 12 {
				t.Errorf("%d minutes of AAPL became final, want %d; %d states of markets", n, tt.final, len(want.events["global_market"]))
			}
			accounts := 0
			for id, events := range want.events {
				if id.Private() {
					accounts++
				}
				if len(events) < 3 {
					t.Errorf("%s: %d events", id, len(events))
				}
			}
			for _, job := range []string{"account_balance", "positions", "intraday"} {
				if want.failed[job] < 5 {
					t.Errorf("%s failed %d times", job, want.failed[job])
				}
			}
			if lasts := time.Duration(float64(tt.lasts) * tt.speed / 60); want.took < lasts || want.took > lasts+2*time.Second {
				t.Errorf("at speed 60 it took %v, want %v", want.took, lasts)
			}
			if accounts != 4 { // two streams of each of two
				t.Errorf("%d private streams", accounts)
			}
			got := replayAll(t, path, 3600, nil)
			compare(t, "at speed 3600", got.events, want.events)
			if !reflect.DeepEqual(got.failed, want.failed) {
				t.Errorf("at speed 3600 runs failed %v, want %v", got.failed, want.failed)
			}
			if tt.speed > 1 {
				return
			}
			got = replayAll(t, path, 977, func(a *App) {
				a.pipeline.Store = &stumbling{a.store, rand.New(rand.NewPCG(1, 1))}
				tap := a.pipeline.Tap
				a.pipeline.Tap = func(events []thor.Event) {
					time.Sleep(rand.N(3 * time.Second))
					tap(events)
				}
			})
			compare(t, "on a slow machine that fails to store", got.events, want.events)
			if got.failing != nil {
				t.Errorf("on a slow machine %q end with a failure", got.failing)
			}
		})
	}
}

// finals counts the events of minutes of that day that were complete.
func finals(events []string, day time.Time) (n int) {
	for _, e := range events {
		if strings.Contains(e, " "+day.Format(time.DateOnly)) && strings.Contains(e, " true ") {
			n++
		}
	}
	return n
}

func compare(t *testing.T, name string, got, want map[thor.StreamID][]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d streams, want %d", name, len(got), len(want))
	}
	for id := range want {
		for i := range max(len(got[id]), len(want[id])) {
			a, b := "nothing", "nothing"
			if i < len(got[id]) {
				a = got[id][i]
			}
			if i < len(want[id]) {
				b = want[id][i]
			}
			if a != b {
				t.Errorf("%s: %s, event %d of %d:\n got %s\nwant %s", name, id, i+1, len(want[id]), a, b)
				break
			}
		}
	}
}

// TestARecordingHoldsNoAccountAndNoToken scans the file of a day.
func TestARecordingHoldsNoAccountAndNoToken(t *testing.T) {
	t.Parallel()
	path := recordTroubles(t, monday, 60, 2*time.Minute)
	zipped, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(`"forbidden"`)) || !bytes.Contains(text, []byte("is away")) {
		t.Error("the troubles are not in it")
	}
	for _, secret := range []string{"PAPER-1", "PAPER-2", "PAPER", secretToken, secretToken[:20]} {
		if bytes.Contains(bytes.ToUpper(text), bytes.ToUpper([]byte(secret))) || bytes.Contains(zipped, []byte(secret)) {
			t.Errorf("%q is in it", secret)
		}
	}
}

// TestARecordingIsOneTime holds that a store of a recording is of no other.
func TestARecordingIsOneTime(t *testing.T) {
	t.Parallel()
	one, two := recordTroubles(t, monday, 60, 30*time.Second), recordTroubles(t, monday, 60, 30*time.Second)
	open := func(data, path string) error {
		c := Default()
		c.Addr, c.Data, c.Source, c.Replay = "localhost:0", data, replayName, path
		a, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		return a.Close()
	}
	data := t.TempDir()
	if err := open(data, one); err != nil {
		t.Fatal(err)
	}
	if err := open(data, one); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := open(data, two); thor.ErrorCode(err) != thor.ECONFLICT {
		t.Errorf("another recording of the same: %v", err)
	}
	closeApp(t, openApp(t, t.TempDir(), nil))
}

func TestSettingsOfAReplay(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"--replay: say which recording":                                              func(c *Config) { c.Replay = "" },
		"--source: it is sim, and --replay names a recording":                        func(c *Config) { c.Source = simName },
		"--replay: --upstream names a backend":                                       func(c *Config) { c.Upstream = "http://localhost:1" },
		"--replay: --sim-start and --sim-speed":                                      func(c *Config) { c.SimSpeed = 2 },
		"--speed: 0.5 is not a speed of a replay; it is at least 1 and at most 3600": func(c *Config) { c.Speed = .5 },
		"--speed: 3601 is not a speed":                                               func(c *Config) { c.Speed = 3601 },
	} {
		c := Default()
		c.Source, c.Replay = replayName, "day.thor"
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for want, change := range map[string]func(*RecordConfig){
		"--source: there is nothing to record of none": func(c *RecordConfig) { c.Source = noneName },
		"--for: -1s is not a duration":                 func(c *RecordConfig) { c.For = -time.Second },
	} {
		c := recordDefaults()
		change(&c)
		if err := c.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := recordDefaults().check(); err != nil {
		t.Error(err)
	}
}

// recordDefaults are the settings of a recording nobody configured.
func recordDefaults() RecordConfig {
	d := Default()
	return RecordConfig{Source: d.Source, SimSettings: d.SimSettings, UpstreamSettings: d.UpstreamSettings, LogSettings: d.LogSettings}
}

// TestAFaultInTheMiddleOfAReplay edits the file while it is played.
func TestAFaultInTheMiddleOfAReplay(t *testing.T) {
	t.Parallel()
	path := recordTroubles(t, monday, 60, 30*time.Second)
	synctest.Test(t, func(t *testing.T) {
		rec, err := replay.Open(path, false)
		if err != nil {
			t.Fatal(err)
		}
		src, err := replay.New(rec, 60)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, info.Size()/2); err != nil {
			t.Fatal(err)
		}
		log := &buffer{}
		a := &App{logger: slog.New(slog.NewTextHandler(log, nil)), replay: src}
		a.player = &player{app: a}
		if err := a.player.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if troubles := a.replayTroubles(); len(troubles) != 1 || !strings.Contains(troubles[0], "the replay ended before its time") || !strings.Contains(troubles[0], "day.thor: line ") || !strings.Contains(log.String(), "was cut") || !src.Over() {
			t.Errorf("it says %q and logs %s", troubles, log)
		}
		closeSource(t, src)
	})
}

func closeSource(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
