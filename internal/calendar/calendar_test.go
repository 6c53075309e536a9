package calendar_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/calendar"
)

var embedded = sync.OnceValues(func() (*calendar.Calendar, error) { return calendar.New() })

// setup returns the calendar of the embedded files. It never changes, so all
// tests share it.
func setup(tb testing.TB) *calendar.Calendar {
	tb.Helper()
	c, err := embedded()
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func zone(tb testing.TB, c *calendar.Calendar, market string) *time.Location {
	tb.Helper()
	loc, err := time.LoadLocation(status(tb, c, market, time.Time{}).Timezone)
	if err != nil {
		tb.Fatal(err)
	}
	return loc
}

func status(tb testing.TB, c *calendar.Calendar, market string, at time.Time) thor.MarketStatus {
	tb.Helper()
	s, err := c.Status(market, at)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// changes walks from one local midnight to another and writes down the status
// at the first and every change: local time, phase, session date.
func changes(t *testing.T, c *calendar.Calendar, market, from, to string) []string {
	t.Helper()
	loc := zone(t, c, market)
	at, err := time.ParseInLocation(time.DateOnly, from, loc)
	if err != nil {
		t.Fatal(err)
	}
	end, err := time.ParseInLocation(time.DateOnly, to, loc)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for !at.IsZero() && at.Before(end) {
		s := status(t, c, market, at)
		lines = append(lines, fmt.Sprintf("%s %s %s", at.In(loc).Format("Mon 01-02 15:04 MST"), s.Status, s.SessionDate))
		at = s.NextEventAt
	}
	return lines
}

func TestXNYSKnownDays(t *testing.T) {
	t.Parallel()
	c := setup(t)
	tests := []struct {
		name, from, to string
		want           []string
	}{
		{"an ordinary day", "2026-11-23", "2026-11-24", []string{
			"Mon 11-23 00:00 EST CLOSED 2026-11-23",
			"Mon 11-23 04:00 EST PREOPEN 2026-11-23",
			"Mon 11-23 09:30 EST OPEN 2026-11-23",
			"Mon 11-23 15:45 EST PRECLOSE 2026-11-23",
			"Mon 11-23 16:00 EST POST 2026-11-23",
			"Mon 11-23 20:00 EST CLOSED 2026-11-24",
		}},
		{"Thanksgiving and the early close after it, to Monday", "2026-11-26", "2026-12-01", []string{
			"Thu 11-26 00:00 EST HOLIDAY 2026-11-27",
			"Fri 11-27 00:00 EST CLOSED 2026-11-27",
			"Fri 11-27 04:00 EST PREOPEN 2026-11-27",
			"Fri 11-27 09:30 EST OPEN 2026-11-27",
			"Fri 11-27 12:45 EST PRECLOSE 2026-11-27",
			"Fri 11-27 13:00 EST POST 2026-11-27",
			"Fri 11-27 17:00 EST CLOSED 2026-11-30",
			"Mon 11-30 04:00 EST PREOPEN 2026-11-30",
			"Mon 11-30 09:30 EST OPEN 2026-11-30",
			"Mon 11-30 15:45 EST PRECLOSE 2026-11-30",
			"Mon 11-30 16:00 EST POST 2026-11-30",
			"Mon 11-30 20:00 EST CLOSED 2026-12-01",
		}},
		{"Good Friday and the weekend", "2026-04-03", "2026-04-06", []string{
			"Fri 04-03 00:00 EDT HOLIDAY 2026-04-06",
			"Sat 04-04 00:00 EDT CLOSED 2026-04-06",
		}},
		{"Independence Day on a Saturday is observed on Friday, without an early close", "2026-07-02", "2026-07-06", []string{
			"Thu 07-02 00:00 EDT CLOSED 2026-07-02",
			"Thu 07-02 04:00 EDT PREOPEN 2026-07-02",
			"Thu 07-02 09:30 EDT OPEN 2026-07-02",
			"Thu 07-02 15:45 EDT PRECLOSE 2026-07-02",
			"Thu 07-02 16:00 EDT POST 2026-07-02",
			"Thu 07-02 20:00 EDT CLOSED 2026-07-06",
			"Fri 07-03 00:00 EDT HOLIDAY 2026-07-06",
			"Sat 07-04 00:00 EDT CLOSED 2026-07-06",
		}},
		{"Christmas", "2026-12-24", "2026-12-28", []string{
			"Thu 12-24 00:00 EST CLOSED 2026-12-24",
			"Thu 12-24 04:00 EST PREOPEN 2026-12-24",
			"Thu 12-24 09:30 EST OPEN 2026-12-24",
			"Thu 12-24 12:45 EST PRECLOSE 2026-12-24",
			"Thu 12-24 13:00 EST POST 2026-12-24",
			"Thu 12-24 17:00 EST CLOSED 2026-12-28",
			"Fri 12-25 00:00 EST HOLIDAY 2026-12-28",
			"Sat 12-26 00:00 EST CLOSED 2026-12-28",
		}},
		{"New Year", "2026-12-31", "2027-01-04", []string{
			"Thu 12-31 00:00 EST CLOSED 2026-12-31",
			"Thu 12-31 04:00 EST PREOPEN 2026-12-31",
			"Thu 12-31 09:30 EST OPEN 2026-12-31",
			"Thu 12-31 15:45 EST PRECLOSE 2026-12-31",
			"Thu 12-31 16:00 EST POST 2026-12-31",
			"Thu 12-31 20:00 EST CLOSED 2027-01-04",
			"Fri 01-01 00:00 EST HOLIDAY 2027-01-04",
			"Sat 01-02 00:00 EST CLOSED 2027-01-04",
		}},
		{"the day of mourning", "2025-01-09", "2025-01-10", []string{
			"Thu 01-09 00:00 EST HOLIDAY 2025-01-10",
		}},
		{"clocks go forward", "2026-03-06", "2026-03-10", []string{
			"Fri 03-06 00:00 EST CLOSED 2026-03-06",
			"Fri 03-06 04:00 EST PREOPEN 2026-03-06",
			"Fri 03-06 09:30 EST OPEN 2026-03-06",
			"Fri 03-06 15:45 EST PRECLOSE 2026-03-06",
			"Fri 03-06 16:00 EST POST 2026-03-06",
			"Fri 03-06 20:00 EST CLOSED 2026-03-09",
			"Mon 03-09 04:00 EDT PREOPEN 2026-03-09",
			"Mon 03-09 09:30 EDT OPEN 2026-03-09",
			"Mon 03-09 15:45 EDT PRECLOSE 2026-03-09",
			"Mon 03-09 16:00 EDT POST 2026-03-09",
			"Mon 03-09 20:00 EDT CLOSED 2026-03-10",
		}},
		{"clocks go back", "2026-10-30", "2026-11-03", []string{
			"Fri 10-30 00:00 EDT CLOSED 2026-10-30",
			"Fri 10-30 04:00 EDT PREOPEN 2026-10-30",
			"Fri 10-30 09:30 EDT OPEN 2026-10-30",
			"Fri 10-30 15:45 EDT PRECLOSE 2026-10-30",
			"Fri 10-30 16:00 EDT POST 2026-10-30",
			"Fri 10-30 20:00 EDT CLOSED 2026-11-02",
			"Mon 11-02 04:00 EST PREOPEN 2026-11-02",
			"Mon 11-02 09:30 EST OPEN 2026-11-02",
			"Mon 11-02 15:45 EST PRECLOSE 2026-11-02",
			"Mon 11-02 16:00 EST POST 2026-11-02",
			"Mon 11-02 20:00 EST CLOSED 2026-11-03",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, changes(t, c, "XNYS", test.from, test.to)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPreMarketKnownDays(t *testing.T) {
	t.Parallel()
	c := setup(t)
	want := []string{
		"Thu 11-26 00:00 EST HOLIDAY 2026-11-27",
		"Fri 11-27 00:00 EST CLOSED 2026-11-27",
		"Fri 11-27 08:30 EST OPEN 2026-11-27",
		"Fri 11-27 09:15 EST PRECLOSE 2026-11-27",
		"Fri 11-27 09:30 EST CLOSED 2026-11-30",
		"Mon 11-30 08:30 EST OPEN 2026-11-30",
		"Mon 11-30 09:15 EST PRECLOSE 2026-11-30",
		"Mon 11-30 09:30 EST CLOSED 2026-12-01",
	}
	if diff := cmp.Diff(want, changes(t, c, "XNYS.PRE", "2026-11-26", "2026-12-01")); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestCMESKnownDays(t *testing.T) {
	t.Parallel()
	c := setup(t)
	tests := []struct {
		name, from, to string
		want           []string
	}{
		{"an ordinary day, with its maintenance hour", "2026-11-18", "2026-11-19", []string{
			"Wed 11-18 00:00 CST OPEN 2026-11-18",
			"Wed 11-18 15:45 CST PRECLOSE 2026-11-18",
			"Wed 11-18 16:00 CST BREAK 2026-11-19",
			"Wed 11-18 17:00 CST OPEN 2026-11-19",
		}},
		{"the weekend, from Friday's close to Sunday's opening", "2026-11-20", "2026-11-24", []string{
			"Fri 11-20 00:00 CST OPEN 2026-11-20",
			"Fri 11-20 15:45 CST PRECLOSE 2026-11-20",
			"Fri 11-20 16:00 CST CLOSED 2026-11-23",
			"Sun 11-22 17:00 CST OPEN 2026-11-23",
			"Mon 11-23 15:45 CST PRECLOSE 2026-11-23",
			"Mon 11-23 16:00 CST BREAK 2026-11-24",
			"Mon 11-23 17:00 CST OPEN 2026-11-24",
		}},
		{"Thanksgiving closes at noon and opens again in the evening", "2026-11-25", "2026-11-29", []string{
			"Wed 11-25 00:00 CST OPEN 2026-11-25",
			"Wed 11-25 15:45 CST PRECLOSE 2026-11-25",
			"Wed 11-25 16:00 CST BREAK 2026-11-26",
			"Wed 11-25 17:00 CST OPEN 2026-11-26",
			"Thu 11-26 11:45 CST PRECLOSE 2026-11-26",
			"Thu 11-26 12:00 CST CLOSED 2026-11-27",
			"Thu 11-26 17:00 CST OPEN 2026-11-27",
			"Fri 11-27 12:00 CST PRECLOSE 2026-11-27",
			"Fri 11-27 12:15 CST CLOSED 2026-11-30",
		}},
		{"Good Friday with a session until 08:15", "2026-04-02", "2026-04-06", []string{
			"Thu 04-02 00:00 CDT OPEN 2026-04-02",
			"Thu 04-02 15:45 CDT PRECLOSE 2026-04-02",
			"Thu 04-02 16:00 CDT BREAK 2026-04-03",
			"Thu 04-02 17:00 CDT OPEN 2026-04-03",
			"Fri 04-03 08:00 CDT PRECLOSE 2026-04-03",
			"Fri 04-03 08:15 CDT CLOSED 2026-04-06",
			"Sun 04-05 17:00 CDT OPEN 2026-04-06",
		}},
		{"Good Friday without a session", "2025-04-17", "2025-04-21", []string{
			"Thu 04-17 00:00 CDT OPEN 2025-04-17",
			"Thu 04-17 15:45 CDT PRECLOSE 2025-04-17",
			"Thu 04-17 16:00 CDT CLOSED 2025-04-21",
			"Fri 04-18 00:00 CDT HOLIDAY 2025-04-21",
			"Sat 04-19 00:00 CDT CLOSED 2025-04-21",
			"Sun 04-20 17:00 CDT OPEN 2025-04-21",
		}},
		{"Christmas on a Thursday opens again in the evening", "2025-12-24", "2025-12-27", []string{
			"Wed 12-24 00:00 CST OPEN 2025-12-24",
			"Wed 12-24 12:00 CST PRECLOSE 2025-12-24",
			"Wed 12-24 12:15 CST CLOSED 2025-12-26",
			"Thu 12-25 00:00 CST HOLIDAY 2025-12-26",
			"Thu 12-25 17:00 CST OPEN 2025-12-26",
			"Fri 12-26 15:45 CST PRECLOSE 2025-12-26",
			"Fri 12-26 16:00 CST CLOSED 2025-12-29",
		}},
		{"Christmas on a Friday", "2026-12-24", "2026-12-28", []string{
			"Thu 12-24 00:00 CST OPEN 2026-12-24",
			"Thu 12-24 12:00 CST PRECLOSE 2026-12-24",
			"Thu 12-24 12:15 CST CLOSED 2026-12-28",
			"Fri 12-25 00:00 CST HOLIDAY 2026-12-28",
			"Sat 12-26 00:00 CST CLOSED 2026-12-28",
			"Sun 12-27 17:00 CST OPEN 2026-12-28",
		}},
		{"New Year on a Thursday opens again in the evening", "2025-12-31", "2026-01-03", []string{
			"Wed 12-31 00:00 CST OPEN 2025-12-31",
			"Wed 12-31 15:45 CST PRECLOSE 2025-12-31",
			"Wed 12-31 16:00 CST CLOSED 2026-01-02",
			"Thu 01-01 00:00 CST HOLIDAY 2026-01-02",
			"Thu 01-01 17:00 CST OPEN 2026-01-02",
			"Fri 01-02 15:45 CST PRECLOSE 2026-01-02",
			"Fri 01-02 16:00 CST CLOSED 2026-01-05",
		}},
		{"Independence Day observed", "2026-07-02", "2026-07-06", []string{
			"Thu 07-02 00:00 CDT OPEN 2026-07-02",
			"Thu 07-02 15:45 CDT PRECLOSE 2026-07-02",
			"Thu 07-02 16:00 CDT BREAK 2026-07-03",
			"Thu 07-02 17:00 CDT OPEN 2026-07-03",
			"Fri 07-03 11:45 CDT PRECLOSE 2026-07-03",
			"Fri 07-03 12:00 CDT CLOSED 2026-07-06",
			"Sun 07-05 17:00 CDT OPEN 2026-07-06",
		}},
		{"clocks go forward on the day it opens", "2026-03-07", "2026-03-10", []string{
			"Sat 03-07 00:00 CST CLOSED 2026-03-09",
			"Sun 03-08 17:00 CDT OPEN 2026-03-09",
			"Mon 03-09 15:45 CDT PRECLOSE 2026-03-09",
			"Mon 03-09 16:00 CDT BREAK 2026-03-10",
			"Mon 03-09 17:00 CDT OPEN 2026-03-10",
		}},
		{"clocks go back on the day it opens", "2026-10-31", "2026-11-03", []string{
			"Sat 10-31 00:00 CDT CLOSED 2026-11-02",
			"Sun 11-01 17:00 CST OPEN 2026-11-02",
			"Mon 11-02 15:45 CST PRECLOSE 2026-11-02",
			"Mon 11-02 16:00 CST BREAK 2026-11-03",
			"Mon 11-02 17:00 CST OPEN 2026-11-03",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, changes(t, c, "CMES", test.from, test.to)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutsideTheCoveredYears(t *testing.T) {
	t.Parallel()
	c := setup(t)
	ny := zone(t, c, "XNYS")
	begin := time.Date(2025, 1, 1, 0, 0, 0, 0, ny)
	end := time.Date(2028, 1, 1, 0, 0, 0, 0, ny)
	tests := []struct {
		name   string
		at     time.Time
		phase  thor.MarketPhase
		next   thor.MarketPhase
		nextAt time.Time
	}{
		{"the year 0", time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), thor.MarketUnknown, thor.MarketHoliday, begin},
		{"long before", time.Date(2020, 6, 1, 15, 0, 0, 0, time.UTC), thor.MarketUnknown, thor.MarketHoliday, begin},
		{"just before", begin.Add(-1), thor.MarketUnknown, thor.MarketHoliday, begin},
		{"the first instant", begin, thor.MarketHoliday, thor.MarketClosed, time.Date(2025, 1, 2, 0, 0, 0, 0, ny)},
		{"the last instant", end.Add(-1), thor.MarketClosed, thor.MarketUnknown, end},
		{"just after", end, thor.MarketUnknown, "", time.Time{}},
		{"long after", time.Date(2031, 6, 2, 15, 0, 0, 0, time.UTC), thor.MarketUnknown, "", time.Time{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := thor.MarketStatus{
				MarketID: "XNYS", Market: "New York", Country: "USA", Timezone: "America/New_York",
				Status: test.phase, NextEvent: test.next, NextEventAt: test.nextAt.UTC(),
				Weight: thor.MustDecimal("0.25"), Timestamp: test.at.UTC(),
			}
			if test.phase == thor.MarketHoliday {
				want.SessionDate = "2025-01-02"
			}
			if diff := cmp.Diff(want, status(t, c, "XNYS", test.at)); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	c := setup(t)
	at := time.Date(2026, 11, 23, 10, 30, 0, 0, time.FixedZone("", -5*60*60))
	want := []thor.MarketStatus{
		{
			MarketID: "XTKS", Market: "Tokyo", Country: "Japan", Timezone: "Asia/Tokyo", Weight: thor.MustDecimal("0.25"),
			Status: thor.MarketClosed, SessionDate: "2026-11-24", NextEvent: thor.MarketPreOpen, NextEventAt: utc("2026-11-23 23:00"),
		},
		{
			MarketID: "XSHG", Market: "Shanghai", Country: "China", Timezone: "Asia/Shanghai", Weight: thor.MustDecimal("0.10"),
			Status: thor.MarketClosed, SessionDate: "2026-11-24", NextEvent: thor.MarketPreOpen, NextEventAt: utc("2026-11-24 00:30"),
		},
		{
			MarketID: "XHKG", Market: "Hong Kong", Country: "Hong Kong", Timezone: "Asia/Hong_Kong", Weight: thor.MustDecimal("0.00"),
			Status: thor.MarketClosed, SessionDate: "2026-11-24", NextEvent: thor.MarketPreOpen, NextEventAt: utc("2026-11-24 00:30"),
		},
		{
			MarketID: "XNSE", Market: "Bombay", Country: "India", Timezone: "Asia/Kolkata", Weight: thor.MustDecimal("0.05"),
			Status: thor.MarketClosed, SessionDate: "2026-11-25", NextEvent: thor.MarketHoliday, NextEventAt: utc("2026-11-23 18:30"),
		},
		{
			MarketID: "XETR", Market: "Frankfurt", Country: "Germany", Timezone: "Europe/Berlin", Weight: thor.MustDecimal("0.20"),
			Status: thor.MarketOpen, Trading: true, SessionDate: "2026-11-23", NextEvent: thor.MarketPreClose, NextEventAt: utc("2026-11-23 16:15"),
		},
		{
			MarketID: "XLON", Market: "London", Country: "United Kingdom", Timezone: "Europe/London", Weight: thor.MustDecimal("0.05"),
			Status: thor.MarketOpen, Trading: true, SessionDate: "2026-11-23", NextEvent: thor.MarketPreClose, NextEventAt: utc("2026-11-23 16:15"),
		},
		{
			MarketID: "XNYS.PRE", Market: "US pre-market", Country: "USA", Timezone: "America/New_York", Weight: thor.MustDecimal("0.05"),
			Status: thor.MarketClosed, SessionDate: "2026-11-24", NextEvent: thor.MarketOpen, NextEventAt: utc("2026-11-24 13:30"),
		},
		{
			MarketID: "XNYS", Market: "New York", Country: "USA", Timezone: "America/New_York", Weight: thor.MustDecimal("0.25"),
			Status: thor.MarketOpen, Trading: true, SessionDate: "2026-11-23", NextEvent: thor.MarketPreClose, NextEventAt: utc("2026-11-23 20:45"),
		},
		{
			MarketID: "XTSE", Market: "Toronto", Country: "Canada", Timezone: "America/Toronto", Weight: thor.MustDecimal("0.03"),
			Status: thor.MarketOpen, Trading: true, SessionDate: "2026-11-23", NextEvent: thor.MarketPreClose, NextEventAt: utc("2026-11-23 20:45"),
		},
		{
			MarketID: "XMEX", Market: "Mexican", Country: "Mexico", Timezone: "America/Mexico_City", Weight: thor.MustDecimal("0.02"), Provisional: true,
			Status: thor.MarketOpen, Trading: true, SessionDate: "2026-11-23", NextEvent: thor.MarketPreClose, NextEventAt: utc("2026-11-23 20:45"),
		},
		{
			MarketID: "CMES", Market: "CME Futures (GLOBEX)", Country: "Futures", Timezone: "America/Chicago", Weight: thor.MustDecimal("0.00"),
			Status: thor.MarketOpen, Trading: true, SessionDate: "2026-11-23", NextEvent: thor.MarketPreClose, NextEventAt: utc("2026-11-23 21:45"),
		},
	}
	for i := range want {
		want[i].Timestamp = at.UTC()
	}
	if diff := cmp.Diff(want, c.Statuses(at)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

func TestAnUnknownMarketIsNotFound(t *testing.T) {
	t.Parallel()
	_, err := setup(t).Status("XXXX", time.Time{})
	if got, want := thor.ErrorCode(err), thor.ENOTFOUND; got != want {
		t.Errorf("code got %q, want %q", got, want)
	}
	want := `no market "XXXX". The markets are XTKS, XSHG, XHKG, XNSE, XETR, XLON, XNYS.PRE, XNYS, XTSE, XMEX, CMES.`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}
