package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/api"
	"thor/internal/auth"
	"thor/internal/calendar"
	"thor/internal/heartbeat"
	"thor/internal/source"
)

// openApp makes an app on a data directory; the caller closes it.
func openApp(t *testing.T, data string, change func(*Config)) *App {
	t.Helper()
	c := Default()
	c.Addr, c.Data = "localhost:0", data
	if change != nil {
		change(&c)
	}
	a, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func closeApp(t *testing.T, a *App) {
	t.Helper()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestIntervalsFollowTheSourcesClock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		speed          float64
		interval, want time.Duration
	}{
		{1, time.Second, time.Second},
		{1, 10 * time.Second, 10 * time.Second},
		{0.5, time.Second, 2 * time.Second},
		{7, 10 * time.Second, 1429 * time.Millisecond},
		{60, time.Second, 100 * time.Millisecond}, // never faster
		{60, 10 * time.Second, 167 * time.Millisecond},
		{3600, time.Minute, 100 * time.Millisecond},
		{60, 0, 0}, // on change only
	} {
		a := &App{clock: source.NewVirtualClock(time.Now(), tt.speed)}
		if got := a.wall(tt.interval); got != tt.want {
			t.Errorf("%v at speed %v takes %v, want %v", tt.interval, tt.speed, got, tt.want)
		}
	}
}

func TestInstantsFollowTheSourcesClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
		virtual := &App{clock: source.NewVirtualClock(start, 60)}
		if got := time.Until(virtual.wallTime(start.Add(30 * time.Minute))); got != 30*time.Second {
			t.Errorf("half an hour ahead at speed 60 is in %v", got)
		}
		time.Sleep(10 * time.Second)
		if got := time.Until(virtual.wallTime(start.Add(30 * time.Minute))); got != 20*time.Second {
			t.Errorf("ten seconds later it is in %v", got)
		}
		wall := &App{clock: source.WallClock{}}
		if at := time.Now().Add(time.Hour).Round(0); !wall.wallTime(at).Equal(at) || wall.wallTime(at) != at {
			t.Errorf("an instant of the wall clock is %v", wall.wallTime(at))
		}
		if !wall.wallTime(time.Time{}).IsZero() || !virtual.wallTime(time.Time{}).IsZero() {
			t.Error("no instant has become one")
		}
	})
}

// TestSnapshotsHoldTheCurrentSession holds the oldest bar of a snapshot to the
// opening of the session its newest lies in.
func TestSnapshotsHoldTheCurrentSession(t *testing.T) {
	t.Parallel()
	folder, err := calendar.OpenFolder("", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a := &App{folder: folder}
	for _, tt := range []struct{ symbol, newest, want string }{
		{"EQ.AAPL", "2026-11-23T18:15:00Z", "2026-11-23T14:30:00Z"},
		{"FUT.ES", "2026-11-23T18:15:00Z", "2026-11-22T23:00:00Z"},         // Sunday evening
		{"FUT.ES", "2026-11-23T23:01:00Z", "2026-11-23T23:00:00Z"},         // the next one
		{"CRYPTO.BTC-USD", "2026-11-23T18:15:00Z", "2026-11-23T00:00:00Z"}, // any hour of the week
		{"EQ.AAPL", "not a minute", ""},
	} {
		id := thor.NewStreamID("intraday", tt.symbol)
		if got := a.oldest(id, tt.newest); got != tt.want {
			t.Errorf("%s at %s: from %q, want %q", tt.symbol, tt.newest, got, tt.want)
		}
	}
	f, err := thor.FeatureNamed("intraday")
	if err != nil {
		t.Fatal(err)
	}
	if l := a.limits("intraday:EQ.AAPL"); l.Window != f.Window || l.Oldest == nil {
		t.Errorf("limits %+v", l)
	}
	if l := a.limits("positions:A"); l.Window != 0 || l.Oldest != nil {
		t.Errorf("limits %+v of what has no history", l)
	}
}

// TestBarsAreReadFromWhereTheStoreEnds holds where that is.
func TestBarsAreReadFromWhereTheStoreEnds(t *testing.T) {
	t.Parallel()
	bar := func(symbol string, at time.Time, final bool) thor.Message {
		p := thor.MustDecimal("1")
		return thor.IntradayBarMessage(thor.Bar{
			Symbol: symbol, Display: symbol, Country: "USA", TimestampMinute: at, Final: final, Timestamp: at.Add(time.Minute),
			Open: p, High: p, Low: p, Close: p, Volume: p, VWAP: p,
		})
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	friday := time.Date(2026, 11, 20, 20, 50, 0, 0, time.UTC)
	sunday := time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		bars []thor.Message
		want time.Time
	}{
		"an empty store asks for the current session": {nil, time.Time{}},
		"the oldest bar that is not final": {[]thor.Message{
			bar("EQ.A", friday, false), bar("EQ.B", friday.Add(9*time.Minute), true), bar("CRYPTO.C", sunday, true),
		}, friday},
		"the newest of the symbol that is furthest behind": {[]thor.Message{
			bar("EQ.A", friday.Add(-time.Minute), true), bar("EQ.A", friday, true), bar("CRYPTO.C", sunday, false),
		}, friday},
		"not for a symbol that has left": {[]thor.Message{
			bar("EQ.GONE", friday.AddDate(0, 0, -20), false), bar("CRYPTO.C", sunday, true),
		}, sunday.Add(-quiet)},
		"nothing that would not be kept": {[]thor.Message{
			bar("EQ.A", now.AddDate(0, 0, -40), true),
		}, now.AddDate(0, 0, -30)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := openApp(t, t.TempDir(), func(c *Config) { c.SimStart = now.Format(time.RFC3339) })
			defer closeApp(t, a)
			a.clock = stopped(now)
			var events []thor.Event
			for _, m := range tt.bars {
				data, err := m.Encode()
				if err != nil {
					t.Fatal(err)
				}
				events = append(events, thor.Event{Stream: m.Stream, Type: m.Type, Key: m.Key, Final: m.Final, Data: data})
			}
			if _, err := a.store.Append(t.Context(), time.Now(), events); err != nil {
				t.Fatal(err)
			}
			since, err := a.barsUntil(t.Context())
			if err != nil || !since.Equal(tt.want) {
				t.Errorf("since %v, %v; want %v", since, err, tt.want)
			}
		})
	}
}

