package calendar_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
)

func utc(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

func futures(date, opens, closes string, early bool) thor.Session {
	return thor.Session{Exchange: "CMES", Date: date, Open: utc(opens), Close: utc(closes), Early: early}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	c := setup(t)
	thursday := futures("2026-11-26", "2026-11-25 23:00", "2026-11-26 18:00", true)
	friday := futures("2026-11-27", "2026-11-26 23:00", "2026-11-27 18:15", true)
	monday := futures("2026-11-30", "2026-11-29 23:00", "2026-11-30 22:00", false)
	tests := []struct {
		name     string
		from, to time.Time
		want     []thor.Session
	}{
		{"the week of Thanksgiving from Thursday on", utc("2026-11-26 00:00"), utc("2026-12-01 00:00"), []thor.Session{thursday, friday, monday, futures("2026-12-01", "2026-11-30 23:00", "2026-12-01 22:00", false)}},
		{"one that ends when the range begins is left out", utc("2026-11-26 18:00"), utc("2026-11-27 12:00"), []thor.Session{friday}},
		{"one that begins when the range ends is left out", utc("2026-11-26 17:59"), utc("2026-11-26 23:00"), []thor.Session{thursday}},
		{"a range within a session", utc("2026-11-30 12:00"), utc("2026-11-30 12:01"), []thor.Session{monday}},
		{"a weekend", utc("2026-11-28 00:00"), utc("2026-11-29 00:00"), nil},
		{"an empty range", utc("2026-11-30 12:00"), utc("2026-11-30 12:00"), nil},
		{"before the covered years", utc("2020-01-01 00:00"), utc("2021-01-01 00:00"), nil},
		{"after the covered years", utc("2028-01-03 00:00"), utc("2029-01-01 00:00"), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.Sessions("CMES", test.from, test.to)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("sessions (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("an unknown exchange is not found", func(t *testing.T) {
		t.Parallel()
		_, err := c.Sessions("XXXX", time.Time{}, time.Time{})
		if got, want := thor.ErrorCode(err), thor.ENOTFOUND; got != want {
			t.Errorf("code got %q, want %q", got, want)
		}
		if got, want := fmt.Sprint(err), `no exchange "XXXX". The exchanges are XTKS, XSHG, XHKG, XNSE, XETR, XLON, XNYS, XTSE, XMEX, CMES.`; got != want {
			t.Errorf("error got %q, want %q", got, want)
		}
	})
}

func TestSessionAtAndNextSession(t *testing.T) {
	t.Parallel()
	c := setup(t)
	tests := []struct {
		name, mic string
		at        time.Time
		on, next  string // dates, "" where there is none
	}{
		{"while one is on", "XNYS", utc("2026-11-24 15:00"), "2026-11-24", "2026-11-25"},
		{"at its opening", "XNYS", utc("2026-11-24 14:30"), "2026-11-24", "2026-11-25"},
		{"just before its opening", "XNYS", utc("2026-11-24 14:29"), "2026-11-23", "2026-11-24"},
		{"after its close", "XNYS", utc("2026-11-24 21:00"), "2026-11-24", "2026-11-25"},
		{"on a holiday", "XNYS", utc("2026-11-26 15:00"), "2026-11-25", "2026-11-27"},
		{"in the evening the date is tomorrow's", "CMES", utc("2026-11-24 23:30"), "2026-11-25", "2026-11-26"},
		{"before the covered years", "XNYS", utc("2024-12-31 15:00"), "", "2025-01-02"},
		{"after the covered years", "XNYS", utc("2028-06-01 15:00"), "2027-12-31", ""},
		{"an unknown exchange", "XXXX", utc("2026-11-24 15:00"), "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			on, hasOn := c.SessionAt(test.mic, test.at)
			if on.Date != test.on || hasOn != (test.on != "") {
				t.Errorf("session got %q %v, want %q", on.Date, hasOn, test.on)
			}
			next, hasNext := c.NextSession(test.mic, test.at)
			if next.Date != test.next || hasNext != (test.next != "") {
				t.Errorf("next got %q %v, want %q", next.Date, hasNext, test.next)
			}
		})
	}
}

func TestNextSessionWalksAllInOrder(t *testing.T) {
	t.Parallel()
	c := setup(t)
	for _, mic := range c.Exchanges() {
		t.Run(mic, func(t *testing.T) {
			t.Parallel()
			want, err := c.Sessions(mic, time.Time{}, utc("2100-01-01 00:00"))
			if err != nil {
				t.Fatal(err)
			}
			var got []thor.Session
			for s, ok := c.NextSession(mic, time.Time{}); ok; s, ok = c.NextSession(mic, s.Open) {
				got = append(got, s)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sessions (-want +got):\n%s", diff)
			}
			for _, s := range got {
				parts := c.Parts(mic, s.Date)
				if len(parts) == 0 || !parts[0].Open.Equal(s.Open) || !parts[len(parts)-1].Close.Equal(s.Close) {
					t.Errorf("parts of %s got %v, want them from %s to %s", s.Date, parts, s.Open, s.Close)
				}
			}
		})
	}
}

func TestPartsAndNamesOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	c := setup(t)
	for _, test := range [][2]string{{"XXXX", "2026-12-25"}, {"XNYS", "2026-12-26"}, {"XNYS", "yesterday"}, {"XNYS", ""}} {
		if got := c.Parts(test[0], test[1]); got != nil {
			t.Errorf("parts of %v got %v, want none", test, got)
		}
		if got := c.DayName(test[0], test[1]); got != "" {
			t.Errorf("name of %v got %q, want none", test, got)
		}
	}
}

