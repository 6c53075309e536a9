//go:build e2e

package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"thor"
)

// record runs thor record, and returns what it printed and its exit code.
func record(t *testing.T, file string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"record", file}, args...)...)
	cmd.Dir = filepath.Dir(file)
	said, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(said), cmd.ProcessState.ExitCode()
}

// replayed waits for the end of a replay.
func (s *server) replayed() {
	s.t.Helper()
	eventually(s.t, "the end of the replay", func() bool {
		_, body := s.get("/api/status")
		return strings.Contains(string(body), `"over":true`)
	})
}

// everything returns what was sent on every stream from its first event on, by
// the numbers of the events.
func (s *server) everything() map[thor.StreamID][]string {
	s.t.Helper()
	c := connect(s.t, s)
	list, ok := c.until(20*time.Second, func(m message) bool { return m.Type == "hello" })
	if !ok {
		s.t.Fatal("no hello")
	}
	var hello struct{ Streams map[thor.StreamID]any }
	if err := json.Unmarshal(list[len(list)-1].Data, &hello); err != nil {
		s.t.Fatal(err)
	}
	delete(hello.Streams, thor.CutoverStream) // steps are of now
	c.say(s.t, map[string]any{"type": "subscribe", "streams": slices.Collect(maps.Keys(hello.Streams))})
	list, ok = c.until(20*time.Second, func(m message) bool { return m.Type == "subscribed" })
	if !ok {
		s.t.Fatal("no answer to subscribe")
	}
	var heads struct {
		Streams map[thor.StreamID]thor.Version
	}
	if err := json.Unmarshal(list[len(list)-1].Data, &heads); err != nil {
		s.t.Fatal(err)
	}
	all := map[thor.StreamID][]string{}
	for id, head := range heads.Streams { // one after the other: an answer to many may be too much at once
		c := connect(s.t, s)
		c.say(s.t, map[string]any{
			"type": "subscribe", "streams": []thor.StreamID{id},
			"resume": map[thor.StreamID]any{id: map[string]any{"epoch": head.Epoch, "seq": 0}},
		})
		list, ok := c.until(20*time.Second, func(m message) bool { return m.Stream == id && m.Seq == head.Seq })
		if !ok {
			s.t.Fatalf("%s does not arrive at %d", id, head.Seq)
		}
		for _, m := range list {
			if m.Stream == id {
				all[id] = append(all[id], fmt.Sprintf("%d %s", m.Seq, m.Data))
			}
		}
	}
	return all
}

// TestARecordingIsPlayedTheSameAtTwoSpeeds records the simulator around an
// opening and compares all bytes that two servers send of it.
func TestARecordingIsPlayedTheSameAtTwoSpeeds(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "day.thor")
	if out, code := record(t, file, "--sim-start", "2026-11-23T14:27:00Z", "--sim-speed", "60", "--for", "6m"); code != 0 || !strings.Contains(out, "accounts: 2: ACCT-") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	sent := map[string]map[thor.StreamID][]string{}
	for _, speed := range []string{"45", "3600"} {
		s := serve(t, "--replay", file, "--speed", speed)
		s.replayed()
		sent[speed] = s.everything()
	}
	slow, fast := sent["45"], sent["3600"]
	if len(slow) < 15 || len(slow) != len(fast) {
		t.Errorf("%d streams at one speed, %d at the other", len(slow), len(fast))
	}
	events := 0
	for id, list := range slow {
		events += len(list)
		if !slices.Equal(list, fast[id]) {
			t.Errorf("%s: %d events at one speed, %d at the other, and not the same", id, len(list), len(fast[id]))
		}
		for i, e := range list {
			if !strings.HasPrefix(e, fmt.Sprintf("%d ", i+1)) {
				t.Errorf("%s: event %d is %.40s", id, i+1, e)
				break
			}
		}
	}
	if events < 500 {
		t.Errorf("%d events", events)
	}
}

// TestARecordingThatWasKilled kills thor record, and plays what it has left.
func TestARecordingThatWasKilled(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "day.thor")
	cmd := exec.Command(binary, "record", file, "--sim-speed", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a recording of some size", func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() > 20_000
	})
	_ = cmd.Process.Kill() // it is running
	_ = cmd.Wait()         // and did not end well
	out, err := exec.Command(binary, "serve", "--addr", "127.0.0.1:0", "--replay", file).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "day.thor: line ") || !strings.Contains(string(out), "was cut. Lines 1 to ") {
		t.Errorf("a cut recording is played: %v\n%s", err, out)
	}
	s := serve(t, "--replay", file, "--speed", "3600", "--replay-cut")
	s.replayed()
	if _, body := s.get("/api/global-market"); !strings.Contains(string(body), "XNYS") {
		t.Errorf("the last values: %s", body)
	}
	if out, code := s.thor("status"); code != 0 || !strings.Contains(out, "the recording is over, at ") {
		t.Errorf("status: %d\n%s", code, out)
	}
}

// TestARecordingThatIsInterrupted ends one as people do.
func TestARecordingThatIsInterrupted(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // there is no signal to ask with
	}
	file := filepath.Join(t.TempDir(), "day.thor")
	cmd := exec.Command(binary, "record", file, "--sim-speed", "60")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a recording of some size", func() bool {
		info, err := os.Stat(file)
		return err == nil && info.Size() > 20_000
	})
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "answers:  ") {
		t.Errorf("it ended with %v and said\n%s", err, out.String())
	}
	text := uncompressed(t, file)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var end struct{ K string }
	if err := json.Unmarshal(lines[len(lines)-1], &end); err != nil || end.K != "end" {
		t.Errorf("the last line is %.100s, %v", lines[len(lines)-1], err)
	}
	if bytes.Contains(bytes.ToUpper(text), []byte("PAPER")) {
		t.Error("an account is in it")
	}
}

func uncompressed(t *testing.T, file string) []byte {
	t.Helper()
	zipped, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
