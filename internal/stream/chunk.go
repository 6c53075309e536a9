package stream

import (
	"slices"

	"thor"
)

// Sizes of chunks: a log starts small and doubles, for most streams are quiet.
const (
	firstChunk = 4 << 10
	largeChunk = 64 << 10
)

// chunk is an append-only run of whole frames. What has been written never
// changes, so a reader may hold a slice of buf while the log moves on.
type chunk struct {
	first   uint64 // seq of the first entry
	buf     []byte
	entries []entry
}

// entry is one frame in a chunk. Seqs have no holes: the n-th entry has the seq
// first+n.
type entry struct {
	key    string
	policy thor.Policy
	end    int // offset behind the frame
}

func (c *chunk) last() uint64 { return c.first + uint64(len(c.entries)) - 1 }

// span returns the bytes of the entries from..to, both included.
func (c *chunk) span(from, to uint64) []byte {
	start, end := c.start(from), c.entries[to-c.first].end
	return c.buf[start:end:end]
}

func (c *chunk) start(seq uint64) int {
	if seq == c.first {
		return 0
	}
	return c.entries[seq-c.first-1].end
}

// upTo returns the last seq such that the entries from..seq have at most limit
// bytes; it is at least from.
func (c *chunk) upTo(from uint64, limit int) uint64 {
	start := c.start(from)
	to := from
	for to < c.last() && c.entries[to+1-c.first].end-start <= limit {
		to++
	}
	return to
}

// lastSequence returns the seq of the newest entry that is not to be merged; 0
// when there is none.
func (c *chunk) lastSequence() uint64 {
	for i, e := range slices.Backward(c.entries) {
		if e.policy == thor.PolicySequence {
			return c.first + uint64(i) //nolint:gosec // not negative
		}
	}
	return 0
}
