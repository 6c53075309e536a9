package upstream

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/legacy"
	"thor/internal/source"
	"thor/internal/source/sourcetest"
)

// barOf makes a bar of one price.
func barOf(price int64) thor.Bar {
	d := thor.NewDecimal(price, 0)
	return thor.Bar{Symbol: "FUT.ES", Display: "/ES", Country: "USA", Open: d, High: d, Low: d, Close: d}
}

// tell writes the bars of a tape in a line each.
func tell(bars []thor.Bar) []string {
	var lines []string
	for _, b := range bars {
		state := "forming"
		if b.Final {
			state = "final"
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s", b.TimestampMinute.Format("15:04"), b.Close, state, b.Timestamp.Format(time.TimeOnly)))
	}
	return lines
}

// TestABarWithoutATimeIsDatedWhenItChanges looks at what stands there over some
// minutes.
func TestABarWithoutATimeIsDatedWhenItChanges(t *testing.T) {
	t.Parallel()
	type look struct {
		at    string
		price int64 // 0 is none
	}
	for _, tt := range []struct {
		name  string
		looks []look
		want  []string
	}{
		{"the first look may be at anything", []look{{"10:00:10", 1}, {"10:00:40", 1}}, nil},
		{"a change is of the minute before", []look{{"10:00:50", 1}, {"10:01:10", 2}}, []string{"10:00 2 forming 10:01:10"}},
		{
			"the next change finishes it",
			[]look{{"10:00:50", 1}, {"10:01:10", 2}, {"10:01:50", 2}, {"10:02:05", 3}},
			[]string{"10:00 2 final 10:01:50", "10:01 3 forming 10:02:05"},
		},
		{"a change within the minute corrects it", []look{{"10:00:50", 1}, {"10:01:10", 2}, {"10:01:20", 3}}, []string{"10:00 3 forming 10:01:20"}},
		{
			"after a pause nobody knows",
			[]look{{"10:00:50", 1}, {"10:01:10", 2}, {"10:05:00", 9}, {"10:05:30", 9}, {"10:06:10", 10}},
			[]string{"10:00 2 final 10:01:10", "10:05 10 forming 10:06:10"},
		},
		{"a bar where there was none", []look{{"10:00:50", 0}, {"10:01:10", 2}}, []string{"10:00 2 forming 10:01:10"}},
		{
			"a market that closes settles",
			[]look{{"10:00:50", 1}, {"10:01:10", 2}, {"10:02:10", 2}, {"10:03:30", 2}, {"10:04:30", 2}, {"10:05:40", 2}},
			[]string{"10:00 2 final 10:04:30"},
		},
		{
			"what has settled does not change",
			[]look{{"10:00:50", 1}, {"10:01:10", 2}, {"10:02:20", 2}, {"10:03:30", 2}, {"10:04:40", 2}, {"10:05:05", 7}},
			[]string{"10:00 2 final 10:04:40", "10:04 7 forming 10:05:05"},
		},
		{"a clock that goes back", []look{{"10:00:50", 1}, {"10:01:10", 2}, {"09:30:00", 3}, {"09:30:20", 4}}, []string{"10:00 2 forming 10:01:10"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tape := &tape{}
			for _, l := range tt.looks {
				at, err := time.Parse(time.DateTime, "2026-11-23 "+l.at)
				if err != nil {
					t.Fatal(err)
				}
				if l.price == 0 {
					tape.see(at, thor.Bar{}, "null")
					continue
				}
				tape.see(at, barOf(l.price), fmt.Sprint(l.price))
			}
			if diff := cmp.Diff(tt.want, tell(tape.since(time.Time{}))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestATapeIsBounded(t *testing.T) {
	t.Parallel()
	tape := &tape{}
	at := noon
	for i := range int64(3000) {
		tape.see(at, barOf(i+1), fmt.Sprint(i))
		at = at.Add(time.Minute)
	}
	bars := tape.since(time.Time{})
	if len(bars) != maxBars || !bars[maxBars-1].TimestampMinute.Equal(at.Truncate(time.Minute).Add(-2*time.Minute)) {
		t.Errorf("%d bars to %s", len(bars), bars[len(bars)-1].TimestampMinute)
	}
}

const barMapping = `
[accounts]
ids = ["A"]
[bars]
path = "/bar/{symbol}"
every = "1ns"
timeout = "60s"
root = "/bar"
fields.open = { from = "/o", type = "dec", required = true }
fields.high = { from = "/h", type = "dec", required = true }
fields.low = { from = "/l", type = "dec", required = true }
fields.close = { from = "/c", type = "dec", required = true }
fields.volume = { from = "/v", type = "int" }
fields.minute = { from = "/t", type = "time", format = "epoch-ms" }
fields.final = { from = "/done", type = "bool" }
[[symbols]]
id = "FUT.ES"
alias = "ES"
country = "USA"
intraday = true
[[symbols]]
id = "FUT.NQ"
alias = "NQ"
display = "Nasdaq"
country = "USA"
intraday = true
`

// TestABarWithATimeIsOfThatTime reads a backend that says the minute.
func TestABarWithATimeIsOfThatTime(t *testing.T) {
	t.Parallel()
	clock := sourcetest.NewClock(noon)
	var nq atomic.Value
	nq.Store(`{"bar":null}`)
	s, _ := serve(t, handle(map[string]func() string{
		"/bar/ES": func() string {
			now := clock.Now()
			return fmt.Sprintf(`{"bar":{"o":"1.25","h":2,"l":1,"c":1.5,"v":"7","t":%d,"done":true}}`, now.Truncate(time.Minute).UnixMilli())
		},
		"/bar/NQ": func() string { return nq.Load().(string) }, //nolint:errcheck // it is a string
	}), func(c *Config) { c.Mapping, c.SourceClock = parsed(t, barMapping), clock })
	for range 3 {
		bars, err := s.Bars(t.Context(), clock.Now().Truncate(time.Minute))
		if err != nil || len(bars) != 1 || bars[0].Final || bars[0].Symbol != "FUT.ES" || bars[0].Open.String() != "1.25" ||
			bars[0].Volume.String() != "7" || bars[0].VWAP.Known() || !bars[0].TimestampMinute.Equal(clock.Now().Truncate(time.Minute)) {
			t.Fatalf("got %+v, %v", bars, err)
		}
		clock.Advance(time.Minute)
	}
	bars, err := s.Bars(t.Context(), time.Time{})
	if want := []string{"17:00 1.5 final 17:01:00", "17:01 1.5 final 17:02:00", "17:02 1.5 final 17:03:00", "17:03 1.5 forming 17:03:30"}; err != nil || !cmp.Equal(tell(bars), want) {
		t.Errorf("got %v, %v, want %v", tell(bars), err, want)
	}
	// What cannot be a bar is refused with words, and hides no other symbol.
	minute := clock.Now().UnixMilli()
	for body, words := range map[string]string{
		`{}`: "/bar is missing",
		`{"bar":{"o":1,"h":1,"l":1,"c":null,"t":1}}`:                                          "close: /c is null, and the mapping requires it",
		fmt.Sprintf(`{"bar":{"o":1,"h":2,"l":1,"c":9,"t":%d}}`, minute):                       "open 1 and close 9 must lie between low 1 and high 2",
		fmt.Sprintf(`{"bar":{"o":1,"h":2,"l":1,"c":1,"v":1.5,"t":%d}}`, minute):               "volume: /v is 1.5, not a whole number",
		fmt.Sprintf(`{"bar":{"o":1,"h":2,"l":1,"c":1,"t":%d}}`, minute+3_600_000):             "one of the clocks is wrong",
		fmt.Sprintf(`{"bar":{"o":1,"h":2,"l":1,"c":1,"t":%d}}`, minute*1000):                  "/t is 1",
		fmt.Sprintf(`{"bar":{"o":1,"h":2,"l":1,"c":1,"t":%d,"done":"yes"}}`, minute):          `final: /done is "yes", not true or false`,
		fmt.Sprintf(`{"bar":{"o":1,"h":2,"l":1,"c":1,"t":"%s"}}`, noon.Format(time.DateTime)): "not a time",
	} {
		nq.Store(body)
		bars, err := s.Bars(t.Context(), clock.Now().Truncate(time.Minute))
		if source.KindOf(err) != source.BadData || !strings.Contains(err.Error(), "bars of FUT.NQ") || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v, want %q", body, err, words)
		}
		if len(bars) != 1 || bars[0].Symbol != "FUT.ES" {
			t.Errorf("%s: got %+v", body, bars)
		}
	}
}

// TestBarsOfTheDouble reads the original's endpoint for some minutes: the bars
// are the simulator's, and of their minutes.
func TestBarsOfTheDouble(t *testing.T) {
	t.Parallel()
	for _, era := range legacy.Eras() {
		w := open(t, func(c *legacy.Config) { c.Era = era })
		for range 30 {
			if _, err := w.Bars(t.Context(), time.Time{}); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(10 * time.Second)
		}
		bars, err := w.Bars(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		truth, err := w.sim.Bars(t.Context(), noon.Truncate(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]thor.Bar{}
		for _, b := range truth {
			want[b.Symbol+b.TimestampMinute.String()] = b
		}
		seen := map[string]int{}
		for _, b := range bars {
			of := want[b.Symbol+b.TimestampMinute.String()]
			if !b.Open.Equal(of.Open) || !b.High.Equal(of.High) || !b.Low.Equal(of.Low) || !b.Close.Equal(of.Close) || !b.Volume.Equal(of.Volume) ||
				b.Display != of.Display || b.Country != of.Country {
				t.Errorf("era %s:\n got %+v\nwant %+v", era, b, of)
			}
			if b.Final {
				seen[b.Symbol]++
			}
		}
		for _, symbol := range []string{"FUT.ES", "FUT.NQ"} {
			if seen[symbol] < 3 {
				t.Errorf("era %s: %d minutes of %s are complete", era, seen[symbol], symbol)
			}
		}
		if len(seen) < 3 || seen["FUT.YM"] != 0 {
			t.Errorf("era %s: bars of %v", era, seen)
		}
	}
}

// TestAWeekendMakesNoBars holds that a bar of Friday is not one of Saturday.
func TestAWeekendMakesNoBars(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	w.clock.Set(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
	for range 10 {
		if bars, err := w.Bars(t.Context(), time.Time{}); err != nil || len(bars) != 0 {
			t.Fatalf("got %v, %v", tell(bars), err)
		}
		w.clock.Advance(30 * time.Second)
	}
}

func TestOneSymbolAfterAnotherIsAsked(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		say(200, `{"bar":null}`)(w, r)
	}, func(c *Config) {
		c.Mapping = parsed(t, barMapping)
		c.Mapping.Bars.Every = Duration(time.Hour)
	})
	for range 3 {
		if _, err := s.Bars(t.Context(), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("%d questions for two symbols within their interval", n)
	}
}
