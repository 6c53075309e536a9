package calendar

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
)

// amended returns the calendar with the given files over the embedded ones.
func amended(t *testing.T, files ...string) (*Calendar, error) {
	t.Helper()
	dir := make(fstest.MapFS)
	for i, text := range files {
		dir[fmt.Sprintf("%c.json", 'a'+i)] = &fstest.MapFile{Data: []byte(text)}
	}
	return New(dir)
}

// day writes down what a market does on a date: local time and status of every
// change, the first at midnight.
func phases(t *testing.T, c *Calendar, market, date string) string {
	t.Helper()
	s, err := c.Status(market, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	loc, err := time.LoadLocation(s.Timezone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation(time.DateOnly, date, loc)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for end := at.AddDate(0, 0, 1); at.Before(end) && !at.IsZero(); at = s.NextEventAt {
		if s, err = c.Status(market, at); err != nil {
			t.Fatal(err)
		}
		words = append(words, at.In(loc).Format("15:04 ")+string(s.Status))
	}
	return strings.Join(words, ", ")
}

// TestTheExamplesOfAmendmentsDoWhatTheySay reads them from the document.
func TestTheExamplesOfAmendmentsDoWhatTheySay(t *testing.T) {
	t.Parallel()
	files := examples(t)[:4]
	c, err := amended(t, files...)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, market, date, want string }{
		{"the closure", "XNYS", "2026-11-25", "00:00 HOLIDAY"},
		{"the closure closes the pre-market too", "XNYS.PRE", "2026-11-25", "00:00 HOLIDAY"},
		{"the day after is as it was", "XNYS", "2026-11-27", "00:00 CLOSED, 04:00 PREOPEN, 09:30 OPEN, 12:45 PRECLOSE, 13:00 POST, 17:00 CLOSED"},
		{"the halt", "XSHG", "2026-11-24", "00:00 CLOSED, 08:30 PREOPEN, 09:30 OPEN, 11:30 BREAK, 13:00 PRECLOSE, 13:10 CLOSED"},
		{"the day after the halt is as it was", "XSHG", "2026-11-25", "00:00 CLOSED, 08:30 PREOPEN, 09:30 OPEN, 11:30 BREAK, 13:00 OPEN, 14:45 PRECLOSE, 15:00 CLOSED"},
		{"a day the year closes", "XSHG", "2027-02-11", "00:00 HOLIDAY"},
		{"a day it does not close after all", "XSHG", "2027-02-12", "00:00 CLOSED, 08:30 PREOPEN, 09:30 OPEN, 11:30 BREAK, 13:00 OPEN, 14:45 PRECLOSE, 15:00 CLOSED"},
		{"the special session", "XNSE", "2027-10-29", "00:00 HOLIDAY, 17:15 PREOPEN, 18:15 OPEN, 19:00 PRECLOSE, 19:15 HOLIDAY"},
	} {
		if got := phases(t, c, test.market, test.date); got != test.want {
			t.Errorf("%s: %s on %s\ngot  %s\nwant %s", test.name, test.market, test.date, got, test.want)
		}
	}
	if name := c.DayName("XNYS", "2026-11-25"); name != "National Day of Mourning" {
		t.Errorf("the closure is called %q", name)
	}
	for market, want := range map[string]bool{"XSHG": false, "XNSE": true} {
		if s, err := c.Status(market, time.Date(2027, time.June, 1, 3, 0, 0, 0, time.UTC)); err != nil || s.Provisional != want {
			t.Errorf("%s in 2027 is provisional: %v, %v; want %v", market, s.Provisional, err, want)
		}
	}
	for mic, ex := range c.exchanges {
		if fault := inconsistency(ex); fault != "" {
			t.Errorf("%s: %s", mic, fault)
		}
	}
}

func TestAmendments(t *testing.T) {
	t.Parallel()
	const (
		regular   = "00:00 CLOSED, 04:00 PREOPEN, 09:30 OPEN, 15:45 PRECLOSE, 16:00 POST, 20:00 CLOSED"
		muhurat   = `{"amends": "XNSE", "special": {"2025-10-21": {"name": "Later", "hours": [{"open": "18:00", "close": "19:00"}]}}}`
		wholeDays = `{"amends": "XNYS", "closed": {"2026-12-01": "A holiday"}, "special": {"2026-12-01": {"name": "An hour of it", "hours": [{"open": "10:00", "close": "11:00"}]}}}`
	)
	for name, test := range map[string]struct{ file, market, date, want string }{
		"a closed date trades after all":            {`{"amends": "XNYS", "regular": {"2026-11-26": "No Thanksgiving"}}`, "XNYS", "2026-11-26", regular},
		"an early close is taken back":              {`{"amends": "XNYS", "regular": {"2026-11-27": "To the end"}}`, "XNYS", "2026-11-27", regular},
		"an early close at another time":            {`{"amends": "XNYS", "early": {"2026-11-27": {"close": "12:00", "name": "Earlier"}}}`, "XNYS", "2026-11-27", "00:00 CLOSED, 04:00 PREOPEN, 09:30 OPEN, 11:45 PRECLOSE, 12:00 POST, 16:00 CLOSED"},
		"an early close becomes a closure":          {`{"amends": "XNYS", "closed": {"2026-11-27": "All of it"}}`, "XNYS", "2026-11-27", "00:00 HOLIDAY"},
		"a halt right after the opening":            {`{"amends": "XNYS", "early": {"2026-12-01": {"close": "09:34", "name": "Halt"}}}`, "XNYS", "2026-12-01", "00:00 CLOSED, 04:00 PREOPEN, 09:30 PRECLOSE, 09:34 POST, 13:34 CLOSED"},
		"a late opening":                            {`{"amends": "XNYS", "special": {"2026-12-01": {"name": "Late", "hours": [{"open": "11:00", "close": "16:00"}]}}}`, "XNYS", "2026-12-01", "00:00 CLOSED, 05:30 PREOPEN, 11:00 OPEN, 15:45 PRECLOSE, 16:00 POST, 20:00 CLOSED"},
		"a session on a Saturday":                   {`{"amends": "XNYS", "special": {"2026-12-05": {"name": "Test"}}}`, "XNYS", "2026-12-05", regular},
		"a special session at another time":         {muhurat, "XNSE", "2025-10-21", "00:00 HOLIDAY, 17:00 PREOPEN, 18:00 OPEN, 18:45 PRECLOSE, 19:00 HOLIDAY"},
		"a special session is taken back":           {`{"amends": "XNSE", "closed": {"2026-02-01": "No Budget"}}`, "XNSE", "2026-02-01", "00:00 CLOSED"},
		"a session on a date closed with it":        {wholeDays, "XNYS", "2026-12-01", "00:00 HOLIDAY, 04:30 PREOPEN, 10:00 OPEN, 10:45 PRECLOSE, 11:00 POST, 15:00 HOLIDAY"},
		"what is known is said again":               {`{"amends": "XNYS", "closed": {"2026-12-25": "Christmas"}}`, "XNYS", "2026-12-25", "00:00 HOLIDAY"},
		"a year after the covered ones":             {`{"amends": "XNYS", "published": {"2028": {"closed": {"2028-01-17": "Martin Luther King Jr. Day"}}}}`, "XNYS", "2028-01-17", "00:00 HOLIDAY"},
		"the year after next in the same file":      {`{"amends": "XNYS", "published": {"2029": {"closed": {}}, "2028": {"closed": {}}}}`, "XNYS", "2029-06-01", regular},
		"a date on top of a list":                   {`{"amends": "XNYS", "published": {"2027": {"closed": {"2027-01-01": "New Year's Day"}}}, "early": {"2027-01-04": {"close": "09:35", "name": "Halt"}}}`, "XNYS", "2027-01-04", "00:00 CLOSED, 04:00 PREOPEN, 09:30 PRECLOSE, 09:35 POST, 13:35 CLOSED"},
		"a list has all early closes":               {`{"amends": "XNYS", "published": {"2027": {"closed": {"2027-01-01": "New Year's Day"}}}}`, "XNYS", "2027-11-26", regular},
		"an early close of a list":                  {`{"amends": "XNYS", "published": {"2028": {"closed": {}, "early": {"2028-07-03": {"close": "13:00", "name": "Eve"}}}}}`, "XNYS", "2028-07-03", "00:00 CLOSED, 04:00 PREOPEN, 09:30 OPEN, 12:45 PRECLOSE, 13:00 POST, 17:00 CLOSED"},
		"an amendment of an exchange of the folder": {`{"amends": "XTST", "closed": {"2026-06-01": "Closed"}}`, "XTST", "2026-06-01", "00:00 HOLIDAY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := amended(t, test.file, sound)
			if err != nil {
				t.Fatal(err)
			}
			if got := phases(t, c, test.market, test.date); got != test.want {
				t.Errorf("%s on %s\ngot  %s\nwant %s", test.market, test.date, got, test.want)
			}
			for mic, ex := range c.exchanges {
				if fault := inconsistency(ex); fault != "" {
					t.Errorf("%s: %s", mic, fault)
				}
			}
		})
	}
	t.Run("nothing else changes", func(t *testing.T) {
		t.Parallel()
		before, err := New()
		if err != nil {
			t.Fatal(err)
		}
		after, err := amended(t, `{"amends": "XNYS", "closed": {"2026-12-01": "Closed"}}`)
		if err != nil {
			t.Fatal(err)
		}
		for d := newDay(2025, time.January, 1); d.year() < 2028; d++ {
			at := d.utc().Add(16 * time.Hour)
			for i, s := range after.Statuses(at) {
				touched := s.Timezone == "America/New_York" && s.Country == "USA" && d >= newDay(2026, time.November, 30) && d <= newDay(2026, time.December, 1)
				if diff := cmp.Diff(before.Statuses(at)[i], s); (diff != "") && !touched {
					t.Fatalf("%s on %s (-before +after):\n%s", s.MarketID, d, diff)
				}
			}
		}
	})
}

