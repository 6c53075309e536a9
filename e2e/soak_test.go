//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"thor"
	"thor/internal/calendar"
	"thor/internal/source/sim"
	"thor/internal/source/sourcetest"
)

// soakSpeed makes two minutes thirteen hours of the market.
const soakSpeed = "390"

// soakLength is two minutes, or what THOR_SOAK says.
func soakLength(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("THOR_SOAK")
	if text == "" {
		return 2 * time.Minute
	}
	length, err := time.ParseDuration(text)
	if err != nil || length < 30*time.Second {
		t.Fatalf("THOR_SOAK is %q; write a time of at least 30s, for instance 1h", text)
	}
	return length
}

// TestSoak lets the server run fast for a while, with clients of every kind at
// once, and looks whether anything was lost, said twice or said differently,
// whether anything went wrong, and whether anything grows.
func TestSoak(t *testing.T) {
	t.Parallel()
	length := soakLength(t)
	began := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	s := serve(t, "--sim-start", began.Format(time.RFC3339), "--sim-speed", soakSpeed)
	epoch := s.epoch()
	bars := &barLedger{finals: map[thor.StreamID]map[string]uint64{}}
	plain, returning, slow := newReader("plain", s), newReader("returning", s), newReader("slow", s)
	plain.seen = bars.note
	polls := &poller{server: s, bodies: map[string]uint64{}, tags: map[string]string{}}
	watch := s.watch()
	figures := &soakFigures{server: s}

	stop := make(chan struct{})
	var clients sync.WaitGroup
	clients.Go(func() { plain.follow(stop, epoch) })
	clients.Go(func() { returning.comeAndGo(stop) })
	clients.Go(func() { slow.slowly(stop) })
	clients.Go(func() { polls.run(stop) })
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(time.Second) {
		figures.take()
	}
	until := s.sourceTime().Add(-30 * time.Minute) // five seconds: what is on its way has come
	close(stop)
	clients.Wait()
	watched := watch.end()
	heads := plain.readBack()
	figures.take()

	for _, r := range []*soakReader{plain, returning, slow} {
		r.check(t)
		r.agrees(t, plain)
	}
	if plain.gaps > 0 || plain.snapshots > 0 || plain.connections != 1 {
		t.Errorf("the plain reader connected %d times, was told of %d gaps and given %d snapshots",
			plain.connections, plain.gaps, plain.snapshots)
	}
	if returning.connections < 5 || slow.gaps == 0 {
		t.Errorf("%d connections of the one who comes and goes, %d gaps of the slow one: nothing was tried", returning.connections, slow.gaps)
	}
	compared := polls.compare(t, plain)
	minutes := bars.compare(t, began, until)
	figures.countersAgree(t, heads)
	figures.flat(t, minutes)
	for line := range strings.Lines(s.said()) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			t.Errorf("the server said: %s", line)
		}
	}
	if watched < plain.frames/2 {
		t.Errorf("thor watch printed %d lines of %d events", watched, plain.frames)
	}
	if err := s.stop(os.Interrupt, 10*time.Second); err != nil {
		t.Errorf("it ended with %v", err)
	}
	t.Logf("soak: %v at speed %s: %d events of %d streams; %d bars; %d resumes; "+
		"%d events conflated for the slow reader; %d REST answers compared; %v",
		length, soakSpeed, plain.frames, len(heads), minutes, returning.connections-1, slow.left, compared, figures)
}

// barLedger keeps a digest of every finished bar.
type barLedger struct {
	finals map[thor.StreamID]map[string]uint64
	faults []error
}

func (l *barLedger) note(m message) {
	if m.Type != "intraday_bar" {
		return
	}
	var bar struct {
		Minute string `json:"timestamp_minute"`
		Final  bool   `json:"final"`
	}
	if err := json.Unmarshal(m.Data, &bar); err != nil || !bar.Final {
		return
	}
	of := l.finals[m.Stream]
	if of == nil {
		of = map[string]uint64{}
		l.finals[m.Stream] = of
	}
	if _, ok := of[bar.Minute]; ok {
		l.faults = append(l.faults, fmt.Errorf("the bar of %s at %s became final twice", m.Stream, bar.Minute))
	}
	of[bar.Minute] = digest(m.Data)
}

