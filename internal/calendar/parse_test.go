package calendar

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
)

// sound is a data file in which the tests break one thing at a time.
const sound = `{
  "exchange": "XTST",
  "timezone": "America/New_York",
  "years": [2026, 2027],
  "provisional_years": [2027],
  "hours": [
    {"open": "09:30", "close": "12:00"},
    {"open": "13:00", "close": "16:00"}
  ],
  "markets": [
    {"id": "XTST", "name": "Test", "country": "USA", "weight": 0.25, "order": 1, "post_minutes": 240},
    {"id": "XTST.PRE", "name": "Early", "country": "USA", "weight": 0.05, "order": 2,
      "hours": [{"open": "08:30", "close": "09:30"}]}
  ],
  "closed": {
    "2026-01-01": "New Year's Day",
    "2026-12-25": "Christmas Day"
  },
  "early": {
    "2026-12-24": {"close": "13:30", "name": "Christmas Eve"}
  },
  "special": {
    "2026-02-01": {"name": "Sunday", "hours": [{"open": "10:00", "close": "11:00"}], "provisional": true}
  }
}
`

// read reads a file of an exchange and works out its sessions and tables.
func read(data []byte) (*exchange, error) {
	ex, _, err := parse(file{name: "XTST.json", data: data})
	if err != nil {
		return nil, err
	}
	if ex == nil {
		return nil, fmt.Errorf("XTST.json:1: %w", thor.Errorf(thor.EINVALID, "an amendment"))
	}
	return ex, ex.build().err()
}

func TestParseReadsASoundFile(t *testing.T) {
	t.Parallel()
	ex, err := read([]byte(sound))
	if err != nil {
		t.Fatal(err)
	}
	if fault := inconsistency(ex); fault != "" {
		t.Error(fault)
	}
}

