//go:build e2e

package e2e

import (
	"bytes"
	"context"
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

// guideBlock returns the block of the guide that has a mark.
func guideBlock(t *testing.T, mark string) string {
	t.Helper()
	for _, b := range readPage(t, guide).blocks {
		if b.mark == mark {
			return b.text
		}
	}
	t.Fatalf("the guide has no block with the mark %q", mark)
	return ""
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
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute) // no job takes as long
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", "-B", file)
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
	s.python("import sys; sys.modules['__main__'].__name__ = 'job'\n" + guideBlock(t, "file: bars_job.py") + bars + "IntradayBarsJob().execute()\n")
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
	// The other features come from the server's own jobs, and nobody else may publish
	// them. Who tries does not lose what is theirs.
	answer := s.python(`
import thor_ws
print(thor_ws.broadcast_to_websocket_sync(None, thor_ws.build_account_balance_message({"account_id": "PAPER-1", "cash": 1})))
print(thor_ws.broadcast_to_websocket_sync(None, thor_ws.build_intraday_bar_message(
    {"future": "YM", "timestamp_minute": "2026-11-23T15:03:00", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1})))
while thor_ws.stats()["waiting"] > 1:
    thor_ws.flush(0.1)
print(thor_ws.flush(0.1), thor_ws.stats())
`)
	if want := "True\nTrue\nFalse {'queued': 2, 'sent': 1, 'replaced': 0, 'dropped': 0, 'refused': 0, 'waiting': 1}\n"; answer != want {
		t.Errorf("a message for a feature of the server's own, and one for another: got %q, want %q", answer, want)
	}
	if _, ok := c.until(10*time.Second, func(m message) bool { return m.Stream == "intraday:FUT.YM" && m.Seq == 4 }); !ok {
		t.Error("the bar does not come")
	}
	_, body := s.get("/api/account/balance?account_id=PAPER-1")
	if !strings.Contains(string(body), `"source":"sim"`) {
		t.Errorf("the balance is %s", body)
	}
}

func TestTheGuidesCurl(t *testing.T) {
	t.Parallel()
	s := serve(t, "--source", "none")
	out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(guideBlock(t, "run: curl"), "localhost:8000", s.addr)).CombinedOutput()
	if err != nil || string(out) != `{"accepted":1,"stream":"intraday:FUT.ES","seq":1}` {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAPythonJobIsNeverHeldUp runs a job with the server up, hanging, and gone.
// A call that waited for the server would take an hour, as the client is set up
// here, and the job has a minute. What the job's own thread computes is the same
// too: the least of many rounds, for the machine is shared.
func TestAPythonJobIsNeverHeldUp(t *testing.T) {
	t.Parallel()
	s := serve(t, "--source", "none")
	const job = `
import logging, os, signal, time, thor_ws
logging.disable(logging.CRITICAL)
signal.alarm(60)
thor_ws._sender.CONNECT = thor_ws._sender.ANSWER = 3600
def calls(first):
    begun = time.thread_time()
    for i in range(first, first + 200):
        if thor_ws.WebSocketFeatureFlags().is_intraday_enabled():
            thor_ws.broadcast_to_websocket_sync(None, thor_ws.build_intraday_bar_message(
                {"symbol": "EQ.S%d" % (i % 50), "timestamp_minute": 1795447800 + 60 * (i // 50), "open": 1, "high": 1, "low": 1, "close": 1, "volume": i}))
    return time.thread_time() - begun
calls(0)
begun = time.perf_counter()
least = min(calls(i * 200) for i in range(1, 26))
print(least, time.perf_counter() - begun, thor_ws.stats()["queued"], flush=True)
os._exit(0)  # what is still queued is not the job's time
`
	run := func() (computed, passed float64) {
		var queued int
		if _, err := fmt.Sscan(s.python(job), &computed, &passed, &queued); err != nil || queued != 5200 {
			t.Fatalf("%d messages queued, %v", queued, err)
		}
		return computed, passed
	}
	up, upPassed := run()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	hanging, hangingPassed := run()
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.kill()
	gone, gonePassed := run()
	t.Logf("200 calls compute for %.1f ms with the server up, %.1f hanging, %.1f gone; 5,000 take %.2f, %.2f and %.2f s",
		up*1e3, hanging*1e3, gone*1e3, upPassed, hangingPassed, gonePassed)
	if hanging > 2*up || gone > 2*up {
		t.Errorf("the job computes for %.1f ms with the server up, %.1f with it hanging, %.1f with it gone", up*1e3, hanging*1e3, gone*1e3)
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
