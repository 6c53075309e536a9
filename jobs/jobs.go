// Package jobs holds the jobs of the heartbeat: each reads a source and makes
// one call, Broadcast. To add your own, write a file like the others and add a
// line to [List]; docs/integration-guide.md walks through it.
package jobs

import (
	"context"
	"time"

	"thor"
	"thor/internal/source"
)

// Job is a piece of work on the heartbeat.
type Job interface {
	// Name is unique among the jobs; a job of a feature has the feature's name.
	Name() string
	// Every is how often the job runs, in the source's time.
	Every() time.Duration
	// Execute runs the job once. It is never called twice at a time.
	Execute(ctx context.Context, out thor.Broadcaster) error
}

// Timed is a job that is also due at certain instants.
type Timed interface {
	Job
	// Next is the next such instant in the source's time, or the zero time.
	Next() time.Time
}

// List returns the jobs for what the sources can deliver. BarsUntil is where the
// stored bars end; zero is that there are none.
func List(from source.Abilities, barsUntil time.Time) []Job {
	var jobs []Job
	if from.Balances != nil {
		jobs = append(jobs, &AccountBalance{Source: from.Balances})
	}
	if from.Positions != nil {
		jobs = append(jobs, &Positions{Source: from.Positions})
	}
	if from.Bars != nil {
		jobs = append(jobs, &Intraday{Source: from.Bars, Behind: barsUntil})
	}
	if from.Markets != nil {
		jobs = append(jobs, &GlobalMarket{Source: from.Markets})
	}
	return jobs
}
