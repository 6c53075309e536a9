package heartbeat

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"
)

// Status is what is known of one job.
type Status struct {
	Job       string
	Interval  time.Duration // for now
	Timeout   time.Duration
	Running   bool
	Began     time.Time // of the newest run
	Duration  time.Duration
	Late      time.Duration // of the newest run that ended
	Runs      int64
	Failed    int64
	Failures  int   // in a row, up to now
	Overruns  int64 // how many beats of its interval went by while it ran
	LastError string
	Err       error // the newest failure
	FailedAt  time.Time
	WorkedAt  time.Time // when the newest run ended that did what it should
	Driven    bool      // nobody knows when it runs next
}

// grace is how late a job may be, or past its deadline, on a busy machine.
const grace = 5 * time.Second

// Hangs reports whether a run of the job goes on behind its deadline.
func (s Status) Hangs(now time.Time) bool { return s.Running && now.Sub(s.Began) > s.Timeout+grace }

// Trouble says in words why the job does not do what it should, or "".
func (s Status) Trouble(now time.Time) string {
	switch since := now.Sub(s.Began); {
	case s.Failures > 1:
		return fmt.Sprintf("has failed %d times in a row: %s", s.Failures, s.LastError)
	case s.Failures == 1:
		return "has failed: " + s.LastError
	case s.Hangs(now):
		return fmt.Sprintf("has run for %v and does not stop at its deadline of %v", since.Round(time.Second), s.Timeout)
	case s.Running && s.Runs > 0 || s.Driven:
		return ""
	case s.Runs == 0:
		return "has not ended a run yet"
	case s.Late > grace && since < 2*grace: // of a run that is no news any more it says nothing
		return fmt.Sprintf("began %v late", s.Late.Round(time.Millisecond))
	case since > s.Interval+s.Duration+grace:
		return fmt.Sprintf("has not run for %v", since.Round(time.Second))
	}
	return ""
}

// Status returns the state of every job, in the order of the registry.
func (b *Beat) Status() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.status)
}

// LateP99 is the 99th percentile of how late the newest runs of all jobs began.
// It is false before the first.
func (b *Beat) LateP99() (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.late.quantile(0.99)
}

func (b *Beat) update(index int, change func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status[index])
}

// warn logs once of a run that goes on behind its deadline.
func (b *Beat) warn(e *entry, elapsed time.Duration) {
	if e.warned || elapsed-e.began <= e.Timeout+grace {
		return
	}
	e.warned = true
	b.Logger.Warn("job does not stop at its deadline", slog.String("job", e.Name), slog.Duration("deadline", e.Timeout))
}

// note keeps and logs what a run was like. A job that goes on failing is logged
// when it begins to fail and once for every doubling after that.
func (b *Beat) note(e *entry, r result, late time.Duration, missed int) {
	duration := r.ended.elapsed - r.began.elapsed
	recovered := e.warned && r.err == nil
	b.update(e.index, func(s *Status) {
		s.Running = false
		s.Duration = duration
		s.Interval = e.interval
		s.Late = late
		s.Runs++
		s.Overruns += int64(missed)
		recovered = recovered || s.Failures > 0 && r.err == nil
		s.Failures = e.failures
		if r.err != nil {
			s.Failed++
			s.LastError, s.Err, s.FailedAt = r.err.Error(), r.err, r.ended.wall
		} else {
			s.WorkedAt = r.ended.wall
		}
		b.late.add(late)
	})
	if b.Observe != nil {
		b.Observe(Run{Job: e.Name, Late: late, Duration: duration, Missed: missed, Err: r.err})
	}
	switch {
	case recovered:
		b.Logger.Info("job works again", slog.String("job", e.Name))
	case r.err != nil && e.failures&(e.failures-1) == 0:
		attrs := []any{slog.String("job", e.Name), slog.Int("failures", e.failures), slog.Any("error", r.err)}
		if p, ok := errors.AsType[stacked](r.err); ok {
			attrs = append(attrs, slog.String("stack", p.Stack()))
		}
		b.Logger.Warn("job failed", attrs...)
	}
}

// lateness keeps the newest samples.
type lateness struct {
	samples [1024]time.Duration
	n       int // how many were added
}

func (l *lateness) add(d time.Duration) {
	l.samples[l.n%len(l.samples)] = d
	l.n++
}

func (l *lateness) quantile(q float64) (time.Duration, bool) {
	if l.n == 0 {
		return 0, false
	}
	sorted := slices.Sorted(slices.Values(l.samples[:min(l.n, len(l.samples))]))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)], true
}