// compare holds the bars to those of a simulator of the same seed that nothing
// has happened to, and returns how many there were.
func (l *barLedger) compare(t *testing.T, from, until time.Time) (minutes int) {
	t.Helper()
	for _, err := range l.faults[:min(10, len(l.faults))] {
		t.Error(err)
	}
	days, err := calendar.New()
	if err != nil {
		t.Fatal(err)
	}
	reference := &sim.Source{Seed: 1, SourceClock: sourcetest.NewClock(until), Exchanges: days}
	wrong := 0
	for since := from; ; {
		bars, err := reference.Bars(t.Context(), since)
		if err != nil {
			t.Fatal(err)
		}
		newest := since
		for _, b := range bars {
			newest = b.TimestampMinute
			if newest.Equal(since) && !since.Equal(from) || !b.Final { // it was in the answer before
				continue
			}
			msg := thor.IntradayBarMessage(b)
			data, err := msg.Encode()
			if err != nil {
				t.Fatal(err)
			}
			minutes++
			if got, ok := l.finals[msg.Stream][msg.Key]; !ok || got != digest(data) {
				if wrong++; wrong <= 10 {
					t.Errorf("the bar of %s at %s: there %v, want %s", msg.Stream, msg.Key, ok, data)
				}
			}
		}
		if !newest.After(since) {
			return minutes
		}
		since = newest
	}
}

// watchCommand is `thor watch` in the background.
type watchCommand struct {
	cmd    *exec.Cmd
	errors bytes.Buffer
	lines  chan int // how many there were, at the end
	server *server
}

func (s *server) watch() *watchCommand {
	s.t.Helper()
	w := &watchCommand{cmd: exec.Command(binary, "watch"), lines: make(chan int, 1), server: s}
	w.cmd.Env, w.cmd.Dir, w.cmd.Stderr = append(os.Environ(), "THOR_URL="+s.URL), s.t.TempDir(), &w.errors
	out, err := w.cmd.StdoutPipe()
	if err == nil {
		err = w.cmd.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	go func() {
		n := 0
		lines := bufio.NewScanner(out)
		for lines.Buffer(nil, 1<<20); lines.Scan(); n++ {
		}
		w.lines <- n
	}()
	return w
}

// end stops it and returns how many lines it printed.
func (w *watchCommand) end() int {
	w.server.t.Helper()
	select {
	case <-w.lines:
		w.server.t.Fatalf("thor watch ended by itself: %s", &w.errors)
	default:
	}
	_ = w.cmd.Process.Kill()
	n := <-w.lines
	_ = w.cmd.Wait() // it was killed
	if said := w.errors.String(); strings.Count(said, "\n") > 1 {
		w.server.t.Errorf("thor watch said: %s", said)
	}
	return n
}

// epoch waits until every stream has begun and returns the epoch of the store.
func (s *server) epoch() (epoch string) {
	s.t.Helper()
	eventually(s.t, "every stream", func() bool {
		c := connect(s.t, s)
		defer c.conn.Close() //nolint:errcheck // it was asked
		list, ok := c.until(5*time.Second, func(m message) bool { return m.Type == "hello" })
		if !ok {
			return false
		}
		var hello struct{ Streams map[thor.StreamID]any }
		if err := json.Unmarshal(list[len(list)-1].Data, &hello); err != nil {
			s.t.Fatal(err)
		}
		return !slices.ContainsFunc(soakStreams(), func(id thor.StreamID) bool { return hello.Streams[id] == nil })
	})
	response, _ := s.get(pollPaths[0])
	_, version, _ := strings.Cut(response.Header.Get("ETag"), "PAPER-1:")
	epoch, _, _ = strings.Cut(version, "-")
	return epoch
}

// sourceTime is what the source's clock shows.
func (s *server) sourceTime() time.Time {
	s.t.Helper()
	var status struct{ Source struct{ Time time.Time } }
	_, body := s.get("/api/status")
	if err := json.Unmarshal(body, &status); err != nil {
		s.t.Fatalf("%s: %v", body, err)
	}
	return status.Source.Time
}

// soakStreams are the streams of every feature and symbol.
func soakStreams() []thor.StreamID {
	ids := []thor.StreamID{"global_market"}
	for _, account := range []string{"PAPER-1", "PAPER-2"} {
		ids = append(ids, thor.NewStreamID("account_balance", account), thor.NewStreamID("positions", account))
	}
	for _, symbol := range []string{
		"CRYPTO.BTC-USD", "CRYPTO.ETH-USD", "EQ.AAPL", "EQ.MSFT", "EQ.NVDA", "EQ.SPY", "FUT.CL", "FUT.ES", "FUT.GC", "FUT.NQ",
	} {
		ids = append(ids, thor.NewStreamID("intraday", symbol))
	}
	return ids
}

// sum adds up the heads.
func sum(heads map[thor.StreamID]uint64) (total uint64) {
	for seq := range maps.Values(heads) {
		total += seq
	}
	return total
}
