package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"time"

	"thor"
	"thor/internal/api"
	"thor/internal/auth"
	"thor/internal/heartbeat"
	"thor/internal/source"
)

// openAPI puts everything that speaks HTTP on one handler.
func (a *App) openAPI() {
	upgrade := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			api.UpgradeRequired(w, r)
			return
		}
		a.hub.ServeHTTP(w, r)
	})
	mount := map[string]http.Handler{
		"GET /ws":      upgrade,
		"GET /ws/{$}":  upgrade,
		"GET /metrics": a.metrics.Handler(a.refreshGauges),
	}
	maps.Copy(mount, a.page())
	var elsewhere http.Handler // a nil *frontdoor.Door in it would not be nil
	if a.front != nil {
		elsewhere = a.front
	}
	a.api = api.New(api.Config{
		Version: Version, Store: a.store, Memory: a.logs, Stages: a.stages, Audit: a.store.Audit, Door: a.door, Status: a.Status,
		Publish: a.pipeline.Publish, Publishers: a.publishers,
		Requests: &auth.Rates{PerSecond: a.config.RequestRate}, Refused: func(reason string) { a.metrics.RESTRefused.WithLabelValues(reason).Inc() },
		Cadence: a.pace.cadence, Label: a.label(), Oldest: a.oldest, Served: a.served, Consumers: a.consumers, Elsewhere: elsewhere,
		Mount: mount, Logger: a.logger,
		Checks: []api.Check{
			{Name: "store", Run: func(ctx context.Context) error {
				_, err := a.store.Streams(ctx)
				return errors.Join(err, a.stages.Away())
			}},
			{Name: "channel", Run: a.layer.Probe},
			{Name: "jobs", Run: func(context.Context) error { return jobsWork(a.beat.Status(), time.Now()) }},
		},
	})
}

// label is how people call accounts besides their ids, or nil.
func (a *App) label() func(account string) string {
	if labelled := source.AbilitiesOf(a.source).Labelled; labelled != nil {
		return labelled.Label
	}
	return nil
}

// jobsWork reports the jobs that do not do what they should.
func jobsWork(status []heartbeat.Status, now time.Time) error {
	if len(status) == 0 {
		return errors.New("the jobs have not begun")
	}
	var errs []error
	for _, s := range status {
		// Words that may name an account are not for everybody: those of the source,
		// and of a message that is wrong.
		if e, ok := errors.AsType[*source.Error](s.Err); ok {
			s.LastError = string(e.Kind)
		} else if thor.ErrorCode(s.Err) == thor.EINVALID {
			s.LastError = "what it says is not valid; thor status says why"
		}
		if trouble := s.Trouble(now); trouble != "" {
			errs = append(errs, fmt.Errorf("job %s %s", s.Job, trouble))
		}
	}
	return errors.Join(errs...)
}

// Status is the state of the server.
func (a *App) Status(context.Context) api.Status {
	now := time.Now()
	counts := a.pipeline.Counts()
	s := api.Status{
		Version: Version, Build: Build(), Started: a.started.UTC(), UptimeMS: now.Sub(a.started).Milliseconds(),
		Source: api.SourceStatus{
			Name: a.source.Name(), Simulated: a.source.Caps().Simulated, Unproven: a.source.Caps().Unproven,
			Virtual: a.clock.Virtual(), Speed: a.clock.Speed(), Time: a.clock.Now().UTC(),
			Replay: a.replayStatus(),
		},
		Channel: a.layer.Name(), Data: a.data, Clients: a.hub.Stats().Connections,
		Heartbeat: api.HeartbeatStatus{IntervalMS: a.wall(time.Second).Milliseconds()},
		Calendars: a.calendarStatus(),
		Pipeline: api.PipelineStatus{
			Received: counts.Received, Invalid: counts.Invalid, Unchanged: counts.Unchanged,
			Stored: counts.Stored, Published: counts.Published, LostDigits: counts.LostDigits,
		},
	}
	if s.Source.Replay != nil && s.Source.Replay.Over {
		s.Source.Speed = 0
	}
	if late, ok := a.beat.LateP99(); ok {
		ms := milliseconds(late)
		s.Heartbeat.LateP99MS = &ms
	}
	consumers := a.consumers.Within(now.Add(-time.Hour))
	s.Troubles = append(append([]string{}, a.stages.Troubles()...), a.auditFaults...)
	ran := a.beat.Status()
	s.Troubles = append(s.Troubles, a.replayTroubles()...)
	for _, state := range a.stages.States() {
		stage := state.Effective
		f := api.FeatureStatus{
			Feature: stage.Feature, Stage: state.Stored.Stage, Effective: stage.Stage, Weight: stage.Weight, Rev: stage.Rev,
			Forced: state.Forced, Unstored: state.Unstored,
			DataSource:        label(stage),
			MessagesPerMinute: a.feeds[stage.Feature].messages.PerMinute(now),
			RESTPerMinute:     a.feeds[stage.Feature].rest.PerMinute(now),
			RESTConsumers:     consumers[stage.Feature],
		}
		if newest, ok := a.newest(stage.Feature); ok {
			ms := max(0, now.Sub(newest).Milliseconds())
			f.LastMS = &ms
		}
		if stage.Frozen() {
			f.Frozen = &stage.Freeze
		}
		f.Trouble = a.troubleOf(stage.Feature, ran, now)
		s.Features = append(s.Features, f)
	}
	for _, j := range ran {
		s.Jobs = append(s.Jobs, jobStatus(j, now))
	}
	s.Jobs = append(s.Jobs, a.outsideJobs(now)...)
	return s
}

