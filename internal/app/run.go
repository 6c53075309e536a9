package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// How long the server waits for others when it stops.
const (
	drainWait    = 3 * time.Second
	shutdownWait = 2 * time.Second
)

// Run serves until ctx ends, then stops in order: the jobs, the connections,
// REST, the pipeline, the store. It prints where to find the server to out.
func (a *App) Run(ctx context.Context, out io.Writer) error {
	a.announce(out)
	server := &http.Server{
		Handler:           a.api,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(a.logger.Handler(), slog.LevelDebug),
	}

	// Each part has a context of its own, so that they can stop one after the
	// other; when one fails, all stop.
	background := context.WithoutCancel(ctx)
	group, failed := errgroup.WithContext(ctx)
	pipeline := start(background, group, "pipeline", a.pipeline.Run)
	hub := start(background, group, "hub", a.hub.Run)
	stages := start(background, group, "stages", a.stages.Run)
	grants := start(background, group, "grants", a.runGrants)
	for _, l := range a.listeners {
		group.Go(func() error {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	beat := start(background, group, "heartbeat", a.beat.Run)
	player := start(background, group, "replay", a.play)

	group.Go(func() error {
		<-failed.Done()
		a.logger.Info("stopping")
		player.stop()
		beat.stop()
		drain, cancel := context.WithTimeout(background, drainWait)
		a.hub.Drain(drain)
		cancel()
		shutdown, cancel := context.WithTimeout(background, shutdownWait)
		defer cancel()
		err := server.Shutdown(shutdown)
		if a.front != nil {
			a.front.Close() // streams and WebSockets of the backend have no end
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stages.stop()
		hub.stop()
		grants.stop()
		pipeline.stop()
		return err
	})
	err := group.Wait()
	return errors.Join(err, a.Close())
}

// part is a running part of the server.
type part struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func start(ctx context.Context, group *errgroup.Group, name string, run func(context.Context) error) part {
	ctx, cancel := context.WithCancel(ctx)
	p := part{cancel: cancel, done: make(chan struct{})}
	group.Go(func() error {
		defer close(p.done)
		if err := run(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	return p
}

// stop ends the part and waits for it.
func (p part) stop() {
	p.cancel()
	<-p.done
}

// announce says where the server is.
func (a *App) announce(out io.Writer) {
	simulated := ""
	if a.replay != nil {
		simulated = " of " + a.replay.Recording().Source
	}
	if a.source.Caps().Simulated {
		simulated += " SIMULATED"
	}
	if a.source.Caps().Unproven {
		simulated += " (never run against the real service)"
	}
	data := a.data
	if a.temporary {
		data += " (temporary: removed at the end)"
	}
	addr := a.listeners[0].Addr().String()
	secure := "" // http, or https
	if a.certificate != nil {
		secure = "s"
	}
	fmt.Fprintf(out, "thor %s · source %s%s · data %s\n", Version, a.source.Name(), simulated, data)
	fmt.Fprintf(out, "page %s · WebSocket %s/ws/ · REST %s/api/openapi.json\n",
		displayURL("http"+secure, addr)+strings.TrimSuffix(a.config.Page, "/"), displayURL("ws"+secure, addr), displayURL("http"+secure, addr))
	if a.clock.Virtual() {
		fmt.Fprintf(out, "virtual clock: %s, speed %v\n", a.clock.Now().Format(time.RFC3339), a.clock.Speed())
	}
	for _, note := range slices.Concat(a.accessNotes(), a.notes, a.frontDoorNotes()) {
		fmt.Fprintln(out, note)
	}
	fmt.Fprintln(out, "Ctrl-C stops it.")
}
