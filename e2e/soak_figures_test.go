//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"thor"
)

// soakFigures are what the server's metrics and its database say over time.
type soakFigures struct {
	server  *server
	samples []sample
}

// sample is one look at the metrics, by their names with labels.
type sample struct {
	at       time.Time
	metrics  map[string]float64
	database float64
}

// take looks once.
func (f *soakFigures) take() {
	f.server.t.Helper()
	_, body := f.server.get("/metrics")
	s := sample{at: time.Now(), metrics: map[string]float64{}}
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if number, err := strconv.ParseFloat(value, 64); ok && err == nil {
			s.metrics[name] = number
		}
	}
	files, err := filepath.Glob(filepath.Join(f.server.data, "thor.db*"))
	if err != nil {
		f.server.t.Fatal(err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			s.database += float64(info.Size())
		}
	}
	f.samples = append(f.samples, s)
}

func (f *soakFigures) last() sample { return f.samples[len(f.samples)-1] }

// sumOf adds up a metric over its labels that contain a text.
func (s sample) sumOf(name, label string) (total float64) {
	for key, value := range s.metrics {
		if strings.HasPrefix(key, name+"{") && strings.Contains(key, label) {
			total += value
		}
	}
	return total
}

// countersAgree holds the counters to each other and to the streams.
func (f *soakFigures) countersAgree(t *testing.T, heads map[thor.StreamID]uint64) {
	t.Helper()
	before, streams := f.samples[len(f.samples)-2], float64(sum(heads))
	if published := before.metrics["pipeline_published_total"]; published > streams {
		t.Errorf("%v events were published, and the streams stand at %v in all", published, streams)
	}
	eventually(t, "the counter of published events", func() bool {
		f.take()
		return f.last().metrics["pipeline_published_total"] >= streams
	})
	now := f.last()
	stored, published := now.metrics["pipeline_stored_total"], now.metrics["pipeline_published_total"]
	if stored-published > 100 || published > stored {
		t.Errorf("%v events were stored and %v published", stored, published)
	}
	if fed := now.sumOf("feed_events_total", ""); published-fed > 100 || fed-published > 100 {
		t.Errorf("%v events were published, and the features count %v", published, fed)
	}
	for name, value := range map[string]float64{
		"pipeline_invalid_total": now.metrics["pipeline_invalid_total"],
		"failed runs":            now.sumOf("job_runs_total", `result="failed"`),
	} {
		if value != 0 {
			t.Errorf("%s is %v, want 0", name, value)
		}
	}
}

const megabyte = 1 << 20

// flat holds that nothing grows: what the last third of the time after the
// warm-up needed is what the first third did, and a little more, for logs fill
// up to their bounds and the memory of what was said grows with the session.
func (f *soakFigures) flat(t *testing.T, minutes int) {
	t.Helper()
	for _, rule := range []struct {
		name         string
		of           func([]sample) float64
		ratio, allow float64
	}{
		{"the heap after collections", heapTrough, 1.3, 24 * megabyte},
		{"resident memory", medianOf("process_resident_memory_bytes"), 1.3, 32 * megabyte},
		{"goroutines", medianOf("go_goroutines"), 1, 10},
		{"open descriptors", medianOf("process_open_fds"), 1, 10},
	} {
		first, last := f.windows()
		if then, now := rule.of(first), rule.of(last); now > rule.ratio*then+rule.allow || then == 0 {
			t.Errorf("%s grew from %.0f to %.0f", rule.name, then, now)
		}
	}
	// Superseded events are kept for 15 minutes and pruned every minute; of
	// finished bars every one.
	now, recent := f.last(), f.last().metrics["pipeline_stored_total"]
	for _, s := range f.samples {
		if now.at.Sub(s.at) > 17*time.Minute {
			recent = now.metrics["pipeline_stored_total"] - s.metrics["pipeline_stored_total"]
		}
	}
	if most := 32*megabyte + 1024*(recent+float64(minutes)); now.database > most {
		t.Errorf("the database has %.0f bytes, want at most %.0f for %.0f events and %d bars", now.database, most, recent, minutes)
	}
}

// windows are the first and the last third of the samples behind the warm-up.
func (f *soakFigures) windows() (first, last []sample) {
	warm := f.samples[len(f.samples)/4:]
	third := max(1, len(warm)/3)
	return warm[:third], warm[len(warm)-third:]
}

// heapTrough is the least the heap came to: what it was after a collection.
func heapTrough(samples []sample) float64 {
	least := samples[0].metrics["go_memstats_heap_alloc_bytes"]
	for _, s := range samples {
		least = min(least, s.metrics["go_memstats_heap_alloc_bytes"])
	}
	return least
}

func medianOf(name string) func([]sample) float64 {
	return func(samples []sample) float64 {
		values := make([]float64, len(samples))
		for i, s := range samples {
			values[i] = s.metrics[name]
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
}

// String is the figures on one line.
func (f *soakFigures) String() string {
	first, last := f.windows()
	now := f.last()
	rss, count, sum := medianOf("process_resident_memory_bytes"), now.sumOf("job_late_seconds_count", ""), now.sumOf("job_late_seconds_sum", "")
	return fmt.Sprintf("heap %.1f to %.1f MB, resident %.1f to %.1f MB, goroutines %.0f to %.0f, descriptors %.0f to %.0f, "+
		"database %.1f MB; runs began %.2f ms late in the mean, %.0f of %.0f over 25 ms; processor %.0f s of %.0f",
		heapTrough(first)/megabyte, heapTrough(last)/megabyte, rss(first)/megabyte, rss(last)/megabyte,
		medianOf("go_goroutines")(first), medianOf("go_goroutines")(last),
		medianOf("process_open_fds")(first), medianOf("process_open_fds")(last),
		now.database/megabyte, 1000*sum/count, count-now.sumOf("job_late_seconds_bucket", `le="0.025"`), count,
		now.metrics["process_cpu_seconds_total"], now.at.Sub(f.samples[0].at).Seconds())
}
