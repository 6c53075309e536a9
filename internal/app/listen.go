package app

import (
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"

	"thor"
)

// listen opens the address; localhost is both 127.0.0.1 and ::1, where there is
// IPv6. When the port is taken the error names the next that is free. With a
// certificate what is accepted is encrypted.
func listen(ctx context.Context, addr string, c *certificate) ([]net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	listeners, err := openAll(ctx, host, port)
	if err != nil {
		return nil, explainListen(ctx, host, port, err)
	}
	if c != nil {
		for i, l := range listeners {
			listeners[i] = c.wrap(l)
		}
	}
	return listeners, nil
}

// openAll opens a port on every address that the host is.
func openAll(ctx context.Context, host, port string) ([]net.Listener, error) {
	if host != "localhost" {
		l, err := open(ctx, net.JoinHostPort(host, port))
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
	}
	four, err := open(ctx, net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	_, port, err = net.SplitHostPort(four.Addr().String()) // port 0 has become a real one
	if err != nil {
		return nil, err
	}
	six, err := open(ctx, net.JoinHostPort("::1", port))
	switch {
	case err == nil:
		return []net.Listener{four, six}, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, errors.Join(err, four.Close())
	}
	return []net.Listener{four}, nil // no IPv6 on this machine
}

func open(ctx context.Context, addr string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
}

// explainListen says what to do when an address cannot be opened.
func explainListen(ctx context.Context, host, port string, err error) error {
	addr := net.JoinHostPort(host, port)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return thor.Errorf(thor.EUNAVAILABLE, "cannot listen on %s: %w", addr, err).WithHint("--addr chooses another address.")
	}
	taken := thor.Errorf(thor.EUNAVAILABLE, "%s is taken by another program", addr)
	if free := nextFree(ctx, host, port); free != "" {
		return taken.WithHint("The next free port is %s: thor serve --addr %s", free, net.JoinHostPort(host, free))
	}
	return taken.WithHint("--addr chooses another one.")
}

// nextFree finds the first free port behind one that is taken.
func nextFree(ctx context.Context, host, port string) string {
	n, err := strconv.Atoi(port)
	if err != nil {
		return ""
	}
	for n++; n < 65536; n++ {
		free := strconv.Itoa(n)
		if listeners, err := openAll(ctx, host, free); err == nil {
			for _, l := range listeners {
				l.Close() //nolint:errcheck,gosec // it was only to see
			}
			return free
		}
	}
	return ""
}
