//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"thor"
)

// opening is when New York opens, on a virtual clock a few seconds ahead, so
// that every feature has something to say.
var opening = time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)

// allFeaturesArrive watches a plain client and reports what did not come as it
// should: every feature, every one of its streams, in its cadence.
func allFeaturesArrive(list []message) error {
	last := map[thor.StreamID]message{}
	seen := map[string]int{}
	var errs []error
	var opened bool
	for _, m := range list {
		if m.Stream == "" || m.Stream == thor.CutoverStream {
			continue
		}
		feature := m.Stream.Feature()
		seen[feature]++
		f, err := thor.FeatureNamed(feature)
		if err != nil || f.Type != m.Type {
			errs = append(errs, fmt.Errorf("%s came as %q", m.Stream, m.Type))
			continue
		}
		if before, ok := last[m.Stream]; ok && f.Cadence > 0 && !m.Snapshot && !before.Snapshot {
			if gap := m.came.Sub(before.came); gap > 2*f.Cadence+500*time.Millisecond {
				errs = append(errs, fmt.Errorf("%s was silent for %v", m.Stream, gap))
			}
		}
		last[m.Stream] = m
		var status thor.MarketStatus
		if feature == "global_market" && json.Unmarshal(m.Data, &status) == nil && status.MarketID == "XNYS" && status.Status == thor.MarketOpen {
			opened = true
			if late := status.Timestamp.Sub(opening); late < 0 || late > time.Second {
				errs = append(errs, fmt.Errorf("XNYS opened %v late", late))
			}
		}
	}
	for _, f := range thor.Features {
		if seen[f.Name] == 0 {
			errs = append(errs, fmt.Errorf("nothing came of %s", f.Name))
		}
	}
	if seen["global_market"] > 0 && !opened {
		errs = append(errs, errors.New("XNYS did not open"))
	}
	for _, id := range []thor.StreamID{
		"account_balance:PAPER-1", "account_balance:PAPER-2", "positions:PAPER-1", "positions:PAPER-2",
		"intraday:EQ.AAPL", "intraday:FUT.ES", "intraday:CRYPTO.BTC-USD",
	} {
		if seen[id.Feature()] > 0 && time.Since(last[id].came) > 4*time.Second {
			errs = append(errs, fmt.Errorf("%s has stopped", id))
		}
	}
	return errors.Join(errs...)
}

// beforeOpening starts the virtual clock shortly before New York opens.
func beforeOpening() []string {
	return []string{"--sim-start", opening.Add(-5 * time.Second).Format(time.RFC3339)}
}

func TestEveryFeatureReachesAPlainClientInItsCadence(t *testing.T) {
	t.Parallel()
	s := serve(t, beforeOpening()...)
	c := connect(t, s)
	if err := allFeaturesArrive(c.collect(12 * time.Second)); err != nil {
		t.Error(err)
	}
}

// TestFirstFrames holds that two seconds after its start the server shows its
// page and has pushed every feature. It runs alone, before the parallel tests.
func TestFirstFrames(t *testing.T) { //nolint:paralleltest // it measures time
	began := time.Now()
	s := serve(t)
	c := connect(t, s)
	hello, ok := c.until(2*time.Second, func(m message) bool { return m.Type == "hello" })
	if !ok {
		t.Fatal("no hello")
	}
	var data struct{ Streams map[thor.StreamID]any }
	if err := json.Unmarshal(hello[len(hello)-1].Data, &data); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	all := func(m message) bool {
		seen[m.Stream.Feature()] = true
		for _, name := range thor.FeatureNames() {
			if !seen[name] {
				return false
			}
		}
		return true
	}
	if _, ok := c.until(10*time.Second, all); !ok {
		t.Fatalf("only %v came", seen)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the last feature came %v after the start", took)
	}
	response, body := s.get("/")
	if response.StatusCode != 200 || !strings.Contains(string(body), "<div id=\"root\"") {
		t.Errorf("the page: %d %s", response.StatusCode, body)
	}
}

// TestAMissingJobIsNoticed checks the check: with a feature's job taken out of
// the list, it names the feature.
func TestAMissingJobIsNoticed(t *testing.T) {
	t.Parallel()
	source, err := filepath.Abs("../jobs/jobs.go")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	for feature, line := range map[string]string{
		"account_balance": "&AccountBalance{Source: from.Balances}",
		"positions":       "&Positions{Source: from.Positions}",
		"intraday":        "&Intraday{Source: from.Bars, Behind: barsUntil}",
		"global_market":   "&GlobalMarket{Source: from.Markets}",
	} {
		t.Run(feature, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(string(code), line, "", 1)
			if changed == string(code) {
				t.Fatalf("jobs.go has no line %s", line)
			}
			s := serveWith(t, buildWith(t, map[string]string{source: changed}), t.TempDir(), "127.0.0.1:0", beforeOpening()...)
			err := allFeaturesArrive(connect(t, s).collect(8 * time.Second))
			if err == nil || !strings.Contains(err.Error(), "nothing came of "+feature) {
				t.Errorf("got %v, want that nothing came of %s", err, feature)
			}
		})
	}
}

