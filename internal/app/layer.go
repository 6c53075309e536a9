package app

import (
	"context"
	"log/slog"
	"time"
)

const (
	probeEvery = 5 * time.Second
	lostAfter  = 15 * time.Second // of probes that fail; a short trouble is the heartbeat's to tell
)

// layerWatch tells the hub when this node has not heard of the others for long,
// and when it does again. A client is better off with REST than with a
// connection on which nothing new can come.
type layerWatch struct {
	probe       func(context.Context) error
	lost, found func()
	logger      *slog.Logger

	failing time.Time // since when; zero is not
	told    bool
}

func (a *App) watchLayer() *layerWatch {
	return &layerWatch{
		probe: func(ctx context.Context) error { return a.layer.Probe(ctx) },
		lost:  func() { a.hub.Lost() }, found: func() { a.hub.Found() }, logger: a.logger,
	}
}

// run probes once. It does not fail: a job that fails is tried less often, and
// /readyz probes the layer itself.
func (w *layerWatch) run(ctx context.Context) error {
	began := time.Now()
	err := w.probe(ctx)
	switch {
	case err == nil && w.told:
		w.logger.InfoContext(ctx, "channel layer found", slog.Duration("away", time.Since(w.failing)))
		w.found()
		w.failing, w.told = time.Time{}, false
	case err == nil:
		w.failing = time.Time{}
	case w.failing.IsZero():
		w.failing = began
	}
	if err != nil && !w.told && time.Since(w.failing) >= lostAfter {
		w.logger.ErrorContext(ctx, "channel layer lost: closing the connections", slog.Any("error", err))
		w.lost()
		w.told = true
	}
	return nil
}
