package sourcetest

import (
	"sync"
	"time"

	"thor/internal/source"
)

// Clock is a source clock for tests. It stands still until somebody moves it.
type Clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

var _ source.Clock = (*Clock)(nil)

// NewClock returns a clock that shows that time.
func NewClock(now time.Time) *Clock { return &Clock{now: now.UTC()} }

// Now returns the time the clock was last moved to.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Speed is 1.
func (c *Clock) Speed() float64 { return 1 }

// Virtual is true.
func (c *Clock) Virtual() bool { return true }

// Set moves the clock to that time, forward or back.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now.UTC()
}

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
