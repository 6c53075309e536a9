package sqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"thor"
)

// BenchmarkPrune has a quarter of an hour of a busy server in the store, of
// which one minute is to go.
func BenchmarkPrune(b *testing.B) {
	s, err := Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a benchmark
	data := []byte(`{"x":"` + strings.Repeat("x", 500) + `"}`)
	began := time.Now().Add(-time.Hour)
	for second := range 15 * 60 {
		var events []thor.Event
		for stream := range 100 {
			events = append(events, thor.Event{
				Stream: thor.NewStreamID("intraday", fmt.Sprint("EQ.S", stream)), Type: "intraday_bar",
				Key: fmt.Sprint(second / 60), Final: second%60 == 59, Data: data,
			})
		}
		if _, err := s.Append(b.Context(), began.Add(time.Duration(second)*time.Second), events); err != nil {
			b.Fatal(err)
		}
	}
	cut := began
	for b.Loop() {
		cut = cut.Add(time.Second)
		if _, err := s.Prune(b.Context(), cut, began); err != nil {
			b.Fatal(err)
		}
	}
}