func TestOccasion(t *testing.T) {
	t.Parallel()
	c := setup(t)
	for _, test := range []struct{ market, at, want string }{
		{"XNYS", "2026-11-26 15:00", "Thanksgiving"},
		{"XNYS.PRE", "2026-11-26 15:00", "Thanksgiving"},
		{"XNYS", "2026-11-25 15:00", ""},
		{"CMES", "2026-11-26 01:00", "Thanksgiving"}, // Wednesday evening, Thursday's session
		{"CMES", "2026-11-26 19:00", "Thanksgiving"}, // closed at noon
		{"CMES", "2026-11-27 01:00", "Day after Thanksgiving"},
		{"XNSE", "2025-10-21 08:30", "Muhurat trading"},
		{"XNYS", "2028-11-23 15:00", ""},
		{"XXXX", "2026-11-26 15:00", ""},
	} {
		if got := c.Occasion(test.market, utc(test.at)); got != test.want {
			t.Errorf("%s at %s: got %q, want %q", test.market, test.at, got, test.want)
		}
	}
}

func TestDayName(t *testing.T) {
	t.Parallel()
	c := setup(t)
	tests := []struct{ mic, date, want string }{
		{"XNYS", "2025-01-09", "National Day of Mourning"},
		{"XNYS", "2026-07-03", "Independence Day"},
		{"XNYS", "2026-11-27", "Day after Thanksgiving"},
		{"XNYS", "2026-11-24", ""},
		{"CMES", "2026-04-03", "Good Friday"},
		{"CMES", "2025-01-09", ""},
		{"XTKS", "2026-09-22", "National holiday"},
		{"XSHG", "2027-10-07", "National Day"},
		{"XHKG", "2027-02-05", "Lunar New Year's Eve"},
		{"XNSE", "2025-10-21", "Muhurat trading"},
		{"XNSE", "2026-02-01", "Union Budget"},
		{"XETR", "2026-12-30", "Last trading day"},
		{"XLON", "2027-12-28", "Boxing Day"},
		{"XTSE", "2027-05-24", "Victoria Day"},
		{"XMEX", "2026-04-02", "Maundy Thursday"},
	}
	for _, test := range tests {
		if got := c.DayName(test.mic, test.date); got != test.want {
			t.Errorf("%s %s: got %q, want %q", test.mic, test.date, got, test.want)
		}
	}
}
