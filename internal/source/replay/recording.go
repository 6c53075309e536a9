package replay

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"thor"
	"thor/internal/source"
)

// Recording is a file that was read from end to end and found good. Make one
// with [Open].
type Recording struct {
	Header
	Caps source.Caps // as far as it has turned out
	To   time.Time
	// Whole reports whether the end is there. One that was cut is played up to
	// there.
	Whole bool

	path string
	file *os.File
	last uint64 // the newest line before the cut
}

// Open reads a recording. One that was edited is refused, by the number of the
// line; and so is one that was cut, unless what is there before the cut shall do.
// The data of a line is read when it is played.
func Open(path string, cutToo bool) (*Recording, error) {
	f, err := os.Open(path) //nolint:gosec // the path is the operator's
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, thor.Errorf(thor.EINVALID, "there is no file %s", path)
	case err != nil:
		return nil, thor.Errorf(thor.EINVALID, "the recording cannot be read: %w", err)
	}
	rec, err := read(f, path, cutToo)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	rec.file = f
	return rec, nil
}

func read(in io.Reader, path string, cutToo bool) (*Recording, error) {
	r, err := newReader(in)
	if err != nil {
		return nil, named(path, err)
	}
	for err == nil {
		_, err = r.next()
	}
	rec := &Recording{Header: r.header, Caps: r.caps, To: r.at, path: path, last: r.seq}
	switch {
	case errors.Is(err, io.EOF):
		rec.Whole, rec.To = true, r.end.To
	case errors.Is(err, errCut) && cutToo:
	case errors.Is(err, errCut):
		fault, _ := errors.AsType[*thor.Error](named(path, err))
		return nil, fault.WithHint("Lines 1 to %d are good and reach to %s; --replay-cut plays those.", r.n, r.at.Format(time.RFC3339))
	default:
		return nil, named(path, err)
	}
	return rec, nil
}

// named puts the name of the file before a fault.
func named(path string, err error) error {
	fault, ok := errors.AsType[*thor.Error](err)
	if !ok {
		return fmt.Errorf("%s: %w", path, err)
	}
	own := *fault
	own.Message = path + ": " + own.Message
	return &own
}

// answers reads the recording from its beginning.
func (r *Recording) answers() (*reader, error) {
	if _, err := r.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read %s again: %w", r.path, err)
	}
	again, err := newReader(r.file)
	if err != nil {
		return nil, named(r.path, err)
	}
	if again.header.ID != r.ID {
		return nil, thor.Errorf(thor.EINVALID, "%s has become another recording", r.path)
	}
	return again, nil
}
