//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"thor"
)

// TestAJobThatHangs builds a server with a job that never returns: it is shown,
// the others do not notice, and the server stops all the same.
func TestAJobThatHangs(t *testing.T) {
	t.Parallel()
	source, err := filepath.Abs("../jobs/intraday.go")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	begin := "func (j *Intraday) Execute(ctx context.Context, out thor.Broadcaster) error {\n"
	changed := strings.Replace(string(code), begin, begin+"\tif true {\n\t\tselect {}\n\t}\n", 1)
	if changed == string(code) {
		t.Fatalf("intraday.go has no line %s", begin)
	}
	s := serveWith(t, buildWith(t, map[string]string{source: changed}), t.TempDir(), "127.0.0.1:0")
	c := connect(t, s)
	const trouble = "job intraday has run for"
	eventually(t, "the job to be shown", func() bool {
		response, body := s.get("/readyz")
		return response.StatusCode == 503 && strings.Contains(string(body), trouble)
	})
	if out, _ := s.thor("status"); !strings.Contains(out, "does not stop at its deadline of 5s") {
		t.Errorf("status:\n%s", out)
	}
	last := map[thor.StreamID]message{}
	for _, m := range c.collect(3 * time.Second) {
		last[m.Stream] = m
	}
	for _, id := range []thor.StreamID{"positions:PAPER-1", "account_balance:PAPER-2"} {
		if age := time.Since(last[id].came); age > 3*time.Second {
			t.Errorf("%s is %v old", id, age)
		}
	}
	if err := s.stop(syscall.SIGTERM, 15*time.Second); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("it ended with %v", err)
	}
	if !strings.Contains(s.said(), "these jobs did not stop within 5s: intraday") {
		t.Errorf("it does not name the job:\n%s", s.said())
	}
}
