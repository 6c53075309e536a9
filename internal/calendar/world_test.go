package calendar_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"thor"
)

// TestKnownDaysOfTheWorld holds days that people look at, as they are on the
// clock of the exchange.
func TestKnownDaysOfTheWorld(t *testing.T) {
	t.Parallel()
	c := setup(t)
	tests := []struct {
		name, market, from, to string
		want                   []string
	}{
		{"a lunch break in Tokyo, and the later close", "XTKS", "2026-11-24", "2026-11-25", []string{
			"Tue 11-24 00:00 JST CLOSED 2026-11-24",
			"Tue 11-24 08:00 JST PREOPEN 2026-11-24",
			"Tue 11-24 09:00 JST OPEN 2026-11-24",
			"Tue 11-24 11:30 JST BREAK 2026-11-24",
			"Tue 11-24 12:30 JST OPEN 2026-11-24",
			"Tue 11-24 15:15 JST PRECLOSE 2026-11-24",
			"Tue 11-24 15:30 JST CLOSED 2026-11-25",
		}},
		{"the day between two holidays", "XTKS", "2026-09-21", "2026-09-24", []string{
			"Mon 09-21 00:00 JST HOLIDAY 2026-09-24",
		}},
		{"a weekend on which China works", "XSHG", "2026-02-14", "2026-02-16", []string{
			"Sat 02-14 00:00 CST CLOSED 2026-02-24",
		}},
		{"a half day in Hong Kong", "XHKG", "2026-12-24", "2026-12-26", []string{
			"Thu 12-24 00:00 HKT CLOSED 2026-12-24",
			"Thu 12-24 08:30 HKT PREOPEN 2026-12-24",
			"Thu 12-24 09:30 HKT OPEN 2026-12-24",
			"Thu 12-24 11:45 HKT PRECLOSE 2026-12-24",
			"Thu 12-24 12:00 HKT CLOSED 2026-12-28",
			"Fri 12-25 00:00 HKT HOLIDAY 2026-12-28",
		}},
		{"Muhurat, an hour on a holiday", "XNSE", "2025-10-21", "2025-10-22", []string{
			"Tue 10-21 00:00 IST HOLIDAY 2025-10-21",
			"Tue 10-21 12:45 IST PREOPEN 2025-10-21",
			"Tue 10-21 13:45 IST OPEN 2025-10-21",
			"Tue 10-21 14:30 IST PRECLOSE 2025-10-21",
			"Tue 10-21 14:45 IST HOLIDAY 2025-10-23",
		}},
		{"the Budget on a Sunday", "XNSE", "2026-02-01", "2026-02-02", []string{
			"Sun 02-01 00:00 IST CLOSED 2026-02-01",
			"Sun 02-01 08:15 IST PREOPEN 2026-02-01",
			"Sun 02-01 09:15 IST OPEN 2026-02-01",
			"Sun 02-01 15:15 IST PRECLOSE 2026-02-01",
			"Sun 02-01 15:30 IST CLOSED 2026-02-02",
		}},
		{"the last trading day in Frankfurt", "XETR", "2026-12-30", "2027-01-02", []string{
			"Wed 12-30 00:00 CET CLOSED 2026-12-30",
			"Wed 12-30 08:00 CET PREOPEN 2026-12-30",
			"Wed 12-30 09:00 CET OPEN 2026-12-30",
			"Wed 12-30 13:45 CET PRECLOSE 2026-12-30",
			"Wed 12-30 14:00 CET CLOSED 2027-01-04",
			"Thu 12-31 00:00 CET HOLIDAY 2027-01-04",
		}},
		{"Whit Monday is an ordinary day in Frankfurt", "XETR", "2026-05-25", "2026-05-26", []string{
			"Mon 05-25 00:00 CEST CLOSED 2026-05-25",
			"Mon 05-25 08:00 CEST PREOPEN 2026-05-25",
			"Mon 05-25 09:00 CEST OPEN 2026-05-25",
			"Mon 05-25 17:15 CEST PRECLOSE 2026-05-25",
			"Mon 05-25 17:30 CEST CLOSED 2026-05-26",
		}},
		{"London after its clocks went forward", "XLON", "2026-03-29", "2026-03-31", []string{
			"Sun 03-29 00:00 GMT CLOSED 2026-03-30",
			"Mon 03-30 07:00 BST PREOPEN 2026-03-30",
			"Mon 03-30 08:00 BST OPEN 2026-03-30",
			"Mon 03-30 16:15 BST PRECLOSE 2026-03-30",
			"Mon 03-30 16:30 BST CLOSED 2026-03-31",
		}},
		{"Mexico City while only New York's clocks are ahead", "XMEX", "2026-10-30", "2026-11-04", []string{
			"Fri 10-30 00:00 CST CLOSED 2026-10-30",
			"Fri 10-30 06:30 CST PREOPEN 2026-10-30",
			"Fri 10-30 07:30 CST OPEN 2026-10-30",
			"Fri 10-30 13:45 CST PRECLOSE 2026-10-30",
			"Fri 10-30 14:00 CST CLOSED 2026-11-03",
			"Mon 11-02 00:00 CST HOLIDAY 2026-11-03",
			"Tue 11-03 00:00 CST CLOSED 2026-11-03",
			"Tue 11-03 07:30 CST PREOPEN 2026-11-03",
			"Tue 11-03 08:30 CST OPEN 2026-11-03",
			"Tue 11-03 14:45 CST PRECLOSE 2026-11-03",
			"Tue 11-03 15:00 CST CLOSED 2026-11-04",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, changes(t, c, test.market, test.from, test.to)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNotPublishedIsProvisional(t *testing.T) {
	t.Parallel()
	c := setup(t)
	for market, want := range map[string][3]bool{ // on the last Tuesday before June 2025, 2026, 2027
		"XTKS": {}, "XSHG": {false, false, true}, "XHKG": {}, "XNSE": {false, false, true}, "XETR": {}, "XLON": {},
		"XNYS.PRE": {}, "XNYS": {}, "XTSE": {false, false, true}, "XMEX": {true, true, true}, "CMES": {},
	} {
		got := [3]bool{}
		for i, day := range []string{"2025-05-27", "2026-05-26", "2027-05-25"} {
			got[i] = status(t, c, market, utc(day+" 12:00")).Provisional
		}
		if got != want {
			t.Errorf("%s: got %v, want %v", market, got, want)
		}
	}
	for _, day := range []string{"2025-12-30", "2026-12-30", "2027-12-30"} {
		if s := status(t, c, "XETR", utc(day+" 12:00")); !s.Provisional || s.Status != thor.MarketOpen {
			t.Errorf("Frankfurt at noon of %s is %s, provisional %v", day, s.Status, s.Provisional)
		}
	}
}

func TestEveryMarketIsUnknownOutsideTheCoveredYears(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"2024-12-31 09:59", "2028-01-01 08:00", "2028-06-01 15:00", "2019-03-04 15:00"} {
		for _, s := range setup(t).Statuses(utc(at)) {
			if s.Status != thor.MarketUnknown || s.Trading || s.SessionDate != "" {
				t.Errorf("%s at %s: %s, trading %v, session %q", s.MarketID, at, s.Status, s.Trading, s.SessionDate)
			}
		}
	}
}
