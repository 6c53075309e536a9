//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// binary is the server under test, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "thor-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir) //nolint:errcheck // it is temporary
		binary = filepath.Join(dir, "thor")
		if out, err := exec.Command("go", "build", "-o", binary, "thor/cmd/thor").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// server is a running binary.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	URL  string
	addr string
	data string

	mu     sync.Mutex // guards output
	output strings.Builder
	exited chan error
}

// serve starts the binary with its own data directory on a free port and waits
// until it says where it is.
func serve(t *testing.T, args ...string) *server {
	t.Helper()
	return serveWith(t, binary, t.TempDir(), "127.0.0.1:0", args...)
}

// again starts the binary once more, on the same data and address.
func (s *server) again(args ...string) *server {
	s.t.Helper()
	return serveWith(s.t, binary, s.data, s.addr, args...)
}

func serveWith(t *testing.T, path, data, addr string, args ...string) *server {
	t.Helper()
	cmd := exec.Command(path, append([]string{"serve", "--addr", addr, "--data", data}, args...)...)
	cmd.Dir = t.TempDir()
	s := serveCommand(t, cmd)
	s.data = data
	return s
}

// serveCommand starts a command that runs a server.
func serveCommand(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{t: t, cmd: cmd}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = writer{s}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.exited = make(chan error, 1)
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			fmt.Fprintln(writer{s}, lines.Text())
			if rest, ok := strings.CutPrefix(lines.Text(), "page "); ok {
				url, _, _ := strings.Cut(rest, " ")
				found <- url
			}
		}
		s.exited <- s.cmd.Wait()
	}()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the server said:\n%s", s.said())
		}
	})
	select {
	case s.URL = <-found:
	case err := <-s.exited:
		s.exited <- err
		t.Fatalf("the server ended at once: %v\n%s", err, s.said())
	case <-time.After(20 * time.Second):
		t.Fatalf("the server does not start:\n%s", s.said())
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	s.addr = "127.0.0.1:" + port
	return s
}

// writer collects what the server prints.
type writer struct{ s *server }

func (w writer) Write(p []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.s.output.Write(p)
}

func (s *server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.String()
}

// kill ends the server without a farewell.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()     // it may have ended
	_ = s.wait(10 * time.Second) // how it ended is no news
}

// stop asks the server to end and returns how it did.
func (s *server) stop(signal os.Signal, within time.Duration) error {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		return err
	}
	return s.wait(within)
}

func (s *server) wait(within time.Duration) error {
	select {
	case err := <-s.exited:
		s.exited <- err
		return err
	case <-time.After(within):
		return errors.New("the server did not end in time")
	}
}

// get asks REST.
func (s *server) get(path string, header ...string) (*http.Response, []byte) {
	s.t.Helper()
	response, body, err := s.tryGet(path, header...)
	if err != nil {
		s.t.Fatal(err)
	}
	return response, body
}

func (s *server) tryGet(path string, header ...string) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(response.Body)
	return response, body, err
}

// thor runs a command against the server and returns what it printed and its
// exit code.
func (s *server) thor(args ...string) (out string, code int) {
	s.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "THOR_URL="+s.URL)
	cmd.Dir = s.t.TempDir()
	combined, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(combined), exit.ExitCode()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return string(combined), 0
}
