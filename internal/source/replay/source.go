package replay

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"thor"
	"thor/internal/source"
)

// Source plays a recording. Make one with [New].
//
// It answers what was answered last, by its clock: of [Source.Take], which takes
// the next answer when it is due. Whoever takes an answer has everybody read it
// who wants to, and then takes the next.
type Source struct {
	rec   *Recording
	clock *Clock
	lines *reader
	ahead *Record // the next answer; nil behind the last

	mu     sync.Mutex // guards what follows
	said   map[string]Answer
	over   bool
	closed bool
}

var (
	_ source.Source          = (*Source)(nil)
	_ source.Able            = (*Source)(nil)
	_ source.BalanceSource   = (*Source)(nil)
	_ source.PositionsSource = (*Source)(nil)
	_ source.BarSource       = (*Source)(nil)
	_ source.MarketSource    = (*Source)(nil)
	_ source.Paced           = (*Source)(nil)
)

const name = "replay"

// New returns a source at the beginning of a recording. Closing it closes the
// recording.
func New(rec *Recording, speed float64) (*Source, error) {
	lines, err := rec.answers()
	if err != nil {
		return nil, err
	}
	s := &Source{rec: rec, clock: newClock(rec.From, speed), lines: lines, said: map[string]Answer{}}
	return s, s.look()
}

// look reads the next answer.
func (s *Source) look() error {
	if s.ahead = nil; s.lines.seq == s.rec.last {
		return nil // behind it is the end, or the cut
	}
	next, err := s.lines.next()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, errCut) && !s.rec.Whole:
		return nil
	case err != nil:
		return named(s.rec.path, err)
	}
	s.ahead = &next
	return nil
}

// Name is "replay".
func (s *Source) Name() string { return name }

// Caps are those of the source that was recorded.
func (s *Source) Caps() source.Caps { return s.rec.Caps }

// Clock is the time of the recording.
func (s *Source) Clock() source.Clock { return s.clock }

// Recording is what is played.
func (s *Source) Recording() *Recording { return s.rec }

// Over reports whether everything was played.
func (s *Source) Over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// Close closes the file.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.rec.file.Close()
}

// Abilities implements [source.Able]. Accounts that were read whole are given as
// balances and positions.
func (s *Source) Abilities() source.Abilities {
	can := source.Abilities{Paced: s}
	for _, noun := range s.rec.Asked {
		switch noun {
		case Accounts:
			can.Balances, can.Positions = s, s
		case Balances:
			can.Balances = s
		case Positions:
			can.Positions = s
		case Bars:
			can.Bars = s
		case Markets:
			can.Markets = s
		}
	}
	return can
}

// Every is how often the source that was recorded asked for a feature.
func (s *Source) Every(feature string) time.Duration { return s.rec.Paced[feature] }

// Next is when the next answer is due; behind the last one it is the end of the
// recording, and false.
func (s *Source) Next() (at time.Time, more bool) {
	if s.ahead == nil {
		return s.rec.To, false
	}
	return s.ahead.At, true
}

// Reach waits until the clock shows that time, which is not behind [Source.Next].
func (s *Source) Reach(ctx context.Context, at time.Time) error { return s.clock.Reach(ctx, at) }

// Take waits until the next answer is due and takes it. It returns what the
// answer is about: balances and positions, or one of the nouns. One caller at a
// time.
func (s *Source) Take(ctx context.Context) ([]string, error) {
	record := *s.ahead
	if err := s.clock.Reach(ctx, record.At); err != nil {
		return nil, err
	}
	answer, err := record.read()
	if err != nil {
		return nil, named(s.rec.path, err)
	}
	about := []string{record.Noun}
	if record.Noun == Accounts {
		about = []string{Balances, Positions}
	}
	s.mu.Lock()
	for _, noun := range about {
		s.said[noun] = answer
	}
	s.mu.Unlock()
	return about, s.look()
}

// End says that everything was played, or as much as can be.
func (s *Source) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// answer is what was answered last to such a question.
func (s *Source) answer(ctx context.Context, noun string) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	said, ok := s.said[noun]
	switch {
	case s.over:
		return Answer{}, &source.Error{Kind: source.EndOfData, Source: name, Op: noun, Err: errors.New("the recording is over")}
	case !ok:
		return Answer{}, &source.Error{Kind: source.Transient, Source: name, Op: noun, Err: errors.New("the recording has no answer up to here")}
	}
	return said, said.Err
}

// Balances returns the balances that were answered last.
func (s *Source) Balances(ctx context.Context) ([]thor.AccountBalance, error) {
	said, err := s.answer(ctx, Balances)
	return said.Balances, err
}

// Positions returns the positions that were answered last.
func (s *Source) Positions(ctx context.Context) ([]thor.Positions, error) {
	said, err := s.answer(ctx, Positions)
	return said.Positions, err
}

// Bars returns the bars of the newest answer, but for those from before since.
// What was answered earlier it does not say again.
func (s *Source) Bars(ctx context.Context, since time.Time) ([]thor.Bar, error) {
	said, err := s.answer(ctx, Bars)
	return slices.DeleteFunc(slices.Clone(said.Bars), func(b thor.Bar) bool { return b.TimestampMinute.Before(since) }), err
}

// Markets returns the markets that were answered last.
func (s *Source) Markets(ctx context.Context) ([]thor.MarketStatus, error) {
	said, err := s.answer(ctx, Markets)
	return said.Markets, err
}