func TestAmendmentsThatAreRefused(t *testing.T) {
	t.Parallel()
	const closure = "{\n  \"amends\": \"XNYS\",\n  \"closed\": {\"2026-12-01\": \"Closed\"}\n}"
	for _, test := range []struct {
		name  string
		files []string
		want  []string
	}{
		{"an exchange that does not exist", []string{`{"amends": "XXXX", "closed": {"2026-12-01": "Closed"}}`}, []string{
			"a.json:1: amends: there is no exchange XXXX. The exchanges are CMES, XETR, XHKG, XLON, XMEX, XNSE, XNYS, XSHG, XTKS, XTSE.",
		}},
		{"no MIC", []string{`{"amends": "New York", "closed": {"2026-12-01": "Closed"}}`}, []string{
			`a.json:1: amends: "New York" is not a MIC. Write the ISO 10383 MIC, such as XNYS.`,
		}},
		{"a date that does not exist", []string{"{\"amends\": \"XNYS\",\n\"closed\": {\"2026-11-31\": \"Closed\"}}"}, []string{
			`a.json:2: closed/2026-11-31: "2026-11-31" is not a date. Write it as 2026-12-25.`,
		}},
		{"a date outside the covered years", []string{`{"amends": "XNYS", "closed": {"2028-12-01": "Closed"}}`}, []string{
			"a.json:1: closed/2028-12-01: is not in 2025 to 2027. Cover its year with all its dates, or remove it.",
		}},
		{"nothing", []string{`{"amends": "XNYS", "about": "nothing", "closed": {}}`}, []string{
			"a.json:1: the amendment changes nothing. Give it dates under closed, early, special, regular or published, or remove the file.",
		}},
		{"a field of an exchange", []string{`{"amends": "XNYS", "closed": {"2026-12-01": "Closed"}, "hours": []}`}, []string{
			"a.json:1: hours: there is no such field. Known here are amends, about, closed, early, special, regular, published.",
		}},
		{"an amendment that is an exchange", []string{`{"amends": "XNYS", "exchange": "XNYS"}`}, []string{
			"a.json:1: exchange: there is no such field. Known here are amends, about, closed, early, special, regular, published.",
		}},
		{"one date in two files", []string{closure, "{\n\n\n\"amends\": \"XNYS\", \"early\": {\"2026-12-01\": {\"close\": \"13:10\", \"name\": \"Halt\"}}}"}, []string{
			"b.json:4: early/2026-12-01: 2026-12-01 is amended on line 3 of a.json already. Keep one of the two.",
		}},
		{"the same in two files", []string{closure, closure}, []string{
			"b.json:3: closed/2026-12-01: 2026-12-01 is amended on line 3 of a.json already. Keep one of the two.",
		}},
		{"closed and early in one file", []string{`{"amends": "XNYS", "closed": {"2026-12-01": "Closed"}, "early": {"2026-12-01": {"close": "13:10", "name": "Halt"}}}`}, []string{
			"a.json:1: early/2026-12-01: 2026-12-01 is amended on line 1 of a.json already. Keep one of the two.",
		}},
		{"closed and regular in one file", []string{`{"amends": "XNYS", "closed": {"2026-12-01": "Closed"}, "regular": {"2026-12-01": "Not"}}`}, []string{
			"a.json:1: regular/2026-12-01: 2026-12-01 is amended on line 1 of a.json already. Keep one of the two.",
		}},
		{"a session of a date that another file closes", []string{closure, `{"amends": "XNYS", "special": {"2026-12-01": {"name": "Test"}}}`}, []string{
			"b.json:1: special/2026-12-01: 2026-12-01 is amended on line 3 of a.json already. Keep one of the two.",
		}},
		{"weekends", []string{`{"amends": "XNYS", "closed": {"2026-12-05": "Closed"}, "early": {"2026-12-06": {"close": "13:10", "name": "Halt"}}, "regular": {"2026-12-12": "Open"}}`}, []string{
			"a.json:1: closed/2026-12-05: is a Saturday. It is closed anyway; remove it.",
			"a.json:1: regular/2026-12-12: is a Saturday. There is no regular session on a weekend; list it under special.",
			"a.json:1: early/2026-12-06: is a Sunday. There is no session to shorten; list it under special.",
		}},
		{"an early close of a holiday", []string{`{"amends": "XNYS", "early": {"2026-12-25": {"close": "13:10", "name": "Halt"}}}`}, []string{
			"a.json:1: early/2026-12-25: is closed, Christmas Day. If there is a session after all, give its hours under special.",
		}},
		{"an early close of a special session", []string{`{"amends": "XNSE", "early": {"2025-10-21": {"close": "14:10", "name": "Halt"}}}`}, []string{
			"a.json:1: early/2025-10-21: has a session of its own, Muhurat trading. Give the session its new hours under special.",
		}},
		{"a halt in the break", []string{`{"amends": "XSHG", "early": {"2026-12-01": {"close": "12:00", "name": "Halt"}}}`}, []string{
			"a.json:1: early/2026-12-01/close: 12:00 does not shorten the session from 09:30 to 15:00. Write when trading ends, before the regular close and not in a break.",
		}},
		{"a session that overlaps the one before", []string{`{"amends": "CMES", "special": {"2026-12-02": {"name": "Test", "hours": [{"open": "D-1 12:00", "close": "10:00"}]}}}`}, []string{
			"a.json:1: special/2026-12-02: the session of 2026-12-02 overlaps the one before it or leaves the covered years. Change its hours, or list the date as closed.",
		}},
		{"a year that is none", []string{`{"amends": "XNYS", "published": {"next": {"closed": {}}}}`}, []string{
			`a.json:1: published/next: "next" is not a year. Write it as "2027".`,
		}},
		{"a year that does not follow", []string{`{"amends": "XNYS", "published": {"2030": {"closed": {}}, "2024": {"closed": {}}}}`}, []string{
			"a.json:1: published/2024: 2024 does not follow 2027, which the calendar covers from 2025 on. Publish the years one after the other, without a gap.",
			"a.json:1: published/2030: 2030 does not follow 2027, which the calendar covers from 2025 on. Publish the years one after the other, without a gap.",
		}},
		{"a year twice", []string{`{"amends": "XNYS", "published": {"2027": {"closed": {}}}}`, `{"amends": "XNYS", "published": {"2027": {"closed": {}}}}`}, []string{
			"b.json:1: published/2027: the year is published on line 1 of a.json already. Keep one of the two.",
		}},
		{"a date of another year in a list", []string{`{"amends": "XNYS", "published": {"2027": {"closed": {"2026-12-25": "Christmas Day"}}}}`}, []string{
			"a.json:1: published/2027/closed/2026-12-25: is not in 2027. Cover its year with all its dates, or remove it.",
		}},
		{"a list without its closed dates", []string{`{"amends": "XNYS", "published": {"2027": {"early": {}}}}`}, []string{
			`a.json:1: published/2027: the field "closed" is missing. Add it as internal/calendar/data/README.md says.`,
		}},
		{"faults of two files", []string{`{"amends": "XNYS", "closed": {"2026-12-05": "Closed"}}`, `{"amends": "XLON", "closed": {"2026-12-06": "Closed"}}`}, []string{
			"a.json:1: closed/2026-12-05: is a Saturday. It is closed anyway; remove it.",
			"b.json:1: closed/2026-12-06: is a Sunday. It is closed anyway; remove it.",
		}},
		{"a file cut short", []string{`{"amends": "XNYS", "closed": {"2026-12-01": "Clo`}, []string{
			"a.json:1: closed/2026-12-01: the file ends too early. A bracket or a quotation mark is not closed.",
		}},
		{"an empty file", []string{""}, []string{
			"a.json:1: the file ends too early. A bracket or a quotation mark is not closed.",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := amended(t, test.files...)
			got := strings.Split(fmt.Sprint(err), "\n")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got := thor.ErrorCode(err); got != thor.EINVALID {
				t.Errorf("code got %q, want %q", got, thor.EINVALID)
			}
		})
	}
}