// stopped is a clock that stands.
type stopped time.Time

func (s stopped) Now() time.Time { return time.Time(s) }
func (stopped) Speed() float64   { return 1 }
func (stopped) Virtual() bool    { return true }

// TestJobsOfABeatShareAnInstant holds that balance and positions of one beat
// are of one answer of the source.
func TestJobsOfABeatShareAnInstant(t *testing.T) {
	t.Parallel()
	a := openApp(t, t.TempDir(), nil)
	defer closeApp(t, a)
	from, err := a.abilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shared, ok := from.Accounts.(*source.SharedAccounts)
	if !ok || shared.MaxAge != time.Second/2 {
		t.Errorf("accounts are %T %+v", from.Accounts, from.Accounts)
	}
}

func TestADirectoryKeepsToOneSource(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	closeApp(t, openApp(t, data, nil))
	c := Default()
	c.Addr, c.Data, c.SimSeed = "localhost:0", data, 2
	if _, err := New(t.Context(), c, slog.New(slog.DiscardHandler)); thor.ErrorCode(err) != thor.ECONFLICT {
		t.Errorf("another seed: %v, want %s", err, thor.ECONFLICT)
	}
	closeApp(t, openApp(t, data, nil))
}

// TestRetention holds how long events are kept: superseded ones for a resume,
// finished bars as long as the setting says.
func TestRetention(t *testing.T) {
	t.Parallel()
	a := openApp(t, t.TempDir(), func(c *Config) { c.Retain = 2 * time.Hour })
	defer closeApp(t, a)
	keep := func(id thor.StreamID, key string, final bool, ago time.Duration) {
		t.Helper()
		e := thor.Event{Stream: id, Type: "x", Key: key, Final: final, Data: []byte(`{}`)}
		if _, err := a.store.Append(t.Context(), time.Now().Add(-ago), []thor.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	keep("positions:A", "A", false, 20*time.Minute)
	keep("positions:A", "A", false, 14*time.Minute)
	keep("positions:A", "A", false, 0)
	keep("intraday:X", "2026-11-23T15:00:00Z", true, 3*time.Hour)
	keep("intraday:X", "2026-11-23T15:01:00Z", true, time.Hour)
	if err := a.prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if events, err := a.store.Since(t.Context(), "positions:A", 1, 10); err != nil || len(events) != 2 {
		t.Errorf("superseded events: %d, %v; want those of the last 15 minutes", len(events), err)
	}
	if _, err := a.store.Since(t.Context(), "positions:A", 0, 10); thor.ErrorCode(err) != thor.ENOTFOUND {
		t.Errorf("the oldest is still there: %v", err)
	}
	if _, bars, err := a.store.Latest(t.Context(), "intraday:X", thor.Window{}); err != nil || len(bars) != 1 {
		t.Errorf("%d bars, %v; want the one of the last two hours", len(bars), err)
	}
}

func TestJobStatus(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC)
	got := jobStatus(heartbeat.Status{
		Job: "positions", Interval: time.Second, Runs: 7, Failed: 2, Failures: 1, Overruns: 3,
		Late: 2500 * time.Microsecond, Duration: 40 * time.Millisecond, LastError: "no", FailedAt: now, Began: now,
	}, now)
	failed := "2026-11-23T15:30:00Z"
	want := api.JobStatus{
		Job: "positions", IntervalMS: 1000, Runs: 7, Failed: 2, Failures: 1, Overruns: 3, LateMS: 2.5, DurationMS: 40,
		LastError: "no", FailedAt: &failed, Trouble: "has failed: no",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOriginsReachTheDoor holds that --allow-origin lets a page ask.
func TestOriginsReachTheDoor(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("k", 32)
	token, err := (&auth.Door{Key: []byte(key)}).NewToken(auth.Principal{Subject: "ada"}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		allowed []string
		want    int
	}{{nil, http.StatusForbidden}, {[]string{"https://desk.example.com"}, http.StatusOK}} {
		a := openApp(t, t.TempDir(), func(c *Config) { c.AuthKey, c.AllowOrigin = key, tt.allowed })
		r := httptest.NewRequest(http.MethodGet, "/api/features", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Origin", "https://desk.example.com")
		answer := httptest.NewRecorder()
		a.api.ServeHTTP(answer, r)
		if answer.Code != tt.want {
			t.Errorf("with %v allowed: %d, want %d", tt.allowed, answer.Code, tt.want)
		}
		closeApp(t, a)
	}
}
