package app

import (
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func closeAll(t *testing.T, listeners []net.Listener) {
	t.Helper()
	for _, l := range listeners {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	t.Run("localhost is every loopback address of the machine, on one port", func(t *testing.T) {
		t.Parallel()
		listeners, err := listen(t.Context(), "localhost:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer closeAll(t, listeners)
		want := 1
		if probe, err := open(t.Context(), "[::1]:0"); err == nil { // this machine has IPv6
			closeAll(t, []net.Listener{probe})
			want = 2
		}
		if len(listeners) != want || !strings.HasPrefix(listeners[0].Addr().String(), "127.0.0.1:") {
			t.Errorf("listens on %v, want %d addresses", listeners, want)
		}
		for _, l := range listeners {
			if portOf(l.Addr().String()) != portOf(listeners[0].Addr().String()) {
				t.Errorf("listens on %v: different ports", listeners)
			}
		}
	})
	t.Run("a taken port is an error that names a free one", func(t *testing.T) {
		t.Parallel()
		first, err := listen(t.Context(), "localhost:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer closeAll(t, first)
		taken := "localhost:" + portOf(first[0].Addr().String())
		_, err = listen(t.Context(), taken, nil)
		if err == nil || !strings.Contains(err.Error(), taken+" is taken") {
			t.Fatalf("error %v", err)
		}
		_, free, _ := strings.Cut(err.Error(), "thor serve --addr ")
		second, err := listen(t.Context(), free, nil)
		if err != nil {
			t.Fatalf("the port it names is not free: %v", err)
		}
		closeAll(t, second)
	})
	t.Run("an address of another machine is an error that says what to do", func(t *testing.T) {
		t.Parallel()
		_, err := listen(t.Context(), "192.0.2.1:8000", nil)
		if err == nil || !strings.Contains(err.Error(), "cannot listen on 192.0.2.1:8000") || !strings.Contains(err.Error(), "--addr") {
			t.Errorf("error %v", err)
		}
	})
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// TestDisplayURL holds that what is printed can be opened: localhost is two
// addresses, and no other of this machine's is one of them.
func TestDisplayURL(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1:8000": "http://localhost:8000", "[::1]:8000": "http://localhost:8000", "0.0.0.0:8000": "http://localhost:8000",
		"[::]:8000": "http://localhost:8000", "127.77.5.1:8000": "http://127.77.5.1:8000", "thor.example.com:8000": "http://thor.example.com:8000",
	} {
		if got := displayURL("http", addr); got != want {
			t.Errorf("%s is printed as %s, want %s", addr, got, want)
		}
	}
}
