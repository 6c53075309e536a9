package thor

import "context"

// Broadcaster is the one call a job makes. Broadcast validates the messages,
// drops those that say nothing new, stores the rest, numbers them, and
// publishes them; while the feature's stage is off it stores only.
//
// It returns when the messages are stored. It never waits for a client. When
// some messages are invalid the others still go out, and the error names each
// invalid one.
type Broadcaster interface {
	Broadcast(ctx context.Context, msgs ...Message) error
}
