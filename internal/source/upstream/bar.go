package upstream

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"thor"
)

// Bounds of what is kept of a symbol.
const (
	maxBars = 1440
	// watched is how long ago the last look may be for a change to belong to the
	// minute that has just ended.
	watched = 90 * time.Second
	// settled is how long a minute may stand unchanged until it is taken for
	// complete, though no other has come: the last one of a session.
	settled = 3 * time.Minute
)

// tape is what was seen of one symbol. The backend has the latest bar alone, and
// most say no time with it.
//
// A bar without a time is dated when it changes while it is watched: then it is
// of the minute that ended last. That may be a minute off where the backend
// writes late. What stood there at the first look, or after a pause, may be of
// any age and is not claimed at all.
type tape struct {
	symbol Symbol

	mu     sync.Mutex // guards what follows
	bars   []thor.Bar // oldest first; only the last may be unfinished
	latest string     // what stood there at the last look
	looked time.Time  // when that was
	change time.Time  // when it began to stand there
	dated  bool       // it is the last of the bars
}

// Bars asks for the latest bar of every symbol, and returns those seen since
// then. Nothing from before the start is known.
func (s *Source) Bars(ctx context.Context, since time.Time) ([]thor.Bar, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select { // looks must be in order
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	tapes, err := s.look(ctx)
	var all []thor.Bar
	for _, t := range tapes {
		all = append(all, t.since(since)...)
	}
	slices.SortStableFunc(all, func(a, b thor.Bar) int {
		return cmp.Or(a.TimestampMinute.Compare(b.TimestampMinute), strings.Compare(a.Symbol, b.Symbol))
	})
	return all, err
}

// look asks for every symbol, unless that was done a moment ago, and returns the
// tapes that are up to date.
func (s *Source) look(ctx context.Context) ([]*tape, error) {
	s.mu.Lock()
	answer := s.looked
	s.mu.Unlock()
	if answer.youngEnough(s.mapping.Bars.every()) {
		return answer.values, answer.err
	}
	failed := make([]error, len(s.tapes))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, t := range s.tapes {
		group.Go(func() error {
			failed[i] = s.lookAt(ctx, t)
			return nil
		})
	}
	_ = group.Wait() // the errors are in failed
	var good []*tape
	for i, t := range s.tapes {
		if failed[i] == nil {
			good = append(good, t)
		}
	}
	return keep(ctx, s, &s.looked, good, gather(failed))
}

func (s *Source) lookAt(ctx context.Context, t *tape) error {
	body, err := s.client.ask(ctx, s.barQuestion(t.symbol))
	if err != nil {
		return err
	}
	now := s.now()
	bar, err := s.barFrom(t.symbol, body, now)
	if err != nil {
		return err
	}
	if bar.Symbol == "" {
		t.see(now, bar, "null")
		return nil
	}
	t.see(now, bar, strings.Join([]string{
		bar.Open.String(), bar.High.String(), bar.Low.String(), bar.Close.String(), bar.Volume.String(), bar.VWAP.String(),
	}, " "))
	return nil
}

func (s *Source) barQuestion(symbol Symbol) question {
	return question{op: "bars of " + symbol.ID, endpoint: &s.mapping.Bars, vars: symbol.symbolVars()}
}

// barFrom reads a bar; one without a symbol is none.
func (s *Source) barFrom(symbol Symbol, body any, now time.Time) (thor.Bar, error) {
	e, f := &s.mapping.Bars, s.barQuestion(symbol).fault()
	node, err := e.root(body)
	if err != nil {
		return thor.Bar{}, f.bad("%w", err)
	}
	if node == nil {
		return thor.Bar{}, nil
	}
	r, err := e.read(node)
	if err != nil {
		return thor.Bar{}, f.bad("%w", err)
	}
	bar := thor.Bar{
		Symbol: symbol.ID, Display: cmp.Or(symbol.Display, displayOf(thor.AssetClassOf(symbol.ID), symbol.Alias)), Country: symbol.Country,
		Open: r["open"].dec, High: r["high"].dec, Low: r["low"].dec, Close: r["close"].dec, Volume: r["volume"].dec, VWAP: r["vwap"].dec,
		Final: r["final"].flag,
	}
	for _, name := range barNeeds {
		if v := r[name]; !v.known {
			return thor.Bar{}, f.bad("%s has no number", v.pointer)
		}
	}
	if minute := r["minute"]; minute.known {
		bar.TimestampMinute = minute.time.Truncate(time.Minute)
		if bar.TimestampMinute.After(now) {
			return thor.Bar{}, f.bad("%s is %s, and it is %s here: one of the clocks is wrong", minute.pointer,
				minute.time.Format(time.RFC3339), now.Format(time.RFC3339))
		}
	}
	// Whatever cannot be a bar is refused here, where it can be said who sent it.
	probe := bar
	probe.TimestampMinute, probe.Timestamp = now.Truncate(time.Minute), now
	if err := probe.Validate(); err != nil {
		return thor.Bar{}, f.bad("%w", err)
	}
	return bar, nil
}

// see takes what stands there now. A bar without a minute is dated, if it can
// be; one without a symbol is none.
func (t *tape) see(now time.Time, bar thor.Bar, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed := text != t.latest
	sure := !t.looked.IsZero() && now.Sub(t.looked) <= watched && !now.Before(t.looked)
	t.latest, t.looked = text, now
	if changed {
		t.change = now
	}
	if bar.TimestampMinute.IsZero() {
		switch {
		case bar.Symbol == "" || changed && !sure:
			t.dated = false
			t.settle(now)
			return
		case changed:
			bar.TimestampMinute = now.Truncate(time.Minute).Add(-time.Minute)
		default:
			t.confirm(now)
			t.settle(now)
			return
		}
	}
	t.dated = true
	bar.Final = bar.Final && !now.Before(bar.TimestampMinute.Add(time.Minute))
	t.put(now, bar)
	t.settle(now)
}

// confirm notes that the unfinished bar still stands there, if it does.
func (t *tape) confirm(now time.Time) {
	if n := len(t.bars); t.dated && n > 0 && !t.bars[n-1].Final {
		t.bars[n-1].Timestamp = now
	}
}

// settle finishes a bar that has stood for long.
func (t *tape) settle(now time.Time) {
	if n := len(t.bars); n > 0 && now.Sub(t.bars[n-1].TimestampMinute) >= settled+time.Minute && now.Sub(t.change) >= settled {
		t.finish(&t.bars[n-1])
	}
}

// put adds a dated bar. The one before it is finished by that; one of an earlier
// minute, or of a minute that is finished, comes too late.
func (t *tape) put(now time.Time, bar thor.Bar) {
	bar.Timestamp = now
	if n := len(t.bars); n > 0 {
		last := &t.bars[n-1]
		switch {
		case bar.TimestampMinute.Before(last.TimestampMinute):
			return
		case bar.TimestampMinute.Equal(last.TimestampMinute):
			if !last.Final {
				*last = bar
				if bar.Final {
					t.finish(last)
				}
			}
			return
		}
		t.finish(last)
	}
	t.bars = append(t.bars, bar)
	if bar.Final {
		t.finish(&t.bars[len(t.bars)-1])
	}
	if extra := len(t.bars) - maxBars; extra > 0 {
		t.bars = slices.Delete(t.bars, 0, extra)
	}
}

// finish makes a bar final. It was complete when its minute was over, or when it
// was seen last.
func (t *tape) finish(bar *thor.Bar) {
	if bar.Final && !bar.Timestamp.Before(bar.TimestampMinute.Add(time.Minute)) {
		return
	}
	bar.Final = true
	if end := bar.TimestampMinute.Add(time.Minute); bar.Timestamp.Before(end) {
		bar.Timestamp = end
	}
}

// since returns the bars from a minute on.
func (t *tape) since(since time.Time) []thor.Bar {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, _ := slices.BinarySearchFunc(t.bars, since, func(b thor.Bar, since time.Time) int { return b.TimestampMinute.Compare(since) })
	return slices.Clone(t.bars[i:])
}
