//go:build e2e

package e2e

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestInteropWS is the server as npm's ws sees it.
func TestInteropWS(t *testing.T) {
	t.Parallel()
	s := serve(t)
	cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=tap", "interop.mjs")
	cmd.Dir = "../web/e2e"
	cmd.Env = append(cmd.Environ(), "THOR_URL="+s.URL)
	out, err := cmd.CombinedOutput()
	if err != nil || !regexp.MustCompile(`(?m)^# pass 1[89]$|^# pass [2-9]\d$`).Match(out) {
		t.Errorf("%v (npm ci in web/ brings ws)\n%s", err, out)
	}
}

// curl runs curl against the server; what it returns ends with the body.
func (s *server) curl(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("curl", append([]string{"--silent", "--show-error", "--include", "--max-time", "10"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("curl %q: %v\n%s", args, err, out)
	}
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}

// TestInteropCurl is the server as curl sees it, which adds nothing and hides
// nothing.
func TestInteropCurl(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const balance = "/api/account/balance?account_id=PAPER-1"
	var first string
	eventually(t, "the balance answers", func() bool {
		first = s.curl(s.URL + balance)
		return strings.HasPrefix(first, "HTTP/1.1 200 OK\n")
	})
	if !strings.Contains(first, "\nCutover: stage=shadow, data_source=rest, rev=1\n") || !strings.Contains(first, "\n\n"+`{"account_id":"PAPER-1","currency":"USD","cash":`) {
		t.Errorf("the balance:\n%s", first)
	}

	t.Run("ETag and 304", func(t *testing.T) {
		t.Parallel()
		page := s.curl(s.URL + "/api/global-market")
		tag := regexp.MustCompile(`(?mi)^etag: (.*)$`).FindStringSubmatch(page)
		if tag == nil {
			t.Fatalf("no ETag:\n%s", page)
		}
		again := s.curl("--header", "If-None-Match: "+tag[1], s.URL+"/api/global-market")
		head, body, _ := strings.Cut(again, "\n\n")
		if !strings.HasPrefix(head, "HTTP/1.1 304 ") || !strings.Contains(head, tag[1]) || !strings.Contains(head, "Cutover: ") || body != "" {
			t.Errorf("again:\n%s", again)
		}
		if other := s.curl("--header", `If-None-Match: "other"`, s.URL+"/api/global-market"); !strings.HasPrefix(other, "HTTP/1.1 200 ") {
			t.Errorf("with another tag:\n%s", other)
		}
	})
	t.Run("HEAD has the headers and no body", func(t *testing.T) {
		t.Parallel()
		head := s.curl("--head", s.URL+"/api/global-market")
		if !strings.HasPrefix(head, "HTTP/1.1 200 OK\n") || !strings.Contains(strings.ToLower(head), "\netag: ") || !strings.HasSuffix(head, "\n\n") {
			t.Errorf("HEAD:\n%s", head)
		}
	})
	t.Run("with and without the slash at the end", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/api/accounts", "/api/accounts/", "/api/global-market/", "/api/account/balance/?account_id=PAPER-1"} {
			if answer := s.curl(s.URL + path); !strings.HasPrefix(answer, "HTTP/1.1 200 OK\n") {
				t.Errorf("%s:\n%s", path, answer)
			}
		}
	})
	t.Run("what is wrong is a problem", func(t *testing.T) {
		t.Parallel()
		for path, want := range map[string]struct{ status, kind string }{
			"/api/nothing":                           {"404", "not_found"},
			"/api/intraday/bars":                     {"422", "invalid"},
			"/api/account/balance?account_id=NOBODY": {"404", "not_found"},
			"/ws/":                                   {"426", "invalid"},
		} {
			head, body, _ := strings.Cut(s.curl(s.URL+path), "\n\n")
			var problem struct {
				Type, Title, Detail string
				Status              json.Number
			}
			if err := json.Unmarshal([]byte(body), &problem); err != nil {
				t.Errorf("%s: %v\n%s", path, err, body)
			}
			if !strings.HasPrefix(head, "HTTP/1.1 "+want.status+" ") || !strings.Contains(head, "\nContent-Type: application/problem+json") ||
				problem.Type != "urn:thor:problem:"+want.kind || problem.Status.String() != want.status || problem.Detail == "" {
				t.Errorf("%s:\n%s\n\n%s", path, head, body)
			}
		}
	})
	t.Run("the upgrade, and the first frame's bytes", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/ws", "/ws/"} {
			out := s.curlUpgrade(path, 1, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
			head, frame, _ := strings.Cut(out, "\n\n")
			if !strings.HasPrefix(head, "HTTP/1.1 101 Switching Protocols\n") || !strings.Contains(head, "\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
				t.Errorf("%s answers:\n%s", path, head)
			}
			// A text, whole and unmasked, its length in 16 bits.
			if !strings.HasPrefix(frame, "\x81\x7e") || !strings.HasPrefix(frame[min(len(frame), 4):], `{"type":"hello","data":{`) {
				t.Errorf("%s: the first frame is %.100q", path, frame)
			}
		}
	})
	t.Run("an upgrade that is refused is answered, and the connection ends", func(t *testing.T) {
		t.Parallel()
		if out := s.curlUpgrade("/ws/", 10, "Sec-WebSocket-Key: short"); !strings.HasPrefix(out, "HTTP/1.1 400 ") || !strings.Contains(out, "16 bytes in base64") {
			t.Errorf("a short key:\n%s", out)
		}
	})
}

// curlUpgrade asks for a WebSocket and listens for some seconds at most.
func (s *server) curlUpgrade(path string, seconds int, key string) string {
	s.t.Helper()
	cmd := exec.Command("curl", "--silent", "--include", "--no-buffer", "--http1.1", "--max-time", strconv.Itoa(seconds),
		"--header", "Connection: Upgrade", "--header", "Upgrade: websocket", "--header", "Sec-WebSocket-Version: 13", "--header", key, s.URL+path)
	out, _ := cmd.Output() // it is not to end a WebSocket in time
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}

// TestInteropPython is the server as forty lines of Python see it, which know
// of WebSocket what a page of the RFC says.
func TestInteropPython(t *testing.T) {
	t.Parallel()
	s := serve(t)
	out, err := exec.Command("python3", "testdata/plain.py", s.addr).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, line := range []string{"101", "hello", "pong", "account_balance", "positions", "intraday_bar", "market_status", "close 1000"} {
		if !strings.Contains(string(out), line+"\n") {
			t.Errorf("it has not seen %s:\n%s", line, out)
		}
	}
}