// examples returns the examples of the description of the format, in order.
func examples(t *testing.T) []string {
	t.Helper()
	readme, err := os.ReadFile("data/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for i, part := range strings.Split(string(readme), "```") {
		if example, ok := strings.CutPrefix(part, "json\n"); ok && i%2 == 1 {
			found = append(found, example)
		}
	}
	if len(found) != 5 {
		t.Fatalf("there are %d examples, want four amendments and an exchange", len(found))
	}
	return found
}

func TestTheExampleOfTheFormatIsSound(t *testing.T) {
	t.Parallel()
	ex, err := read([]byte(examples(t)[4]))
	if err != nil {
		t.Fatal(err)
	}
	if fault := inconsistency(ex); fault != "" {
		t.Error(fault)
	}
}

func TestParseNamesLineAndRemedy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		old, new string
		want     []string
	}{
		{"an unknown field", `"years": [`, `"year": 1, "years": [`, []string{
			`XTST.json:4: year: there is no such field. Known here are exchange, timezone, years, hours, markets, closed, about, hours_timezone, provisional_years, early, special.`,
		}},
		{"an unknown field of a market", `"order": 1`, `"order": 1, "colour": 2`, []string{
			`XTST.json:11: markets/0/colour: there is no such field. Known here are id, name, country, weight, order, hours, preopen_minutes, post_minutes, maintenance_minutes.`,
		}},
		{"a missing field", `  "exchange": "XTST",`, ``, []string{
			`XTST.json:1: the field "exchange" is missing. Add it as internal/calendar/data/README.md says.`,
		}},
		{"a missing field of a market", `"name": "Test", `, ``, []string{
			`XTST.json:11: markets/0: the field "name" is missing. Add it as internal/calendar/data/README.md says.`,
		}},
		{"a field twice", `"timezone"`, `"exchange": "XABC", "timezone"`, []string{
			`XTST.json:3: exchange: is on line 2 already. Keep one of the two.`,
		}},
		{"no MIC", `"XTST",`, `"Test",`, []string{
			`XTST.json:2: exchange: "Test" is not a MIC. Write the ISO 10383 MIC, such as XNYS.`,
		}},
		{"an unknown zone", `America/New_York`, `America/New York`, []string{
			`XTST.json:3: timezone: "America/New York" is not a time zone. Write an IANA name, such as America/New_York.`,
		}},
		{"the machine's own zone", `America/New_York`, `Local`, []string{
			`XTST.json:3: timezone: "Local" is not a time zone. Write an IANA name, such as America/New_York.`,
		}},
		{"a gap in the years", `[2026, 2027]`, `[2026, 2028]`, []string{
			`XTST.json:4: years/1: 2028 does not follow 2026. List the years one after the other, without a gap.`,
		}},
		{"a year out of range", `[2026, 2027]`, `[26]`, []string{
			`XTST.json:4: years/0: 26 is not between 2000 and 2099. Write a whole number in that range.`,
		}},
		{"no year", `[2026, 2027]`, `[]`, []string{
			`XTST.json:4: years: must not be empty. Compare it with the format in internal/calendar/data/README.md.`,
		}},
		{"a provisional year that is not covered", `[2027]`, `[2028]`, []string{
			`XTST.json:5: provisional_years/0: 2028 is not a covered year. List it under years too, or remove it.`,
		}},
		{"a provisional year twice", `[2027]`, `[2027, 2027]`, []string{
			`XTST.json:5: provisional_years/1: 2027 is listed already. Keep one of the two.`,
		}},
		{"a time that is none", `"09:30", "close": "12:00"`, `"9:30", "close": "24:01"`, []string{
			`XTST.json:7: hours/0/open: "9:30" is not a time of day. Write "09:30", or "D-1 17:00" for the evening before.`,
			`XTST.json:7: hours/0/close: "24:01" is not a time of day. Write "09:30", or "D-1 17:00" for the evening before.`,
		}},
		{"a close before its opening", `"09:30", "close": "12:00"`, `"12:00", "close": "09:30"`, []string{
			`XTST.json:7: hours/0: the close 09:30 is not after the opening 12:00. An opening on the evening before is written "D-1 17:00".`,
		}},
		{"parts out of order", `"13:00", "close": "16:00"`, `"11:00", "close": "16:00"`, []string{
			`XTST.json:8: hours/1: the opening 11:00 is not after the close 12:00 before it. Put the parts in order, with a break between them.`,
		}},
		{"a session longer than a day", `{"open": "09:30"`, `{"open": "D-1 15:59"`, []string{
			`XTST.json:6: hours: D-1 15:59 to 16:00 is longer than a day. Move the opening or the close.`,
		}},
		{"an early close after the regular one", `"13:00", "close": "16:00"`, `"13:00", "close": "13:15"`, []string{
			`XTST.json:20: early/2026-12-24/close: 13:30 does not shorten the session from 09:30 to 13:15. Write when trading ends, before the regular close and not in a break.`,
		}},
		{"an early close at the opening", `"13:30"`, `"09:30"`, []string{
			`XTST.json:20: early/2026-12-24/close: 09:30 does not shorten the session from 09:30 to 16:00. Write when trading ends, before the regular close and not in a break.`,
		}},
		{"a session in the hour that does not exist", `"2026-02-01": {"name": "Sunday", "hours": [{"open": "10:00", "close": "11:00"}]`, `"2026-03-08": {"name": "Sunday", "hours": [{"open": "02:15", "close": "02:45"}]`, []string{
			`XTST.json:23: special/2026-03-08: on 2026-03-08 nothing is left of 02:15 to 02:45, for the clocks change. Change its hours, or list the date as closed.`,
		}},
		{"an early close in the break", `"13:30"`, `"12:30"`, []string{
			`XTST.json:20: early/2026-12-24/close: 12:30 does not shorten the session from 09:30 to 16:00. Write when trading ends, before the regular close and not in a break.`,
		}},
		{"an early close that is not early", `"13:30"`, `"16:00"`, []string{
			`XTST.json:20: early/2026-12-24/close: 16:00 does not shorten the session from 09:30 to 16:00. Write when trading ends, before the regular close and not in a break.`,
		}},
		{"an early close on a closed date", `"2026-12-24"`, `"2026-12-25"`, []string{
			`XTST.json:20: early/2026-12-25: is closed on line 17. Keep one of the two.`,
		}},
		{"an early close of a special session on a Sunday", `"2026-12-24"`, `"2026-02-01"`, []string{
			`XTST.json:20: early/2026-02-01: is a Sunday. There is no session to shorten; remove it, or list a special session.`,
			`XTST.json:20: early/2026-02-01: is a special session on line 23. Give the special session its hours and remove this.`,
		}},
		{"a closed weekend", `"2026-12-25"`, `"2026-12-26"`, []string{
			`XTST.json:17: closed/2026-12-26: is a Saturday. It is closed anyway; remove it.`,
		}},
		{"a date that does not exist", `"2026-12-25"`, `"2026-02-29"`, []string{
			`XTST.json:17: closed/2026-02-29: "2026-02-29" is not a date. Write it as 2026-12-25.`,
		}},
		{"a date outside the covered years", `"2026-12-25"`, `"2025-12-25"`, []string{
			`XTST.json:17: closed/2025-12-25: is not in 2026 to 2027. Cover its year with all its dates, or remove it.`,
		}},
		{"a date twice", `"2026-12-25"`, `"2026-01-01"`, []string{
			`XTST.json:17: closed/2026-01-01: is on line 16 already. Keep one of the two.`,
		}},
		{"a holiday without a name", `"Christmas Day"`, `""`, []string{
			`XTST.json:17: closed/2026-12-25: must be 1 to 200 characters long. Give the name people know.`,
		}},
		{"a list of closed dates", `"closed": {`, `"closed": ["2026-01-01"], "special": {`, []string{
			`XTST.json:15: closed: must be an object, not a list. Compare it with the format in internal/calendar/data/README.md.`,
			`XTST.json:16: special/2026-01-01: must be an object, not a string. Compare it with the format in internal/calendar/data/README.md.`,
			`XTST.json:17: special/2026-12-25: must be an object, not a string. Compare it with the format in internal/calendar/data/README.md.`,
			`XTST.json:22: special: is on line 15 already. Keep one of the two.`,
		}},
		{"values of other kinds", `"id": "XTST", "name": "Test", "country": "USA", "weight": 0.25, "order": 1`, `"id": 1, "name": null, "country": true, "weight": "0.25", "order": {}`, []string{
			`XTST.json:11: markets/0/id: a number is not an id. Write the exchange's MIC, with a suffix for a market of its own: XNYS.PRE.`,
			`XTST.json:11: markets/0/name: must be a string, not null. Put it in quotation marks.`,
			`XTST.json:11: markets/0/country: must be a string, not a boolean. Put it in quotation marks.`,
			`XTST.json:11: markets/0/weight: must be a number, not a string. Write a number without quotation marks.`,
			`XTST.json:11: markets/0/order: must be a number, not an object. Write a number without quotation marks.`,
		}},
		{"a boolean of another kind", `"provisional": true`, `"provisional": 1`, []string{
			`XTST.json:23: special/2026-02-01/provisional: must be a boolean, not a number. Write true or false.`,
		}},
		{"too fine a weight", `0.25`, `0.255`, []string{
			`XTST.json:11: markets/0/weight: 0.255 is not a weight from 0 to 1 with at most 2 digits after the point. Write it as 0.25.`,
		}},
		{"too many minutes", `240`, `1441`, []string{
			`XTST.json:11: markets/0/post_minutes: 1441 is not between 0 and 1440. Write a whole number in that range.`,
		}},
		{"a market twice", `"XTST.PRE"`, `"XTST"`, []string{
			`XTST.json:12: markets/1: the market "XTST" is on line 11 already. Give each market an id of its own.`,
		}},
		{"after-hours that last until the next opening", `"post_minutes": 240`, `"post_minutes": 1080`, []string{
			`XTST.json:11: markets/0: what the market does on 2026-01-06 overlaps the day before it or leaves the covered years. Change its hours, preopen_minutes or post_minutes.`,
		}},
		{"a special session that overlaps the day before", `"2026-02-01": {"name": "Sunday", "hours": [{"open": "10:00"`, `"2026-02-03": {"name": "Tuesday", "hours": [{"open": "D-1 15:00"`, []string{
			`XTST.json:23: special/2026-02-03: the session of 2026-02-03 overlaps the one before it or leaves the covered years. Change its hours, or list the date as closed.`,
		}},
		{"faults on several lines, in their order", `"hours": [
    {"open": "09:30", "close": "12:00"},`, `"special_days": 1, "hours": [
    {"open": "", "close": "12:00"},`, []string{
			`XTST.json:6: special_days: there is no such field. Known here are exchange, timezone, years, hours, markets, closed, about, hours_timezone, provisional_years, early, special.`,
			`XTST.json:7: hours/0/open: "" is not a time of day. Write "09:30", or "D-1 17:00" for the evening before.`,
		}},
		{"a comma too many", `"Christmas Day"`, `"Christmas Day",`, []string{
			`XTST.json:18: closed: this is not JSON: invalid character '}' looking for beginning of object key string. Look for a comma, a bracket or a quotation mark here or on the line above.`,
		}},
		{"a comma missing", `"New Year's Day",`, `"New Year's Day"`, []string{
			`XTST.json:17: closed: this is not JSON: invalid character '"' after object key:value pair. Look for a comma, a bracket or a quotation mark here or on the line above.`,
		}},
		{"an end too early", "  }\n}\n", "  }\n", []string{
			`XTST.json:24: the file ends too early. A bracket or a quotation mark is not closed.`,
		}},
		{"something after the end", "  }\n}\n", "  }\n}\n{}\n", []string{
			`XTST.json:26: something follows the end of the object. A file holds one exchange.`,
		}},
		{"nested too deep", `[2026, 2027]`, strings.Repeat("[", 17) + strings.Repeat("]", 17), []string{
			`XTST.json:4: years/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0: nested more than 16 deep. Compare it with the format in internal/calendar/data/README.md.`,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(sound, test.old) {
				t.Fatalf("%q is not in the sound file", test.old)
			}
			_, err := read([]byte(strings.Replace(sound, test.old, test.new, 1)))
			var got []string
			if err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got := thor.ErrorCode(err); err != nil && got != thor.EINVALID {
				t.Errorf("code got %q, want %q", got, thor.EINVALID)
			}
		})
	}
}

func TestASessionDoesNotBeginBeforeTheCoveredYears(t *testing.T) {
	t.Parallel()
	file := strings.NewReplacer(
		`"open": "09:30"`, `"open": "D-1 17:00"`,
		`, "post_minutes": 240`, ``,
		`"2026-01-01"`, `"2026-01-02"`,
	).Replace(sound)
	_, err := read([]byte(file))
	want := "XTST.json:6: hours: the session of 2026-01-01 overlaps the one before it or leaves the covered years. Change its hours, or list the date as closed."
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	names, err := fs.Glob(embedded, "data/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		data, err := embedded.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(sound))
	f.Add([]byte(strings.Replace(sound, "America/New_York", "Africa/Cairo", 1)))
	f.Add([]byte(strings.Replace(sound, `"years"`, `"hours_timezone": "Asia/Tokyo", "years"`, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		ex, err := read(data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "XTST.json:") || thor.ErrorCode(err) != thor.EINVALID {
				t.Fatalf("the error names no line: %v", err)
			}
			return
		}
		if fault := inconsistency(ex); fault != "" {
			t.Fatal(fault)
		}
		if at := ex.begin().Add(-time.Nanosecond); ex.markets[0].status(at).Status != thor.MarketUnknown {
			t.Fatalf("known at %s, before the covered years", at)
		}
	})
}
