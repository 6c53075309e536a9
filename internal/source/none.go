package source

// None delivers nothing: what there is comes from jobs outside of this process.
type None struct{}

var _ Source = None{}

// Name is none.
func (None) Name() string { return "none" }

// Caps are those of real data: nothing here is made up.
func (None) Caps() Caps { return Caps{} }

// Clock is the wall clock.
func (None) Clock() Clock { return WallClock{} }

// Close does nothing.
func (None) Close() error { return nil }
