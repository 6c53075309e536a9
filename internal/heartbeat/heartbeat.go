// Package heartbeat runs jobs when they are due: at their interval, aligned to
// the wall clock so that jobs of one interval beat together, or at an instant a
// job asks for.
//
// A job has a deadline, never overlaps itself, and never delays another. When
// it fails it is tried again with back-off; when it fails in part it keeps its
// beat, so that the part that works stays as young as ever. One that does not stop at its
// deadline is not abandoned: it is shown by name, and runs again when it has
// returned.
//
// The wall clock says which instants jobs are due at. How long to wait until
// then is measured on a clock that only goes forward, so that a wall clock that
// is set, or a machine that slept, makes no burst of runs and no pause.
//
// The package knows no feature and does not know what a job does.
package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// Job is one entry of the registry.
type Job struct {
	Name     string
	Interval time.Duration // of wall time
	// Pace returns the interval for now, where it changes; Interval is the
	// shortest then. It is called between runs. Nil is always Interval.
	Pace func() time.Duration
	// Timeout bounds one run; 0 is the interval, but at least [MinTimeout].
	Timeout time.Duration
	// Next returns an instant at which the job is due besides its interval, or
	// the zero time. It is called between runs, never during one; after a run that
	// failed it is not asked. Nil is none.
	Next func() time.Time
	Run  func(ctx context.Context) error
	// Driven is a job that is never due: somebody runs it with [Beat.Do]. It has
	// no deadline, but one that takes longer than its Timeout is in trouble.
	Driven bool
}

// Bounds of the schedule.
const (
	MinTimeout = 5 * time.Second // so that a slow disk is not taken for a hung job
	firstRetry = 250 * time.Millisecond
	lastRetry  = 30 * time.Second
	drainTime  = 5 * time.Second
	longSleep  = time.Second // an instant may have passed when the wall clock was set
)

// Beat is the registry and its loop. Set the fields, then Run it once.
type Beat struct {
	Jobs []Job
	// Observe sees every run after it ended; nil is nobody.
	Observe func(run Run)
	Logger  *slog.Logger // nil discards
	// Now is the wall clock; nil is the machine's. In virtual time no clock
	// jumps, so tests bring one that does.
	Now func() time.Time

	ready   sync.Once
	began   time.Time // with its monotonic reading; what waits are measured from
	entries []*entry  // of Run; those that are driven, of Do

	mu     sync.Mutex // guards what follows
	status []Status
	late   lateness
}

// Run is what happened in one run of a job.
type Run struct {
	Job      string
	Late     time.Duration // how long after it was due it began
	Duration time.Duration
	Missed   int // how many beats of its interval went by while it ran
	Err      error
}

// entry is a job in the loop that owns it.
type entry struct {
	Job
	index    int
	interval time.Duration // for now
	due      time.Duration // when it runs next, since the beat began
	at       time.Time     // or as soon as the wall clock shows this, unless zero
	running  bool
	began    time.Duration // when the newest run began
	warned   bool          // that it does not stop
	failures int           // in a row
}

// moment is one instant on both clocks.
type moment struct {
	wall    time.Time
	elapsed time.Duration // since the beat began
}

func (b *Beat) moment() moment { return moment{b.Now().Round(0), time.Since(b.began)} }

// result is what a run reports to the loop.
type result struct {
	index        int
	due          time.Duration // since the beat began
	began, ended moment
	err          error
}

// Run runs the jobs until ctx ends, then waits a little for those that still
// run. It returns an error when some do not return.
func (b *Beat) Run(ctx context.Context) error {
	b.ready.Do(b.prepare)
	entries := b.entries
	results := make(chan result, len(entries))
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return drain(entries, results)
		case r := <-results:
			b.finish(entries[r.index], r)
		case <-timer.C:
		}
		timer.Reset(b.runOnce(ctx, b.moment(), entries, results))
	}
}

// prepare makes the entries of the registry.
func (b *Beat) prepare() {
	if b.Logger == nil {
		b.Logger = slog.New(slog.DiscardHandler)
	}
	if b.Now == nil {
		b.Now = time.Now
	}
	b.began = time.Now()
	b.entries = make([]*entry, len(b.Jobs))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.status = make([]Status, len(b.Jobs))
	for i, job := range b.Jobs {
		if job.Timeout == 0 {
			job.Timeout = max(job.Interval, MinTimeout)
		}
		b.entries[i] = &entry{Job: job, index: i, interval: job.Interval}
		b.status[i] = Status{Job: job.Name, Interval: job.Interval, Timeout: job.Timeout, Driven: job.Driven}
	}
}