func jobStatus(j heartbeat.Status, now time.Time) api.JobStatus {
	s := api.JobStatus{
		Job: j.Job, IntervalMS: j.Interval.Milliseconds(), Running: j.Running, Runs: j.Runs,
		Failed: j.Failed, Failures: j.Failures, Overruns: j.Overruns,
		LateMS: milliseconds(j.Late), DurationMS: milliseconds(j.Duration), LastError: j.LastError,
		Trouble: j.Trouble(now),
	}
	if !j.FailedAt.IsZero() {
		at := j.FailedAt.UTC().Format(time.RFC3339)
		s.FailedAt = &at
	}
	return s
}

// milliseconds has three digits.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// label is where clients get a feature from, as people read it.
func label(s thor.FeatureStage) string {
	switch s.Stage {
	case thor.StageOff:
		return "REST"
	case thor.StageShadow:
		return "REST (Shadow)"
	case thor.StageCanary:
		return fmt.Sprintf("WebSocket (%d %%)", s.Weight)
	default:
		return "WebSocket"
	}
}

// refreshGauges brings the gauges up to date before somebody reads them.
func (a *App) refreshGauges() {
	now := time.Now()
	for _, j := range a.beat.Status() {
		running := 0.0
		if j.Running {
			running = now.Sub(j.Began).Seconds()
		}
		a.metrics.JobRunning.WithLabelValues(j.Job).Set(running)
	}
	for _, state := range a.stages.States() {
		s, forced, unstored := state.Effective, 0.0, 0.0
		if state.Forced != nil {
			forced = 1
		}
		if state.Unstored {
			unstored = 1
		}
		a.metrics.Forced.WithLabelValues(s.Feature).Set(forced)
		a.metrics.Unstored.WithLabelValues(s.Feature).Set(unstored)
		for _, stage := range thor.Stages() {
			value := 0.0
			if stage == s.Stage {
				value = 1
			}
			a.metrics.Stage.WithLabelValues(s.Feature, stage.String()).Set(value)
		}
		if newest, ok := a.newest(s.Feature); ok {
			a.metrics.FeedAge.WithLabelValues(s.Feature, string(thor.DataSourceWS)).Set(max(0, now.Sub(newest).Seconds()))
		} else { // an age that stands still would look like a feed
			a.metrics.FeedAge.DeleteLabelValues(s.Feature, string(thor.DataSourceWS))
		}
	}
	if e, ok := a.logs.Tips()[thor.CutoverStream]; ok {
		a.metrics.Revision.WithLabelValues(node()).Set(float64(e.Version.Seq))
	}
}

// node names this process among others.
func node() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// exportCounts adds the counts that other packages keep.
func (a *App) exportCounts() {
	a.metrics.Gauge("calendar_trouble", "1 while the folder of calendars cannot be used; thor status says why.", func() float64 {
		if a.folder.State().Trouble != nil {
			return 1
		}
		return 0
	})
	a.metrics.Gauge("calendars_ending", "Exchanges whose calendar ends within 60 days.", func() float64 { return float64(len(a.ending())) })
	a.metrics.Gauge("hub_connections", "WebSocket connections.", func() float64 { return float64(a.hub.Stats().Connections) })
	for name, m := range map[string]struct {
		help  string
		value func() float64
	}{
		"hub_accepted_total":          {"Connections accepted.", func() float64 { return float64(a.hub.Stats().Accepted) }},
		"hub_sent_bytes_total":        {"Bytes given to connections.", func() float64 { return float64(a.hub.Stats().SentBytes) }},
		"hub_conflated_entries_total": {"Entries left out for readers that lag.", func() float64 { return float64(a.hub.Stats().Skipped) }},
		"hub_refused_messages_total":  {"Messages of clients beyond their rate.", func() float64 { return float64(a.hub.Stats().Refused) }},
		"hub_panics_total":            {"Panics, each of which has ended one connection; the log has the stack.", func() float64 { return float64(a.hub.Stats().Panics) }},
		"pipeline_received_total":     {"Messages handed in by jobs.", func() float64 { return float64(a.pipeline.Counts().Received) }},
		"pipeline_invalid_total":      {"Messages refused.", func() float64 { return float64(a.pipeline.Counts().Invalid) }},
		"pipeline_unchanged_total":    {"Messages that said nothing new.", func() float64 { return float64(a.pipeline.Counts().Unchanged) }},
		"pipeline_stored_total":       {"Events stored.", func() float64 { return float64(a.pipeline.Counts().Stored) }},
		"pipeline_published_total":    {"Events published.", func() float64 { return float64(a.pipeline.Counts().Published) }},
		"pipeline_lost_digits_total":  {"Values with more digits than their field's scale.", func() float64 { return float64(a.pipeline.Counts().LostDigits) }},
	} {
		a.metrics.Counter(name, m.help, m.value)
	}
}
