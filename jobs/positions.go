package jobs

import (
	"context"
	"errors"
	"time"

	"thor"
	"thor/internal/source"
)

// Positions publishes the positions of every account.
type Positions struct {
	Source source.PositionsSource
}

// Name is the feature's name.
func (*Positions) Name() string { return "positions" }

// Every is a second.
func (*Positions) Every() time.Duration { return time.Second }

// Execute reads the positions and publishes them. What could be read goes out
// even when some could not.
func (j *Positions) Execute(ctx context.Context, out thor.Broadcaster) error {
	positions, err := j.Source.Positions(ctx)
	return errors.Join(err, out.Broadcast(ctx, thor.PositionsMessages(positions)...))
}
