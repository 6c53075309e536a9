package sim

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"thor"
	"thor/internal/source"
	"thor/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// weekdays are exchanges that trade from Monday to Friday at the same UTC
// hours, except on Christmas and New Year, and are early on Christmas Eve.
type weekdays struct{}

func (weekdays) Sessions(mic string, from, to time.Time) ([]thor.Session, error) {
	opens, closes := 14*time.Hour+30*time.Minute, 21*time.Hour
	if mic == chicago {
		opens, closes = -time.Hour, 22*time.Hour
	}
	var sessions []thor.Session
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		date := day.Format(time.DateOnly)
		if day.Weekday() == time.Saturday || day.Weekday() == time.Sunday || date[5:] == "12-25" || date[5:] == "01-01" {
			continue
		}
		s := thor.Session{Exchange: mic, Date: date, Open: day.Add(opens), Close: day.Add(closes)}
		if date[5:] == "12-24" {
			s.Close, s.Early = day.Add(18*time.Hour), true
		}
		sessions = append(sessions, s)
	}
	return sessions, nil
}

// fixed are exchanges with these sessions, or this error.
type fixed struct {
	sessions []thor.Session
	err      error
}

func (f fixed) Sessions(string, time.Time, time.Time) ([]thor.Session, error) {
	return f.sessions, f.err
}

// Instants of different kinds.
var (
	open       = utc("2026-11-23T15:30:41.5Z") // both exchanges trade
	night      = utc("2025-02-11T03:12:07Z")   // only Chicago trades
	weekend    = utc("2025-02-08T18:00:00Z")   // only crypto trades
	lastHour   = utc("2027-12-31T20:59:58Z")   // of the last session of New York
	afterwards = utc("2028-06-01T12:00:30Z")   // the exchanges are closed for good
)

func utc(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// at returns a source with the default seed whose clock stands at that time.
func at(now time.Time) *Source {
	return &Source{SourceClock: sourcetest.NewClock(now), Exchanges: weekdays{}}
}

func TestLaws(t *testing.T) {
	t.Parallel()
	clocks := map[string]func() source.Clock{
		"on the wall clock":            func() source.Clock { return nil },
		"on a fast virtual clock":      func() source.Clock { return source.NewVirtualClock(open, 600) },
		"while only Chicago trades":    func() source.Clock { return sourcetest.NewClock(night) },
		"on a weekend":                 func() source.Clock { return sourcetest.NewClock(weekend) },
		"out of the last session":      func() source.Clock { return sourcetest.NewClock(lastHour) },
		"within the very first minute": func() source.Clock { return sourcetest.NewClock(span.from.Add(7 * time.Second)) },
	}
	for name, clock := range clocks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sourcetest.Run(t, func(*testing.T) source.Source {
				return &Source{SourceClock: clock(), Exchanges: weekdays{}}
			})
		})
	}
	t.Run("with many accounts", func(t *testing.T) {
		t.Parallel()
		sourcetest.Run(t, func(*testing.T) source.Source {
			return &Source{SourceClock: sourcetest.NewClock(night), Books: 50, Special: []string{"all"}, Exchanges: weekdays{}}
		})
	})
}

