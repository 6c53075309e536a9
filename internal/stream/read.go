package stream

import "fmt"

// Batch is what a reader gets in one go: whole frames, and the cursor behind
// them. Frames must not be written to.
type Batch struct {
	Frames  []byte
	Next    uint64
	Skipped uint64 // how many entries were conflated away
}

// Read returns what follows for a reader whose next entry is cursor, at most
// about limit bytes. A reader that is too far behind, or behind what the log
// holds, gets a gap frame and, piece by piece, the newest frame of each key that
// changed.
func (l *Log) Read(cursor uint64, limit int) Batch {
	if cursor > l.head.Load() {
		return Batch{Next: cursor}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if cursor < l.floor() || l.behind(cursor) > l.limits.MaxLag {
		return l.conflate(cursor, limit)
	}
	c := l.chunkOf(cursor)
	to := c.upTo(cursor, limit)
	return Batch{Frames: c.span(cursor, to), Next: to + 1}
}

// Holds reports whether Replay from this cursor would succeed.
func (l *Log) Holds(cursor uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holds(cursor)
}

func (l *Log) holds(cursor uint64) bool { return cursor >= l.floor() && cursor <= l.head.Load()+1 }

// Replay returns every frame from cursor to the head, without conflation, and
// the cursor behind them. The spans are the log's own bytes: a replay costs no
// memory. It is false when the log does not hold them all.
func (l *Log) Replay(cursor uint64) (spans [][]byte, next uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.holds(cursor) {
		return nil, 0, false
	}
	for _, c := range l.chunks {
		if cursor <= c.last() {
			spans = append(spans, c.span(max(cursor, c.first), c.last()))
		}
	}
	return spans, l.head.Load() + 1, true
}

func (l *Log) chunkOf(seq uint64) *chunk {
	for _, c := range l.chunks {
		if seq <= c.last() {
			return c
		}
	}
	panic(fmt.Sprintf("stream: %s has no entry %d", l.id, seq))
}

// behind is how many bytes lie between the cursor and the head.
func (l *Log) behind(cursor uint64) (bytes int) {
	for _, c := range l.chunks {
		if cursor <= c.last() {
			bytes += len(c.buf) - c.start(max(cursor, c.first))
		}
	}
	return bytes
}
