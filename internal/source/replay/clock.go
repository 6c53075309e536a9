package replay

import (
	"context"
	"sync"
	"time"

	"thor/internal/source"
)

// patience is how far, in wall time, a replay may fall behind its speed and still
// catch up. One that was held up for longer goes on from where it is.
const patience = 2 * time.Second

// Clock is the time of a replay. It stands at the beginning until somebody waits
// for an instant, goes at its speed until there, and stands there until somebody
// waits for the next: so nobody sees a time at which something is due that has
// not been done.
type Clock struct {
	speed float64

	mu    sync.Mutex // guards what follows
	began time.Time  // by the wall clock, when it showed base; zero until somebody waits
	base  time.Time
	low   time.Time // the newest instant that was reached
	high  time.Time // the next
}

var _ source.Clock = (*Clock)(nil)

func newClock(from time.Time, speed float64) *Clock {
	from = from.UTC()
	return &Clock{speed: speed, base: from, low: from, high: from}
}

// Now returns the time of the replay.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() time.Time {
	if c.began.IsZero() {
		return c.low
	}
	now := c.base.Add(time.Duration(float64(time.Since(c.began)) * c.speed))
	switch {
	case now.Before(c.low):
		return c.low
	case now.After(c.high):
		return c.high
	}
	return now
}

// Speed is how fast it goes while nobody holds it up.
func (c *Clock) Speed() float64 { return c.speed }

// Virtual is true.
func (c *Clock) Virtual() bool { return true }

// Reach waits until the clock shows that time, and lets it stand there. One
// caller at a time.
func (c *Clock) Reach(ctx context.Context, at time.Time) error {
	wait := c.aim(at.UTC())
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.low = c.high
	return nil
}

// aim lets the clock go as far as at, and returns how long it takes.
func (c *Clock) aim(at time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if at.Before(c.low) {
		at = c.low
	}
	wait := time.Duration(float64(at.Sub(c.base))/c.speed) - now.Sub(c.began)
	if c.began.IsZero() || wait < -patience {
		c.began, c.base = now, c.low
		wait = time.Duration(float64(at.Sub(c.base)) / c.speed)
	}
	c.high = at
	return wait
}
