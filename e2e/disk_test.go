//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// onDisk runs the server in a mount namespace of its own, after the given
// commands have prepared the data directory $DATA.
func onDisk(t *testing.T, prepare string, args ...string) *exec.Cmd {
	t.Helper()
	script := "set -e\n" + prepare + "\nexec " + binary + ` serve --addr 127.0.0.1:0 --data "$DATA" ` + strings.Join(args, " ")
	cmd := exec.Command("unshare", "--map-root-user", "--mount", "sh", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "DATA="+t.TempDir())
	return cmd
}

// TestAFullDisk lets the disk fill up under a running server, and then gives it
// room again.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	ballast := filepath.Join(t.TempDir(), "go")
	if err := os.WriteFile(ballast, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The ballast takes what the store leaves, after the first seconds; it goes
	// when the file that is watched goes.
	prepare := `
mount -t tmpfs -o size=12m tmpfs "$DATA"
( sleep 4; dd if=/dev/zero of="$DATA/ballast" bs=4k 2>/dev/null || true
  while [ -e ` + ballast + ` ]; do sleep 0.1; done; rm "$DATA/ballast" ) &`
	s := serveCommand(t, onDisk(t, prepare))
	stored := func() int64 {
		var status struct{ Pipeline struct{ Stored int64 } }
		_, body := s.get("/api/status")
		if err := json.Unmarshal(body, &status); err != nil {
			t.Fatal(err)
		}
		return status.Pipeline.Stored
	}
	waitFor(t, 30*time.Second, "the full disk to be reported", func() bool {
		response, body := s.get("/readyz")
		return response.StatusCode == 503 && strings.Contains(string(body), "is full")
	})
	if out, code := s.thor("status"); code != 0 || !strings.Contains(out, "Free some space") {
		t.Errorf("status: %d\n%s", code, out)
	}
	if response, body := s.get("/api/account/balance?account_id=PAPER-1"); response.StatusCode != 200 {
		t.Errorf("REST on a full disk: %d %s", response.StatusCode, body)
	}
	before := stored()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 60*time.Second, "the server to go on by itself", func() bool {
		response, _ := s.get("/readyz")
		return response.StatusCode == 200 && stored() > before
	})
}

func TestADiskThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, prepare, want string }{
		{"read-only", `mount -t tmpfs -o size=1m,ro tmpfs "$DATA"`, "cannot be written"},
		{"full from the beginning", `mount -t tmpfs -o size=64k tmpfs "$DATA"; dd if=/dev/zero of="$DATA/ballast" bs=4k 2>/dev/null || true`, "is full"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, err := onDisk(t, tt.prepare).CombinedOutput()
			if err == nil {
				t.Fatalf("it started:\n%s", out)
			}
			text := strings.TrimSpace(string(out))
			if !strings.HasPrefix(text, "thor: ") || !strings.Contains(text, tt.want) || !strings.Contains(text, "--data") || strings.Contains(text, "\n") {
				t.Errorf("said %q, want one line that says %q and what to do", text, tt.want)
			}
		})
	}
}

func waitFor(t *testing.T, within time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", within, what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
