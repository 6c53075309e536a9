// Package app puts the server together: it is the only package that knows the
// adapters. [Config] holds the settings, [New] opens what there is to open and
// [App.Run] runs it until it is told to stop.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"thor"
	"thor/internal/api"
	"thor/internal/auth"
	"thor/internal/calendar"
	"thor/internal/channel"
	"thor/internal/channel/memory"
	"thor/internal/cutover"
	"thor/internal/frontdoor"
	"thor/internal/heartbeat"
	"thor/internal/hub"
	"thor/internal/metrics"
	"thor/internal/pipeline"
	"thor/internal/source"
	"thor/internal/source/replay"
	"thor/internal/source/upstream"
	"thor/internal/store"
	"thor/internal/store/sqlite"
	"thor/internal/stream"
)

// Version is the version of this build.
const Version = "0.1.0"

// App is a server. Make one with [New], and then either Run or Close it.
type App struct {
	config    Config
	logger    *slog.Logger
	started   time.Time
	listeners []net.Listener
	door      *auth.Door

	certificate *certificate // nil is no TLS
	data        string       // the data directory
	temporary   bool         // it is removed at the end

	store    store.Store
	source   source.Source
	backend  *upstream.Source // that is read; nil is none
	origin   string           // of its data: a store holds that of one
	clock    source.Clock
	replay   *replay.Source   // the source, where it is one
	folder   *calendar.Folder // of calendars
	logs     *stream.Logs
	layer    channel.Layer
	stages   *cutover.Controller
	pipeline *pipeline.Pipeline
	beat     *heartbeat.Beat
	player   *player // of a replay
	pace     *pace
	hub      *hub.Hub
	api      *api.API
	metrics  *metrics.Metrics
	feeds    map[string]*feed
	beats    atomic.Uint64

	front     *frontdoor.Door // before the backend; nil is none
	consumers *api.Consumers

	own        []string                 // the features whose jobs run in this process
	rhythms    map[string]time.Duration // of the features that jobs outside publish
	publishers *api.Publishers

	saidEnding []string // the calendars that end soon, as the log has them; of the job that looks
	// auditFaults is what was wrong with the audit at the start.
	auditFaults []string
	notes       []string // what the operator should know at the start

	tamper func(*App) // tests change the source and its clock; nil is nobody
}

// New opens the address, the store and the source, and puts the rest together.
func New(ctx context.Context, c Config, logger *slog.Logger) (*App, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	a := &App{config: c, logger: logger, started: time.Now(), data: c.Data}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open(ctx context.Context) (err error) {
	if a.config.TLSCert != "" {
		if a.certificate, err = openCertificate(a.config.TLSCert, a.config.TLSKey, a.logger); err != nil {
			return err
		}
	}
	if a.listeners, err = listen(ctx, a.config.Addr, a.certificate); err != nil {
		return err
	}
	if a.config.Data == "" {
		if a.data, err = os.MkdirTemp("", "thor-temporary-"); err != nil {
			return fmt.Errorf("make a temporary data directory: %w", err)
		}
		a.temporary = true
	}
	opened, err := sqlite.Open(ctx, a.data)
	if err != nil {
		return err // a.store stays nil: a nil *sqlite.Store in it would not be
	}
	a.store = opened
	if err := a.openCalendars(); err != nil {
		return err
	}
	if err := a.openSource(ctx); err != nil {
		return err
	}
	if err := a.refuseOtherData(ctx); err != nil {
		return err
	}
	if a.rhythms, err = a.config.rhythms(); err != nil {
		return err
	}
	a.pace = &pace{days: a.days, clock: a.clock, wall: a.wall, rhythms: a.rhythms}
	if paced := source.AbilitiesOf(a.source).Paced; paced != nil {
		a.pace.atMost = paced.Every
	}
	a.metrics = metrics.New(Version, Build())
	if err := a.openDoor(ctx); err != nil {
		return err
	}
	a.openFeeds()
	a.logs = &stream.Logs{Store: a.store, Limits: a.limits}
	a.layer = &memory.Layer{Sink: a.logs}
	if err := a.openStages(ctx); err != nil {
		return err
	}
	flow := pipeline.Config{Store: a.store, Layer: a.layer, Publishes: a.stages.Publishes, Cadence: a.pace.done, Tap: a.tap}
	if a.replay != nil { // what is news must not depend on how fast it is played
		flow.Cadence, flow.Now = nil, a.clock.Now
	}
	a.pipeline = pipeline.New(flow)
	a.openPublishers()
	a.openHub()
	a.logs.Changed = a.hub.Wake
	a.announceStanding()
	if err := a.openBeat(ctx); err != nil {
		return err
	}
	a.consumers = api.NewConsumers()
	if err := a.openFrontDoor(); err != nil {
		return err
	}
	a.openAPI() //nolint:contextcheck // a request has its own
	a.exportCounts()
	return nil
}

// openStages reads the stages and opens the logs of what is published.
func (a *App) openStages(ctx context.Context) (err error) {
	overrides, err := a.config.overrides()
	if err != nil {
		return err
	}
	if err := a.verifyAudit(ctx); err != nil {
		return err
	}
	stages, notes, err := cutover.Open(ctx, cutover.Config{
		Store: a.store, Layer: a.layer, Build: Build(), Overrides: overrides,
		Force: a.config.Force, ForceFile: filepath.Join(a.data, forceName), Logger: a.logger,
		Changed: a.changed, Moved: a.moved, Announce: a.announceForces,
	})
	if err != nil {
		return err
	}
	a.stages = stages
	a.notes = append(append(a.notes, notes...), a.auditFaults...)
	return a.logs.Open(ctx, thor.CutoverStream)
}

// openLogs opens the logs of the streams a feature has so far.
func (a *App) openLogs(ctx context.Context, feature string) error {
	f, err := thor.FeatureNamed(feature)
	if err != nil {
		return err
	}
	ids, err := a.store.Streams(ctx)
	if err != nil {
		return err
	}
	if f.Scope == thor.ScopeShared {
		ids = append(ids, thor.NewStreamID(feature, ""))
	}
	for _, id := range ids {
		if id.Feature() != feature {
			continue
		}
		if err := a.logs.Open(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) openHub() {
	a.hub = hub.New(hub.Config{
		Logs: a.logs, History: a.store, Door: a.door, Logger: a.logger,
		Limits: a.hubLimits(), Refused: func(reason string) { a.metrics.HubRefused.WithLabelValues(reason).Inc() },
		Source:    hub.Source{Name: a.source.Name(), Simulated: a.source.Caps().Simulated, Replay: a.replayed()},
		Heartbeat: heartbeatEvery,
		Ack:       a.acked,
		Report:    a.reported,
		Features: func(client string) map[string]hub.FeatureState {
			states := map[string]hub.FeatureState{}
			for _, s := range a.stages.States() {
				now := s.Effective
				states[now.Feature] = hub.FeatureState{
					Stage: now.Stage, DataSource: a.stages.DataSource(now.Feature, client), Rev: now.Rev, Forced: s.Forced != nil,
				}
			}
			return states
		},
		Cadence: a.pace.told,
	})
}

// Close ends what New has opened; it is for an app that is not run.
func (a *App) Close() error {
	var errs []error
	for _, l := range a.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if a.front != nil {
		a.front.Close()
	}
	if a.source != nil {
		errs = append(errs, a.source.Close())
	}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if a.temporary {
		errs = append(errs, os.RemoveAll(a.data))
	}
	return errors.Join(errs...)
}

// Build names the source this binary was built from.
func Build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+changes"
		}
	}
	if revision == "" {
		return "development"
	}
	return revision + modified
}
