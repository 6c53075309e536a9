package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"thor"
	"thor/internal/heartbeat"
	"thor/internal/source"
	"thor/internal/source/replay"
	"thor/jobs"
)

// RecordConfig is everything that can be set of a recording: where the data comes
// from, as of the server, and for how long.
type RecordConfig struct {
	For    time.Duration `name:"for" placeholder:"DURATION" help:"How long to record, in the source's time: 90s, 6h30m. Without it, until Ctrl-C."`
	Source string        `name:"source" default:"${source}" env:"THOR_SOURCE" help:"Where the data comes from: sim or upstream."`

	SimSettings
	UpstreamSettings
	LogSettings
}

// Settings are those of a server that reads the same source.
func (c RecordConfig) Settings() Config {
	s := Default()
	s.Source, s.SimSettings, s.UpstreamSettings, s.LogSettings = c.Source, c.SimSettings, c.UpstreamSettings, c.LogSettings
	return s
}

// check returns every fault of the settings.
func (c RecordConfig) check() error {
	errs := []error{c.Settings().Validate()}
	fault := func(flag, format string, args ...any) { errs = append(errs, settingFault(flag, format, args...)) }
	if c.Source == noneName || c.Source == replayName {
		fault("source", "there is nothing to record of %s; there are sim and upstream", c.Source)
	}
	if c.For < 0 {
		fault("for", "%v is not a duration; write it like 90s or 6h30m", c.For)
	}
	return errors.Join(errs...)
}

// secrets are what must not be in a recording.
func (c RecordConfig) secrets() []string {
	return []string{c.UpstreamToken, c.UpstreamPassword, c.UpstreamUser}
}

// progressEvery is how often a recording says how far it is.
const progressEvery = 10 * time.Second

// Record runs the jobs on a source as a server does, and writes what the source
// says to a new file instead of publishing it, until ctx ends or the time is up.
// It says how far it is to progress, and in the end to out what there is in the
// file.
func Record(ctx context.Context, c RecordConfig, path string, logger *slog.Logger, out, progress io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	if err := replay.Absent(path); err != nil { // before anybody is asked anything
		return err
	}
	a := &App{config: c.Settings(), logger: logger, started: time.Now()}
	if err := a.openCalendars(); err != nil {
		return err
	}
	if err := a.openSource(ctx); err != nil {
		return err
	}
	for _, note := range a.notes {
		fmt.Fprintln(progress, note)
	}
	return a.record(ctx, path, c.For, c.secrets(), out, progress)
}

// record records the app's source, and closes it.
func (a *App) record(ctx context.Context, path string, lasts time.Duration, secrets []string, out, progress io.Writer) error {
	header := replay.Describe(a.source, a.every(), Version)
	w, err := replay.Create(path, header)
	if err != nil {
		return errors.Join(err, a.source.Close())
	}
	recorder := replay.NewRecorder(a.source, w, secrets)
	a.source = recorder
	fmt.Fprintf(progress, "recording %s to %s from %s on; Ctrl-C ends it\n", recorder.Name(), path, a.clock.Now().Format(time.RFC3339))

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if lasts > 0 {
		timer := time.AfterFunc(time.Duration(float64(lasts)/a.clock.Speed()), cancel)
		defer timer.Stop()
	}
	var group errgroup.Group
	beat := a.recordingBeat(recorder, progress)
	group.Go(func() error {
		defer cancel()
		return beat.Run(ctx)
	})
	group.Go(func() error {
		select {
		case <-w.Failed():
			cancel()
		case <-ctx.Done():
		}
		return nil
	})
	failed := group.Wait()
	if err := recorder.Close(); err != nil {
		return errors.Join(err, failed)
	}
	summarize(out, path, header, recorder.Caps(), recorder.Summary())
	return failed
}

// every is how often the source is asked at the quickest, in its own time.
func (a *App) every() time.Duration {
	return time.Duration(float64(a.wall(time.Second)) * a.clock.Speed()).Round(time.Millisecond)
}

// recordingBeat runs the jobs of the source as the server's does.
func (a *App) recordingBeat(recorder *replay.Recorder, progress io.Writer) *heartbeat.Beat {
	a.pace = &pace{days: a.days, clock: a.clock, wall: a.wall}
	from := a.sourceAbilities()
	from.Markets = nil // the calendar's, whose states are no source's
	beat := &heartbeat.Beat{Logger: a.logger}
	for _, job := range jobs.List(from, time.Time{}) {
		beat.Jobs = append(beat.Jobs, a.entry(job, listener{a.pace}))
	}
	beat.Jobs = append(beat.Jobs,
		heartbeat.Job{Name: "heartbeat", Interval: heartbeatEvery, Run: func(context.Context) error {
			a.pace.announce()
			return nil
		}},
		heartbeat.Job{Name: "progress", Interval: progressEvery, Run: func(context.Context) error {
			s := recorder.Summary()
			fmt.Fprintf(progress, "%s · %s, %d with errors\n", s.To.Format(time.RFC3339), counted(s.Answers, "answer"), s.Errors)
			return nil
		}},
	)
	return beat
}

// listener takes what jobs publish and keeps nothing but the pace of its streams.
type listener struct{ pace *pace }

// Broadcast implements [thor.Broadcaster].
func (l listener) Broadcast(ctx context.Context, msgs ...thor.Message) error {
	for _, m := range msgs {
		l.pace.done(m.Stream)
	}
	return ctx.Err()
}

// summarize says what there is in a recording.
func summarize(out io.Writer, path string, h replay.Header, caps source.Caps, end replay.End) {
	simulated := ""
	if caps.Simulated {
		simulated = " SIMULATED"
	}
	fmt.Fprintf(out, "%s: %s%s, %s to %s (%v)\n", path, h.Source, simulated,
		h.From.Format(time.RFC3339), end.To.Format(time.RFC3339), end.To.Sub(h.From).Round(time.Second))
	fmt.Fprintf(out, "features: %s\n", list(h.Features()))
	fmt.Fprintf(out, "accounts: %s\n", list(end.Accounts))
	fmt.Fprintf(out, "symbols:  %s\n", list(end.Symbols))
	fmt.Fprintf(out, "answers:  %d, of which %d with errors\n", end.Answers, end.Errors)
	fmt.Fprintf(out, "Play it:  thor serve --replay %s --speed 60\n", path)
}

func list(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d: %s", len(words), strings.Join(words, ", "))
}
