package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a beat until the test ends.
func start(t *testing.T, b *Beat) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// diary notes when a job ran, relative to the first note.
type diary struct {
	mu    sync.Mutex // guards times
	times []time.Time
}

func (d *diary) note() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.times = append(d.times, time.Now())
	return len(d.times)
}

func (d *diary) offsets() []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	offsets := make([]time.Duration, len(d.times))
	for i, at := range d.times {
		offsets[i] = at.Sub(d.times[0])
	}
	return offsets
}

func bubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, test)
	})
}

func TestBeat(t *testing.T) {
	t.Parallel()
	const second = time.Second

	bubble(t, "jobs run at once and then on the grid of their interval", func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // begin off the grid
		var fast, slow diary
		start(t, &Beat{Jobs: []Job{
			{Name: "fast", Interval: second, Run: func(context.Context) error { fast.note(); return nil }},
			{Name: "slow", Interval: 5 * second, Run: func(context.Context) error { slow.note(); return nil }},
		}})
		time.Sleep(5 * second)
		want := []time.Duration{0, 700 * time.Millisecond, 1700 * time.Millisecond, 2700 * time.Millisecond, 3700 * time.Millisecond, 4700 * time.Millisecond}
		if diff := cmp.Diff(want, fast.offsets()); diff != "" {
			t.Errorf("fast (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]time.Duration{0, 4700 * time.Millisecond}, slow.offsets()); diff != "" {
			t.Errorf("slow (-want +got):\n%s", diff)
		}
	})

	bubble(t, "a job that hangs delays no other, never overlaps itself, and is ended by its deadline", func(t *testing.T) {
		var runs diary
		b := &Beat{Jobs: []Job{
			{Name: "hangs", Interval: second, Timeout: 3500 * time.Millisecond, Run: func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}},
			{Name: "other", Interval: second, Run: func(context.Context) error { runs.note(); return nil }},
		}}
		start(t, b)
		time.Sleep(3600 * time.Millisecond)
		if got := len(runs.offsets()); got != 4 {
			t.Errorf("the other job ran %d times, want 4", got)
		}
		hung := b.Status()[0]
		if hung.Overruns != 3 || hung.Runs != 1 || !strings.Contains(hung.LastError, "not done within 3.5s") {
			t.Errorf("status %+v, want 3 overruns in 1 run and the deadline as the error", hung)
		}
	})

	bubble(t, "a job that takes longer than its interval runs again at the next beat", func(t *testing.T) {
		var runs diary
		start(t, &Beat{Jobs: []Job{{Name: "slow", Interval: second, Run: func(context.Context) error {
			runs.note()
			time.Sleep(1500 * time.Millisecond)
			return nil
		}}}})
		time.Sleep(5 * second)
		if diff := cmp.Diff([]time.Duration{0, 2 * second, 4 * second}, runs.offsets()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})

	bubble(t, "a job that fails in part keeps its beat, but for a time it was told", func(t *testing.T) {
		var runs diary
		start(t, &Beat{Jobs: []Job{{Name: "partly", Interval: second, Run: func(context.Context) error {
			if runs.note() == 3 {
				return errors.Join(partly{}, limited{at: time.Now().Add(10 * second)})
			}
			return fmt.Errorf("one account: %w", partly{})
		}}}})
		time.Sleep(15*second + second/2)
		want := []time.Duration{0, second, 2 * second, 12 * second, 13 * second, 14 * second, 15 * second}
		if diff := cmp.Diff(want, runs.offsets()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})

	bubble(t, "a failing job is retried with back-off and then beats again", func(t *testing.T) {
		var runs diary
		var log strings.Builder
		b := &Beat{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Jobs: []Job{{Name: "flaky", Interval: second, Run: func(context.Context) error {
				if runs.note() <= 9 {
					return errors.New("no")
				}
				return nil
			}}},
		}
		start(t, b)
		time.Sleep(2 * time.Minute)
		at := runs.offsets()
		for i := 1; i < 9; i++ {
			ceiling := min(lastRetry, firstRetry<<(i-1))
			if wait := at[i] - at[i-1]; wait <= 0 || wait > ceiling {
				t.Errorf("retry %d came after %v, want at most %v", i, wait, ceiling)
			}
		}
		if last := at[len(at)-1] - at[len(at)-2]; last != second {
			t.Errorf("recovered, it beats every %v, want every second", last)
		}
		s := b.Status()[0]
		if s.Failures != 0 || s.Failed != 9 || s.LastError != "no" {
			t.Errorf("status %+v", s)
		}
		if got := strings.Count(log.String(), "job failed"); got != 4 { // after 1, 2, 4 and 8 failures
			t.Errorf("%d lines of failure, want 4:\n%s", got, log.String())
		}
		if !strings.Contains(log.String(), "job works again") {
			t.Errorf("no line of recovery:\n%s", log.String())
		}
	})

	for _, wait := range []time.Duration{20 * second, 60 * second, time.Hour} {
		bubble(t, fmt.Sprintf("an error that names a time %v ahead is not retried before", wait), func(t *testing.T) {
			var runs diary
			start(t, &Beat{Jobs: []Job{{Name: "limited", Interval: second, Run: func(context.Context) error {
				if runs.note() == 1 {
					return limited{time.Now().Add(wait)}
				}
				return nil
			}}}})
			time.Sleep(wait + 5*second)
			if got := runs.offsets()[1]; got != wait {
				t.Errorf("retried after %v, want %v", got, wait)
			}
		})
	}

	bubble(t, "a job that is deaf to its deadline is in trouble, and logged once", func(t *testing.T) {
		release := make(chan struct{})
		var log strings.Builder
		var runs, other diary
		b := &Beat{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Jobs: []Job{
				{Name: "deaf", Interval: second, Run: func(context.Context) error { runs.note(); <-release; return nil }},
				{Name: "other", Interval: second, Run: func(context.Context) error { other.note(); return nil }},
			},
		}
		start(t, b)
		time.Sleep(9 * second)
		if s := b.Status()[0]; s.Trouble(time.Now()) != "has not ended a run yet" {
			t.Errorf("trouble %q within the deadline", s.Trouble(time.Now()))
		}
		time.Sleep(time.Minute)
		if s := b.Status()[0]; s.Trouble(time.Now()) != "has run for 1m9s and does not stop at its deadline of 5s" {
			t.Errorf("trouble %q", s.Trouble(time.Now()))
		}
		if n := len(runs.offsets()); n != 1 {
			t.Errorf("it runs %d times at once", n)
		}
		close(release)
		time.Sleep(2*second + time.Millisecond)
		if n := len(other.offsets()); n != 72 {
			t.Errorf("the other job ran %d times, want 72", n)
		}
		if n := len(runs.offsets()); n != 3 || !strings.Contains(log.String(), "job works again") {
			t.Errorf("back, it ran %d times, want 3:\n%s", n, log.String())
		}
		if s := b.Status()[0]; s.Trouble(time.Now()) != "" || s.Overruns < 68 {
			t.Errorf("trouble %q, status %+v", s.Trouble(time.Now()), s)
		}
		if got := strings.Count(log.String(), "job does not stop at its deadline"); got != 1 {
			t.Errorf("%d lines, want 1:\n%s", got, log.String())
		}
	})

	bubble(t, "a panic is a failure of that job alone", func(t *testing.T) {
		var runs diary
		var log strings.Builder
		b := &Beat{Logger: slog.New(slog.NewTextHandler(&log, nil)), Jobs: []Job{
			{Name: "panics", Interval: second, Run: func(context.Context) error { panic("boom") }},
			{Name: "other", Interval: second, Run: func(context.Context) error { runs.note(); return nil }},
		}}
		start(t, b)
		time.Sleep(2100 * time.Millisecond)
		if s := b.Status()[0]; s.LastError != "panic: boom" {
			t.Errorf("status %+v", s)
		}
		if got := len(runs.offsets()); got != 3 {
			t.Errorf("the other job ran %d times, want 3", got)
		}
		if !strings.Contains(log.String(), "heartbeat_test.go") {
			t.Errorf("no stack in the log:\n%s", log.String())
		}
	})

	bubble(t, "a job that fails for an hour is asked less often, said of now and then, and recovers within a back-off", func(t *testing.T) {
		var runs, other diary
		var log strings.Builder
		began := time.Now()
		b := &Beat{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Jobs: []Job{
				{Name: "away", Interval: second, Run: func(context.Context) error {
					runs.note()
					if time.Since(began) < time.Hour {
						return errors.New("the source is away")
					}
					return nil
				}},
				{Name: "other", Interval: second, Run: func(context.Context) error { other.note(); return nil }},
			},
		}
		start(t, b)
		time.Sleep(time.Hour)
		tried := len(runs.offsets())
		if tried < 150 || tried > 450 { // in the mean every 15 s
			t.Errorf("tried %d times in an hour", tried)
		}
		if trouble := b.Status()[0].Trouble(time.Now()); !strings.Contains(trouble, "times in a row: the source is away") {
			t.Errorf("trouble %q", trouble)
		}
		time.Sleep(lastRetry + time.Millisecond)
		if s := b.Status()[0]; s.Failures != 0 || s.Trouble(time.Now()) != "" {
			t.Errorf("it did not recover: %+v", s)
		}
		if lines := strings.Count(log.String(), "\n"); lines > 12 {
			t.Errorf("%d lines in an hour:\n%s", lines, log.String())
		}
		if n := len(other.offsets()); n != 3631 {
			t.Errorf("the other job ran %d times, want 3631", n)
		}
		if late, _ := b.LateP99(); late != 0 {
			t.Errorf("runs began %v late", late)
		}
	})

	bubble(t, "a job is due at the instant it asks for", func(t *testing.T) {
		var runs diary
		transition := time.Now().Add(3250 * time.Millisecond)
		start(t, &Beat{Jobs: []Job{{
			Name: "market", Interval: 10 * second,
			Next: func() time.Time {
				if time.Now().Before(transition) {
					return transition
				}
				return time.Time{}
			},
			Run: func(context.Context) error { runs.note(); return nil },
		}}})
		time.Sleep(11 * second)
		if diff := cmp.Diff([]time.Duration{0, 3250 * time.Millisecond, 10 * second}, runs.offsets()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})

	bubble(t, "lateness, durations and runs are observed", func(t *testing.T) {
		var mu sync.Mutex
		var seen []Run
		b := &Beat{
			Observe: func(r Run) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, r)
			},
			Jobs: []Job{{Name: "job", Interval: second, Run: func(context.Context) error {
				time.Sleep(10 * time.Millisecond)
				return nil
			}}},
		}
		if _, ok := b.LateP99(); ok {
			t.Error("a percentile before the first run")
		}
		start(t, b)
		time.Sleep(1500 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		want := Run{Job: "job", Duration: 10 * time.Millisecond}
		if diff := cmp.Diff([]Run{want, want}, seen); diff != "" {
			t.Errorf("observed (-want +got):\n%s", diff)
		}
		if late, ok := b.LateP99(); !ok || late != 0 {
			t.Errorf("late p99 %v %v, want 0", late, ok)
		}
	})
}

type partly struct{}

func (partly) Error() string { return "one of two" }
func (partly) Partial() bool { return true }

type limited struct{ at time.Time }

func (limited) Error() string          { return "too many requests" }
func (l limited) NotBefore() time.Time { return l.at }

// jumpingClock is a wall clock that can be set.
type jumpingClock struct {
	mu    sync.Mutex // guards ahead
	ahead time.Duration
}

func (c *jumpingClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *jumpingClock) jump(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += by
}

// TestAClockThatJumps sets the wall clock forward and back, as time
// synchronization does and a laptop that wakes up.
func TestAClockThatJumps(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{
		300 * time.Millisecond, 3 * time.Second, 90 * time.Second, time.Hour, 25 * time.Hour,
		-300 * time.Millisecond, -3 * time.Second, -90 * time.Second, -time.Hour, -25 * time.Hour,
	} {
		bubble(t, fmt.Sprintf("by %v: no burst, no pause, no lateness", jump), func(t *testing.T) {
			var clock jumpingClock
			var fast, slow, failing diary
			var newest atomic.Int64 // run of fast, by the clock that jumps
			limited := limited{time.Now().Add(3 * time.Hour)}
			b := &Beat{Now: clock.now, Jobs: []Job{
				{Name: "fast", Interval: time.Second, Run: func(context.Context) error {
					fast.note()
					newest.Store(clock.now().UnixNano())
					return nil
				}},
				{Name: "slow", Interval: 10 * time.Second, Run: func(context.Context) error { slow.note(); return nil }},
				{Name: "fails", Interval: time.Second, Run: func(context.Context) error { failing.note(); return limited }},
			}}
			start(t, b)
			time.Sleep(25*time.Second + 400*time.Millisecond)
			clock.jump(jump)
			time.Sleep(60 * time.Second)
			for name, d := range map[string]struct {
				times    []time.Duration
				interval time.Duration
			}{"fast": {fast.offsets(), time.Second}, "slow": {slow.offsets(), 10 * time.Second}} {
				for i := 1; i < len(d.times); i++ {
					if gap := d.times[i] - d.times[i-1]; gap > d.interval {
						t.Errorf("%s paused for %v", name, gap)
					}
				}
				// The grid moves once, so there is at most one run more.
				if n, want := len(d.times), int(85*time.Second/d.interval)+1; n < want || n > want+1 {
					t.Errorf("%s ran %d times, want %d or one more", name, n, want)
				}
			}
			if at := time.Unix(0, newest.Load()); at.Nanosecond() != 0 {
				t.Errorf("it ran last at %v, off the grid of the new time", at)
			}
			if n := len(failing.offsets()); jump < 3*time.Hour && n != 1 {
				t.Errorf("what may not be asked before a time was asked %d times", n)
			}
			if late, _ := b.LateP99(); late != 0 {
				t.Errorf("runs began %v late", late)
			}
			for _, s := range b.Status()[:2] {
				if trouble := s.Trouble(time.Now()); trouble != "" || s.Overruns != 0 {
					t.Errorf("%s %s, %d overruns", s.Job, trouble, s.Overruns)
				}
			}
		})
	}
	bubble(t, "an instant that passed while the machine slept is due at once", func(t *testing.T) {
		var clock jumpingClock
		var runs diary
		opening := clock.now().Add(10 * time.Hour)
		start(t, &Beat{Now: clock.now, Jobs: []Job{{
			Name: "market", Interval: time.Hour,
			Next: func() time.Time { return opening },
			Run:  func(context.Context) error { runs.note(); return nil },
		}}})
		time.Sleep(2500 * time.Millisecond)
		clock.jump(11 * time.Hour)
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]time.Duration{0, 3 * time.Second}, runs.offsets()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

// TestAPaceThatChanges holds that a job runs at the interval of the moment, and
// at the instant it asks for whatever that is.
func TestAPaceThatChanges(t *testing.T) {
	t.Parallel()
	bubble(t, "slow while closed, and quick from the opening", func(t *testing.T) {
		var runs diary
		began := time.Now()
		opening, closing := began.Add(12250*time.Millisecond), began.Add(14500*time.Millisecond)
		open := func() bool { return !time.Now().Before(opening) && time.Now().Before(closing) }
		b := &Beat{Jobs: []Job{{
			Name: "job", Interval: time.Second,
			Pace: func() time.Duration {
				if open() {
					return time.Second
				}
				return 5 * time.Second
			},
			Next: func() time.Time { return opening },
			Run:  func(context.Context) error { runs.note(); return nil },
		}}}
		start(t, b)
		time.Sleep(11 * time.Second)
		if s := b.Status()[0]; s.Interval != 5*time.Second || s.Trouble(time.Now()) != "" {
			t.Errorf("closed: every %v, %s", s.Interval, s.Trouble(time.Now()))
		}
		time.Sleep(10 * time.Second)
		const ms = time.Millisecond
		want := []time.Duration{0, 5000 * ms, 10000 * ms, 12250 * ms, 13000 * ms, 14000 * ms, 15000 * ms, 20000 * ms}
		if diff := cmp.Diff(want, runs.offsets()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestLatenessIsNotAnOverrun(t *testing.T) {
	t.Parallel()
	at := func(ms int) moment {
		return moment{time.UnixMilli(1_000_000 + int64(ms)), time.Duration(ms) * time.Millisecond}
	}
	for _, tt := range []struct{ due, began, ended, late, missed int }{
		{0, 0, 10, 0, 0},
		{0, 0, 1000, 0, 1},
		{0, 2, 2500, 2, 2},
		{0, 3_600_000, 3_600_001, 3_600_000, 0}, // the machine was busy
		{0, 900, 1100, 900, 1},
	} {
		var got Run
		b := &Beat{status: make([]Status, 1), Logger: slog.New(slog.DiscardHandler), Observe: func(r Run) { got = r }}
		e := &entry{Job: Job{Name: "job"}, interval: time.Second}
		b.finish(e, result{due: at(tt.due).elapsed, began: at(tt.began), ended: at(tt.ended)})
		if got.Late.Milliseconds() != int64(tt.late) || got.Missed != tt.missed {
			t.Errorf("due %d, %d to %d: late %v, missed %d", tt.due, tt.began, tt.ended, got.Late, got.Missed)
		}
		if wait := e.due - at(tt.ended).elapsed; wait <= 0 || wait > time.Second {
			t.Errorf("ended at %v, due again in %v", at(tt.ended).elapsed, wait)
		}
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	fine := Status{Interval: time.Second, Timeout: 5 * time.Second, Runs: 7, Began: now.Add(-time.Second)}
	late := fine
	late.Late, late.Interval, late.Began = 6*time.Second, time.Minute, now.Add(-20*time.Second)
	if got := late.Trouble(now); got != "" {
		t.Errorf("a run that began late and is no news is trouble: %q", got)
	}
	for want, change := range map[string]func(s *Status){
		"":                                func(*Status) {},
		"has failed: no":                  func(s *Status) { s.Failures, s.LastError = 1, "no" },
		"has failed 3 times in a row: no": func(s *Status) { s.Failures, s.LastError = 3, "no" },
		"began 6s late":                   func(s *Status) { s.Late = 6 * time.Second },
		"has not run for 20s":             func(s *Status) { s.Began = now.Add(-20 * time.Second) },
		"has not ended a run yet":         func(s *Status) { s.Runs = 0 },
		"has failed: never":               func(s *Status) { s.Driven, s.Failures, s.LastError = true, 1, "never" },
		"has run for 11s and does not stop at its deadline of 5s": func(s *Status) { s.Running, s.Began = true, now.Add(-11*time.Second) },
	} {
		s := fine
		change(&s)
		if got := s.Trouble(now); got != want {
			t.Errorf("trouble %q, want %q", got, want)
		}
	}
}

// TestAJobThatIsDriven holds that somebody runs it and not the clock, and that it
// is told of as any other.
func TestAJobThatIsDriven(t *testing.T) {
	t.Parallel()
	bubble(t, "it runs when it is told to, for as long as it takes", func(t *testing.T) {
		var runs, beats atomic.Int64
		var seen []Run
		fails := errors.New("no")
		b := &Beat{
			Jobs: []Job{
				{Name: "driven", Interval: time.Second, Timeout: time.Minute, Driven: true, Run: func(ctx context.Context) error {
					time.Sleep(time.Hour)
					if runs.Add(1) == 1 {
						return fails
					}
					return ctx.Err()
				}},
				{Name: "due", Interval: time.Second, Run: func(context.Context) error { beats.Add(1); return nil }},
			},
			Observe: func(r Run) {
				if r.Job == "driven" {
					seen = append(seen, r)
				}
			},
		}
		start(t, b)
		time.Sleep(10*time.Second + time.Millisecond)
		if runs.Load() != 0 || beats.Load() != 11 {
			t.Errorf("%d and %d runs", runs.Load(), beats.Load())
		}
		if got := b.Status()[0].Trouble(time.Now()); got != "" {
			t.Errorf("before anybody runs it: %q", got)
		}
		if err := b.Do(t.Context(), "driven"); !errors.Is(err, fails) {
			t.Errorf("got %v", err)
		}
		if s := b.Status()[0]; s.Runs != 1 || s.Failures != 1 || s.Trouble(time.Now()) != "has failed: no" || s.Duration != time.Hour {
			t.Errorf("status %+v", s)
		}
		if err := b.Do(t.Context(), "driven"); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if s := b.Status()[0]; s.Runs != 2 || s.Failures != 0 || s.Trouble(time.Now()) != "" || len(seen) != 2 {
			t.Errorf("status %+v, seen %v", s, seen)
		}
	})
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	var l lateness
	for range 49 {
		l.add(time.Millisecond)
	}
	l.add(9 * time.Second)
	if got, _ := l.quantile(0.99); got != 9*time.Second {
		t.Errorf("p99 of 50 samples is %v, want the worst", got)
	}
	if got, _ := l.quantile(0.5); got != time.Millisecond {
		t.Errorf("p50 %v", got)
	}
}

func TestStopping(t *testing.T) {
	t.Parallel()
	bubble(t, "it waits for a job that still runs", func(t *testing.T) {
		ended := false
		ctx, cancel := context.WithCancel(t.Context())
		b := &Beat{Jobs: []Job{{Name: "slow", Interval: time.Second, Run: func(context.Context) error {
			time.Sleep(2 * time.Second)
			ended = true
			return nil
		}}}}
		time.AfterFunc(time.Second, cancel)
		if err := b.Run(ctx); err != nil || !ended {
			t.Errorf("stopped with %v before the job ended", err)
		}
	})
	bubble(t, "a job that does not stop is named", func(t *testing.T) {
		release := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		b := &Beat{Jobs: []Job{{Name: "deaf", Interval: time.Second, Run: func(context.Context) error {
			<-release
			return nil
		}}}}
		time.AfterFunc(time.Second, cancel)
		if err := b.Run(ctx); err == nil || !strings.Contains(err.Error(), "deaf") {
			t.Errorf("error %v, want one that names the job", err)
		}
		close(release)
	})
}
