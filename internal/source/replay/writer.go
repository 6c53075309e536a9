package replay

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"thor"
)

// How much a crash loses: of a crash of the process, and of the machine.
const (
	flushEvery = time.Second
	syncEvery  = 30 * time.Second
)

// file is where a recording is written; an [os.File] is one.
type file interface {
	io.WriteCloser
	Sync() error
}

// Writer writes a recording, line by line, as it goes. Make one with [Create].
type Writer struct {
	name string

	mu      sync.Mutex // guards what follows
	file    file
	zip     *gzip.Writer
	chain   string // hash of the newest line
	lines   int
	seq     uint64    // of the newest line
	at      time.Time // of the newest line
	flushed time.Time
	synced  time.Time
	closed  bool
	err     error         // the first; nothing is written after it
	failed  chan struct{} // closed then
}

// Create makes a file and writes its first line. A file that is there already is
// left alone. What it makes only its own user can read.
func Create(path string, h Header) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the path is the operator's
	switch {
	case errors.Is(err, os.ErrExist):
		return nil, isThere(path)
	case err != nil:
		return nil, thor.Errorf(thor.EINVALID, "the recording cannot be made: %w", err)
	}
	w, err := newWriter(path, f, h)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return w, nil
}

// Absent reports whether nothing is in the way of a recording.
func Absent(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return isThere(path)
	}
	return nil
}

func isThere(path string) error {
	return thor.Errorf(thor.EINVALID, "%s is there already", path).
		WithHint("A recording takes the place of nothing: choose another name, or remove the file.")
}

func newWriter(name string, f file, h Header) (*Writer, error) {
	h.Format = Format
	w := &Writer{name: name, file: f, zip: gzip.NewWriter(f), at: h.From, flushed: time.Now(), synced: time.Now(), failed: make(chan struct{})}
	first, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("the first line of %s: %w", name, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.put(first)
	w.flush(true)
	return w, w.err
}

// write adds a line. A time before that of the line before counts as that one:
// a wall clock may have been set back.
func (w *Writer) write(at time.Time, kind string, took time.Duration, data any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.closed {
		return w.err
	}
	if at = at.UTC().Round(0); at.Before(w.at) {
		at = w.at
	}
	encoded, err := json.Marshal(data)
	if err == nil {
		encoded, err = json.Marshal(line{At: at, Kind: kind, Seq: w.seq + 1, Took: took.Milliseconds(), Data: encoded})
	}
	if err != nil {
		w.fail(err)
		return w.err
	}
	w.put(encoded)
	w.seq, w.at = w.seq+1, at
	w.flush(false)
	return w.err
}

// put writes an object with its hash. The caller holds mu.
func (w *Writer) put(object []byte) {
	sealed, hash := seal(w.chain, object)
	if _, err := w.zip.Write(append(sealed, '\n')); err != nil {
		w.fail(err)
		return
	}
	w.chain, w.lines = hash, w.lines+1
}

// flush brings to the system, now and then or now, what is written, and now and
// then to the disk. The caller holds mu.
func (w *Writer) flush(now bool) {
	if w.err != nil || !now && time.Since(w.flushed) < flushEvery {
		return
	}
	if err := w.zip.Flush(); err != nil {
		w.fail(err)
		return
	}
	w.flushed = time.Now()
	if time.Since(w.synced) < syncEvery {
		return
	}
	if err := w.file.Sync(); err != nil {
		w.fail(err)
	}
	w.synced = time.Now()
}

// fail keeps the first error. The caller holds mu.
func (w *Writer) fail(err error) {
	if w.err != nil {
		return
	}
	w.err = thor.Errorf(thor.EUNAVAILABLE, "%s: line %d cannot be written: %w", w.name, w.lines+1, err).
		WithHint("What was recorded up to %s can be played with --replay-cut.", w.flushed.UTC().Format(time.RFC3339))
	close(w.failed)
}

// Failed is closed when nothing more can be written; Close has the error.
func (w *Writer) Failed() <-chan struct{} { return w.failed }

// close writes the last line and brings everything to the disk. A second call
// does nothing.
func (w *Writer) close(end End) error {
	_ = w.write(end.To, kindEnd, 0, end) // its error is w.err
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return w.err
	}
	w.closed = true
	if w.err == nil {
		if err := errors.Join(w.zip.Close(), w.file.Sync()); err != nil {
			w.fail(err)
		}
	}
	if err := w.file.Close(); err != nil {
		w.fail(err)
	}
	return w.err
}
