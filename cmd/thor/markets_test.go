package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/calendar"
)

func embedded(tb testing.TB) *calendar.Calendar {
	tb.Helper()
	days, err := calendar.New()
	if err != nil {
		tb.Fatal(err)
	}
	return days
}

// TestAProgramCanTalkLineByLine reads each answer before it writes the next
// line, as a program that follows a clock does.
func TestAProgramCanTalkLineByLine(t *testing.T) {
	t.Parallel()
	in, write := io.Pipe()
	read, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- answerAll(t.Context(), in, out, embedded(t)) }()
	lines := bufio.NewReader(read)
	for _, at := range []string{"2026-11-24T14:29:59Z", "2026-11-24T14:30:00Z"} {
		if _, err := fmt.Fprintln(write, at); err != nil {
			t.Fatal(err)
		}
		line, err := lines.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, `{"at":"`+at+`","markets":[`) {
			t.Fatalf("%s is answered %q, %v", at, line, err)
		}
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestAnswersAreWhatTheCalendarSays asks for times in any order, many of them
// at a change or a nanosecond beside it.
func TestAnswersAreWhatTheCalendarSays(t *testing.T) {
	t.Parallel()
	days := embedded(t)
	random := rand.New(rand.NewPCG(1, 2)) // the same each time
	from := time.Date(2024, time.December, 30, 0, 0, 0, 0, time.UTC)
	a := &answers{days: days}
	for range 3000 {
		at := from.Add(time.Duration(random.Int64N(int64(3 * 366 * 24 * time.Hour))))
		if next := days.NextEvent(at); random.IntN(2) == 0 && !next.IsZero() {
			at = next.Add(time.Duration(random.IntN(3) - 1))
		}
		var got struct {
			At      time.Time
			Markets []thor.MarketStatus
		}
		line := a.at(at)
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		want := days.Statuses(at)
		for i, s := range want { // the line has no more than this
			want[i] = thor.MarketStatus{
				MarketID: s.MarketID, Status: s.Status, Trading: s.Trading, NextEvent: s.NextEvent,
				NextEventAt: s.NextEventAt, SessionDate: s.SessionDate, Provisional: s.Provisional,
			}
		}
		if diff := cmp.Diff(want, got.Markets); diff != "" || !got.At.Equal(at) {
			t.Fatalf("at %s, answered for %s (-want +got):\n%s", at, got.At, diff)
		}
	}
}

func TestALineThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	in := strings.NewReader("2026-11-24T14:30:00Z\n" + strings.Repeat("2", 2*maxLine))
	err := answerAll(t.Context(), in, &out, embedded(t))
	if want := "line 2: longer than 65536 bytes; write one time a line"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, ok := errors.AsType[usage](err); !ok || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("%T after %q", err, out.String())
	}
}

func TestAReaderThatWaitsCanBeStopped(t *testing.T) {
	t.Parallel()
	in, write := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := answerAll(ctx, in, io.Discard, embedded(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := write.Close(); err != nil { // ends what still reads
		t.Fatal(err)
	}
}

func TestWidth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "Tokyo": 5, "東京": 4, "서울": 4, "Ｔ": 2, "Benito Juárez": 13, "e\u0301": 1, "—": 1} {
		if got := width(text); got != want {
			t.Errorf("%q is %d wide, want %d", text, got, want)
		}
	}
}

func BenchmarkAnswers(b *testing.B) {
	a := &answers{days: embedded(b)}
	random := rand.New(rand.NewPCG(1, 2)) // the same each time
	from := time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)
	times := make([]time.Time, 100_000)
	for i := range times {
		times[i] = from.Add(time.Duration(random.Int64N(int64(3 * 365 * 24 * time.Hour))))
		a.at(times[i])
	}
	for i := 0; b.Loop(); i++ {
		a.at(times[i%len(times)])
	}
}