func TestEndings(t *testing.T) {
	t.Parallel()
	c, err := amended(t, `{"amends": "XNYS", "published": {"2028": {"closed": {}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Endings(time.Date(2027, time.December, 31, 0, 0, 0, 0, time.UTC)); got != nil {
		t.Errorf("a year before the first end got %v", got)
	}
	got := c.Endings(time.Date(2028, time.January, 2, 0, 0, 0, 0, time.UTC))
	tokyo := Ending{Exchange: "XTKS", At: time.Date(2027, time.December, 31, 15, 0, 0, 0, time.UTC)}
	if len(got) != 9 || got[0] != tokyo || slices.ContainsFunc(got, func(e Ending) bool { return e.Exchange == "XNYS" }) {
		t.Errorf("got %v, want nine exchanges without New York, Tokyo first", got)
	}
}

func FuzzAmendment(f *testing.F) {
	for _, seed := range []string{
		`{"amends": "XNYS", "closed": {"2026-11-25": "x"}, "regular": {"2026-11-26": "x"}, "early": {"2026-12-01": {"close": "13:10", "name": "x"}}}`,
		`{"amends": "XSHG", "published": {"2028": {"closed": {"2028-01-03": "x"}, "special": {"2028-01-01": {"name": "x"}}}}}`,
		`{"amends": "CMES", "special": {"2026-11-26": {"name": "x", "hours": [{"open": "D-1 17:00", "close": "10:00"}]}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := newCalendar([]file{{name: "a.json", data: data}})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "a.json:") || thor.ErrorCode(err) != thor.EINVALID {
				t.Fatalf("the error names no line: %v", err)
			}
			return
		}
		for mic, ex := range c.exchanges {
			if fault := inconsistency(ex); fault != "" {
				t.Fatalf("%s: %s", mic, fault)
			}
		}
	})
}
