package app

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"thor"
	"thor/internal/heartbeat"
	"thor/internal/source/sourcetest"
)

// buffer is a log that is read while it is written.
type buffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// rig is a whole server in virtual time, on a real store, with a source that can
// be made to fail. It must be made inside a bubble.
type rig struct {
	*App
	t     *testing.T
	src   *faulty
	wall  *wallClock
	log   *buffer
	began time.Time

	mu        sync.Mutex // guards what follows
	runs      map[string][]heartbeat.Run
	published map[thor.StreamID][]thor.Event
}

// newRig starts a server at an instant.
func newRig(t *testing.T, data string, at time.Time, keep func(symbol string) bool) *rig {
	t.Helper()
	return newRigWith(t, data, at, keep, func(*Config) {})
}

// newRigWith has other settings.
func newRigWith(t *testing.T, data string, at time.Time, keep func(symbol string) bool, change func(*Config)) *rig {
	t.Helper()
	return startRig(t, data, at, change, func(r *rig, a *App) {
		r.src = &faulty{Source: a.source, clock: r.wall, keep: keep, running: map[string]int{}}
		a.source = r.src
	})
}

// startRig starts a server at an instant, with settings of its own and the
// source that tamper makes.
func startRig(t *testing.T, data string, at time.Time, change func(*Config), tamper func(r *rig, a *App)) *rig {
	t.Helper()
	time.Sleep(time.Until(at))
	r := &rig{t: t, wall: &wallClock{}, log: &buffer{}, began: at, runs: map[string][]heartbeat.Run{}, published: map[thor.StreamID][]thor.Event{}}
	c := Default()
	c.Addr, c.Data = "localhost:0", data
	change(&c)
	r.App = &App{config: c, logger: slog.New(slog.NewTextHandler(r.log, nil)), started: time.Now(), data: c.Data}
	r.tamper = func(a *App) {
		a.clock = r.wall
		tamper(r, a)
	}
	if err := r.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.beat.Now = r.wall.Now
	observe := r.beat.Observe
	r.beat.Observe = func(run heartbeat.Run) {
		observe(run)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.runs[run.Job] = append(r.runs[run.Job], run)
	}
	tap := r.pipeline.Tap
	r.pipeline.Tap = func(events []thor.Event) {
		tap(events)
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range events {
			r.published[e.Stream] = append(r.published[e.Stream], e)
		}
	}
	var group errgroup.Group
	pipeline := start(t.Context(), &group, "pipeline", r.pipeline.Run)
	hub := start(t.Context(), &group, "hub", r.hub.Run)
	beat := start(t.Context(), &group, "heartbeat", r.beat.Run)
	t.Cleanup(func() {
		beat.stop()
		hub.stop()
		pipeline.stop()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// ran returns the runs of a job so far.
func (r *rig) ran(job string) []heartbeat.Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.runs[job])
}

// get asks REST as the local operator.
func (r *rig) get(path string) (int, string) {
	request := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
	request.RemoteAddr = "127.0.0.1:1"
	answer := httptest.NewRecorder()
	r.api.ServeHTTP(answer, request)
	return answer.Code, answer.Body.String()
}

// events returns every event of the features that was published, by stream.
func (r *rig) events() map[thor.StreamID][]thor.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[thor.StreamID][]thor.Event{}
	for id, events := range r.published {
		all[id] = slices.Clone(events)
	}
	return all
}

// said is what an event says of itself.
type said struct {
	Minute    time.Time `json:"timestamp_minute"`
	Final     bool      `json:"final"`
	Timestamp time.Time `json:"timestamp"`
}

func (r *rig) read(e thor.Event) said {
	r.t.Helper()
	var s said
	if err := json.Unmarshal(e.Data, &s); err != nil {
		r.t.Fatalf("%s: %v", e.Data, err)
	}
	return s
}

