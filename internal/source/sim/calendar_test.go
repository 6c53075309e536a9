package sim_test

import (
	"testing"
	"time"

	"thor/internal/calendar"
	"thor/internal/source/sim"
	"thor/internal/source/sourcetest"
)

var _ sim.Exchanges = (*calendar.Calendar)(nil)

// TestRealCalendar counts bars around a Thanksgiving.
func TestRealCalendar(t *testing.T) {
	t.Parallel()
	exchanges, err := calendar.New()
	if err != nil {
		t.Fatal(err)
	}
	thanksgiving := time.Date(2026, 11, 26, 17, 30, 20, 0, time.UTC)
	clock := sourcetest.NewClock(thanksgiving)
	s := &sim.Source{SourceClock: clock, Exchanges: exchanges}
	for _, tt := range []struct {
		now    time.Time
		symbol string
		want   int
	}{
		{thanksgiving, "EQ.AAPL", 390},                  // of the day before
		{thanksgiving, "FUT.ES", 1111},                  // since 17:00 in Chicago, until now
		{thanksgiving.Add(time.Hour), "FUT.ES", 1140},   // closed at 12:00 in Chicago
		{thanksgiving.AddDate(0, 0, 2), "EQ.AAPL", 210}, // Friday closed at 13:00 in New York
		{thanksgiving, "CRYPTO.BTC-USD", 17*60 + 31},    // since midnight
	} {
		clock.Set(tt.now)
		bars, err := s.Bars(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		var got int
		for _, b := range bars {
			if b.Symbol == tt.symbol {
				got++
			}
		}
		if got != tt.want {
			t.Errorf("at %s: got %d bars of %s, want %d", tt.now, got, tt.symbol, tt.want)
		}
	}
}
