package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"thor"
	"thor/internal/source"
)

// monday is an hour in which everything trades.
var monday = time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)

// TestAFaultySource lets the source fail in every way it can while the whole
// server runs, and holds that nothing else is delayed, that the trouble is
// shown, and that everything is right in the end.
func TestAFaultySource(t *testing.T) {
	t.Parallel()
	failing := func(err error) fault { return func(context.Context) (float64, error) { return 0, err } }
	hour := errors.New("the source is away")
	for name, tt := range map[string]struct {
		fault fault
		lasts time.Duration
		ready string // what /readyz says meanwhile; "" is that all is well
	}{
		"hangs until its deadline": {
			func(ctx context.Context) (float64, error) { <-ctx.Done(); return 0, ctx.Err() }, 30 * time.Second, "not done within 5s",
		},
		"is deaf to its deadline": {
			func(context.Context) (float64, error) { time.Sleep(25 * time.Second); return 1, nil }, 30 * time.Second, "does not stop at its deadline of 5s",
		},
		"panics": {
			func(context.Context) (float64, error) { panic("boom") }, 30 * time.Second, "panic: boom",
		},
		"is slower than its interval": {
			func(context.Context) (float64, error) { time.Sleep(2300 * time.Millisecond); return 1, nil }, 30 * time.Second, "",
		},
		"gives half an answer, and says so": {
			func(context.Context) (float64, error) { return .5, errors.New("half is missing") }, 30 * time.Second, "half is missing",
		},
		"gives half an answer, and says nothing": {
			func(context.Context) (float64, error) { return .5, nil }, 30 * time.Second, "",
		},
		"is away for an hour": {failing(hour), time.Hour, "the source is away"},
		"asks for patience": {
			failing(&source.Error{Kind: source.RateLimited, Source: "sim", Op: "x", Status: 429, RetryAt: monday.Add(75 * time.Second)}),
			30 * time.Second, "job intraday has failed: rate_limited",
		},
		"fails in every other way": {func(context.Context) (float64, error) {
			kinds := []source.Kind{
				source.Transient, source.AuthExpired, source.AuthRequired, source.Forbidden,
				source.NotSupported, source.BadData, source.Conflict, source.EndOfData,
			}
			n := int(time.Since(monday)/(5*time.Second)) % len(kinds)
			return 0, &source.Error{Kind: kinds[n], Source: "sim", Op: "x"}
		}, 30 * time.Second, "times in a row: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, data, monday.Add(30*time.Second+500*time.Millisecond), nil)
				time.Sleep(5 * time.Second)
				r.src.set(tt.fault)
				time.Sleep(tt.lasts - 5*time.Second)
				code, ready := r.get("/readyz")
				if ok := code == 200; ok != (tt.ready == "") || !strings.Contains(ready, tt.ready) {
					t.Errorf("ready: %d %s, want %q", code, ready, tt.ready)
				}
				if strings.Contains(tt.ready, "does not stop") {
					r.hangs("intraday")
				}
				r.src.set(nil)
				time.Sleep(32 * time.Second) // a back-off, and what it takes the deaf one
				r.recovered()
				r.undisturbed()
				r.quietly()
			})
		})
	}
}

// hangs holds that a job is shown that has run for long.
func (r *rig) hangs(job string) {
	r.t.Helper()
	_, metrics := r.get("/metrics")
	_, value, _ := strings.Cut(metrics, fmt.Sprintf("job_running_seconds{job=%q} ", job))
	value, _, _ = strings.Cut(value, "\n")
	if seconds, err := strconv.ParseFloat(value, 64); err != nil || seconds < 20 {
		r.t.Errorf("the metrics say it has run for %q seconds", value)
	}
	if _, status := r.get("/api/status"); !strings.Contains(status, fmt.Sprintf(`{"job":%q,"interval_ms":1000,"running":true`, job)) {
		r.t.Errorf("status %s", status)
	}
	if n := len(r.ran(job)); n != 6 { // and not once more beside the one that hangs
		r.t.Errorf("%d runs of it have ended, want 6", n)
	}
}

// recovered holds that the server is well, that everything is right, and that
// balances are of now.
func (r *rig) recovered() {
	r.t.Helper()
	if code, ready := r.get("/readyz"); code != 200 {
		r.t.Errorf("it did not recover: %s", ready)
	}
	if r.src.twice {
		r.t.Error("the source was asked the same twice at once")
	}
	now := r.wall.Now()
	if r.judge(now.Add(-2*time.Second)) == 0 {
		r.t.Error("no minute was judged")
	}
	for id, events := range r.events() {
		if age := now.Sub(r.read(events[len(events)-1]).Timestamp); id.Private() && age > time.Second {
			r.t.Errorf("%s is %v old", id, age)
		}
	}
}