// Do runs a job that is driven, and returns its error. Its status, its metrics
// and its log are as those of any other. It must not be called twice at a time.
func (b *Beat) Do(ctx context.Context, name string) error {
	b.ready.Do(b.prepare)
	i := slices.IndexFunc(b.entries, func(e *entry) bool { return e.Driven && e.Name == name })
	if i < 0 {
		panic("heartbeat: nobody drives a job " + name)
	}
	e := b.entries[i]
	b.update(e.index, func(s *Status) { s.Running, s.Began = true, time.Now() })
	results := make(chan result, 1)
	b.run(ctx, e.Job, result{index: e.index, due: time.Since(b.began)}, results)
	r := <-results
	if e.failures++; r.err == nil {
		e.failures = 0
	}
	b.note(e, r, 0, 0)
	return r.err
}

// runOnce starts every job that is due and returns how long to sleep.
func (b *Beat) runOnce(ctx context.Context, now moment, entries []*entry, results chan<- result) time.Duration {
	sleep := longSleep
	for _, e := range entries {
		if e.Driven {
			continue
		}
		if e.running {
			b.warn(e, now.elapsed)
			continue
		}
		reached := !e.at.IsZero() && !e.at.After(now.wall)
		if !reached && e.due > now.elapsed {
			sleep = min(sleep, e.due-now.elapsed)
			continue
		}
		e.running, e.began, e.warned = true, now.elapsed, false
		b.update(e.index, func(s *Status) { s.Running, s.Began = true, time.Now() })
		go b.run(ctx, e.Job, result{index: e.index, due: min(e.due, now.elapsed)}, results)
	}
	return sleep
}

// run executes a job once and reports. The channel has room for every job.
func (b *Beat) run(ctx context.Context, job Job, r result, results chan<- result) {
	if !job.Driven {
		bounded, cancel := context.WithTimeout(ctx, job.Timeout)
		defer cancel()
		ctx = bounded
	}
	r.began = b.moment()
	defer func() {
		if p := recover(); p != nil {
			r.err = &panicError{value: p, stack: debug.Stack()}
		}
		r.ended = b.moment()
		results <- r
	}()
	r.err = job.Run(ctx)
	if r.err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		r.err = fmt.Errorf("not done within %v: %w", job.Timeout, r.err)
	}
}

// stacked is an error that is a panic and knows where.
type stacked interface {
	error
	Stack() string
}

// panicError is a panic of a job.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// Stack is where it happened.
func (e *panicError) Stack() string { return string(e.stack) }

// finish notes the result and decides when the job is due next.
func (b *Beat) finish(e *entry, r result) {
	late := max(0, r.began.elapsed-r.due)
	missed := beatsWithin(e.interval, r)
	e.running, e.at = false, time.Time{}
	if r.err == nil {
		e.failures = 0
		if e.Pace != nil {
			e.interval = e.Pace()
		}
		wait := align(r.ended.wall, e.interval).Sub(r.ended.wall)
		if e.Next != nil {
			// What had passed when the run began the run has seen.
			if at := e.Next(); at.After(r.began.wall) {
				e.at = at
				wait = min(wait, at.Sub(r.ended.wall))
			}
		}
		e.due = r.ended.elapsed + wait
	} else {
		e.failures++
		wait := backOff(e.failures)
		if part, ok := errors.AsType[partial](r.err); ok && part.Partial() {
			wait = align(r.ended.wall, e.interval).Sub(r.ended.wall)
		}
		if named, ok := errors.AsType[notBefore](r.err); ok {
			if at := named.NotBefore(); at.Sub(r.ended.wall) > wait {
				e.at = at
				wait = at.Sub(r.ended.wall)
			}
		}
		e.due = r.ended.elapsed + wait
	}
	b.note(e, r, late, missed)
}

// beatsWithin is how many beats of an interval went by during a run.
func beatsWithin(interval time.Duration, r result) int {
	took := r.ended.elapsed - r.began.elapsed
	into := r.began.wall.Sub(r.began.wall.Truncate(interval)) // the beat it began in
	return max(0, int((into+took)/interval))
}

// notBefore is an error that says when to ask again.
type notBefore interface {
	error
	NotBefore() time.Time
}

// partial is an error of a run that has done a part of its work.
type partial interface {
	error
	Partial() bool
}

// align returns the next multiple of the interval after t.
func align(t time.Time, interval time.Duration) time.Time {
	return t.Truncate(interval).Add(interval)
}

// backOff is how long to wait after so many failures in a row: doubling, with
// full jitter.
func backOff(failures int) time.Duration {
	ceiling := lastRetry
	if failures < 8 {
		ceiling = min(lastRetry, firstRetry<<(failures-1))
	}
	return rand.N(ceiling) + 1 //nolint:gosec // not a secret
}

// drain waits for the jobs that still run.
func drain(entries []*entry, results <-chan result) error {
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	for {
		var running []string
		for _, e := range entries {
			if e.running {
				running = append(running, e.Name)
			}
		}
		if len(running) == 0 {
			return nil
		}
		select {
		case r := <-results:
			entries[r.index].running = false
		case <-timer.C:
			return fmt.Errorf("these jobs did not stop within %v: %s", drainTime, strings.Join(running, ", "))
		}
	}
}
