// Package channel says how events travel between nodes. A layer takes what the
// pipeline has stored and hands it to the logs of every node, this one
// included, in the order of each stream.
//
// Implementations are adapters below this package; channeltest holds the laws
// each of them keeps. The package does not store: an event a layer loses is
// fetched from the store by the logs, which notice the hole.
package channel

import (
	"context"

	"thor"
)

// Layer carries events. Its methods are safe for concurrent use.
type Layer interface {
	// Name is a short word for status: memory, redis.
	Name() string
	// Publish hands over stored events. It never waits for a client or another
	// node.
	Publish(ctx context.Context, events []thor.Event) error
	// Probe reports whether events reach this node.
	Probe(ctx context.Context) error
}

// Sink is where a layer delivers the events of this node.
type Sink interface {
	Append(ctx context.Context, events []thor.Event) error
}
