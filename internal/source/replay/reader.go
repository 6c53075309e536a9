package replay

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"thor"
	"thor/internal/source"
)

// errCut is what a file that ends too early has in its error chain.
var errCut = errors.New("cut")

// maxLine bounds a line, so that no file can fill the memory.
const maxLine = 64 << 20

// Record is one answer of a recording.
type Record struct {
	Line int
	At   time.Time
	Noun string // what was asked for
	line line
}

// reader reads a recording line by line and holds each to the ones before it.
type reader struct {
	header Header
	end    *End // once it was read
	caps   source.Caps

	in    *bufio.Reader
	file  *bufio.Reader // what in uncompresses, or the same
	n     int           // of the newest line
	chain string        // its hash
	seq   uint64
	at    time.Time
}

// newReader reads the first line. What it reads is compressed, or it is the bare
// lines.
func newReader(in io.Reader) (*reader, error) {
	r := &reader{file: bufio.NewReaderSize(in, 1<<16)}
	r.in = r.file
	start, err := r.file.Peek(2)
	switch {
	case len(start) == 0 && errors.Is(err, io.EOF):
		return nil, cut(1, "the file is empty")
	case len(start) == 0:
		return nil, err
	case bytes.Equal(start, []byte{0x1f, 0x8b}):
		zip, err := gzip.NewReader(r.file)
		if err != nil {
			return nil, r.broken(err)
		}
		zip.Multistream(false) // what is behind the end is ours to refuse
		r.in = bufio.NewReaderSize(zip, 1<<16)
	}
	text, err := r.readLine()
	if err != nil {
		return nil, err
	}
	return r, r.first(text)
}

// first reads the first line.
func (r *reader) first(text []byte) error {
	var form struct {
		Format *int `json:"format"`
	}
	if json.Unmarshal(text, &form) != nil || form.Format == nil || *form.Format < 1 {
		return at(r.n, "it is not the first line of a recording").
			WithHint("thor record FILE makes recordings.")
	}
	if *form.Format > Format {
		return at(r.n, "the recording has format %d, and this thor reads up to %d", *form.Format, Format).
			WithHint("Upgrade thor: a newer one has made it.")
	}
	body, err := r.verify(text)
	if err != nil {
		return err
	}
	if err := strictly(append(body, '}'), &r.header); err != nil || r.header.From.IsZero() {
		return at(r.n, "it is not the first line of a recording: %v", err)
	}
	for _, noun := range r.header.Asked {
		if !isNoun(noun) {
			return at(r.n, "%q is nothing format %d has", noun, Format)
		}
	}
	r.at, r.caps = r.header.From, source.Caps{Simulated: r.header.Simulated, Unproven: r.header.Unproven}
	return nil
}

// next returns the next answer, or io.EOF behind the last line.
func (r *reader) next() (Record, error) {
	for {
		text, err := r.readLine()
		switch {
		case err == nil && r.end != nil:
			return Record{}, at(r.n, "there is more behind the end of the recording")
		case errors.Is(err, io.EOF) && r.end != nil:
			if _, err := r.file.Peek(1); !errors.Is(err, io.EOF) {
				return Record{}, at(r.n+1, "there is more behind the end of the recording")
			}
			return Record{}, io.EOF
		case errors.Is(err, io.EOF):
			return Record{}, cut(r.n+1, "it is missing: the recording has no end")
		case err != nil:
			return Record{}, err
		}
		l, err := r.line(text)
		if err != nil {
			return Record{}, err
		}
		switch {
		case isNoun(l.Kind):
			return Record{Line: r.n, At: l.At, Noun: l.Kind, line: l}, nil
		case l.Kind == kindCaps:
			var c capsLine
			if err := strictly(l.Data, &c); err != nil {
				return Record{}, at(r.n, "%v", err)
			}
			r.caps = source.Caps{Simulated: r.caps.Simulated || c.Simulated, Unproven: r.caps.Unproven || c.Unproven}
		case l.Kind == kindEnd:
			r.end = &End{}
			if err := strictly(l.Data, r.end); err != nil {
				return Record{}, at(r.n, "%v", err)
			}
			r.end.To = l.At
		default:
			return Record{}, at(r.n, "%q is nothing format %d has", l.Kind, Format)
		}
	}
}

