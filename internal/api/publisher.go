package api

import (
	"slices"
	"strings"
	"sync"
	"time"

	"thor"
)

// quietPublisher is how long a publisher may be silent before another one may
// publish its features.
const quietPublisher = time.Minute

// Publishers are the jobs outside of this process, and which features each of
// them publishes. A feature has one publisher at a time. The methods are safe
// for concurrent use.
type Publishers struct {
	// Inside names the job of this server that publishes a feature; "" is none.
	Inside func(feature string) string

	mu    sync.Mutex                  // guards known
	known map[string]*PublisherStatus // by feature: who published it last
}

// PublisherStatus is what is known of a job outside.
type PublisherStatus struct {
	Feature   string
	Name      string
	Last      time.Time     // when it published last
	Interval  time.Duration // between its newest two calls; 0 before the second
	Calls     int64
	Messages  int64
	Failed    int64 // calls that were refused or did not work
	Failures  int   // of these in a row
	LastError string
	FailedAt  time.Time
}

// claim notes that somebody publishes features. The error is ECONFLICT and names
// both when one of them is somebody else's.
func (p *Publishers) claim(name string, features []string, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, feature := range features {
		if p.Inside != nil {
			if job := p.Inside(feature); job != "" {
				return thor.Errorf(thor.ECONFLICT, "%s is published by %s, and now by %s as well", feature, job, name).
					WithHint("Start the server with --outside %s: then its own job does not run.", feature)
			}
		}
		if k := p.known[feature]; k != nil && k.Name != name && now.Sub(k.Last) < quietPublisher {
			return thor.Errorf(thor.ECONFLICT, "%s is published by %s, and now by %s as well", feature, k.Name, name).
				WithHint("A feature has one publisher at a time: stop one of the two. After a minute of silence the other may.")
		}
	}
	if p.known == nil {
		p.known = map[string]*PublisherStatus{}
	}
	for _, feature := range features {
		k := p.known[feature]
		if k == nil || k.Name != name {
			k = &PublisherStatus{Feature: feature, Name: name}
			p.known[feature] = k
		} else {
			k.Interval = now.Sub(k.Last)
		}
		k.Calls++
		k.Last = now
	}
	return nil
}

// note counts what became of a call.
func (p *Publishers) note(counts map[string]int, now time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for feature, messages := range counts {
		k := p.known[feature]
		switch {
		case k == nil: // somebody who could not claim it
		case err == nil:
			k.Messages, k.Failures = k.Messages+int64(messages), 0
		default:
			k.Failed, k.Failures, k.LastError, k.FailedAt = k.Failed+1, k.Failures+1, err.Error(), now
		}
	}
}

// Status lists the publishers in the order of their features' names.
func (p *Publishers) Status() []PublisherStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]PublisherStatus, 0, len(p.known))
	for _, k := range p.known {
		list = append(list, *k)
	}
	slices.SortFunc(list, func(a, b PublisherStatus) int { return strings.Compare(a.Feature, b.Feature) })
	return list
}
