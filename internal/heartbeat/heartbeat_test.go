package heartbeat

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
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
			if wait := at[i] - at[i-1]; wait < ceiling/2 || wait > ceiling {
				t.Errorf("retry %d came after %v, want %v to %v", i, wait, ceiling/2, ceiling)
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

	bubble(t, "an error that names a time is not retried before", func(t *testing.T) {
		var runs diary
		start(t, &Beat{Jobs: []Job{{Name: "limited", Interval: second, Run: func(context.Context) error {
			if runs.note() == 1 {
				return limited{time.Now().Add(20 * second)}
			}
			return nil
		}}}})
		time.Sleep(25 * second)
		if wait := runs.offsets()[1]; wait != 20*second {
			t.Errorf("retried after %v, want 20s", wait)
		}
	})

	bubble(t, "a panic is a failure of that job alone", func(t *testing.T) {
		var runs diary
		b := &Beat{Jobs: []Job{
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

type limited struct{ at time.Time }

func (limited) Error() string          { return "too many requests" }
func (l limited) NotBefore() time.Time { return l.at }

func TestAClockThatGoesBackDoesNotStopTheBeat(t *testing.T) {
	t.Parallel()
	b := &Beat{status: make([]Status, 1)}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	e := &entry{Job: Job{Name: "job", Interval: time.Second}, due: now.Add(time.Hour)}
	sleep := b.runOnce(t.Context(), now, []*entry{e}, nil)
	if sleep != time.Second || !e.due.Equal(now.Add(time.Second)) {
		t.Errorf("sleeps %v, due %v; want a second", sleep, e.due)
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