// buildWith builds the binary with some files changed or added.
func buildWith(t *testing.T, files map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "thor")
	if out, err := exec.Command("go", "build", "-overlay", overlayOf(t, files), "-o", path, "thor/cmd/thor").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// overlayOf writes files, and the table that tells the compiler to take them.
func overlayOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	overlay := filepath.Join(dir, "overlay.json")
	write := func(name string, data []byte) {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replace := map[string]string{}
	for file, content := range files {
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		write(replace[file], []byte(content))
	}
	table, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	write(overlay, table)
	return overlay
}

// TestRESTAndWebSocketCarryTheSameBytes polls REST while it reads the
// WebSocket, and compares what has the same version.
func TestRESTAndWebSocketCarryTheSameBytes(t *testing.T) {
	t.Parallel()
	s := serve(t, beforeOpening()...)
	c := connect(t, s)
	type answer struct{ path, body, tag string }
	var answers []answer
	for range 40 {
		for _, path := range []string{
			"/api/account/balance?account_id=PAPER-1", "/api/account/balance/?account_id=PAPER-2",
			"/api/positions?account_id=PAPER-1", "/api/positions?account_id=PAPER-2",
			"/api/intraday/bars?symbol=CRYPTO.BTC-USD&limit=1", "/api/global-market",
		} {
			response, body, err := s.tryGet(path)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode == 404 && len(answers) < 12 {
				continue // the first beat is still on its way
			}
			answers = append(answers, answer{path, string(body), response.Header.Get("ETag")})
		}
		time.Sleep(200 * time.Millisecond)
	}
	byVersion := map[string]message{}
	state := map[thor.StreamID]map[string]string{} // what a client holds, by key
	holds := map[string]map[string]string{}        // the same, by version
	for _, m := range c.collect(2 * time.Second) {
		if m.Stream == "" {
			continue
		}
		byVersion[m.version()] = m
		if m.Stream == "global_market" {
			if state[m.Stream] == nil {
				state[m.Stream] = map[string]string{}
			}
			var status thor.MarketStatus
			if err := json.Unmarshal(m.Data, &status); err != nil {
				t.Fatal(err)
			}
			state[m.Stream][status.MarketID] = string(m.Data)
			holds[m.version()] = maps.Clone(state[m.Stream])
		}
	}
	compared := map[string]int{}
	for _, a := range answers {
		tag, _, _ := strings.Cut(strings.Trim(a.tag, `"`), ";")
		m, ok := byVersion[tag]
		if !ok {
			continue // before the client had connected
		}
		feature := m.Stream.Feature()
		want := string(m.Data)
		switch feature {
		case "intraday":
			want = `{"symbol":"CRYPTO.BTC-USD","bars":[` + want + `]}`
		case "global_market":
			if len(holds[tag]) < 11 {
				continue // within the snapshot
			}
			var markets []string
			for _, id := range slices.Sorted(maps.Keys(holds[tag])) {
				markets = append(markets, holds[tag][id])
			}
			want = `{"markets":[` + strings.Join(markets, ",") + `]}`
		}
		compared[feature]++
		if a.body != want {
			t.Errorf("%s at %s:\nREST      %s\nWebSocket %s", a.path, tag, a.body, want)
		}
	}
	for _, f := range thor.Features {
		if compared[f.Name] < 5 {
			t.Errorf("%d answers of %s could be compared, want at least 5", compared[f.Name], f.Name)
		}
	}
}

