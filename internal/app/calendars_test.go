package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/api"
	"thor/internal/source"
)

// desk is an app with a folder of calendars, and what it logs.
type desk struct {
	*App
	t   *testing.T
	dir string
	log bytes.Buffer
}

func openDesk(t *testing.T, data string, files map[string]string) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir()}
	for name, text := range files {
		d.write(name, text)
	}
	c := Default()
	c.Addr, c.Data, c.Calendars, c.SimStart = "localhost:0", data, d.dir, "2026-11-24T15:00:00Z"
	var err error
	if d.App, err = New(t.Context(), c, slog.New(slog.NewTextHandler(&d.log, nil))); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// look looks as often as it takes.
func (d *desk) look() {
	d.t.Helper()
	for range 2 {
		if err := d.lookAtCalendars(d.t.Context()); err != nil {
			d.t.Fatal(err)
		}
	}
}

// logged returns what was logged since the last time, without times.
func (d *desk) logged() string {
	text := strings.ReplaceAll(d.log.String(), d.dir, "DIR")
	d.log.Reset()
	var lines []string
	for line := range strings.Lines(text) {
		_, line, _ = strings.Cut(line, " ")
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "\n")
}

const halt = `{"amends": "XNYS", "early": {"2026-11-24": {"close": "09:55", "name": "Halt"}}}`

