package app

import (
	"fmt"
	"slices"
	"time"

	"thor"
	"thor/internal/api"
	"thor/jobs"
)

// inside keeps of the jobs those that run in this process.
func (a *App) inside(list []jobs.Job) []jobs.Job {
	var kept []jobs.Job
	for _, job := range list {
		if !slices.Contains(a.config.Outside, job.Name()) {
			kept, a.own = append(kept, job), append(a.own, job.Name())
		}
	}
	return kept
}

// outside reports whether jobs outside of this process publish a feature: it is
// set so, or no source here has it.
func (a *App) outside(feature string) bool { return !slices.Contains(a.own, feature) }

// openPublishers prepares the door for jobs outside.
func (a *App) openPublishers() {
	a.publishers = &api.Publishers{Inside: func(feature string) string {
		if a.outside(feature) {
			return ""
		}
		return fmt.Sprintf("the job %s of this server (source %s)", feature, a.source.Name())
	}}
}

// outsideJobs are the jobs outside as status shows them.
func (a *App) outsideJobs(now time.Time) []api.JobStatus {
	var list []api.JobStatus
	heard := a.publishers.Status()
	for _, feature := range thor.FeatureNames() {
		if !a.outside(feature) {
			continue
		}
		s := api.JobStatus{Job: feature, Outside: true}
		i := slices.IndexFunc(heard, func(p api.PublisherStatus) bool { return p.Feature == feature })
		if i < 0 {
			s.Trouble = "comes from outside, and nobody has published it since the start: POST /api/publish"
			list = append(list, s)
			continue
		}
		p := heard[i]
		s.By, s.IntervalMS, s.Runs, s.Failed, s.Failures, s.LastError = p.Name, p.Interval.Milliseconds(), p.Calls, p.Failed, p.Failures, p.LastError
		last := now.Sub(p.Last).Milliseconds()
		s.LastMS, s.Messages = &last, p.Messages
		if !p.FailedAt.IsZero() {
			at := p.FailedAt.UTC().Format(time.RFC3339)
			s.FailedAt = &at
		}
		if p.Failures > 0 {
			s.Trouble = fmt.Sprintf("published by %s fails: %s", p.Name, p.LastError)
		}
		list = append(list, s)
	}
	return list
}