// TestAKillLosesAndRepeatsNothing follows everything across a kill -9.
func TestAKillLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := connect(t, s)
	type point struct {
		Epoch string `json:"epoch"`
		Seq   uint64 `json:"seq"`
	}
	resume := map[thor.StreamID]point{}
	before := map[string]string{} // data by version
	for _, m := range c.collect(6 * time.Second) {
		if m.Stream == "" {
			continue
		}
		if p := resume[m.Stream]; !m.Snapshot && p.Seq != 0 && m.Seq != p.Seq+1 {
			t.Errorf("%s: %d after %d", m.Stream, m.Seq, p.Seq)
		}
		resume[m.Stream] = point{m.Epoch, m.Seq}
		before[m.version()] = string(m.Data)
	}
	if len(resume) < 8 {
		t.Fatalf("only %d streams: %v", len(resume), resume)
	}
	// Go back a little, so that what was seen before the kill is sent again
	// from the store and can be compared.
	asked := map[thor.StreamID]point{}
	for id, p := range resume {
		p.Seq -= min(p.Seq, 2)
		asked[id] = p
	}
	s.kill()
	s = s.again()
	c = connect(t, s)
	if _, ok := c.until(5*time.Second, func(m message) bool { return m.Type == "hello" }); !ok {
		t.Fatal("no hello after the restart")
	}
	var ids []thor.StreamID
	for id := range asked {
		ids = append(ids, id)
	}
	c.say(t, map[string]any{"type": "subscribe", "id": "r", "streams": ids, "resume": asked})
	repeated, fresh := 0, 0
	next := map[thor.StreamID]uint64{}
	for id, p := range asked {
		next[id] = p.Seq + 1
	}
	for _, m := range c.collect(6 * time.Second) {
		switch {
		case m.Type == "subscribed":
			var told struct {
				Streams map[thor.StreamID]struct {
					Epoch     string
					Recovered bool
				}
			}
			if err := json.Unmarshal(m.Data, &told); err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				if got := told.Streams[id]; !got.Recovered || got.Epoch != asked[id].Epoch {
					t.Errorf("%s was not recovered: %+v", id, got)
				}
			}
		case m.Stream != "":
			if m.Seq != next[m.Stream] || m.Epoch != asked[m.Stream].Epoch || m.Snapshot {
				t.Fatalf("%s: seq %d of %s, want %d", m.Stream, m.Seq, m.Epoch, next[m.Stream])
			}
			next[m.Stream]++
			if data, ok := before[m.version()]; ok {
				repeated++
				if data != string(m.Data) {
					t.Errorf("%s changed over the restart:\nbefore %s\nafter  %s", m.version(), data, m.Data)
				}
			} else {
				fresh++
			}
		}
	}
	if repeated < len(ids) || fresh < 20 {
		t.Errorf("%d frames came again and %d are new; want at least %d and 20", repeated, fresh, len(ids))
	}
}

// TestStopping holds both ways to ask: Ctrl-C in a terminal, SIGTERM of a
// service manager.
func TestStopping(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			stopping(t, signal)
		})
	}
}

func stopping(t *testing.T, signal os.Signal) {
	t.Helper()
	s := serve(t)
	c := connect(t, s)
	if _, ok := c.until(5*time.Second, func(m message) bool { return m.Type == "hello" }); !ok {
		t.Fatal("no hello")
	}
	began := time.Now()
	if err := s.stop(signal, 5*time.Second); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	// What was on its way to this client may come behind the word.
	list := c.collect(time.Second)
	if !slices.ContainsFunc(list, func(m message) bool { return m.Type == "server_shutdown" }) {
		var types []string
		for _, m := range list {
			types = append(types, m.Type)
		}
		t.Errorf("the client was not told; it got %q", types)
	}
	if code := <-c.closed; code != 1012 {
		t.Errorf("closed with %d, want 1012", code)
	}
	again := s.again()
	if err := again.stop(signal, 5*time.Second); err != nil {
		t.Errorf("the second run ended with %v", err)
	}
}

// TestASecondSignalEndsItAtOnce asks again while the server waits for a client
// that does not answer its close.
func TestASecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t)
	conn, _, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/ws/")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it says nothing
	for range 2 {
		if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	began := time.Now()
	if err := s.wait(5 * time.Second); err == nil || !strings.Contains(err.Error(), "signal: interrupt") {
		t.Errorf("it ended with %v, want the signal", err)
	}
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("it took %v after the second signal", took)
	}
}

// TestStatusSaysWhatHappens holds the figures of status to what was done.
func TestStatusSaysWhatHappens(t *testing.T) {
	t.Parallel()
	s := serve(t)
	conn, _, _, err := ws.Dial(t.Context(), "ws"+strings.TrimPrefix(s.URL, "http")+"/ws") // without the slash
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it says nothing
	time.Sleep(3 * time.Second)
	for range 3 {
		s.get("/api/positions?account_id=PAPER-1")
	}
	_, body := s.get("/api/status")
	var status struct {
		Clients  int
		Features []struct {
			Feature  string
			Last     *int64 `json:"last_ms"`
			Messages int64  `json:"messages_per_minute"`
			REST     int64  `json:"rest_per_minute"`
		}
		Jobs []struct {
			Job      string
			Runs     int64
			Duration float64 `json:"duration_ms"`
		}
	}
	if err := json.Unmarshal(body, &status); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	positions := status.Features[1]
	if status.Clients != 1 || positions.REST != 3 || positions.Messages < 4 || positions.Last == nil || *positions.Last > 2500 {
		t.Errorf("status %s", body)
	}
	for _, j := range status.Jobs {
		if j.Job == "positions" && (j.Runs < 3 || j.Duration <= 0) {
			t.Errorf("job %+v", j)
		}
	}
	if response, body := s.get("/ws"); response.StatusCode != 426 || !strings.Contains(string(body), "is the WebSocket") {
		t.Errorf("a request that does not upgrade: %d %s", response.StatusCode, body)
	}
}
