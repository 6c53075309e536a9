package stream

import (
	"sync"
	"sync/atomic"

	"thor"
)

// Defaults of a [Log].
const (
	// DefaultKeep is how many bytes of frames a log holds for readers.
	DefaultKeep = 256 << 10
	// DefaultMaxLag is how many bytes a reader may be behind before it is
	// conflated.
	DefaultMaxLag = 64 << 10
)

// Log is the log of one stream. Make one with [NewLog]; its methods are safe
// for concurrent use.
type Log struct {
	id     thor.StreamID
	limits Limits

	// Readable without the lock.
	head      atomic.Uint64 // seq of the newest entry
	sequenced atomic.Uint64 // seq of the newest entry that is not to be merged

	mu       sync.Mutex // guards what follows
	epoch    string
	chunks   []*chunk // oldest first
	kept     int      // bytes in chunks
	passed   uint64   // no entry that is not to be merged has left with a greater seq
	latest   keys
	snapshot *Snapshot // of the head; nil until somebody asks
	scratch  []byte    // for encoding
	ended    bool
}

// Limits bound what a log holds. The zero value is the defaults and no window.
type Limits struct {
	Keep   int // bytes of frames for readers; 0 is [DefaultKeep]
	MaxLag int // bytes a reader may be behind; 0 is [DefaultMaxLag]
	// Window is how many of the newest keys a snapshot may hold; 0 is all.
	Window int
	// Oldest gives the oldest key that belongs into a snapshot whose newest key
	// is given, for instance the first minute of its session; nil is no bound.
	Oldest func(newest string) string
}

// NewLog returns the log of a stream that stands at the given version, with the
// newest event of each key in latest. Nothing before is in it: a reader behind
// head gets the newest of each key.
func NewLog(id thor.StreamID, limits Limits, at thor.Version, latest []thor.Event) *Log {
	if limits.Keep == 0 {
		limits.Keep = DefaultKeep
	}
	if limits.MaxLag == 0 {
		limits.MaxLag = DefaultMaxLag
	}
	l := &Log{id: id, limits: limits, epoch: at.Epoch, latest: keys{window: limits.Window, oldest: limits.Oldest}}
	for _, e := range latest {
		l.latest.put(e)
	}
	l.head.Store(at.Seq)
	l.sequenced.Store(at.Seq) // nobody knows what was before
	l.passed = at.Seq
	return l
}

// ID is the name of the stream.
func (l *Log) ID() thor.StreamID { return l.id }

// Head is the seq of the newest entry; 0 when there is none.
func (l *Log) Head() uint64 { return l.head.Load() }

// Sequenced is the seq of the newest entry that is not to be merged, or one that
// was before the log began.
func (l *Log) Sequenced() uint64 { return l.sequenced.Load() }

// Version is the version of the newest entry.
func (l *Log) Version() thor.Version {
	l.mu.Lock()
	defer l.mu.Unlock()
	return thor.Version{Epoch: l.epoch, Seq: l.head.Load()}
}

// has reports whether the log has come to a version, or past it.
func (l *Log) has(v thor.Version) bool {
	at := l.Version()
	return at.Epoch == v.Epoch && at.Seq >= v.Seq
}

// Newest returns the newest event of the stream; false when there is none.
func (l *Log) Newest() (thor.Event, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest.newestEvent()
}

// Append adds the next event. It returns false and does nothing when the event
// is not the next one: an event the log already holds is dropped, and behind a
// hole the log must be made anew.
func (l *Log) Append(e thor.Event) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || e.Version.Epoch != l.epoch || e.Version.Seq != l.head.Load()+1 {
		return false
	}
	l.scratch = e.AppendEnvelope(l.scratch[:0], "")
	c := l.tail(e.Version.Seq, len(l.scratch)+maxHeader)
	c.buf = AppendFrame(c.buf, l.scratch)
	policy := e.Policy()
	c.entries = append(c.entries, entry{key: e.Key, policy: policy, end: len(c.buf)})
	l.latest.put(e)
	l.snapshot = nil
	if policy == thor.PolicySequence {
		l.sequenced.Store(e.Version.Seq)
	}
	l.head.Store(e.Version.Seq)
	return true
}

// tail returns the chunk that has room for the entry seq of need bytes, a new
// one when the last is full. Old chunks leave when the log holds more than it
// should; readers that still have one keep it alive.
func (l *Log) tail(seq uint64, need int) *chunk {
	size := firstChunk
	if n := len(l.chunks); n > 0 {
		c := l.chunks[n-1]
		if cap(c.buf)-len(c.buf) >= need {
			return c
		}
		size = min(2*cap(c.buf), largeChunk)
	}
	c := &chunk{first: seq, buf: make([]byte, 0, max(size, need))}
	l.chunks = append(l.chunks, c)
	l.kept += cap(c.buf)
	for len(l.chunks) > 1 && l.kept > l.limits.Keep {
		l.kept -= cap(l.chunks[0].buf)
		l.passed = max(l.passed, l.chunks[0].lastSequence())
		l.chunks[0] = nil
		l.chunks = l.chunks[1:]
	}
	return c
}

// End closes the log: readers find it ended and let go of it.
func (l *Log) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// Ended reports whether the log has been closed.
func (l *Log) Ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// floor is the oldest seq whose frame the log holds; head+1 when it holds none.
func (l *Log) floor() uint64 {
	if len(l.chunks) == 0 {
		return l.head.Load() + 1
	}
	return l.chunks[0].first
}