func TestTheFolderOfCalendarsIsLookedAt(t *testing.T) {
	t.Parallel()
	d := openDesk(t, t.TempDir(), nil)
	defer closeApp(t, d.App)
	if got, want := d.logged(), "level=INFO msg=\"calendars in force\" folder=DIR files=[]"; got != want {
		t.Errorf("at the start logged %q, want %q", got, want)
	}
	trading := func() bool {
		t.Helper()
		s, err := d.days().Status("XNYS", d.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		return s.Trading
	}
	if !trading() {
		t.Fatal("New York is closed")
	}

	d.write("halt.json", halt)
	d.look()
	d.look()
	if got, want := d.logged(), "level=INFO msg=\"calendars in force\" folder=DIR files=[halt.json]"; got != want || trading() {
		t.Errorf("trading %v, logged %q, want %q", trading(), got, want)
	}

	d.write("halt.json", "{")
	d.look()
	d.look()
	want := `level=ERROR msg="the calendars cannot be used; those that were in force stay" folder=DIR error="DIR/halt.json:1: the file ends too early. A bracket or a quotation mark is not closed."`
	if got := d.logged(); got != want || trading() {
		t.Errorf("trading %v, logged %q, want %q", trading(), got, want)
	}
	status := d.Status(t.Context()).Calendars
	if status.Folder != d.dir || !cmp.Equal(status.Files, []string{"halt.json"}) || !strings.Contains(status.Trouble, "halt.json:1: ") {
		t.Errorf("status %+v", status)
	}
	if got := d.metric("calendar_trouble"); got != "1" {
		t.Errorf("the metric is %q", got)
	}

	d.write("halt.json", halt)
	d.look()
	if got := d.logged(); !strings.HasPrefix(got, "level=INFO") || d.Status(t.Context()).Calendars.Trouble != "" || trading() {
		t.Errorf("repaired: trading %v, logged %q", trading(), got)
	}
	if got := d.metric("calendar_trouble"); got != "0" {
		t.Errorf("the metric is %q", got)
	}
}

// metric reads a metric as Prometheus does.
func (d *desk) metric(name string) string {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost"
	answer := httptest.NewRecorder()
	d.api.ServeHTTP(answer, r)
	_, rest, _ := strings.Cut(answer.Body.String(), "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// TestTheMarketsAreAskedAsOftenAsTheFolder holds that what is in force is told
// at once: without a folder the job of the markets runs every ten seconds.
func TestTheMarketsAreAskedAsOftenAsTheFolder(t *testing.T) {
	t.Parallel()
	intervals := func(a *App) map[string]time.Duration {
		found := map[string]time.Duration{}
		for _, job := range a.beat.Jobs {
			found[job.Name] = job.Interval
		}
		return found
	}
	d := openDesk(t, t.TempDir(), nil)
	defer closeApp(t, d.App)
	if got := intervals(d.App); got["global_market"] != time.Second || got["calendars"] != time.Second {
		t.Errorf("with a folder: %v", got)
	}
	a := openApp(t, t.TempDir(), nil)
	defer closeApp(t, a)
	if got := intervals(a); got["global_market"] != 10*time.Second || got["calendars"] != time.Minute {
		t.Errorf("without a folder: %v", got)
	}
}

func TestABadFolderOfCalendarsIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "halt.json")
	if err := os.WriteFile(path, []byte("{\"amends\": \"XNYS\",\n\"closed\": {\"2026-13-01\": \"x\"}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Addr, c.Data, c.Calendars = "localhost:0", t.TempDir(), dir
	_, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
	want := path + `:2: closed/2026-13-01: "2026-13-01" is not a date. Write it as 2026-12-25.`
	if got := fmt.Sprint(err); got != want || thor.ErrorCode(err) != thor.EINVALID {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, missing := range []string{path, filepath.Join(dir, "none")} {
		c.Calendars = missing
		if got, want := fmt.Sprint(c.Validate()), "--calendars: "+missing+" is not a directory"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

const exchange = `{
  "exchange": "XTST", "timezone": "Asia/Tokyo", "years": [2026], "hours": [{"open": "00:00", "close": "23:59"}],
  "markets": [{"id": "XTST", "name": "Test", "country": "Japan", "weight": 0, "order": 1}],
  "closed": {}
}`

// TestAMarketThatIsGoneIsUnknown holds that a market of a file that was removed
// does not stay open for ever, over a restart either.
func TestAMarketThatIsGoneIsUnknown(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	d := openDesk(t, data, map[string]string{"test.json": exchange})
	from, err := d.abilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	test := func(from source.Abilities) thor.MarketStatus {
		t.Helper()
		statuses, err := from.Markets.Markets(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range statuses {
			if s.MarketID == "XTST" {
				return s
			}
		}
		return thor.MarketStatus{}
	}
	was := test(from)
	if was.Status != thor.MarketOpen {
		t.Fatalf("XTST is %+v", was)
	}
	was.Timestamp = was.Timestamp.Add(-time.Minute) // the clock will begin anew
	message, err := thor.MarketStatusMessage(was).Encode()
	if err != nil {
		t.Fatal(err)
	}
	event := thor.Event{Stream: "global_market", Type: "market_status", Key: "XTST", Data: message}
	if _, err := d.store.Append(t.Context(), time.Now(), []thor.Event{event}); err != nil {
		t.Fatal(err)
	}
	gone := func(s thor.MarketStatus) {
		t.Helper()
		want := thor.MarketStatus{
			MarketID: "XTST", Market: "Test", Country: "Japan", Timezone: "Asia/Tokyo", Weight: was.Weight,
			Status: thor.MarketUnknown, Timestamp: s.Timestamp,
		}
		if diff := cmp.Diff(want, s); diff != "" || s.Validate() != nil {
			t.Errorf("XTST, which is gone (-want +got):\n%s", diff)
		}
	}
	if err := os.Remove(filepath.Join(d.dir, "test.json")); err != nil {
		t.Fatal(err)
	}
	d.look()
	gone(test(from))
	closeApp(t, d.App)
	d = openDesk(t, data, nil)
	defer closeApp(t, d.App)
	if from, err = d.abilities(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone(test(from))
}

func TestACalendarThatEndsSoonIsSaidOnce(t *testing.T) {
	t.Parallel()
	d := openDesk(t, t.TempDir(), map[string]string{"test.json": exchange})
	defer closeApp(t, d.App)
	d.logged()
	d.look()
	d.look()
	if got, want := d.logged(), `level=WARN msg="calendars end soon; then their markets are UNKNOWN" ends="XTST 2026-12-31T15:00:00Z"`; got != want {
		t.Errorf("logged %q, want %q", got, want)
	}
	want := []api.EndingStatus{{Exchange: "XTST", At: time.Date(2026, time.December, 31, 15, 0, 0, 0, time.UTC)}}
	if diff := cmp.Diff(want, d.Status(t.Context()).Calendars.Ending); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if got := d.metric("calendars_ending"); got != "1" {
		t.Errorf("the metric is %q", got)
	}
	a := &App{folder: d.folder, clock: stopped(time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC))}
	if got := a.ending(); got != nil {
		t.Errorf("61 days before: %v", got)
	}
	a.clock = stopped(time.Date(2027, time.February, 1, 0, 0, 0, 0, time.UTC))
	if got := a.ending(); len(got) != 1 {
		t.Errorf("after the end: %v", got)
	}
}

// TestTheSimulatorKeepsToItsOwnCalendar holds that a folder of calendars does
// not change what the simulator has said.
func TestTheSimulatorKeepsToItsOwnCalendar(t *testing.T) {
	t.Parallel()
	d := openDesk(t, t.TempDir(), map[string]string{"closure.json": `{"amends": "XNYS", "closed": {"2026-11-24": "Closed"}}`})
	defer closeApp(t, d.App)
	opening := time.Date(2026, time.November, 24, 14, 30, 0, 0, time.UTC)
	from, err := d.abilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bars, err := from.Bars.Bars(t.Context(), opening)
	if err != nil {
		t.Fatal(err)
	}
	shares := 0
	for _, b := range bars {
		if b.Symbol == "EQ.AAPL" && b.TimestampMinute.Before(opening.Add(10*time.Minute)) {
			shares++
		}
	}
	if shares != 10 {
		t.Errorf("got %d bars of the first ten minutes, want 10", shares)
	}
}
