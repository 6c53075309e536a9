//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// documentedProxy is what docs/operations.md says to write for nginx, so that
// what people copy is what is tested.
func documentedProxy(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```[a-z]*\n(# nginx\n.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) != 1 {
		t.Fatalf("docs/operations.md has %d blocks that begin with # nginx, want 1", len(blocks))
	}
	return string(blocks[0][1])
}

// nginx is a reverse proxy in front of a server.
type nginx struct {
	addr string // host and port
	URL  string

	mu  sync.Mutex // guards log
	log bytes.Buffer
}

// Write collects what nginx says: what went wrong, and each request.
func (n *nginx) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.Write(p)
}

func (n *nginx) said() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// proxy starts nginx in front of a server, with a configuration that names the
// server 127.0.0.1:8000 and itself 8080. It needs no rights and leaves nothing.
func proxy(t *testing.T, s *server, config string) *nginx {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil { // Debian has it where only root looks
		path = "/usr/sbin/nginx"
	}
	n := &nginx{addr: freeAddr(t)}
	n.URL = "http://" + n.addr
	for documented, ours := range map[string]string{"127.0.0.1:8000": s.addr, "listen 8080;": "listen " + n.addr + ";"} {
		if !strings.Contains(config, documented) {
			t.Fatalf("the configuration does not say %q:\n%s", documented, config)
		}
		config = strings.ReplaceAll(config, documented, ours)
	}
	dir := t.TempDir()
	var temporary strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temporary, "%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	whole := fmt.Sprintf("daemon off; master_process off; pid %s;\nevents { worker_connections 1024; }\nhttp {\naccess_log /dev/stderr;\n%s%s}\n",
		filepath.Join(dir, "pid"), temporary.String(), config)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-p", dir, "-c", file, "-e", "stderr")
	cmd.Stderr, cmd.Stdout = n, n
	if err := cmd.Start(); err != nil {
		t.Fatalf("start nginx, which .ci/setup installs: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		ended := <-ended
		if t.Failed() {
			said := n.said()
			t.Logf("nginx ended with %v and said at last:\n%s", ended, said[max(0, len(said)-2000):])
		}
	})
	n.awaitPort(t, ended)
	return n
}

func (n *nginx) awaitPort(t *testing.T, ended chan error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(20 * time.Second); ; {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", n.addr)
		if err == nil {
			conn.Close() //nolint:errcheck // it was only to see
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx ended at once: %v\n%s", err, n.said())
		case <-timeout:
			t.Fatalf("nginx does not answer:\n%s", n.said())
		case <-tick.C:
		}
	}
}

// freeAddr is an address nobody listens on: nginx cannot say which port it chose.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it was only to see
	return l.Addr().String()
}

// caller is how somebody comes to a server or its proxy.
type caller struct {
	url    string // http://…
	from   string // the address they come from; "" is any
	host   string // the Host they ask for; "" is where they go
	path   string // of the WebSocket; "" is /ws/
	header http.Header
}

func (c caller) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 20 * time.Second}
	if c.from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(c.from)}
	}
	return d.DialContext(ctx, network, addr)
}

// dial opens a WebSocket.
func (c caller) dial(t *testing.T) *plainClient {
	t.Helper()
	path := c.path
	if path == "" {
		path = "/ws/"
	}
	dialer := ws.Dialer{NetDial: c.dialContext, Host: c.host, Header: ws.HandshakeHeaderHTTP(c.header), Timeout: 20 * time.Second}
	conn, reader, _, err := dialer.Dial(t.Context(), "ws"+strings.TrimPrefix(c.url, "http")+path)
	if err != nil {
		t.Fatalf("dial %s: %v", path, err)
	}
	return newPlainClient(t, conn, reader)
}

// bearer is the header that carries a token, with others if need be.
func bearer(token string, others ...string) http.Header {
	h := http.Header{"Authorization": {"Bearer " + token}}
	for i := 0; i+1 < len(others); i += 2 {
		h.Set(others[i], others[i+1])
	}
	return h
}

// testKey is the key of servers that have one.
const testKey = "a key for tests, of more than 32 characters"

// tokenFor makes a token as people do.
func tokenFor(t *testing.T, sub string, flags ...string) string {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"token", "create", "--sub", sub}, flags...)...)
	cmd.Env, cmd.Dir = append(os.Environ(), "THOR_AUTH_KEY="+testKey), t.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("thor token create: %v", err)
	}
	return strings.TrimSpace(string(out))
}
