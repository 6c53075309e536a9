//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stageNews is what a client gets about stages and streams.
type stageNews struct {
	Type string
	Seq  uint64
	Data struct {
		Feature, Stage string
		Rev            uint64
		Forced         *bool
		Stream, Reason string
		Features       map[string]struct {
			Stage  string
			Forced bool
		}
		Streams map[string]any
	}
}

// until reads messages until one is what is looked for.
func until(t *testing.T, c *plainClient, within time.Duration, what string, is func(stageNews) bool) stageNews {
	t.Helper()
	var found stageNews
	_, ok := c.until(within, func(m message) bool {
		news := stageNews{Type: m.Type, Seq: m.Seq}
		_ = json.Unmarshal(m.Data, &news.Data) // of other messages some of it may not fit
		found = news
		return is(news)
	})
	if !ok {
		t.Fatalf("waited %v for %s", within, what)
	}
	return found
}

func forcedTo(stage string, forced bool) func(stageNews) bool {
	return func(m stageNews) bool {
		return m.Type == "cutover" && m.Seq == 0 && m.Data.Feature == "positions" && m.Data.Stage == stage && m.Data.Forced != nil && *m.Data.Forced == forced
	}
}

// TestTheForceFile is break-glass on the built binary: within a second of the
// file's change every client has it, on both channels.
func TestTheForceFile(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, stage := range []string{"canary", "live", "rampdown", "complete"} {
		s.must("cutover", "promote", "positions", "--to", stage)
	}
	if response, _ := s.get("/api/positions?account_id=PAPER-1"); response.StatusCode != 410 {
		t.Errorf("complete: %d", response.StatusCode)
	}
	file := filepath.Join(s.data, "force")
	there := connect(t, s)
	until(t, there, 10*time.Second, "hello", func(m stageNews) bool { return m.Type == "hello" })

	if err := os.WriteFile(file, []byte("# it is wrong\npositions:shadow, x:off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if m := until(t, there, 5*time.Second, "the force", forcedTo("shadow", true)); m.Data.Rev != 5 {
		t.Errorf("the force has revision %d, want the stored one, 5", m.Data.Rev)
	}
	if took := time.Since(began); took > time.Second {
		t.Logf("the force took %v on this machine", took)
	}
	who := connect(t, s)
	hello := until(t, who, 10*time.Second, "hello", func(m stageNews) bool { return m.Type == "hello" }).Data.Features["positions"]
	if hello.Stage != "shadow" || !hello.Forced {
		t.Errorf("hello says %+v", hello)
	}
	until(t, who, 10*time.Second, "the force", forcedTo("shadow", true))
	waitFor(t, 20*time.Second, "REST to serve what was retired", func() bool {
		response, _ := s.get("/api/positions?account_id=PAPER-1")
		return response.StatusCode == 200
	})
	response, _ := s.get("/api/positions?account_id=PAPER-1")
	if got := response.Header.Get("Cutover"); got != "stage=shadow, data_source=rest, rev=5, forced" {
		t.Errorf("Cutover: %s", got)
	}
	for command, want := range map[string]string{
		"status":  `positions        shadow, forced: the file force`,
		"cutover": `shadow (stored: complete), forced: the file force`,
	} {
		if out, code := s.thor(command); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: %d, want %q in\n%s", command, code, want, out)
		}
	}
	if out, _ := s.thor("status"); !strings.Contains(out, `line 2: there is no feature "x"`) {
		t.Errorf("status says nothing of the fault:\n%s", out)
	}
	if n := strings.Count(s.said(), `there is no feature`); n != 1 {
		t.Errorf("the fault was logged %d times, want once", n)
	}
	if _, body := s.get("/metrics"); !strings.Contains(string(body), `cutover_forced{feature="positions"} 1`) || !strings.Contains(string(body), `cutover_stage{feature="positions",stage="shadow"} 1`) {
		t.Error("the metrics do not say that positions is forced")
	}

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*plainClient{there, who} {
		until(t, c, 5*time.Second, "the end of the force", forcedTo("complete", false))
	}
	response, _ = s.get("/api/positions?account_id=PAPER-1")
	if got := response.Header.Get("Cutover"); got != "stage=complete, data_source=ws, rev=5" {
		t.Errorf("Cutover at the end: %s", got)
	}
}

// TestOffAndBack stops publishing and begins again: streams end and come back,
// and no number is given twice.
func TestOffAndBack(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := connect(t, s) // follows the default
	before := until(t, c, 20*time.Second, "positions", func(m stageNews) bool { return m.Type == "positions" && m.Seq > 2 })
	s.must("cutover", "rollback", "positions", "--to", "off", "--reason", "a pause")
	reset := until(t, c, 5*time.Second, "the reset", func(m stageNews) bool { return m.Type == "reset" })
	if reset.Data.Stream != "positions:PAPER-1" || reset.Data.Reason != "off" {
		t.Errorf("reset %+v", reset.Data)
	}
	late := connect(t, s)
	hello := until(t, late, 10*time.Second, "hello", func(m stageNews) bool { return m.Type == "hello" })
	if _, named := hello.Data.Streams["positions:PAPER-1"]; named || len(hello.Data.Streams) == 0 {
		t.Errorf("hello names %v", hello.Data.Streams)
	}
	// Jobs read and store all the same: the version that REST serves goes on.
	tag := func() string {
		response, _ := s.get("/api/positions?account_id=PAPER-1")
		return response.Header.Get("ETag")
	}
	for range 2 {
		last := tag()
		waitFor(t, 20*time.Second, "positions to be stored while off", func() bool { return tag() != last })
	}
	s.must("cutover", "promote", "positions")
	for _, client := range []*plainClient{c, late} {
		after := until(t, client, 10*time.Second, "positions again", func(m stageNews) bool { return m.Type == "positions" })
		if after.Seq <= before.Seq+1 {
			t.Errorf("positions go on with %d behind %d: a number was given twice, or nothing was stored", after.Seq, before.Seq)
		}
		again := until(t, client, 10*time.Second, "the next", func(m stageNews) bool { return m.Type == "positions" && m.Seq > after.Seq })
		if again.Seq != after.Seq+1 {
			t.Errorf("%d follows %d", again.Seq, after.Seq)
		}
	}
}

// must runs a command that has to work.
func (s *server) must(args ...string) string {
	s.t.Helper()
	out, code := s.thor(args...)
	if code != 0 {
		s.t.Fatalf("thor %s: %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}
