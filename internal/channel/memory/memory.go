// Package memory is the channel layer of a single node: what is published is
// delivered at once.
package memory

import (
	"context"

	"thor"
	"thor/internal/channel"
)

var _ channel.Layer = (*Layer)(nil)

// Layer delivers to the sink of this process.
type Layer struct {
	Sink channel.Sink
}

// Name is "memory".
func (*Layer) Name() string { return "memory" }

// Publish hands the events to the sink before it returns.
func (l *Layer) Publish(ctx context.Context, events []thor.Event) error {
	return l.Sink.Append(ctx, events)
}

// Probe always succeeds: there is nothing between publisher and sink.
func (*Layer) Probe(context.Context) error { return nil }
