package calendar

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestLocalTimesOnDaysTheClocksChange(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, zone, date, clock, want string }{
		{"an ordinary day", "America/New_York", "2026-07-01", "09:30", "2026-07-01T13:30:00Z"},
		{"a time that does not exist is the switch", "America/New_York", "2026-03-08", "02:30", "2026-03-08T07:00:00Z"},
		{"just after the switch", "America/New_York", "2026-03-08", "03:00", "2026-03-08T07:00:00Z"},
		{"a time that exists twice is the first", "America/New_York", "2026-11-01", "01:30", "2026-11-01T05:30:00Z"},
		{"after the second time", "America/New_York", "2026-11-01", "02:00", "2026-11-01T07:00:00Z"},
		{"the evening before a switch", "America/Chicago", "2026-03-08", "D-1 17:00", "2026-03-07T23:00:00Z"},
		{"the end of a day", "Europe/Berlin", "2026-10-25", "24:00", "2026-10-25T23:00:00Z"},
		{"a switch of half an hour", "Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03T15:30:00Z"},
		{"a midnight that does not exist", "America/Santiago", "2026-09-06", "00:00", "2026-09-06T04:00:00Z"},
		{"a date that does not exist", "Pacific/Apia", "2011-12-30", "12:00", "2011-12-30T10:00:00Z"},
		{"a leap year beyond the table of switches", "America/New_York", "2040-12-31", "12:00", "2040-12-31T17:00:00Z"},
		{"the end of it", "America/New_York", "2040-12-31", "24:00", "2041-01-01T05:00:00Z"},
		{"no switch at all", "Asia/Tokyo", "2026-03-08", "09:00", "2026-03-08T00:00:00Z"},
		{"offsets of half an hour", "Asia/Kolkata", "2026-03-08", "09:15", "2026-03-08T03:45:00Z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			loc, err := time.LoadLocation(test.zone)
			if err != nil {
				t.Fatal(err)
			}
			d, okDay := parseDay(test.date)
			c, okClock := parseClock(test.clock)
			if !okDay || !okClock {
				t.Fatalf("%s %s does not parse", test.date, test.clock)
			}
			if got := d.at(c, loc).Format(time.RFC3339); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestABreakTheClocksSkipIsNone(t *testing.T) {
	t.Parallel()
	loc, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	trading := []hours{{open: 60, close: 2*60 + 15}, {open: 2*60 + 45, close: 5 * 60}}
	got, err := instants(newDay(2026, time.March, 8), trading, loc)
	if err != nil {
		t.Fatal(err)
	}
	want := []Part{{Open: time.Date(2026, 3, 8, 6, 0, 0, 0, time.UTC), Close: time.Date(2026, 3, 8, 9, 0, 0, 0, time.UTC)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}

// shown is the clock on the wall at an instant, as if it hung in UTC.
func shown(at time.Time, loc *time.Location) time.Time {
	_, offset := at.In(loc).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

func TestALocalTimeIsTheFirstInstantThatShowsItOrLater(t *testing.T) {
	t.Parallel()
	zones := []string{
		"America/New_York", "America/Chicago", "America/Mexico_City", "America/Santiago", "Europe/London", "Europe/Berlin",
		"Asia/Tokyo", "Asia/Kolkata", "Africa/Cairo", "Africa/Casablanca", "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Apia",
	}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		d := newDay(rapid.IntRange(1990, 2060).Draw(t, "year"), time.January, rapid.IntRange(1, 366).Draw(t, "day of the year"))
		c := clock(rapid.IntRange(-minutesPerDay, minutesPerDay).Draw(t, "minute"))
		want := d.utc().Add(time.Duration(c) * time.Minute)
		got := d.at(c, loc)
		if shown(got, loc).Before(want) {
			t.Fatalf("%s is %s, which is before %s", got, got.In(loc), want)
		}
		for before := got.Add(-time.Second); before.After(got.Add(-30 * time.Hour)); before = before.Add(-7 * time.Minute) {
			if !shown(before, loc).Before(want) {
				t.Fatalf("%s is %s, and %s shows %s or later already", got, got.In(loc), before, want)
			}
		}
	})
}

func TestClocksAndDatesAreWrittenAsTheyAreRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := clock(rapid.IntRange(-minutesPerDay, minutesPerDay).Draw(t, "minute"))
		// Midnight of the day before and of the day have two spellings each.
		if got, ok := parseClock(c.String()); !ok || got != c {
			t.Fatalf("%s: got %d %v, want %d", c, got, ok, c)
		}
		d := day(rapid.IntRange(0, 60_000).Draw(t, "day"))
		if got, ok := parseDay(d.String()); !ok || got != d {
			t.Fatalf("%s: got %d %v, want %d", d, got, ok, d)
		}
	})
}