// judge holds every event to what a simulator says that nothing has happened to,
// at the time the event is of: byte for byte, without a hole in the numbers,
// never back in time, and every minute that was completed once, in order. It
// returns how many minutes were.
func (r *rig) judge(until time.Time) (minutes int) {
	r.t.Helper()
	clock := sourcetest.NewClock(r.began)
	reference := &faulty{clock: clock, keep: r.src.keep, running: map[string]int{}}
	want := map[time.Time]map[thor.StreamID]string{} // what accounts are like, by time
	final := map[thor.StreamID][]string{}
	for id, events := range r.events() {
		for i, e := range events {
			if e.Version.Seq != uint64(i+1) {
				r.t.Fatalf("%s: %d at place %d", id, e.Version.Seq, i+1)
			}
			at := r.read(e)
			if i > 0 && id.Feature() != "intraday" && at.Timestamp.Before(r.read(events[i-1]).Timestamp) {
				r.t.Errorf("%s: %s after %s", id, e.Data, events[i-1].Data)
			}
			switch id.Feature() {
			case "global_market":
				s, err := r.days().Status(e.Key, at.Timestamp)
				if data := r.encode(thor.MarketStatusMessage(s)); err != nil || data != string(e.Data) {
					r.t.Errorf("%s: %s, want %s", id, e.Data, data)
				}
			case "intraday":
				bars, err := simulatedBars(r.t.Context(), at.Timestamp, at.Minute)
				i := slices.IndexFunc(bars, func(b thor.Bar) bool { return b.Symbol == id.Owner() && b.TimestampMinute.Equal(at.Minute) })
				if err != nil || i < 0 || r.encode(thor.IntradayBarMessage(bars[i])) != string(e.Data) {
					r.t.Errorf("%s: %s is not what it should be", id, e.Data)
				}
				if at.Final {
					final[id] = append(final[id], e.Key)
				}
			default:
				if want[at.Timestamp] == nil {
					want[at.Timestamp] = map[thor.StreamID]string{}
					clock.Set(at.Timestamp)
					accounts, err := reference.Accounts(r.t.Context())
					if err != nil {
						r.t.Fatal(err)
					}
					for _, a := range accounts {
						for _, m := range []thor.Message{thor.AccountBalanceMessage(a.Balance), thor.PositionsMessage(a.Positions)} {
							want[at.Timestamp][m.Stream] = r.encode(m)
						}
					}
				}
				if want := want[at.Timestamp][id]; want != string(e.Data) {
					r.t.Errorf("%s: %s, want %s", id, e.Data, want)
				}
			}
		}
	}
	// Every minute, from the beginning until a while ago.
	clock.Set(until)
	due := map[thor.StreamID][]string{}
	for since := r.began.Truncate(time.Minute); ; {
		bars, err := reference.Bars(r.t.Context(), since)
		if err != nil {
			r.t.Fatal(err)
		}
		newest := since
		for _, b := range bars {
			newest = b.TimestampMinute
			m := thor.IntradayBarMessage(b)
			if list := due[m.Stream]; b.Final && (len(list) == 0 || m.Key > list[len(list)-1]) {
				due[m.Stream] = append(list, m.Key)
				minutes++
			}
		}
		if !newest.After(since) {
			break
		}
		since = newest
	}
	first := r.began.Truncate(time.Minute).Format(time.RFC3339)
	last := until.Format(time.RFC3339)
	for id, keys := range final {
		keys = slices.DeleteFunc(keys, func(key string) bool { return key < first || key >= last })
		if n := len(due[id]); n < len(keys) && keys[n] >= until.Add(-time.Minute).Format(time.RFC3339) {
			keys = keys[:n] // the minute of until was not complete then
		}
		if !slices.Equal(keys, due[id]) {
			r.t.Errorf("%s: minutes became final in this order:\n%v\nwant\n%v", id, keys, due[id])
		}
	}
	for id := range maps.Keys(due) {
		if len(final[id]) == 0 {
			r.t.Errorf("%s: no minute became final", id)
		}
	}
	return minutes
}

func (r *rig) encode(m thor.Message) string {
	r.t.Helper()
	data, err := m.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}
