//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// guideBlock returns a code block of the guide that a comment marks.
func guideBlock(t *testing.T, name string) string {
	t.Helper()
	guide, err := os.ReadFile("../docs/integration-guide.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- run: " + name + " -->\n```\\w+\n(.*?)```").FindSubmatch(guide)
	if m == nil {
		t.Fatalf("the guide has no block %q", name)
	}
	return string(m[1])
}

// python runs a script beside thor_ws.py against the server and returns what it
// printed.
func (s *server) python(script string, env ...string) string {
	s.t.Helper()
	client, err := filepath.Abs("../clients/python")
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.t.TempDir(), "job.py")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), "python3", "-B", file)
	cmd.Env = append(append(os.Environ(), "PYTHONPATH="+client, "THOR_URL="+s.URL), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%v\n%s%s", err, out, stderr.String())
	}
	return string(out)
}

const bars = `
def fetch(self):
    return [{"future": "YM", "country": "USA", "timestamp_minute": "2026-11-23T15:%02d:00" % i, "open_1m": 1, "high_1m": "2.5",
             "low_1m": 1, "close_1m": 1.5, "volume_1m": 3 + i, "vwap": None} for i in range(3)]

IntradayBarsJob.fetch_and_store_intraday_bars = fetch
`

// TestTheGuidesPythonJob runs the job of the guide and looks whether a client
// that only connects and reads gets its bars.
func TestTheGuidesPythonJob(t *testing.T) {
	t.Parallel()
	s := serve(t, "--outside", "intraday")
	c := connect(t, s)
	s.python(guideBlock(t, "python") + bars + "IntradayBarsJob().execute()\n")
	list, ok := c.until(10*time.Second, func(m message) bool { return m.Stream == "intraday:FUT.YM" && m.Seq == 3 })
	if !ok {
		t.Fatalf("no third bar among %d messages", len(list))
	}
	want := `{"symbol":"FUT.YM","display":"YM","country":"USA","timestamp_minute":"2026-11-23T15:02:00Z","open":1.0000,"high":2.5000,"low":1.0000,"close":1.5000,"volume":5.0000,"vwap":null,"final":true,"timestamp":"2026-11-23T15:03:00Z"}`
	if got := string(list[len(list)-1].Data); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	out, _ := s.thor("status")
	if !regexp.MustCompile(`(?m)^job intraday outside, by local operator: 3 messages, the last \S+ s ago$`).MatchString(out) {
		t.Errorf("status:\n%s", out)
	}
	// The other features come from the server's own jobs, and nobody else may publish them.
	answer := s.python(`
import thor_ws
print(thor_ws.broadcast_to_websocket_sync(None, thor_ws.build_account_balance_message({"account_id": "PAPER-1", "cash": 1})))
print(thor_ws.flush(2))
`)
	if answer != "True\nFalse\n" {
		t.Errorf("a message for a feature of the server's own: %q", answer)
	}
	_, body := s.get("/api/account/balance?account_id=PAPER-1")
	if !strings.Contains(string(body), `"source":"sim"`) {
		t.Errorf("the balance is %s", body)
	}
}

func TestTheGuidesCurl(t *testing.T) {
	t.Parallel()
	s := serve(t, "--source", "none")
	out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(guideBlock(t, "curl"), "localhost:8000", s.addr)).CombinedOutput()
	if err != nil || string(out) != `{"accepted":1,"stream":"intraday:FUT.ES","seq":1}` {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAPythonJobIsNeverHeldUp measures the job's own time: with the server up,
// hanging, and gone.
func TestAPythonJobIsNeverHeldUp(t *testing.T) {
	t.Parallel()
	s := serve(t, "--source", "none")
	const job = `
import json, logging, os, time, thor_ws
logging.disable(logging.CRITICAL)
calls, begun, longest = 5000, time.perf_counter(), 0
for i in range(calls):
    call = time.perf_counter()
    thor_ws.WebSocketFeatureFlags().is_intraday_enabled()
    thor_ws.broadcast_to_websocket_sync(None, thor_ws.build_intraday_bar_message(
        {"symbol": "EQ.S%d" % (i % 50), "timestamp_minute": 1795447800 + 60 * (i // 50), "open": 1, "high": 1, "low": 1, "close": 1, "volume": i}))
    longest = max(longest, time.perf_counter() - call)
print(json.dumps({"seconds": time.perf_counter() - begun, "longest": longest}), flush=True)
os._exit(0)  # what is still queued is not the job's time
`
	run := func() (seconds, longest float64) {
		var out struct{ Seconds, Longest float64 }
		if err := json.Unmarshal([]byte(s.python(job)), &out); err != nil {
			t.Fatal(err)
		}
		return out.Seconds, out.Longest
	}
	up, upLongest := run()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	hanging, hangingLongest := run()
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.kill()
	gone, goneLongest := run()
	t.Logf("5,000 calls: up %.2f s (longest %.4f), hanging %.2f s (%.4f), gone %.2f s (%.4f)", up, upLongest, hanging, hangingLongest, gone, goneLongest)
	// Waiting for the network even once would take seconds: the client's timeout is five.
	for what, longest := range map[string]float64{"hanging": hangingLongest, "gone": goneLongest} {
		if longest > upLongest+1 {
			t.Errorf("with the server %s one call took %.2f s, with it up the longest took %.4f s", what, longest, upLongest)
		}
	}
	for what, seconds := range map[string]float64{"hanging": hanging, "gone": gone} {
		if seconds > 2*up+1 {
			t.Errorf("with the server %s the job took %.2f s, with it up %.2f s", what, seconds, up)
		}
	}
}

// TestWhatAPythonJobSaidWhileTheServerWasAwayArrives kills the server under a
// job that goes on, and starts it again.
func TestWhatAPythonJobSaidWhileTheServerWasAwayArrives(t *testing.T) {
	t.Parallel()
	s := serve(t, "--source", "none")
	s.kill()
	queued := filepath.Join(t.TempDir(), "queued")
	done := make(chan string, 1)
	go func() {
		done <- s.python(`
import logging, os, thor_ws, time
logging.disable(logging.CRITICAL)
for i in range(100):
    thor_ws.broadcast_to_websocket_sync(None, thor_ws.build_account_balance_message({"account_id": "A-1", "cash": i, "updated_at": 1795447800 + i}))
open(os.environ["QUEUED"], "w").close()
until = time.monotonic() + 60
while not thor_ws.flush(1) and time.monotonic() < until:
    pass
print(thor_ws.stats())
`, "QUEUED="+queued)
	}()
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if _, err := os.Stat(queued); err == nil {
			break
		}
	}
	s = s.again("--source", "none")
	if got, want := <-done, fmt.Sprintln("{'queued': 100, 'sent': 1, 'replaced': 99, 'dropped': 0, 'refused': 0, 'waiting': 0}"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, body := s.get("/api/account/balance"); !strings.Contains(string(body), `"cash":99.00`) {
		t.Errorf("the balance is %s", body)
	}
}
