package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"thor/internal/api"
	"thor/internal/heartbeat"
	"thor/internal/source"
)

// troubleOf is why nothing new comes of a feature, or nil.
func (a *App) troubleOf(feature string, ran []heartbeat.Status, now time.Time) *api.FeatureTrouble {
	if a.outside(feature) {
		return a.outsideTrouble(feature, now)
	}
	i := slices.IndexFunc(ran, func(s heartbeat.Status) bool { return s.Job == feature })
	if i < 0 {
		return nil // the jobs have not begun
	}
	return jobTrouble(ran[i], now)
}

// jobTrouble is why a job does not do what it should, or nil.
func jobTrouble(s heartbeat.Status, now time.Time) *api.FeatureTrouble {
	t := api.FeatureTrouble{Words: s.Trouble(now)}
	if !s.WorkedAt.IsZero() {
		at := s.WorkedAt.UTC()
		t.Since = &at
	}
	e, ofSource := errors.AsType[*source.Error](s.Err)
	switch {
	case t.Words == "" || s.Failures == 0 && s.Runs == 0 && !s.Hangs(now): // or it has just begun
		return nil
	case s.Failures == 0 && s.Hangs(now):
		t.Kind = api.TroubleHung
	case s.Failures == 0:
		t.Kind = api.TroubleLate
	case ofSource:
		t.Kind, t.Words = api.TroubleKind(e.Kind), fmt.Sprintf("%s: %v", e.Op, e.Err)
		if e.Err == nil {
			t.Words = e.Op
		}
		if e.RetryAt.After(now) {
			at := e.RetryAt.UTC()
			t.Until = &at
		}
	case errors.Is(s.Err, context.DeadlineExceeded):
		t.Kind, t.Words = api.TroubleHung, s.LastError
	default:
		t.Kind, t.Words = api.TroubleServer, s.LastError
	}
	return &t
}

// outsideTrouble is why nothing new comes of a feature that a job outside
// publishes, or nil.
func (a *App) outsideTrouble(feature string, now time.Time) *api.FeatureTrouble {
	for _, j := range a.outsideJobs(now) {
		if j.Job != feature || j.Trouble == "" {
			continue
		}
		t := api.FeatureTrouble{Kind: api.TroubleOutside, Words: j.Trouble}
		if j.LastMS != nil {
			at := now.Add(-time.Duration(*j.LastMS) * time.Millisecond).UTC()
			t.Since = &at
		}
		return &t
	}
	return nil
}