// line reads a line behind the first.
func (r *reader) line(text []byte) (line, error) {
	var l line
	body, broken := r.verify(text)
	if broken != nil {
		// The number of a line says what became of it, when it is there.
		if unsealed, _, ok := unseal(text); ok && json.Unmarshal(append(bytes.Clone(unsealed), '}'), &l) == nil {
			switch want := r.seq + 1; {
			case l.Seq > want:
				return l, at(r.n, "answer %d is here and answer %d should be: lines are missing before it, or were moved", l.Seq, want)
			case l.Seq > 0 && l.Seq < want:
				return l, at(r.n, "answer %d is here and answer %d should be: the line was repeated, or moved", l.Seq, want)
			}
		}
		return l, broken
	}
	if err := strictly(append(body, '}'), &l); err != nil {
		return l, at(r.n, "%v", err)
	}
	switch {
	case l.Seq != r.seq+1:
		return l, at(r.n, "answer %d is here and answer %d should be", l.Seq, r.seq+1)
	case l.At.Before(r.at):
		return l, at(r.n, "its time %s is before that of the line before it", l.At.Format(time.RFC3339Nano))
	}
	r.seq, r.at = l.Seq, l.At
	return l, nil
}

// verify holds a line to its hash, and returns it without.
func (r *reader) verify(text []byte) ([]byte, error) {
	body, hash, ok := unseal(text)
	if !ok {
		return nil, at(r.n, "it does not end as a line of a recording does: it was edited")
	}
	if chain(r.chain, body) != hash {
		return nil, at(r.n, "it is not what was recorded: it was edited, or damaged")
	}
	r.chain = hash
	return bytes.Clone(body), nil
}

// readLine returns the next line, without its end. It is valid until the next.
func (r *reader) readLine() ([]byte, error) {
	var text []byte
	for {
		part, err := r.in.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case err == nil:
			r.n++
			return text[:len(text)-1], nil
		case errors.Is(err, bufio.ErrBufferFull) && len(text) < maxLine:
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, at(r.n+1, "it is longer than any line of a recording")
		case errors.Is(err, io.EOF) && len(text) == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			return nil, cut(r.n+1, "it ends in the middle")
		}
		return nil, r.broken(err)
	}
}

// broken is a file that cannot be uncompressed.
func (r *reader) broken(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return cut(r.n+1, "the file ends in the middle of it")
	}
	var corrupt flate.CorruptInputError
	if !errors.As(err, &corrupt) && !errors.Is(err, gzip.ErrChecksum) && !errors.Is(err, gzip.ErrHeader) {
		return err // of the disk
	}
	return at(r.n+1, "it cannot be uncompressed: the file was edited, or damaged (%v)", err)
}

// Answer is what a line says.
type Answer struct {
	Balances  []thor.AccountBalance
	Positions []thor.Positions
	Bars      []thor.Bar
	Markets   []thor.MarketStatus
	Err       error
}

// read reads the answer of a line.
func (r Record) read() (Answer, error) {
	var a answer
	if err := strictly(r.line.Data, &a); err != nil {
		return Answer{}, at(r.Line, "%v", err)
	}
	got := Answer{Balances: a.Balances, Positions: a.Positions, Bars: a.Bars, Markets: a.Markets}
	for _, one := range a.Accounts {
		got.Balances, got.Positions = append(got.Balances, one.Balance), append(got.Positions, one.Positions)
	}
	var errs []error
	for _, f := range a.Errors {
		e := &source.Error{Kind: f.Kind, Source: f.Source, Op: f.Op, Status: f.Status, RetryAt: f.RetryAt}
		if f.Words != "" {
			e.Err = errors.New(f.Words)
		}
		errs = append(errs, e)
	}
	if len(errs) == 1 {
		got.Err = errs[0]
	} else {
		got.Err = errors.Join(errs...)
	}
	if a.Partial && got.Err != nil {
		got.Err = &source.Partial{Err: got.Err}
	}
	return got, nil
}

func isNoun(kind string) bool {
	return slices.Contains([]string{Accounts, Balances, Positions, Bars, Markets}, kind)
}

// strictly reads JSON that has no member the target does not have, and nothing
// behind it.
func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one value")
	}
	return nil
}

// at is a fault of a line.
func at(n int, format string, args ...any) *thor.Error {
	return thor.Errorf(thor.EINVALID, "line %d: "+format, append([]any{n}, args...)...)
}

// cut is the fault of a file that ends too early.
func cut(n int, what string) error {
	return at(n, "%s; the recording was %w", what, errCut)
}
