package source

import "time"

// Clock is the time a source's data belongs to. Bars, calendars and sessions
// follow it; sockets and deadlines follow the wall clock.
type Clock interface {
	Now() time.Time
	// Speed is how many seconds pass on this clock in one second of wall time.
	Speed() float64
	// Virtual reports whether this is another time than the wall clock's.
	Virtual() bool
}

// WallClock is the real time.
type WallClock struct{}

var _ Clock = WallClock{}

// Now returns the current time in UTC.
func (WallClock) Now() time.Time { return time.Now().UTC() }

// Speed is 1.
func (WallClock) Speed() float64 { return 1 }

// Virtual is false.
func (WallClock) Virtual() bool { return false }

// VirtualClock starts at an instant of its own and runs at a speed of its own.
// Make one with [NewVirtualClock].
type VirtualClock struct {
	start time.Time
	began time.Time // wall time, with its monotonic reading
	speed float64
}

var _ Clock = (*VirtualClock)(nil)

// NewVirtualClock returns a clock that shows start now and goes on at the given
// speed.
func NewVirtualClock(start time.Time, speed float64) *VirtualClock {
	return &VirtualClock{start: start.UTC(), began: time.Now(), speed: speed}
}

// Now returns the virtual time.
func (c *VirtualClock) Now() time.Time {
	return c.start.Add(time.Duration(float64(time.Since(c.began)) * c.speed))
}

// Speed is the speed the clock was made with.
func (c *VirtualClock) Speed() float64 { return c.speed }

// Virtual is true.
func (c *VirtualClock) Virtual() bool { return true }
