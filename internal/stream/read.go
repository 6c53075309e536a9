package stream

import (
	"fmt"

	"thor"
)

// Batch is what a reader gets in one go: whole frames, and the cursor behind
// them. Frames must not be written to.
type Batch struct {
	Frames  []byte
	Next    uint64
	Skipped uint64 // how many entries were conflated away
}

// Read returns what follows for a reader whose next entry is cursor, at most
// about limit bytes. A reader that is too far behind, or behind what the log
// holds, gets a gap frame and the newest frame of each key that changed.
func (l *Log) Read(cursor uint64, limit int) Batch {
	if cursor > l.head.Load() {
		return Batch{Next: cursor}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if cursor < l.floor() || l.behind(cursor) > l.limits.MaxLag {
		return l.conflate(cursor)
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

// Replay returns every frame from cursor to the head, without conflation. It is
// false when the log does not hold them all.
func (l *Log) Replay(cursor uint64) (Batch, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.holds(cursor) {
		return Batch{}, false
	}
	var frames []byte
	for _, c := range l.chunks {
		if cursor <= c.last() {
			frames = append(frames, c.span(max(cursor, c.first), c.last())...)
		}
	}
	return Batch{Frames: frames, Next: l.head.Load() + 1}, true
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

// conflate skips what a later entry of the same key has replaced. Final entries
// stay as long as the log holds them.
func (l *Log) conflate(cursor uint64) Batch {
	head, floor := l.head.Load(), l.floor()
	var frames []byte
	sent := uint64(0)
	for _, e := range l.latest.since(cursor) {
		if e.Version.Seq >= floor {
			break
		}
		frames = AppendFrame(frames, e.AppendEnvelope(nil, ""))
		sent++
	}
	for _, c := range l.chunks {
		for i, entry := range c.entries {
			seq := c.first + uint64(i)
			if seq < cursor || !entry.final && l.latest.events[entry.key].Version.Seq != seq {
				continue
			}
			frames = append(frames, c.span(seq, seq)...)
			sent++
		}
	}
	skipped := head + 1 - cursor - sent
	if skipped > 0 {
		frames = append(appendGap(nil, l.id, cursor, head), frames...)
	}
	return Batch{Frames: frames, Next: head + 1, Skipped: skipped}
}

// Snapshot is the newest frame of every key at one version, in seq order.
type Snapshot struct {
	Frames  []byte
	At      thor.Version
	Entries int
}

// Snapshot returns the stream's snapshot. It is encoded once for each version
// and shared by everybody who asks.
func (l *Log) Snapshot() *Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.snapshot == nil {
		l.snapshot = encodeSnapshot(thor.Version{Epoch: l.epoch, Seq: l.head.Load()}, l.latest.since(0))
	}
	return l.snapshot
}

func encodeSnapshot(at thor.Version, events []thor.Event) *Snapshot {
	s := &Snapshot{At: at, Entries: len(events)}
	var payload []byte
	for i, e := range events {
		extra := fmt.Sprintf(`,"snapshot":true,"part":%d,"parts":%d`, i+1, len(events))
		if i == len(events)-1 {
			extra += fmt.Sprintf(`,"at":%d`, at.Seq)
		}
		payload = e.AppendEnvelope(payload[:0], extra)
		s.Frames = AppendFrame(s.Frames, payload)
	}
	return s
}

// EncodeFrames returns the ordinary frames of events, for a replay from the
// store.
func EncodeFrames(events []thor.Event) []byte {
	var frames []byte
	for _, e := range events {
		frames = AppendFrame(frames, e.AppendEnvelope(nil, ""))
	}
	return frames
}
