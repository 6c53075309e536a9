package app

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"thor"
	"thor/internal/calendar"
	"thor/internal/source/sim"
	"thor/internal/source/sourcetest"
)

// scripted starts a server whose simulator plays a script.
func scripted(t *testing.T, at time.Time, script *sim.Script) *rig {
	t.Helper()
	t.Cleanup(func() { time.Sleep(11 * time.Second) }) // a question that hangs outlives the jobs that share it
	return startRig(t, t.TempDir(), at, func(*Config) {}, func(r *rig, a *App) {
		a.source = scriptedSource(t, r.wall, script)
	})
}

func scriptedSource(t *testing.T, clock interface {
	Now() time.Time
	Speed() float64
	Virtual() bool
}, script *sim.Script,
) *sim.Source {
	t.Helper()
	days, err := calendar.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &sim.Source{Seed: 1, Special: []string{"margin", "short"}, SourceClock: clock, Exchanges: days, Script: script}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return s
}

func parseScript(t *testing.T, text string) *sim.Script {
	t.Helper()
	s, err := sim.ParseScript("test", text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// healed holds that what is known in the end of every minute is what a source
// says of it on which nothing but those faults has acted that change values; and
// returns how many minutes there were, and how many came more than once.
func (r *rig) healed(until time.Time, values *sim.Script) (minutes, corrected int) {
	r.t.Helper()
	clock := sourcetest.NewClock(r.wall.Now())
	reference := scriptedSource(r.t, clock, values)
	want := map[thor.StreamID]map[string]string{}
	for since := r.began.Truncate(time.Minute); ; {
		bars, err := reference.Bars(r.t.Context(), since)
		if err != nil {
			r.t.Fatal(err)
		}
		newest := since
		for _, b := range bars {
			if newest = b.TimestampMinute; b.TimestampMinute.Before(until) {
				m := thor.IntradayBarMessage(b)
				if want[m.Stream] == nil {
					want[m.Stream] = map[string]string{}
				}
				want[m.Stream][m.Key] = r.encode(m)
			}
		}
		if !newest.After(since) {
			break
		}
		since = newest
	}
	from, to := r.began.Truncate(time.Minute).Format(time.RFC3339), until.Format(time.RFC3339)
	for id, events := range r.events() {
		if id.Feature() != "intraday" {
			continue
		}
		last, finals := map[string]string{}, map[string]int{}
		for i, e := range events {
			if e.Version.Seq != uint64(i+1) {
				r.t.Fatalf("%s: %d at place %d", id, e.Version.Seq, i+1)
			}
			if e.Key < from || e.Key >= to {
				continue
			}
			if last[e.Key] = string(e.Data); e.Final {
				finals[e.Key]++
			} else if finals[e.Key] > 0 {
				r.t.Errorf("%s: %s was final before", id, e.Data)
			}
		}
		_, served := r.get("/api/intraday/bars?limit=1440&symbol=" + id.Owner())
		for key, data := range want[id] {
			if !strings.Contains(served, data) {
				r.t.Errorf("%s at %s: REST does not have\n%s", id, key, data)
			}
			if minutes++; last[key] != data {
				r.t.Errorf("%s at %s: in the end it is\n%s, want\n%s", id, key, last[key], data)
			}
			if finals[key] > 1 {
				corrected++
			}
			delete(last, key)
		}
		for key, data := range last {
			r.t.Errorf("%s at %s: nobody should know of %s", id, key, data)
		}
		delete(want, id)
	}
	for id := range want {
		r.t.Errorf("%s: nothing at all", id)
	}
	return minutes, corrected
}

// balances holds that no balance is 0 because a source failed, and that equity is
// what it should be, give or take what a halt does to a price. It returns how
// many there were.
func (r *rig) balances() (count int) {
	r.t.Helper()
	equity := map[string]float64{} // what accounts begin with
	for id, events := range r.events() {
		if id.Feature() != "account_balance" {
			continue
		}
		for _, e := range events {
			var b struct {
				Cash, Equity *float64
				Timestamp    time.Time
			}
			if err := json.Unmarshal(e.Data, &b); err != nil || b.Cash == nil || b.Equity == nil || *b.Cash == 0 || *b.Equity == 0 {
				r.t.Errorf("%s: %s, %v", id, e.Data, err)
				continue
			}
			if equity[id.Owner()] == 0 {
				equity[id.Owner()] = *b.Equity
			}
			if was := equity[id.Owner()]; *b.Equity < was*0.5 || *b.Equity > was*1.5 {
				r.t.Errorf("%s: %s, and it began with %.2f", id, e.Data, was)
			}
			count++
		}
	}
	return count
}

// TestDeliveryFaultsHeal runs the whole server through everything that can go
// wrong with the delivery of data, and holds that in the end nothing of it is to
// be seen.
func TestDeliveryFaultsHeal(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"bars that come badly": `every 4m late by 2m for 1m
			every 2m +1m duplicate for 1m
			every 3m disorder for 2m
			about every 4m late EQ.SPY by 1m for 2m`,
		"no answer": `about every 2m disconnect for 10s
			every 2m +50s hang for 12s
			every 4m +2m limit for 30s
			every 5m +1m expire for 20s`,
		"a bad answer": `every 3m half for 20s
			every 4m half EQ.SPY for 30s
			every 5m +2m half PAPER-2 for 30s
			every 2m +1m bad for 10s`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := scripted(t, monday.Add(30*time.Second+500*time.Millisecond), parseScript(t, script))
				time.Sleep(5*time.Minute + 30*time.Second)
				for range 12 { // until it answers
					if code, _ := r.get("/readyz"); code == 200 {
						break
					}
					time.Sleep(10 * time.Second)
				}
				if code, ready := r.get("/readyz"); code != 200 {
					t.Errorf("it did not recover: %s", ready)
				}
				if minutes, corrected := r.healed(monday.Add(3*time.Minute), nil); minutes < 20 || corrected > 0 {
					t.Errorf("%d minutes, %d of them more than once", minutes, corrected)
				}
				if n := r.balances(); n < 300 {
					t.Errorf("%d balances", n)
				}
				r.undisturbedByScript()
			})
		})
	}
}

