package app

import (
	"context"
	"log/slog"
	"time"

	"thor"
	"thor/internal/heartbeat"
	"thor/internal/metrics"
	"thor/jobs"
)

// Intervals of what the server does besides the jobs.
const (
	heartbeatEvery = 5 * time.Second
	staleAfter     = 3 * heartbeatEvery
	pruneEvery     = time.Minute
	replayFor      = 15 * time.Minute // superseded events are kept for a resume so long
)

// openBeat registers the jobs, the heartbeat and the pruning.
func (a *App) openBeat(ctx context.Context) error {
	until, err := a.barsUntil(ctx)
	if err != nil {
		return err
	}
	from, err := a.abilities(ctx)
	if err != nil {
		return err
	}
	list := a.inside(jobs.List(from, until))
	a.beat = &heartbeat.Beat{Logger: a.logger, Observe: func(r heartbeat.Run) {
		a.metrics.ObserveRun(r.Job, r.Late, r.Duration, r.Missed, r.Err)
	}}
	if a.replay != nil {
		a.player = newPlayer(a, list)
	}
	for _, job := range list {
		entry := a.entry(job, a.pipeline)
		if a.player != nil {
			a.beat.Jobs = append(a.beat.Jobs, a.player.driven(entry, job))
			continue
		}
		if job.Name() == "global_market" && a.folder.Dir() != "" {
			entry.Interval = min(entry.Interval, lookEvery)
		}
		a.beat.Jobs = append(a.beat.Jobs, entry)
	}
	look := heartbeat.Job{Name: "calendars", Interval: pruneEvery, Run: a.lookAtCalendars}
	if a.folder.Dir() != "" {
		look.Interval = lookEvery
	}
	a.beat.Jobs = append(a.beat.Jobs,
		heartbeat.Job{Name: "heartbeat", Interval: heartbeatEvery, Run: func(context.Context) error { return a.sendHeartbeat(len(list)) }},
		heartbeat.Job{Name: "channel", Interval: probeEvery, Run: a.watchLayer().run},
		heartbeat.Job{Name: "retention", Interval: pruneEvery, Run: a.prune},
		look,
	)
	return nil
}

// entry puts a job of the source into the registry: it is read in the source's
// time, and less often while nothing trades.
func (a *App) entry(job jobs.Job, out thor.Broadcaster) heartbeat.Job {
	entry := heartbeat.Job{
		Name:     job.Name(),
		Interval: a.wall(job.Every()),
		Run:      func(ctx context.Context) error { return job.Execute(ctx, out) },
	}
	if f, err := thor.FeatureNamed(job.Name()); err == nil && f.Idle > 0 {
		entry.Pace = func() time.Duration { return a.pace.interval(f, job.Every()) }
		entry.Next = func() time.Time { return a.wallTime(a.pace.opening(f.Name)) }
	}
	if timed, ok := job.(jobs.Timed); ok {
		entry.Next = func() time.Time { return a.wallTime(timed.Next()) }
	}
	return entry
}

// wallTime is when the source's clock will show t. That of a virtual clock is
// so far ahead whatever the wall clock does.
func (a *App) wallTime(t time.Time) time.Time {
	if t.IsZero() || !a.clock.Virtual() {
		return t
	}
	ahead := time.Duration(float64(t.Sub(a.clock.Now())) / a.clock.Speed())
	return time.Now().Add(ahead)
}

// sendHeartbeat says what has changed of the cadences, and then the heartbeat.
func (a *App) sendHeartbeat(activeJobs int) error {
	a.hub.AnnounceCadences(a.pace.announce())
	return a.hub.Beat(a.nextHeartbeat(activeJobs))
}

func (a *App) nextHeartbeat(activeJobs int) thor.Heartbeat {
	now := time.Now()
	h := thor.Heartbeat{
		Timestamp:      a.clock.Now().UTC().Truncate(time.Millisecond),
		HeartbeatCount: a.beats.Add(1),
		IntervalMS:     heartbeatEvery.Milliseconds(),
		StaleAfterMS:   staleAfter.Milliseconds(),
		ActiveJobs:     activeJobs,
		Streams:        map[thor.StreamID]thor.StreamTip{},
	}
	for id, newest := range a.logs.Tips() {
		if id.Private() {
			continue
		}
		tip := thor.StreamTip{Seq: newest.Version.Seq, AgeMS: max(0, now.Sub(newest.Time).Milliseconds()), CadenceMS: a.pace.told(id).Milliseconds()}
		h.Streams[id] = tip
	}
	return h
}

func (a *App) prune(ctx context.Context) error {
	now := time.Now()
	removed, err := a.store.Prune(ctx, now.Add(-replayFor), now.Add(-a.config.Retain))
	if err == nil && removed > 0 {
		a.logger.DebugContext(ctx, "old events removed", slog.Int64("events", removed))
	}
	return err
}

// feed counts what goes out of one feature.
type feed struct {
	messages metrics.Rate
	rest     metrics.Rate
}

func (a *App) openFeeds() {
	a.feeds = map[string]*feed{}
	for _, name := range thor.FeatureNames() {
		a.feeds[name] = &feed{}
	}
}

// tap counts what the pipeline has published.
func (a *App) tap(events []thor.Event) {
	now, counts := time.Now(), map[string]int64{}
	for _, e := range events {
		counts[e.Stream.Feature()]++
	}
	for feature, n := range counts {
		a.feeds[feature].messages.Add(now, n)
		a.metrics.FeedEvents.WithLabelValues(feature).Add(float64(n))
	}
}

// served counts an answer of a feature's REST endpoint.
func (a *App) served(feature, consumer string) {
	a.feeds[feature].rest.Add(time.Now(), 1)
	a.metrics.RESTRequests.WithLabelValues(feature, consumer).Inc()
}

// newest is when a feature spoke last; false when it has not. What was said
// before the wall clock went back seems to be of later than now: it counts only
// while nothing else has been said.
func (a *App) newest(feature string) (time.Time, bool) {
	var newest, ahead time.Time
	now := time.Now()
	for id, e := range a.logs.Tips() {
		switch {
		case id.Feature() != feature:
		case e.Time.After(now):
			ahead = now
		case e.Time.After(newest):
			newest = e.Time
		}
	}
	if newest.IsZero() {
		newest = ahead
	}
	return newest, !newest.IsZero()
}
