package app

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"thor"
)

// TestADailyBreak runs the whole server, with futures alone, over the hour in
// which their exchange is closed: everything slows down, is quick again at the
// opening, and no client that believes what it is told ever takes it for dead.
func TestADailyBreak(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		closes := time.Date(2026, 11, 23, 22, 0, 0, 0, time.UTC)
		opens := closes.Add(time.Hour)
		r := newRig(t, data, closes.Add(-90*time.Second+300*time.Millisecond), futures)
		time.Sleep(time.Second)
		client := r.connect()
		time.Sleep(time.Until(closes.Add(20 * time.Second)))
		quick := r.count()
		if _, status := r.get("/api/status"); strings.Count(status, `"interval_ms":5000`) != 5 { // three jobs, the heartbeat and the look at the channel
			t.Errorf("while closed: %s", status)
		}
		for _, job := range r.beat.Jobs { // on the wall clock it lies on the grid anyway, on another it does not
			if f, err := thor.FeatureNamed(job.Name); err == nil && f.Idle > 0 && !job.Next().Equal(opens) {
				t.Errorf("%s is due at %v, want %v", job.Name, job.Next(), opens)
			}
		}
		late := r.connect()
		time.Sleep(time.Until(opens.Add(-5 * time.Second)))
		for _, job := range []string{"account_balance", "positions", "intraday"} {
			if slow := r.count()[job] - quick[job]; slow < 714 || slow > 716 { // in an hour less 25 s
				t.Errorf("while closed %s ran %d times, want every 5 s", job, slow)
			}
		}
		time.Sleep(time.Until(opens.Add(70 * time.Second)))

		for name, w := range map[string]*wire{"early": client, "late": late} {
			told := w.judge(t, name)
			want := []tell{{closes, 5000}, {opens.Add(5 * time.Second), 1000}}
			if name == "late" {
				want = want[1:]
			}
			for _, id := range []thor.StreamID{"positions:PAPER-1", "account_balance:PAPER-1", "intraday:FUT.ES"} {
				if got := told[id]; len(got) != len(want)+1 {
					t.Errorf("the %s client was told of %s: %v", name, id, got)
				} else {
					for i, tell := range got[1:] {
						if off := tell.at.Sub(want[i].at); off < 0 || off > 5*time.Second || tell.ms != want[i].ms {
							t.Errorf("the %s client was told of %s: %v, want %v", name, id, got, want)
						}
					}
				}
			}
			w.firstBar(t, "intraday:FUT.ES", opens)
		}
		if r.judge(r.wall.Now().Add(-2*time.Second)) < 4*2 {
			t.Error("no minutes were judged")
		}
		r.undisturbed()
	})
}

// TestAWeekend closes the exchange of the stocks on Friday. The machine sleeps,
// and wakes up a little before the opening on Monday, or after it.
func TestAWeekend(t *testing.T) {
	t.Parallel()
	closes := time.Date(2026, 11, 20, 21, 0, 0, 0, time.UTC)
	opens := time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)
	for name, woken := range map[string]time.Time{
		"awake before the opening": opens.Add(-40 * time.Second),
		"awake after the opening":  opens.Add(17 * time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, data, closes.Add(-90*time.Second+300*time.Millisecond), stocks)
				client := r.connect()
				time.Sleep(2 * time.Minute)
				if _, status := r.get("/api/status"); strings.Count(status, `"interval_ms":5000`) != 5 {
					t.Errorf("while closed: %s", status)
				}
				r.wall.jump(woken.Sub(r.wall.Now()))
				time.Sleep(2 * time.Second)
				if woken.After(opens) {
					if _, status := r.get("/api/status"); strings.Count(status, `"interval_ms":1000`) < 3 {
						t.Errorf("two seconds after it woke up in the session: %s", status)
					}
				}
				time.Sleep(2 * time.Minute)
				client.judge(t, name)
				if woken.Before(opens) {
					client.firstBar(t, "intraday:EQ.AAPL", opens)
				}
				if r.judge(r.wall.Now().Add(-2*time.Second)) < 4*2 {
					t.Error("no minutes were judged")
				}
				if code, ready := r.get("/readyz"); code != 200 {
					t.Errorf("not ready: %s", ready)
				}
			})
		})
	}
}

func futures(symbol string) bool { return strings.HasPrefix(symbol, "FUT.") }
func stocks(symbol string) bool  { return strings.HasPrefix(symbol, "EQ.") }

// count returns how often each job has run.
func (r *rig) count() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := map[string]int{}
	for job, runs := range r.runs {
		n[job] = len(runs)
	}
	return n
}

// tell is a cadence a client was told.
type tell struct {
	at time.Time
	ms int64
}

// judge replays what the client got with the rule of the web client: a stream is
// stale when nothing came for three times its cadence, at least five seconds.
// It returns what was told of each stream.
func (w *wire) judge(t *testing.T, name string) map[thor.StreamID][]tell {
	t.Helper()
	told := map[thor.StreamID][]tell{}
	heard := map[thor.StreamID]time.Time{}
	learn := func(id thor.StreamID, at time.Time, ms int64) {
		if list := told[id]; len(list) == 0 || list[len(list)-1].ms != ms {
			told[id] = append(list, tell{at, ms})
		}
	}
	for _, m := range w.all() {
		for id, at := range heard {
			list := told[id]
			limit := max(3*time.Duration(list[len(list)-1].ms)*time.Millisecond, 5*time.Second)
			if age := m.came.Sub(at); id.Private() && age > limit {
				t.Errorf("the client %s takes %s for dead at %s: %v since the last", name, id, m.came, age)
				heard[id] = m.came
			}
		}
		switch m.Type {
		case "hello", "cadence", "heartbeat":
			var data struct {
				Streams map[thor.StreamID]struct {
					CadenceMS int64 `json:"cadence_ms"`
				}
			}
			if err := json.Unmarshal(m.Data, &data); err != nil {
				t.Fatalf("%s: %v", m.Data, err)
			}
			for id, s := range data.Streams {
				learn(id, m.came, s.CadenceMS)
			}
		default:
			if m.Stream.Private() && len(told[m.Stream]) > 0 {
				heard[m.Stream] = m.came
			}
		}
	}
	if len(heard) == 0 {
		t.Errorf("the client %s heard of no account", name)
	}
	return told
}

// firstBar holds that the first bar of an opening came at the opening.
func (w *wire) firstBar(t *testing.T, id thor.StreamID, opens time.Time) {
	t.Helper()
	for _, m := range w.all() {
		var bar said
		if m.Stream != id || m.Snapshot || json.Unmarshal(m.Data, &bar) != nil || bar.Minute.Before(opens) {
			continue
		}
		if !bar.Minute.Equal(opens) || !bar.Timestamp.Equal(opens) {
			t.Errorf("the first bar of %s is %s, want one of the opening", id, m.Data)
		}
		return
	}
	t.Errorf("no bar of %s since the opening", id)
}
