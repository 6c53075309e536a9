package stream

import (
	"strconv"

	"thor"
)

// Why a gap is there.
const (
	gapConflated  = "conflated"   // the reader is too slow: every sequenced entry follows
	gapBelowFloor = "below_floor" // the log no longer holds it: the newest of each key follows
)

// conflate skips what a later entry of the same key has replaced, and says so
// with a gap. It returns about limit bytes: what is left for the next time is
// conflated anew, so a reader that lags holds no more than one that does not,
// and gets what is newest when it gets it.
func (l *Log) conflate(cursor uint64, limit int) Batch {
	frames, to, sent := l.newest(cursor, l.head.Load(), limit)
	skipped := to + 1 - cursor - sent
	if skipped > 0 {
		frames = append(l.appendGap(nil, cursor, to), frames...)
	}
	return Batch{Frames: frames, Next: to + 1, Skipped: skipped}
}

// Thin returns what follows up to an entry for a reader that has asked to be
// told only so often, and knows that it is: merged entries are the newest of
// their key in the whole log or left out, the others all follow, about limit
// bytes at a time. There is a gap only where the log no longer holds one that
// is not to be merged.
func (l *Log) Thin(cursor, upTo uint64, limit int) Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	upTo = min(upTo, l.head.Load())
	if cursor > upTo {
		return Batch{Next: cursor}
	}
	frames, to, sent := l.newest(cursor, upTo, limit)
	b := Batch{Frames: frames, Next: to + 1}
	if cursor < l.floor() && cursor <= l.passed {
		b.Skipped = to + 1 - cursor - sent
	}
	if b.Skipped > 0 {
		b.Frames = append(l.appendGap(nil, cursor, to), frames...)
	}
	return b
}

// newest collects, in seq order and at most about limit bytes of them, the
// entries from cursor to upTo that a reader who lags must have: those that are
// not to be merged for as long as the log holds them, and the newest of each
// key. To is how far they reach; all up to it that are not among them may be
// left out.
func (l *Log) newest(cursor, upTo uint64, limit int) (frames []byte, to, sent uint64) {
	floor := l.floor()
	if cursor < floor {
		for _, e := range l.latest.since(cursor) {
			seq := e.Version.Seq
			if seq >= floor || seq > upTo {
				break
			}
			frames = AppendFrame(frames, e.AppendEnvelope(nil, ""))
			to, sent = seq, sent+1
			if len(frames) >= limit {
				return frames, to, sent
			}
		}
	}
	for _, c := range l.chunks {
		if cursor > c.last() {
			continue
		}
		for seq := max(cursor, c.first); seq <= min(upTo, c.last()); seq++ {
			e := c.entries[seq-c.first]
			if e.policy != thor.PolicySequence && l.latest.events[e.key].Version.Seq != seq {
				continue
			}
			frames = append(frames, c.span(seq, seq)...)
			to, sent = seq, sent+1
			if len(frames) >= limit {
				return frames, to, sent
			}
		}
	}
	return frames, upTo, sent
}

// appendGap appends the frame that says what lies between two seqs, both
// included, was left out but for what follows.
func (l *Log) appendGap(dst []byte, from, to uint64) []byte {
	reason := gapConflated
	if from < l.floor() {
		reason = gapBelowFloor
	}
	gap := append([]byte(`{"type":"gap","data":{"stream":"`), l.id...)
	gap = strconv.AppendUint(append(gap, `","from":`...), from, 10)
	gap = strconv.AppendUint(append(gap, `,"to":`...), to, 10)
	gap = append(append(gap, `,"reason":"`...), reason...)
	return AppendFrame(dst, append(gap, `"}}`...))
}
