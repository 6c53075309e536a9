package metrics

import (
	"sync"
	"time"
)

// Rate counts what happened in the last minute. The zero value is ready; it is
// safe for concurrent use.
type Rate struct {
	mu      sync.Mutex // guards what follows
	seconds [60]int64
	newest  int64 // Unix second of the newest bucket
}

// Add counts n at a time.
func (r *Rate) Add(now time.Time, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now.Unix())
	r.seconds[now.Unix()%60] += n
}

// PerMinute is the count of the sixty seconds up to now.
func (r *Rate) PerMinute(now time.Time) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance(now.Unix())
	var sum int64
	for _, n := range r.seconds {
		sum += n
	}
	return sum
}

// advance empties the buckets between the newest and now.
func (r *Rate) advance(now int64) {
	if now <= r.newest {
		return
	}
	for s := max(r.newest+1, now-59); s <= now; s++ {
		r.seconds[s%60] = 0
	}
	r.newest = now
}
