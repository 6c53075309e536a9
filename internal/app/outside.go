package app

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"thor"
	"thor/internal/api"
	"thor/jobs"
)

// Bounds of how often a job outside says it speaks.
const (
	minRhythm = 100 * time.Millisecond
	maxRhythm = 24 * time.Hour
)

// rhythms are the features that jobs outside publish, with how often each
// speaks; 0 is as often as usual.
func (c Config) rhythms() (map[string]time.Duration, error) {
	rhythms := map[string]time.Duration{}
	var errs []error
	for _, text := range c.Outside {
		feature, often, said := strings.Cut(text, "=")
		if !slices.Contains(thor.FeatureNames(), feature) {
			errs = append(errs, thor.Errorf(thor.EINVALID, "%q is not a feature; there are %s", feature, strings.Join(thor.FeatureNames(), ", ")))
			continue
		}
		if _, twice := rhythms[feature]; twice {
			errs = append(errs, thor.Errorf(thor.EINVALID, "%s is there twice", feature))
		}
		rhythms[feature] = 0
		if !said {
			continue
		}
		every, err := time.ParseDuration(often)
		switch {
		case err != nil:
			errs = append(errs, thor.Errorf(thor.EINVALID, "%q is not how often %s speaks; write it like %s=60s", often, feature, feature))
		case every < minRhythm || every > maxRhythm:
			errs = append(errs, thor.Errorf(thor.EINVALID, "%s cannot speak every %v; it is at least %v and at most %v", feature, every, minRhythm, maxRhythm))
		}
		rhythms[feature] = every
	}
	return rhythms, errors.Join(errs...)
}

// inside keeps of the jobs those that run in this process.
func (a *App) inside(list []jobs.Job) []jobs.Job {
	var kept []jobs.Job
	for _, job := range list {
		if _, outside := a.rhythms[job.Name()]; !outside {
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

// patience is how many beats a job outside may miss, and how long it may be
// silent at least.
const (
	patience  = 3
	minSilent = 15 * time.Second
)

// silent reports whether a job outside should have spoken by now, and how often
// it does. One that speaks on change only never should, nor one that has nothing
// to speak of while all its markets are closed.
func (a *App) silent(feature string, since time.Duration) (every time.Duration, late bool) {
	f, err := thor.FeatureNamed(feature)
	if err != nil {
		return 0, false
	}
	every = a.rhythms[feature]
	if every == 0 {
		every = a.wall(f.Cadence)
	}
	if every == 0 || f.Idle > 0 && !a.pace.anyQuick(feature) {
		return every, false
	}
	return every, since > max(patience*every, minSilent)
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
		} else if every, late := a.silent(feature, now.Sub(p.Last)); late {
			s.Trouble = fmt.Sprintf("outside, by %s: it is late, the last came %v ago and it speaks every %v", p.Name, now.Sub(p.Last).Round(time.Second), every)
			if a.rhythms[feature] == 0 {
				s.Trouble += fmt.Sprintf(". Where that is its way, say so: --outside %s=60s", feature)
			}
		}
		list = append(list, s)
	}
	return list
}
