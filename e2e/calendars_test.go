//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"thor"
	"thor/internal/api"
)

// newYork asks REST what New York does.
func (s *server) newYork() (thor.MarketStatus, string) {
	s.t.Helper()
	_, body := s.get("/api/global-market")
	var answer struct{ Markets []json.RawMessage }
	if err := json.Unmarshal(body, &answer); err != nil {
		s.t.Fatalf("%s: %v", body, err)
	}
	for _, raw := range answer.Markets {
		var m thor.MarketStatus
		if err := json.Unmarshal(raw, &m); err != nil {
			s.t.Fatal(err)
		}
		if m.MarketID == "XNYS" {
			return m, string(raw)
		}
	}
	s.t.Fatalf("New York is not in %s", body)
	return thor.MarketStatus{}, ""
}

func (s *server) calendars() api.CalendarStatus {
	s.t.Helper()
	_, body := s.get("/api/status")
	var status api.Status
	if err := json.Unmarshal(body, &status); err != nil {
		s.t.Fatal(err)
	}
	return status.Calendars
}

// TestAHaltIsToldWithoutARestart writes down a halt while New York trades. It
// comes over WebSocket and REST alike, and a file that breaks afterwards, or a
// folder that vanishes, does not lift it.
func TestAHaltIsToldWithoutARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "calendars")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "halt.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, "--calendars", dir, "--sim-start", "2026-11-24T15:00:00Z")
	eventually(t, "New York trades", func() bool {
		response, _ := s.get("/api/global-market")
		if response.StatusCode != http.StatusOK {
			return false
		}
		m, _ := s.newYork()
		return m.Trading
	})
	c := connect(t, s)

	const halt = `{"amends": "XNYS", "early": {"2026-11-24": {"close": "09:55", "name": "Halt"}}}`
	write(halt)
	written := time.Now()
	var pushed message
	for pushed.Type == "" {
		select {
		case m, open := <-c.messages:
			var status thor.MarketStatus
			if !open {
				t.Fatal("the connection ended")
			}
			if m.Type == "market_status" && json.Unmarshal(m.Data, &status) == nil && status.MarketID == "XNYS" && !status.Trading {
				pushed = m
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the halt does not come")
		}
	}
	t.Logf("the halt came after %v", pushed.came.Sub(written).Round(10*time.Millisecond))
	m, raw := s.newYork()
	if raw != string(pushed.Data) || m.Status != thor.MarketPost {
		t.Errorf("REST says\n%s\nand WebSocket\n%s", raw, pushed.Data)
	}
	if got := s.calendars(); got.Folder != dir || len(got.Files) != 1 || got.Files[0] != "halt.json" || got.Trouble != "" {
		t.Errorf("status %+v", got)
	}

	write(halt[:40])
	eventually(t, "the status says what is wrong", func() bool {
		return strings.Contains(s.calendars().Trouble, "halt.json:1: ")
	})
	away := dir + ".away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the status says that the folder is away", func() bool {
		return strings.Contains(s.calendars().Trouble, "the folder of calendars cannot be read")
	})
	if m, _ := s.newYork(); m.Trading {
		t.Error("a folder in trouble has lifted the halt")
	}
	if response, body := s.get("/readyz"); response.StatusCode != http.StatusOK {
		t.Errorf("the server works with the calendar in force, and is not ready: %s", body)
	}
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "halt.json")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "New York trades again", func() bool {
		m, _ := s.newYork()
		return m.Trading && s.calendars().Trouble == ""
	})
	for _, want := range []string{"level=ERROR", "halt.json:1: ", "cannot be read"} {
		if n := strings.Count(s.said(), want); n == 0 || want != "level=ERROR" && n != 1 {
			t.Errorf("%q is in the log %d times", want, n)
		}
	}
}
