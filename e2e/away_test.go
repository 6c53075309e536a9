//go:build e2e && linux

package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // another program's look at the database
)

// toLive brings positions to live.
func (s *server) toLive() {
	s.t.Helper()
	s.must("cutover", "promote", "positions")
	s.must("cutover", "promote", "positions", "--to", "live")
	waitFor(s.t, 20*time.Second, "positions", func() bool {
		response, _ := s.get("/api/positions?account_id=PAPER-1")
		return response.StatusCode == http.StatusOK
	})
}

// rollbackWithoutAStore rolls positions back while the store is away, and checks
// that every client has it and nobody is told that it is stored.
func (s *server) rollbackWithoutAStore(c *plainClient) {
	s.t.Helper()
	began := time.Now()
	out, code := s.thor("cutover", "rollback", "positions", "--reason", "at night")
	if code != 0 || !strings.Contains(out, "positions: live → shadow, in effect on this server") ||
		!strings.Contains(out, "warning: it is not stored: ") || !strings.Contains(out, "THOR_FORCE=positions:shadow") {
		s.t.Errorf("rollback: %d after %v\n%s", code, time.Since(began), out)
	}
	until(s.t, c, 10*time.Second, "the rollback", forcedTo("shadow", true))
	response, _ := s.get("/api/positions?account_id=PAPER-1")
	if got := response.Header.Get("Cutover"); response.StatusCode != http.StatusOK || !strings.HasPrefix(got, "stage=shadow, data_source=rest, rev=3, forced") {
		s.t.Errorf("REST: %d, Cutover: %s", response.StatusCode, got)
	}
	if response, body := s.get("/readyz"); response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "not stored") {
		s.t.Errorf("ready: %d %s", response.StatusCode, body)
	}
	if out, code := s.thor("status"); code != 0 || !strings.Contains(out, "shadow, forced: a rollback by local operator") || !strings.Contains(out, "in effect on this server and not stored") {
		s.t.Errorf("status: %d\n%s", code, out)
	}
	if out, code := s.thor("cutover", "freeze", "positions"); code != 0 || !strings.Contains(out, "frozen on this server") {
		s.t.Errorf("freeze: %d\n%s", code, out)
	}
}

// storedAtLast waits until the store has the rollback, and checks the record.
func (s *server) storedAtLast(c *plainClient) {
	s.t.Helper()
	until(s.t, c, 60*time.Second, "the stored rollback", func(m stageNews) bool {
		return m.Type == "cutover" && m.Seq > 0 && m.Data.Stage == "shadow" && m.Data.Rev == 4
	})
	waitFor(s.t, 30*time.Second, "the freeze to be stored", func() bool {
		response, _ := s.get("/api/positions?account_id=PAPER-1")
		return response.Header.Get("Cutover") == "stage=shadow, data_source=rest, rev=5"
	})
	out := s.must("cutover", "history", "positions")
	if !strings.Contains(out, "rollback  live    shadow  4") || !strings.Contains(out, "at night") || strings.Count(out, "rollback") != 1 {
		s.t.Errorf("history:\n%s", out)
	}
	s.must("audit")
}

// smallest is what /readyz says when even the words of one account find no room.
var smallest = regexp.MustCompile(`job account_balance has failed \d+ times.*job positions has failed \d+ times`)

// TestRollbackOnAFullDisk: a disk that is full holds nobody back.
func TestRollbackOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill, keep := filepath.Join(dir, "fill"), filepath.Join(dir, "keep")
	if err := os.WriteFile(keep, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveCommand(t, onDisk(t, fmt.Sprintf(`
mount -t tmpfs -o size=12m tmpfs "$DATA"
( while [ ! -e %s ]; do sleep 0.1; done; dd if=/dev/zero of="$DATA/ballast" bs=4k 2>/dev/null || true
  while [ -e %s ]; do sleep 0.1; done; rm "$DATA/ballast" ) &`, fill, keep)))
	s.toLive()
	c := connect(t, s)
	if err := os.WriteFile(fill, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The first that finds no room is a thousand bars at once; what is small fits
	// for another moment into the log they have made longer.
	waitFor(t, 30*time.Second, "the full disk", func() bool {
		_, body := s.get("/readyz")
		return smallest.Match(body) && strings.Contains(string(body), "is full")
	})
	s.rollbackWithoutAStore(c)
	if err := os.Remove(keep); err != nil {
		t.Fatal(err)
	}
	s.storedAtLast(c)
}

// TestRollbackOfALockedStore: another program holds the database's lock, so the
// store hangs; it lets go and the commit comes late.
func TestRollbackOfALockedStore(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.toLive()
	c := connect(t, s)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.data, "thor.db")+"?_txlock=immediate&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.rollbackWithoutAStore(c)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	s.storedAtLast(c)
}

// TestARollbackThatIsNotStoredIsLostWithTheProcess: as the answer says. What it
// names brings the stage back at the next start.
func TestARollbackThatIsNotStoredIsLostWithTheProcess(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.toLive()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.data, "thor.db")+"?_txlock=immediate&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // a test
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.rollbackWithoutAStore(connect(t, s))
	s.kill()
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	stage := func(s *server) (state struct{ Stage, Effective string }) {
		_, body := s.get("/api/features/positions")
		if err := json.Unmarshal(body, &state); err != nil {
			t.Fatal(err)
		}
		return state
	}
	again := s.again()
	if got := stage(again); got.Stage != "live" || got.Effective != "live" {
		t.Errorf("after the restart %+v", got)
	}
	again.kill()
	if err := os.WriteFile(filepath.Join(s.data, "force"), []byte("positions:shadow\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	forced := s.again()
	if got := stage(forced); got.Stage != "live" || got.Effective != "shadow" {
		t.Errorf("after the restart with a force %+v", got)
	}
}
