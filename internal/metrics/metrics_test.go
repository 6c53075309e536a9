package metrics_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"thor/internal/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRate(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_800_000_000, 0)
	var r metrics.Rate
	for i := range 90 {
		r.Add(start.Add(time.Duration(i)*time.Second), 2)
	}
	end := start.Add(89 * time.Second)
	if got := r.PerMinute(end); got != 120 {
		t.Errorf("two a second make %d a minute, want 120", got)
	}
	if got := r.PerMinute(end.Add(30 * time.Second)); got != 60 {
		t.Errorf("half a minute later %d, want 60", got)
	}
	if got := r.PerMinute(end.Add(time.Hour)); got != 0 {
		t.Errorf("an hour later %d, want 0", got)
	}
	r.Add(start, 1) // a clock that went back does not panic or lose the present
	if got := r.PerMinute(start); got < 1 {
		t.Errorf("after the clock went back %d, want at least 1", got)
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	m := metrics.New("0.1.0", "abc")
	m.ObserveRun("positions", 2*time.Millisecond, time.Millisecond, 3, errors.New("no"))
	m.Counter("hub_accepted_total", "Connections accepted.", func() float64 { return 7 })
	m.Gauge("hub_connections", "Connections.", func() float64 { return 5 })
	w := httptest.NewRecorder()
	m.Handler(func() { m.FeedAge.WithLabelValues("positions", "ws").Set(1.5) }).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`job_runs_total{job="positions",result="failed"} 1`,
		`job_overruns_total{job="positions"} 3`,
		`job_late_seconds_bucket{job="positions",le="0.002"} 1`,
		`thor_info{build="abc",version="0.1.0"} 1`,
		`feed_age_seconds{data_source="ws",feature="positions"} 1.5`,
		`# TYPE job_last_failure_timestamp_seconds gauge`,
		`hub_accepted_total 7`,
		`hub_connections 5`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
}