// undisturbed holds that what does not ask the source ran as if nothing were.
func (r *rig) undisturbed() {
	r.t.Helper()
	took := r.wall.Now().Sub(r.began)
	for job, interval := range map[string]time.Duration{
		"global_market": 10 * time.Second, "heartbeat": heartbeatEvery, "retention": pruneEvery,
	} {
		runs := r.ran(job)
		if n, least := len(runs), int(took/interval); n < least || n > least+2 {
			r.t.Errorf("%s ran %d times in %v", job, n, took)
		}
		for _, run := range runs {
			if run.Late != 0 || run.Missed != 0 || run.Err != nil {
				r.t.Errorf("%s: %+v", job, run)
			}
		}
	}
	for _, job := range []string{"account_balance", "positions", "intraday"} {
		for _, run := range r.ran(job) {
			if run.Late != 0 {
				r.t.Errorf("%s began %v late", job, run.Late)
			}
		}
	}
}

// quietly holds that the log has a line now and then, and of a panic its stack.
func (r *rig) quietly() {
	r.t.Helper()
	log := r.log.String()
	if n := strings.Count(log, "level=WARN"); n > 3*10 { // of three jobs
		r.t.Errorf("%d lines:\n%s", n, log)
	}
	if strings.Contains(log, "panic: boom") && strings.Count(log, "stress_test.go") < 3 {
		r.t.Errorf("a panic without its stack:\n%s", log)
	}
}

// TestAClockThatJumps sets the wall clock, which is the source's too, while the
// whole server runs.
func TestAClockThatJumps(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{7 * time.Second, 40 * time.Minute, 6*time.Hour + 30*time.Minute, -7 * time.Second} {
		t.Run(fmt.Sprint(jump), func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, data, monday.Add(500*time.Millisecond), nil)
				time.Sleep(30 * time.Second)
				r.wall.jump(jump)
				time.Sleep(2 * time.Second)
				_, markets := r.get("/api/global-market")
				for _, s := range r.days().Statuses(r.wall.Now()) {
					if want := fmt.Sprintf(`"market_id":%q,"market":%q,"country":%q,"timezone":%q,"status":%q`, s.MarketID, s.Market, s.Country, s.Timezone, s.Status); !strings.Contains(markets, want) {
						t.Errorf("two seconds after the jump: %s\nwant %s", markets, want)
					}
				}
				time.Sleep(30 * time.Second)
				for _, job := range []string{"account_balance", "positions", "intraday", "heartbeat", "global_market"} {
					runs := r.ran(job)
					if n := len(runs); n > 65 || job == "intraday" && n < 62 {
						t.Errorf("%s ran %d times in 62 seconds", job, n)
					}
					for _, run := range runs {
						if run.Late != 0 || run.Err != nil {
							t.Errorf("%s: %+v", job, run)
						}
					}
				}
				if jump > 0 {
					r.began = monday
					if r.judge(r.wall.Now().Add(-2*time.Second)) == 0 {
						t.Error("no minute was judged")
					}
				}
				if code, ready := r.get("/readyz"); code != 200 {
					t.Errorf("not ready: %s", ready)
				}
			})
		})
	}
}

// TestAgesAreNeverNegative holds what is said of events that seem to be of later
// than now, because the wall clock went back.
func TestAgesAreNeverNegative(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, data, monday, nil)
		client := r.connect()
		time.Sleep(time.Second)
		m := thor.MarketStatusMessage(r.days().Statuses(r.wall.Now())[0])
		e := thor.Event{Stream: m.Stream, Type: m.Type, Key: m.Key, Data: []byte(r.encode(m))}
		stored, err := r.store.Append(t.Context(), time.Now().Add(time.Hour), []thor.Event{e})
		if err == nil {
			err = r.logs.Append(t.Context(), stored)
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		said := false
		for _, m := range client.all() {
			if said = said || m.Type == "heartbeat"; strings.Contains(string(m.Data), `"age_ms":-`) {
				t.Errorf("%s", m.Data)
			}
		}
		if !said {
			t.Error("no heartbeat")
		}
		for _, path := range []string{"/api/status", "/metrics"} {
			if _, body := r.get(path); strings.Contains(body, `"last_ms":-`) || strings.Contains(body, `ws"} -`) {
				t.Errorf("%s: %s", path, body)
			}
		}
	})
}