func TestValidate(t *testing.T) {
	t.Parallel()
	ten := utc("2026-11-23T10:00:00Z")
	monday := thor.Session{Exchange: newYork, Date: "2026-11-23", Open: ten, Close: ten.Add(time.Hour)}
	tuesday := thor.Session{Exchange: newYork, Date: "2026-11-24", Open: ten.Add(30 * time.Minute), Close: ten.Add(2 * time.Hour)}
	for _, tt := range []struct {
		name   string
		source *Source
		want   string
	}{
		{"no exchanges", &Source{}, "the simulator has no exchanges"},
		{"exchanges that fail", &Source{Exchanges: fixed{err: errors.New("no file")}}, "sessions of XNYS: no file"},
		{"a session without time", &Source{Exchanges: fixed{sessions: []thor.Session{{Open: night, Close: night}}}}, "not of whole minutes"},
		{"sessions that overlap", &Source{Exchanges: fixed{sessions: []thor.Session{monday, tuesday}}}, "session 2026-11-24 of XNYS"},
		{"an account of no kind", &Source{Special: []string{"rich"}, Exchanges: weekdays{}}, `"rich" is not a kind of account; there are all, margin, short, empty, zero, large`},
		{"a clock before the beginning", at(span.from.Add(-time.Second)), "the simulator covers 2025-01-01 to 2039-12-31"},
		{"a clock after the end", at(span.to), "not 2040-01-01T00:00:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.source.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if _, err := tt.source.Accounts(t.Context()); source.KindOf(err) != source.NotSupported && source.KindOf(err) != source.EndOfData {
				t.Errorf("accounts: got %v, want an error that says not to ask again", err)
			}
			if _, err := tt.source.Bars(t.Context(), time.Time{}); source.KindOf(err) != source.NotSupported && source.KindOf(err) != source.EndOfData {
				t.Errorf("bars: got %v, want an error that says not to ask again", err)
			}
		})
	}
	t.Run("exchanges and a clock are enough", func(t *testing.T) {
		t.Parallel()
		if err := at(span.from).Validate(); err != nil {
			t.Error(err)
		}
	})
}

func TestSameSeedSameBytes(t *testing.T) {
	// It changes GOMAXPROCS, so it runs alone.
	want := everything(t, at(open))

	t.Run("whatever was asked before", func(t *testing.T) {
		clock := sourcetest.NewClock(weekend)
		s := &Source{Seed: 1, SourceClock: clock, Exchanges: weekdays{}}
		for _, now := range []time.Time{afterwards, span.from, open.Add(time.Second)} {
			clock.Set(now)
			everything(t, s)
		}
		clock.Set(open)
		if diff := cmp.Diff(want, everything(t, s)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
	for _, processors := range []int{1, 4} {
		t.Run("on any number of processors", func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
			s := at(open)
			answers := make([][]string, 3)
			var asking sync.WaitGroup
			for i := range answers {
				asking.Go(func() { answers[i] = everything(t, s) })
			}
			asking.Wait()
			for _, got := range answers {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
	}
	t.Run("but not with another seed", func(t *testing.T) {
		s := at(open)
		s.Seed = 2
		if cmp.Equal(want, everything(t, s)) {
			t.Error("seeds 1 and 2 say the same")
		}
	})
}

func TestCancelDuringReplay(t *testing.T) {
	t.Parallel()
	s := at(open)
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.ledgers[0].bookAt(ctx, open.Unix()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if _, err := bars(ctx, s.series, time.Time{}, open.Unix()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// everything is what the source says now as clients get it, of old bars some.
func everything(t *testing.T, s *Source) []string {
	t.Helper()
	accounts, err := s.Accounts(t.Context())
	if err != nil {
		t.Error(err)
	}
	all := texts(t, accounts)
	var msgs []thor.Message
	for _, since := range []time.Time{{}, s.Clock().Now().Add(-20 * time.Minute)} {
		found, err := s.Bars(t.Context(), since)
		if err != nil {
			t.Error(err)
		}
		const some = 200
		msgs = append(msgs, thor.IntradayBarMessages(found[:min(some, len(found))])...)
		newest := found[max(0, len(found)-some):]
		msgs = append(msgs, thor.IntradayBarMessages(newest)...)
	}
	return append(all, encode(t, msgs)...)
}

func encode(t *testing.T, msgs []thor.Message) []string {
	t.Helper()
	texts := make([]string, len(msgs))
	for i, msg := range msgs {
		data, err := msg.Encode()
		if err != nil {
			t.Error(err)
		}
		if msg.Lost > 0 {
			t.Errorf("%s %s: %d values had more digits than their scale", msg.Stream, msg.Key, msg.Lost)
		}
		texts[i] = string(data)
	}
	return texts
}
