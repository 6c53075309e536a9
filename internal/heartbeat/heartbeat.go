// Package heartbeat runs jobs when they are due: at their interval, aligned to
// the wall clock so that jobs of one interval beat together, or at an instant a
// job asks for.
//
// A job has a deadline, never overlaps itself, and never delays another. When
// it fails it is tried again with back-off. The package knows no feature and
// does not know what a job does.
package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// Job is one entry of the registry.
type Job struct {
	Name     string
	Interval time.Duration // of wall time
	// Timeout bounds one run; 0 is the interval, but at least [MinTimeout].
	Timeout time.Duration
	// Next returns an instant at which the job is due besides its interval, or
	// the zero time. It is called between runs, never during one. Nil is none.
	Next func() time.Time
	Run  func(ctx context.Context) error
}

// Bounds of the schedule.
const (
	MinTimeout = 5 * time.Second // so that a slow disk is not taken for a hung job
	firstRetry = 250 * time.Millisecond
	lastRetry  = 30 * time.Second
	drainTime  = 5 * time.Second
	longSleep  = time.Second // the wall clock may jump while the beat sleeps
)

// Beat is the registry and its loop. Set the fields, then Run it once.
type Beat struct {
	Jobs []Job
	// Observe sees every run after it ended; nil is nobody.
	Observe func(run Run)
	Logger  *slog.Logger // nil discards

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
	due      time.Time
	wait     time.Duration // how far ahead due was when it was set
	running  bool
	began    time.Time // of the newest run
	warned   bool      // that it does not stop
	failures int       // in a row
}

// result is what a run reports to the loop.
type result struct {
	index int
	began time.Time
	due   time.Time
	ended time.Time
	err   error
}

// Run runs the jobs until ctx ends, then waits a little for those that still
// run. It returns an error when some do not return.
func (b *Beat) Run(ctx context.Context) error {
	if b.Logger == nil {
		b.Logger = slog.New(slog.DiscardHandler)
	}
	now := time.Now()
	entries := make([]*entry, len(b.Jobs))
	b.mu.Lock()
	b.status = make([]Status, len(b.Jobs))
	for i, job := range b.Jobs {
		if job.Timeout == 0 {
			job.Timeout = max(job.Interval, MinTimeout)
		}
		entries[i] = &entry{Job: job, index: i, due: now}
		b.status[i] = Status{Job: job.Name, Interval: job.Interval, Timeout: job.Timeout}
	}
	b.mu.Unlock()

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
		timer.Reset(b.runOnce(ctx, time.Now(), entries, results))
	}
}

// runOnce starts every job that is due and returns how long to sleep.
func (b *Beat) runOnce(ctx context.Context, now time.Time, entries []*entry, results chan<- result) time.Duration {
	sleep := longSleep
	for _, e := range entries {
		if e.running {
			b.warn(e, now)
			continue
		}
		if e.due.Sub(now) > e.wait { // the wall clock went back
			e.due = now.Add(e.wait)
		}
		if !e.due.After(now) {
			e.running, e.began, e.warned = true, now, false
			b.update(e.index, func(s *Status) { s.Running, s.Began = true, now })
			go run(ctx, e.Job, result{index: e.index, due: e.due}, results)
			continue
		}
		sleep = min(sleep, e.due.Sub(now))
	}
	return sleep
}

// run executes a job once and reports. The channel has room for every job.
func run(ctx context.Context, job Job, r result, results chan<- result) {
	ctx, cancel := context.WithTimeout(ctx, job.Timeout)
	defer cancel()
	r.began = time.Now()
	defer func() {
		if p := recover(); p != nil {
			r.err = &panicError{value: p, stack: debug.Stack()}
		}
		r.ended = time.Now()
		results <- r
	}()
	r.err = job.Run(ctx)
	if r.err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		r.err = fmt.Errorf("not done within %v: %w", job.Timeout, r.err)
	}
}

// panicError is a panic of a job.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// finish notes the result and decides when the job is due next.
func (b *Beat) finish(e *entry, r result) {
	e.running = false
	next := align(r.ended, e.Interval)
	if r.err == nil {
		e.failures = 0
		if e.Next != nil {
			if at := e.Next(); !at.IsZero() && at.Before(next) {
				next = at
			}
		}
	} else {
		e.failures++
		next = r.ended.Add(backOff(e.failures))
		if wait, ok := errors.AsType[notBefore](r.err); ok && wait.NotBefore().After(next) {
			next = wait.NotBefore()
		}
	}
	e.due, e.wait = next, next.Sub(r.ended)
	late := max(0, r.began.Sub(r.due))
	missed := int(r.ended.Truncate(e.Interval).Sub(r.began.Truncate(e.Interval)) / e.Interval)
	b.note(e, r, late, max(0, missed))
}

// notBefore is an error that says when to ask again.
type notBefore interface {
	error
	NotBefore() time.Time
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
