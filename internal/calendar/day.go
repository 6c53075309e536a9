package calendar

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	minutesPerDay  = 24 * 60
	secondsPerDay  = 24 * 60 * 60
	dateLayout     = time.DateOnly
	previousDay    = "D-1 " // before a clock time: on the day before the session's date
	farthestOffset = 15 * time.Hour
)

// day is a date, counted in days from 1970-01-01.
type day int

func newDay(year int, month time.Month, d int) day {
	return day(time.Date(year, month, d, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay)
}

func parseDay(text string) (day, bool) {
	t, err := time.Parse(dateLayout, text)
	if err != nil {
		return 0, false
	}
	return newDay(t.Date()), true
}

// dayOf returns the date the calendar on the wall shows at an instant.
func dayOf(t time.Time, loc *time.Location) day { return newDay(t.In(loc).Date()) }

func (d day) utc() time.Time        { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }
func (d day) year() int             { return d.utc().Year() }
func (d day) weekday() time.Weekday { return d.utc().Weekday() }
func (d day) String() string        { return d.utc().Format(dateLayout) }

func (d day) weekend() bool {
	return d.weekday() == time.Saturday || d.weekday() == time.Sunday
}

// at returns the first instant at which the clock on the wall shows c of day d
// or a later time. So a time that exists twice, when clocks go back, is its
// first occurrence; one that does not exist, when they go forward, is the
// instant of the switch; and a later time is never an earlier instant.
func (d day) at(c clock, loc *time.Location) time.Time {
	shown := d.utc().Add(time.Duration(c) * time.Minute) // on the wall, as if it hung in UTC
	t := shown.Add(-farthestOffset).In(loc)              // not after the instant sought
	for {
		_, offset := t.Zone()
		start, end := t.ZoneBounds()
		found := shown.Add(-time.Duration(offset) * time.Second)
		// A zone without an end has the zero time. Beyond the table of switches
		// the library also gives ends that have passed: on the last day of a
		// leap year, where there is no switch.
		if !end.After(t) || found.Before(end) {
			if found.Before(start) {
				found = start
			}
			return found.UTC()
		}
		t = end
	}
}

// clock is a time on the wall in minutes from midnight of a session's date;
// it is negative on the day before.
type clock int

// parseClock reads "HH:MM", up to "24:00", and with [previousDay] before it a
// time of the day before.
func parseClock(text string) (clock, bool) {
	rest, before := strings.CutPrefix(text, previousDay)
	hh, mm, ok := strings.Cut(rest, ":")
	if !ok || len(hh) != 2 || len(mm) != 2 {
		return 0, false
	}
	hour, err := strconv.ParseUint(hh, 10, 8)
	if err != nil {
		return 0, false
	}
	minute, err := strconv.ParseUint(mm, 10, 8)
	if err != nil || minute > 59 {
		return 0, false
	}
	c := clock(hour*60 + minute)
	if c > minutesPerDay {
		return 0, false
	}
	if before {
		c -= minutesPerDay
	}
	return c, true
}

func (c clock) String() string {
	if c < 0 {
		return previousDay + (c + minutesPerDay).String()
	}
	return fmt.Sprintf("%02d:%02d", int(c)/60, int(c)%60)
}

// hours is a stretch of trading on the wall clock of a session's date.
type hours struct{ open, close clock }

// minutes is how long trading lasts in all.
func minutes(parts []hours) clock {
	var sum clock
	for _, h := range parts {
		sum += h.close - h.open
	}
	return sum
}

// cut returns the parts up to an earlier close. It reports whether that close
// lies in a part or at its end, before the regular close.
func cut(parts []hours, end clock) ([]hours, bool) {
	for i, h := range parts {
		if end <= h.open {
			return nil, false
		}
		if end < h.close || end == h.close && i < len(parts)-1 {
			kept := append([]hours(nil), parts[:i]...)
			return append(kept, hours{open: h.open, close: end}), true
		}
	}
	return nil, false
}
