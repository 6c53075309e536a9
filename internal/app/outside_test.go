package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor/internal/api"
)

func TestRhythms(t *testing.T) {
	t.Parallel()
	got, err := Config{Outside: []string{"intraday=60s", "positions"}}.rhythms()
	if diff := cmp.Diff(map[string]time.Duration{"intraday": time.Minute, "positions": 0}, got); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	for text, words := range map[string]string{
		"orders=60s":        `--outside: "orders" is not a feature; there are account_balance, positions, intraday, global_market`,
		"intraday=60":       `--outside: "60" is not how often intraday speaks; write it like intraday=60s`,
		"intraday=":         `--outside: "" is not how often intraday speaks`,
		"intraday=often":    `--outside: "often" is not how often intraday speaks`,
		"intraday=-1s":      "--outside: intraday cannot speak every -1s; it is at least 100ms and at most 24h0m0s",
		"intraday=25h":      "--outside: intraday cannot speak every 25h0m0s",
		"intraday=1ms":      "--outside: intraday cannot speak every 1ms",
		"intraday,intraday": "--outside: intraday is there twice",
	} {
		c := Default()
		c.Outside = strings.Split(text, ",")
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: got %v, want %q", text, err, words)
		}
	}
}

// publish hands in a bar of a future as a job outside does.
func (r *rig) publish(minute time.Time, price int) {
	r.t.Helper()
	body := fmt.Sprintf(`{"type":"intraday_bar","data":{"symbol":"FUT.ES","display":"/ES","country":"USA","timestamp_minute":%q,`+
		`"open":%d,"high":%[2]d,"low":%[2]d,"close":%[2]d,"volume":1,"vwap":null,"final":false,"timestamp":%[3]q}}`,
		minute.UTC().Format(time.RFC3339), price, time.Now().UTC().Format(time.RFC3339))
	request := httptest.NewRequest(http.MethodPost, "http://localhost/api/publish", strings.NewReader(body))
	request.RemoteAddr = "127.0.0.1:1"
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	r.api.ServeHTTP(answer, request)
	if answer.Code != http.StatusAccepted {
		r.t.Fatalf("%d %s", answer.Code, answer.Body)
	}
}

// TestAJobOutsideHasItsOwnRhythm holds that a feature whose job outside says that
// it speaks every minute is announced so, and is late beyond that alone.
func TestAJobOutsideHasItsOwnRhythm(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]struct {
		cadence int64 // ms
		calm    bool  // that it is not late after two minutes
		words   string
	}{
		"intraday=60s": {60_000, true, "it is late, the last came 3m30s ago and it speaks every 1m0s"},
		"intraday":     {1000, false, "it is late, the last came 3m30s ago and it speaks every 1s. Where that is its way, say so: --outside intraday=60s"},
	} {
		data := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			r := newRigWith(t, data, monday, nil, func(c *Config) { c.Outside = []string{setting} })
			time.Sleep(time.Second)
			r.publish(time.Now().Truncate(time.Minute), 6700)
			client := r.connect()
			time.Sleep(6 * time.Second) // a heartbeat
			if cadence := client.cadences()["intraday:FUT.ES"]; cadence != want.cadence {
				t.Errorf("%s: clients are told %d ms, want %d", setting, cadence, want.cadence)
			}
			var features struct {
				Features []struct {
					Feature string
					About   struct {
						Cadence int64 `json:"cadence_ms"`
					}
				}
			}
			if _, body := r.get("/api/features"); json.Unmarshal([]byte(body), &features) != nil {
				t.Fatal(body)
			}
			for _, f := range features.Features {
				if f.Feature == "intraday" && f.About.Cadence != want.cadence {
					t.Errorf("%s: REST says %d ms, want %d", setting, f.About.Cadence, want.cadence)
				}
			}
			time.Sleep(2*time.Minute - 6*time.Second)
			if trouble := r.outsideJob("intraday").Trouble; (trouble == "") != want.calm {
				t.Errorf("%s: after two minutes: %q", setting, trouble)
			}
			time.Sleep(90 * time.Second)
			if trouble := r.outsideJob("intraday").Trouble; !strings.HasSuffix(trouble, want.words) {
				t.Errorf("%s: got %q, want %q", setting, trouble, want.words)
			}
			// What has not changed is said again after the rhythm, and not before.
			before := len(r.events()["intraday:FUT.ES"])
			r.publish(monday.Add(time.Second).Truncate(time.Minute), 6700)
			r.publish(monday.Add(time.Second).Truncate(time.Minute), 6700)
			if n := len(r.events()["intraday:FUT.ES"]) - before; n != 1 {
				t.Errorf("%s: said again %d times", setting, n)
			}
			if trouble := r.outsideJob("intraday").Trouble; trouble != "" {
				t.Errorf("%s: it has spoken again, and %q", setting, trouble)
			}
		})
	}
}

func (r *rig) outsideJob(feature string) api.JobStatus {
	r.t.Helper()
	list := r.Status(r.t.Context()).Jobs
	i := slices.IndexFunc(list, func(j api.JobStatus) bool { return j.Job == feature && j.Outside })
	if i < 0 {
		r.t.Fatalf("no job outside: %+v", list)
	}
	return list[i]
}

// cadences are those of the newest heartbeat.
func (w *wire) cadences() map[string]int64 {
	cadences := map[string]int64{}
	for _, m := range w.all() {
		var beat struct {
			Streams map[string]struct {
				Cadence int64 `json:"cadence_ms"`
			}
		}
		if m.Type == "heartbeat" && json.Unmarshal(m.Data, &beat) == nil {
			for id, s := range beat.Streams {
				cadences[id] = s.Cadence
			}
		}
	}
	return cadences
}
