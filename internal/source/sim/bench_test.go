package sim

import (
	"strconv"
	"testing"
	"time"

	"thor/internal/source/sourcetest"
)

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		loaded(b, 1)
	}
}

func BenchmarkReplayTwoYears(b *testing.B) {
	s := loaded(b, 1)
	for b.Loop() {
		for _, l := range newLedgers(1, accounts(2), s.series) {
			if _, err := l.bookAt(b.Context(), open.Unix()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkPrice(b *testing.B) {
	s := loaded(b, 1).series[0]
	at := open.Unix()
	for b.Loop() {
		s.price(s.index(at), at)
		at++
	}
}

func BenchmarkAccounts(b *testing.B) {
	for _, accounts := range []int{2, 50} {
		b.Run(strconv.Itoa(accounts), func(b *testing.B) {
			s := &Source{Books: accounts, SourceClock: sourcetest.NewClock(open), Exchanges: weekdays{}}
			if _, err := s.Accounts(b.Context()); err != nil { // what a start replays
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := s.Accounts(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBars(b *testing.B) {
	for name, since := range map[string]time.Time{
		"the forming minute":  open.Truncate(time.Minute),
		"the current session": {},
	} {
		b.Run(name, func(b *testing.B) {
			s := &Source{SourceClock: sourcetest.NewClock(open), Exchanges: weekdays{}}
			for b.Loop() {
				if _, err := s.Bars(b.Context(), since); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