// undisturbedByScript holds that what does not ask the source ran on time.
func (r *rig) undisturbedByScript() {
	r.t.Helper()
	for _, job := range []string{"global_market", "heartbeat", "retention"} {
		for _, run := range r.ran(job) {
			if run.Late != 0 || run.Missed != 0 || run.Err != nil {
				r.t.Errorf("%s: %+v", job, run)
			}
		}
	}
}

// ofValues matches the lines of a script that change what is true.
var ofValues = regexp.MustCompile(`\b(halt|missing|correct|late)\b`)

// TestARoughDay runs the whole server through a quarter of an hour of the day
// that comes with thor, with a client.
func TestARoughDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rough, err := sim.OpenScript("rough")
		if err != nil {
			t.Fatal(err)
		}
		// The faults of values alone, each in its line: by its number chance is.
		lines := strings.Split(rough.Text(), "\n")
		for i, line := range lines {
			if !ofValues.MatchString(line) {
				lines[i] = ""
			}
		}
		values := parseScript(t, strings.Join(lines, "\n"))

		r := scripted(t, monday.Add(-21*time.Minute), rough) // New York is open for nine minutes
		client := r.connect()
		time.Sleep(15 * time.Minute)
		minutes, corrected := r.healed(monday.Add(-10*time.Minute), values)
		if minutes < 80 || corrected < 20 {
			t.Errorf("%d minutes, of which %d were corrected", minutes, corrected)
		}
		if n := r.balances(); n < 4*500 {
			t.Errorf("%d balances", n)
		}
		r.undisturbedByScript()
		// Clients were told of every correction.
		told, finals := 0, map[string]int{}
		for _, m := range client.all() {
			var b said
			if m.Type != "intraday_bar" || json.Unmarshal(m.Data, &b) != nil || !b.Final {
				continue
			}
			key := string(m.Stream) + b.Minute.String()
			if finals[key]++; finals[key] == 2 {
				told++
			}
		}
		if told < corrected {
			t.Errorf("a client was told of %d corrections of %d", told, corrected)
		}
		if _, status := r.get("/api/status"); !strings.Contains(status, `"name":"sim, script rough","simulated":true`) {
			t.Errorf("status does not say that it is scripted: %s", status)
		}
	})
}
