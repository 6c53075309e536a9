package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"thor"
	"thor/internal/calendar"
	"thor/internal/legacy"
	"thor/internal/source"
)

// BackendConfig is everything that can be set of the double of a backend.
type BackendConfig struct {
	Addr string `name:"addr" default:"localhost:8001" help:"Address to listen on. localhost is IPv4 and IPv6."`

	SimSettings

	Era      string   `name:"era" default:"S" help:"Which state of the original it is: S (December 2025), H (January 2026) or D (its dev branch)."`
	Bugs     []string `name:"bugs" default:"all" help:"Which faults of the original it has: all, none, or names; -name takes one away."`
	PageSize int      `name:"page-size" default:"20" help:"How many markets are on a page, in era S."`
}

// BackendBugs says what each fault of the double is.
func BackendBugs() string {
	var words strings.Builder
	for _, b := range legacy.Bugs {
		fmt.Fprintf(&words, "  %-16s %s\n", b.Name, b.Help)
	}
	return words.String()
}

// settings are those of the simulator.
func (c BackendConfig) settings() Config {
	s := Default()
	s.Addr, s.SimSettings = c.Addr, c.SimSettings
	return s
}

// check returns every fault of the settings.
func (c BackendConfig) check() error {
	s := c.settings()
	s.AuthKey = strings.Repeat("-", 64) // it has a sign-in of its own
	errs := []error{s.Validate()}
	fault := func(flag, format string, args ...any) {
		err := thor.Errorf(thor.EINVALID, "--%s: "+format, append([]any{flag}, args...)...)
		err.Path = flag
		errs = append(errs, err)
	}
	if !slices.Contains(legacy.Eras(), legacy.Era(c.Era)) {
		fault("era", "%q is not an era; there are S, H and D", c.Era)
	}
	if _, err := legacy.ParseBugs(c.Bugs); err != nil {
		fault("bugs", "%w", err)
	}
	if c.PageSize < 1 {
		fault("page-size", "%d is not a number of markets; the least is 1", c.PageSize)
	}
	return errors.Join(errs...)
}

// RunBackend serves a double of the backend people have, over the simulator,
// until ctx ends.
func RunBackend(ctx context.Context, c BackendConfig, out io.Writer, logger *slog.Logger) error {
	if err := c.check(); err != nil {
		return err
	}
	exchanges, err := calendar.New()
	if err != nil {
		return err
	}
	s, err := openSim(c.settings(), exchanges)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // nothing is running in it
	bugs, err := legacy.ParseBugs(c.Bugs)
	if err != nil {
		return err
	}
	backend, err := legacy.New(legacy.Config{
		Source: s, Markets: exchangeMarkets{exchanges, s.Clock()},
		Era: legacy.Era(c.Era), Bugs: bugs, PageSize: c.PageSize, Tokens: source.WallClock{},
	})
	if err != nil {
		return err
	}
	listeners, err := listen(ctx, c.Addr, nil)
	if err != nil {
		return err
	}
	addr := listeners[0].Addr().String()
	logger.InfoContext(ctx, "SIMULATED backend: nothing it serves is real", slog.String("addr", addr))
	fmt.Fprintf(out, "SIMULATED backend, era %s, bugs %s, seed %d\n", c.Era, strings.Join(c.Bugs, ","), c.SimSeed)
	if s.Script != nil {
		fmt.Fprintln(out, scriptNote(s.Script))
	}
	if s.Clock().Virtual() {
		fmt.Fprintf(out, "virtual clock: %s, speed %v\n", s.Clock().Now().Format(time.RFC3339), s.Clock().Speed())
	}
	for _, user := range legacy.Users() {
		sees := "sees accounts of their own"
		if user.Staff {
			sees = "sees all accounts"
		}
		fmt.Fprintf(out, "sign in as %s with the password %s: %s\n", user.Email, user.Password, sees)
	}
	fmt.Fprintf(out, "tokens are signed with a key that is no secret: thor serve --auth-key %s\n", legacy.SigningKey)
	fmt.Fprintf(out, "REST %s\nCtrl-C stops it.\n", displayURL("http", addr))
	return serveAll(ctx, listeners, backend, logger)
}

// exchangeMarkets are the markets of a calendar at a source's time. They may be
// asked for by many at a time.
type exchangeMarkets struct {
	calendar *calendar.Calendar
	clock    source.Clock
}

var _ source.MarketSource = exchangeMarkets{}

// Markets implements [source.MarketSource].
func (m exchangeMarkets) Markets(ctx context.Context) ([]thor.MarketStatus, error) {
	return m.calendar.Statuses(m.clock.Now().UTC().Truncate(time.Millisecond)), ctx.Err()
}

// serveAll serves a handler until ctx ends.
func serveAll(ctx context.Context, listeners []net.Listener, handler http.Handler, logger *slog.Logger) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	group, failed := errgroup.WithContext(ctx)
	for _, l := range listeners {
		group.Go(func() error {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error {
		<-failed.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownWait)
		defer cancel()
		return server.Shutdown(stop)
	})
	return group.Wait()
}
