package calendar_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/calendar"
)

// with returns a calendar that reads the given files over the embedded ones.
func with(t *testing.T, files ...string) *calendar.Calendar {
	t.Helper()
	dir := make(fstest.MapFS)
	for i, text := range files {
		dir[fmt.Sprintf("%d.json", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	c, err := calendar.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const tokyo = `{
  "exchange": "XTKS", "timezone": "Asia/Tokyo", "years": [2026, 2027], "provisional_years": [2027],
  "hours": [{"open": "09:00", "close": "11:30"}, {"open": "12:30", "close": "15:30"}],
  "markets": [{"id": "XTKS", "name": "Tokyo", "country": "Japan", "weight": 0.25, "order": 10}],
  "closed": {"2026-01-01": "New Year's Day", "2026-11-23": "Labour Thanksgiving Day", "2027-01-01": "New Year's Day"},
  "early": {
    "2026-06-29": {"close": "11:30", "name": "A half day"},
    "2026-06-30": {"close": "14:00", "name": "A short day", "provisional": true}
  },
  "special": {
    "2026-08-01": {"name": "A full Saturday"},
    "2026-11-23": {"name": "An evening hour", "hours": [{"open": "18:00", "close": "19:00"}], "provisional": true}
  }
}`

func TestBreaksHalfDaysAndSpecialSessions(t *testing.T) {
	t.Parallel()
	c := with(t, tokyo)
	tests := []struct {
		name, from, to string
		want           []string
	}{
		{"a lunch break has no PRECLOSE before it", "2026-06-26", "2026-06-27", []string{
			"Fri 06-26 00:00 JST CLOSED 2026-06-26",
			"Fri 06-26 09:00 JST OPEN 2026-06-26",
			"Fri 06-26 11:30 JST BREAK 2026-06-26",
			"Fri 06-26 12:30 JST OPEN 2026-06-26",
			"Fri 06-26 15:15 JST PRECLOSE 2026-06-26",
			"Fri 06-26 15:30 JST CLOSED 2026-06-29",
		}},
		{"a half day ends where the break would begin", "2026-06-29", "2026-06-30", []string{
			"Mon 06-29 00:00 JST CLOSED 2026-06-29",
			"Mon 06-29 09:00 JST OPEN 2026-06-29",
			"Mon 06-29 11:15 JST PRECLOSE 2026-06-29",
			"Mon 06-29 11:30 JST CLOSED 2026-06-30",
		}},
		{"an early close after the break", "2026-06-30", "2026-07-01", []string{
			"Tue 06-30 00:00 JST CLOSED 2026-06-30",
			"Tue 06-30 09:00 JST OPEN 2026-06-30",
			"Tue 06-30 11:30 JST BREAK 2026-06-30",
			"Tue 06-30 12:30 JST OPEN 2026-06-30",
			"Tue 06-30 13:45 JST PRECLOSE 2026-06-30",
			"Tue 06-30 14:00 JST CLOSED 2026-07-01",
		}},
		{"a session on a Saturday", "2026-08-01", "2026-08-02", []string{
			"Sat 08-01 00:00 JST CLOSED 2026-08-01",
			"Sat 08-01 09:00 JST OPEN 2026-08-01",
			"Sat 08-01 11:30 JST BREAK 2026-08-01",
			"Sat 08-01 12:30 JST OPEN 2026-08-01",
			"Sat 08-01 15:15 JST PRECLOSE 2026-08-01",
			"Sat 08-01 15:30 JST CLOSED 2026-08-03",
		}},
		{"a session on a holiday", "2026-11-23", "2026-11-24", []string{
			"Mon 11-23 00:00 JST HOLIDAY 2026-11-23",
			"Mon 11-23 18:00 JST OPEN 2026-11-23",
			"Mon 11-23 18:45 JST PRECLOSE 2026-11-23",
			"Mon 11-23 19:00 JST HOLIDAY 2026-11-24",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, changes(t, c, "XTKS", test.from, test.to)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSessionsOfADataFile(t *testing.T) {
	t.Parallel()
	c := with(t, tokyo)
	tests := []struct {
		name string
		want thor.Session
	}{
		{"a regular one", thor.Session{Date: "2026-06-26", Open: utc("2026-06-26 00:00"), Close: utc("2026-06-26 06:30")}},
		{"a half day is early", thor.Session{Date: "2026-06-29", Open: utc("2026-06-29 00:00"), Close: utc("2026-06-29 02:30"), Early: true}},
		{"an early close not confirmed yet", thor.Session{Date: "2026-06-30", Open: utc("2026-06-30 00:00"), Close: utc("2026-06-30 05:00"), Early: true, Provisional: true}},
		{"a full special session is not early", thor.Session{Date: "2026-08-01", Open: utc("2026-08-01 00:00"), Close: utc("2026-08-01 06:30")}},
		{"a short special session is, however late it ends", thor.Session{Date: "2026-11-23", Open: utc("2026-11-23 09:00"), Close: utc("2026-11-23 10:00"), Early: true, Provisional: true}},
		{"a year not published yet", thor.Session{Date: "2027-06-25", Open: utc("2027-06-25 00:00"), Close: utc("2027-06-25 06:30"), Provisional: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.want.Exchange = "XTKS"
			got, _ := c.SessionAt("XTKS", test.want.Open)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("session (-want +got):\n%s", diff)
			}
			if got := status(t, c, "XTKS", test.want.Open).Provisional; got != test.want.Provisional {
				t.Errorf("status is provisional: got %v, want %v", got, test.want.Provisional)
			}
		})
	}
	t.Run("a session with a break has two parts", func(t *testing.T) {
		t.Parallel()
		want := []calendar.Part{
			{Open: utc("2026-06-26 00:00"), Close: utc("2026-06-26 02:30")},
			{Open: utc("2026-06-26 03:30"), Close: utc("2026-06-26 06:30")},
		}
		if diff := cmp.Diff(want, c.Parts("XTKS", "2026-06-26")); diff != "" {
			t.Errorf("parts (-want +got):\n%s", diff)
		}
	})
	t.Run("a special session names its date, holiday or not", func(t *testing.T) {
		t.Parallel()
		if got, want := c.DayName("XTKS", "2026-11-23"), "An evening hour"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestAProvisionalYearIsSaidToBeSo(t *testing.T) {
	t.Parallel()
	c := with(t, tokyo)
	tests := []struct {
		name string
		at   time.Time
		want bool
	}{
		{"in the published year", utc("2026-12-30 03:00"), false},
		{"waiting for a session of the provisional year", utc("2026-12-31 12:00"), true},
		{"on a holiday of it", utc("2027-01-01 03:00"), true},
		{"in it", utc("2027-06-01 03:00"), true},
		{"after its last session", utc("2027-12-31 12:00"), true},
		{"after the covered years", utc("2028-01-04 03:00"), false},
	}
	for _, test := range tests {
		if got := status(t, c, "XTKS", test.at).Provisional; got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestHoursOnAnotherZonesClock(t *testing.T) {
	t.Parallel()
	c := with(t, `{
  "exchange": "XMEX", "timezone": "America/Mexico_City", "hours_timezone": "America/New_York", "years": [2026],
  "hours": [{"open": "09:30", "close": "16:00"}],
  "markets": [{"id": "XMEX", "name": "Mexican", "country": "Mexico", "weight": 0.02, "order": 90}],
  "closed": {"2026-01-01": "New Year's Day", "2026-03-16": "Benito Juárez's birthday"}
}`)
	want := []string{
		"Fri 03-06 00:00 CST CLOSED 2026-03-06",
		"Fri 03-06 08:30 CST OPEN 2026-03-06",
		"Fri 03-06 14:45 CST PRECLOSE 2026-03-06",
		"Fri 03-06 15:00 CST CLOSED 2026-03-09",
		"Mon 03-09 07:30 CST OPEN 2026-03-09",
		"Mon 03-09 13:45 CST PRECLOSE 2026-03-09",
		"Mon 03-09 14:00 CST CLOSED 2026-03-10",
	}
	if diff := cmp.Diff(want, changes(t, c, "XMEX", "2026-03-06", "2026-03-10")); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	want = []string{"Mon 03-16 00:00 CST HOLIDAY 2026-03-17"}
	if diff := cmp.Diff(want, changes(t, c, "XMEX", "2026-03-16", "2026-03-17")); diff != "" {
		t.Errorf("a holiday is on its own clock (-want +got):\n%s", diff)
	}
}

const evening = `{
  "exchange": "CMES", "timezone": "America/Chicago", "years": [2026],
  "hours": [{"open": "D-1 17:00", "close": "16:00"}],
  "markets": [{"id": "GLOBEX", "name": "Futures", "country": "Futures", "weight": 0, "order": 5, "preopen_minutes": 15, "maintenance_minutes": 60}],
  "closed": {"2026-01-01": "New Year's Day"}
}`

func TestAFileTakesThePlaceOfAnExchange(t *testing.T) {
	t.Parallel()
	c := with(t, evening, tokyo)
	var ids []string
	for _, s := range c.Statuses(utc("2026-06-01 12:00")) {
		ids = append(ids, s.MarketID)
	}
	if diff := cmp.Diff([]string{"GLOBEX", "XTKS", "XSHG", "XHKG", "XNSE", "XETR", "XLON", "XNYS.PRE", "XNYS", "XTSE", "XMEX"}, ids); diff != "" {
		t.Errorf("markets (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"CMES", "XTKS", "XSHG", "XHKG", "XNSE", "XETR", "XLON", "XNYS", "XTSE", "XMEX"}, c.Exchanges()); diff != "" {
		t.Errorf("exchanges (-want +got):\n%s", diff)
	}
}

func TestTheYearEndsWhereASessionNobodyKnowsOfCouldBegin(t *testing.T) {
	t.Parallel()
	c := with(t, evening)
	want := []string{
		"Thu 12-31 00:00 CST OPEN 2026-12-31",
		"Thu 12-31 15:45 CST PRECLOSE 2026-12-31",
		"Thu 12-31 16:00 CST CLOSED ",
		"Thu 12-31 16:45 CST UNKNOWN ",
	}
	if diff := cmp.Diff(want, changes(t, c, "GLOBEX", "2026-12-31", "2027-02-01")); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestFilesThatContradictEachOther(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files fstest.MapFS
		want  []string
	}{
		{"two files of one exchange", fstest.MapFS{"a.json": {Data: []byte(tokyo)}, "b.json": {Data: []byte(tokyo)}}, []string{
			"b.json:1: the exchange XTKS is in a.json already. Keep one of the two files.",
		}},
		{"a market of two exchanges", fstest.MapFS{"a.json": {Data: []byte(evening)}, "b.json": {Data: []byte(strings.Replace(tokyo, `"id": "XTKS"`, `"id": "GLOBEX"`, 1))}}, []string{
			`b.json:4: markets/0: the market "GLOBEX" is on line 4 of a.json already. Give each market an id of its own.`,
		}},
		{"faults of two files", fstest.MapFS{"a.json": {Data: []byte("[]")}, "b.json": {Data: []byte("{")}, "c.txt": {}}, []string{
			"a.json:1: must be an object, not a list. Compare it with the format in internal/calendar/data/README.md.",
			"b.json:1: the file ends too early. A bracket or a quotation mark is not closed.",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := calendar.New(test.files)
			if diff := cmp.Diff(test.want, strings.Split(fmt.Sprint(err), "\n")); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got, want := thor.ErrorCode(err), thor.EINVALID; got != want {
				t.Errorf("code got %q, want %q", got, want)
			}
		})
	}
}
