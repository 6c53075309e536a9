package auth

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"thor"
)

// maxBuckets bounds what is remembered of those who came.
const maxBuckets = 20_000

// Rates is a token bucket for each of many callers. Memory is bounded: when too
// many came lately, somebody is forgotten and begins anew.
type Rates struct {
	PerSecond float64 // 0 is no limit
	Burst     int     // 0 is ten seconds' worth

	mu      sync.Mutex // guards what follows
	buckets map[string]*rate.Limiter
	swept   time.Time
}

// Take takes a token from the bucket of a caller. Without one it says how long
// to wait for the next. A nil Rates has no limit.
func (r *Rates) Take(caller string) (wait time.Duration, ok bool) {
	if r == nil || r.PerSecond <= 0 {
		return 0, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	bucket := r.buckets[caller]
	if bucket == nil {
		r.makeRoom(now)
		bucket = rate.NewLimiter(rate.Limit(r.PerSecond), r.burst())
		r.buckets[caller] = bucket
	}
	if bucket.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - bucket.TokensAt(now)
	return time.Duration(missing / r.PerSecond * float64(time.Second)), false
}

func (r *Rates) burst() int {
	return max(1, cmp.Or(r.Burst, int(10*r.PerSecond)))
}

// makeRoom forgets those whose buckets are full again, and if that is nobody,
// anybody. The look at all of them is not for every newcomer to cause.
func (r *Rates) makeRoom(now time.Time) {
	if r.buckets == nil {
		r.buckets = map[string]*rate.Limiter{}
	}
	if len(r.buckets) < maxBuckets {
		return
	}
	if now.Sub(r.swept) >= time.Second {
		r.swept = now
		for caller, bucket := range r.buckets {
			if bucket.TokensAt(now) >= float64(r.burst()) {
				delete(r.buckets, caller)
			}
		}
	}
	for caller := range r.buckets {
		if len(r.buckets) < maxBuckets {
			return
		}
		delete(r.buckets, caller)
	}
}

// waitError is how long a caller should wait.
type waitError time.Duration

func (w waitError) Error() string {
	return fmt.Sprintf("try again in %d s", Seconds(time.Duration(w)))
}

// Seconds is a time to wait in whole seconds, as headers and close reasons have
// it: at least 1.
func Seconds(wait time.Duration) int { return max(1, int(math.Ceil(wait.Seconds()))) }

// TooMany is an ETOOMANY that says how long to wait.
func TooMany(wait time.Duration, format string, args ...any) error {
	return thor.Errorf(thor.ETOOMANY, "%s: %w", fmt.Sprintf(format, args...), waitError(wait))
}

// RetryAfter is how many whole seconds an error of [TooMany] asks to wait; 0 for
// any other.
func RetryAfter(err error) int {
	wait, ok := errors.AsType[waitError](err)
	if !ok {
		return 0
	}
	return Seconds(time.Duration(wait))
}
