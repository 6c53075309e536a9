package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"thor"
	"thor/internal/api"
	"thor/internal/heartbeat"
	"thor/internal/hub"
	"thor/internal/source/replay"
	"thor/jobs"
)

// faultsOfReplay reports what is wrong with the settings of a recording that is
// played.
func (c Config) faultsOfReplay(fault func(flag, format string, args ...any)) {
	switch {
	case c.Replay == "":
		fault("replay", "say which recording, for instance --replay day.thor; thor record makes one")
	case c.Source != replayName:
		fault("source", "it is %s, and --replay names a recording to play; take one of them away", c.Source)
	case c.Upstream != "":
		fault("replay", "--upstream names a backend to read; take one of them away")
	case c.simVirtual():
		fault("replay", "--sim-start and --sim-speed belong to the simulator; a recording has its own time, and --speed")
	}
}

// openReplay makes the source that plays a recording.
func (a *App) openReplay() error {
	rec, err := replay.Open(a.config.Replay, a.config.ReplayCut)
	if err != nil {
		return err
	}
	if a.replay, err = replay.New(rec, a.config.Speed); err != nil {
		return err
	}
	a.source, a.clock, a.origin = a.replay, a.replay.Clock(), "the recording "+rec.ID
	note := fmt.Sprintf("REPLAY of a recording of %s, from %s to %s", rec.Source, rec.From.Format(time.RFC3339), rec.To.Format(time.RFC3339))
	if !rec.Whole {
		note += ", where it was cut"
	}
	a.notes = append(a.notes, note)
	return nil
}

// replayed is what clients are told of the recording that is played.
func (a *App) replayed() *hub.Replay {
	if a.replay == nil {
		return nil
	}
	rec := a.replay.Recording()
	return &hub.Replay{Of: rec.Source, From: rec.From, To: rec.To}
}

func (a *App) replayStatus() *api.ReplayStatus {
	if a.replay == nil {
		return nil
	}
	rec := a.replay.Recording()
	return &api.ReplayStatus{Of: rec.Source, From: rec.From, To: rec.To, Over: a.replay.Over()}
}

// replayTroubles are what a person should know of the recording.
func (a *App) replayTroubles() []string {
	if a.player == nil {
		return nil
	}
	return a.player.troubles()
}

// player runs the jobs of a replay. They are not run when they are due by the
// wall clock but one after the other, in the order in which the recording has
// answers for them, with the clock standing at the answer's time until its job is
// done. What is published of a recording is therefore the same at every speed
// and on every machine; a machine that cannot keep up with the speed is late, and
// leaves nothing out.
type player struct {
	app   *App
	jobs  map[string]string // the job that reads a noun
	timed *timedJob         // of the calendar; nil is none
	out   *delivery

	mu    sync.Mutex // guards ended
	ended string     // how it ended; "" while it is played
}

// timedJob is a job that does not read the recording: it is run at its instants,
// and besides every minute, by the clock of the replay.
type timedJob struct {
	jobs.Job
	due time.Time
}

// delivery hands on what jobs publish, and remembers when it was not taken.
type delivery struct {
	thor.Broadcaster
	refused bool
}

// Broadcast implements [thor.Broadcaster].
func (d *delivery) Broadcast(ctx context.Context, msgs ...thor.Message) error {
	err := d.Broadcaster.Broadcast(ctx, msgs...)
	if err != nil && thor.ErrorCode(err) != thor.EINVALID { // a message that is no good will never be
		d.refused = true
	}
	return err
}

func newPlayer(a *App, list []jobs.Job) *player {
	p := &player{app: a, jobs: map[string]string{}, out: &delivery{Broadcaster: a.pipeline}}
	for noun, job := range map[string]string{
		replay.Balances: "account_balance", replay.Positions: "positions", replay.Bars: "intraday",
	} {
		if slices.ContainsFunc(list, func(j jobs.Job) bool { return j.Name() == job }) {
			p.jobs[noun] = job
		}
	}
	return p
}

// driven makes an entry one of the player's.
func (p *player) driven(entry heartbeat.Job, job jobs.Job) heartbeat.Job {
	entry.Driven, entry.Timeout, entry.Pace, entry.Next = true, replayWait, nil, nil
	entry.Run = func(ctx context.Context) error { return job.Execute(ctx, p.out) }
	if _, ok := job.(jobs.Timed); ok {
		p.timed = &timedJob{Job: job, due: p.app.clock.Now()}
	}
	return entry
}

// How long a job of a replay may take before it is in trouble, and how long it
// waits when what it publishes was not taken.
const (
	replayWait  = 30 * time.Second
	replayRetry = 250 * time.Millisecond
)

// play plays the recording to its end, if there is one.
func (a *App) play(ctx context.Context) error {
	if a.player == nil {
		return nil
	}
	return a.player.run(ctx)
}

func (p *player) run(ctx context.Context) error {
	for {
		more, err := p.runOnce(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			p.end("the replay ended before its time: " + err.Error() + "; the last values stay")
			p.app.logger.ErrorContext(ctx, "the recording cannot be played on; the last values stay", slog.Any("error", err))
			return nil
		case !more:
			to := p.app.replay.Recording().To
			p.end("the recording is over, at " + to.Format(time.RFC3339) + ": the last values stay")
			p.app.logger.InfoContext(ctx, "the recording is over; the last values stay", slog.Time("at", to))
			return nil
		}
	}
}

// runOnce does what is due next: the calendar, or an answer of the recording. It
// is false when nothing is any more.
func (p *player) runOnce(ctx context.Context) (more bool, err error) {
	next, more := p.app.replay.Next()
	if p.timed != nil && !p.timed.due.After(next) {
		if err := p.app.replay.Reach(ctx, p.timed.due); err != nil {
			return false, err
		}
		p.do(ctx, p.timed.Name())
		p.timed.again()
		return true, ctx.Err()
	}
	if !more {
		return false, p.app.replay.Reach(ctx, next)
	}
	about, err := p.app.replay.Take(ctx)
	if about == nil {
		return false, err
	}
	for _, noun := range about {
		if job := p.jobs[noun]; job != "" {
			p.do(ctx, job)
		}
	}
	return true, err
}

// again sets when the job is due next.
func (t *timedJob) again() {
	next := t.due.Truncate(time.Minute).Add(time.Minute)
	if timed, ok := t.Job.(jobs.Timed); ok {
		if at := timed.Next(); at.After(t.due) && at.Before(next) {
			next = at
		}
	}
	t.due = next
}

// do runs a job until what it has to say was taken; meanwhile the clock stands.
func (p *player) do(ctx context.Context, job string) {
	for {
		p.out.refused = false
		if err := p.app.beat.Do(ctx, job); err == nil || !p.out.refused {
			return // an error of the recording is how it was
		}
		timer := time.NewTimer(replayRetry)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (p *player) end(how string) {
	p.app.replay.End()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = how
}

func (p *player) troubles() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == "" {
		return nil
	}
	return []string{p.ended}
}
