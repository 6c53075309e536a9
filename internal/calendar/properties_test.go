package calendar_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"thor"
	"thor/internal/calendar"
)

// instant draws any nanosecond from before the covered years to after them.
func instant(t *rapid.T, label string) time.Time {
	from, to := utc("2024-11-01 00:00"), utc("2028-03-01 00:00")
	return time.Unix(0, rapid.Int64Range(from.UnixNano(), to.UnixNano()).Draw(t, label))
}

func TestTheNextEventIsTheNextChangeOfStatus(t *testing.T) {
	t.Parallel()
	c := setup(t)
	rapid.Check(t, func(t *rapid.T) {
		at := instant(t, "at")
		var earliest time.Time
		for _, s := range c.Statuses(at) {
			checkStatus(t, c, s, at)
			if !s.NextEventAt.IsZero() && (earliest.IsZero() || s.NextEventAt.Before(earliest)) {
				earliest = s.NextEventAt
			}
		}
		if got := c.NextEvent(at); !got.Equal(earliest) {
			t.Fatalf("next event of all markets: got %s, want %s", got, earliest)
		}
	})
}

func checkStatus(t *rapid.T, c *calendar.Calendar, s thor.MarketStatus, at time.Time) {
	if err := s.Validate(); err != nil {
		t.Fatalf("%s: %v", s.MarketID, err)
	}
	if one, err := c.Status(s.MarketID, at); err != nil || !cmp.Equal(s, one) {
		t.Fatalf("%s: alone got %v %v, want %v", s.MarketID, one, err, s)
	}
	if !s.Timestamp.Equal(at) {
		t.Fatalf("%s: timestamp got %s, want %s", s.MarketID, s.Timestamp, at)
	}
	if s.NextEvent == "" {
		if s.Status != thor.MarketUnknown {
			t.Fatalf("%s: %s without a next event", s.MarketID, s.Status)
		}
		return
	}
	if !s.NextEventAt.After(at) {
		t.Fatalf("%s: next event %s is not after %s", s.MarketID, s.NextEventAt, at)
	}
	last, _ := c.Status(s.MarketID, s.NextEventAt.Add(-1))
	last.Timestamp = s.Timestamp
	if diff := cmp.Diff(s, last); diff != "" {
		t.Fatalf("%s changes before its next event (-now +then):\n%s", s.MarketID, diff)
	}
	next, _ := c.Status(s.MarketID, s.NextEventAt)
	if next.Status != s.NextEvent || next.Status == s.Status {
		t.Fatalf("%s: then got %s, want %s, another than %s", s.MarketID, next.Status, s.NextEvent, s.Status)
	}
}

func TestSessionsAndStatusesAgree(t *testing.T) {
	t.Parallel()
	c := setup(t)
	rapid.Check(t, func(t *rapid.T) {
		mic := rapid.SampledFrom(c.Exchanges()).Draw(t, "exchange")
		at := instant(t, "at")
		s, _ := c.Status(mic, at)
		on, ok := c.SessionAt(mic, at)
		if trading := ok && on.Contains(at); trading != s.Trading || trading && on.Date != s.SessionDate {
			t.Fatalf("in session %v of %s, status says %v of %s", trading, on.Date, s.Trading, s.SessionDate)
		}
		if ok && on.Open.After(at) {
			t.Fatalf("the session at %s opens at %s", at, on.Open)
		}
		next, ok := c.NextSession(mic, at)
		if ok && (!next.Open.After(at) || next.Open.Before(on.Close)) {
			t.Fatalf("the session after %s opens at %s, the one before closes at %s", at, next.Open, on.Close)
		}
		if idle := !s.Trading && s.Status != thor.MarketPost && s.Status != thor.MarketUnknown; idle && s.SessionDate != next.Date {
			t.Fatalf("%s before the session of %s, status says %s", s.Status, next.Date, s.SessionDate)
		}
	})
}

func TestSessionsAreThoseThatOverlap(t *testing.T) {
	t.Parallel()
	c := setup(t)
	rapid.Check(t, func(t *rapid.T) {
		mic := rapid.SampledFrom(c.Exchanges()).Draw(t, "exchange")
		from := instant(t, "from")
		to := from.Add(time.Duration(rapid.Int64Range(int64(-time.Hour), int64(30*24*time.Hour)).Draw(t, "length")))
		got, err := c.Sessions(mic, from, to)
		if err != nil {
			t.Fatal(err)
		}
		var want []thor.Session
		for s, ok := c.NextSession(mic, time.Time{}); ok; s, ok = c.NextSession(mic, s.Open) {
			if s.Open.Before(to) && s.Close.After(from) && from.Before(to) {
				want = append(want, s)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("sessions (-want +got):\n%s", diff)
		}
	})
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		if _, err := calendar.New(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStatuses(b *testing.B) {
	c := setup(b)
	at := utc("2026-11-23 15:30")
	b.ReportAllocs()
	for b.Loop() {
		c.Statuses(at)
	}
}

func BenchmarkNextEvent(b *testing.B) {
	c := setup(b)
	at := utc("2026-11-23 15:30")
	b.ReportAllocs()
	for b.Loop() {
		c.NextEvent(at)
	}
}
