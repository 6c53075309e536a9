package cutover

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"thor"
	"thor/internal/store/sqlite"
)

// world is a store that can be lost, a force file, and what was told.
type world struct {
	dir   string
	store *flaky
	layer *layer
	log   *lines

	mu      sync.Mutex // guards notices
	notices []Notice
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), layer: &layer{}, log: &lines{}}
	s, err := sqlite.Open(t.Context(), w.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.store = &flaky{Store: s}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

func (w *world) config() Config {
	return Config{
		Store: w.store, Layer: w.layer, Build: "test", ForceFile: w.forceFile(), Logger: slog.New(slog.NewTextHandler(w.log, nil)),
		Announce: func(n []Notice) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.notices = append(w.notices, n...)
		},
	}
}

func (w *world) open(t *testing.T, change func(*Config)) *Controller {
	t.Helper()
	c := w.config()
	if change != nil {
		change(&c)
	}
	k, _, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// told returns what was announced since the last call.
func (w *world) told() []Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	told := w.notices
	w.notices = nil
	return told
}

func (w *world) forceFile() string { return filepath.Join(w.dir, "force") }

func (w *world) force(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(w.forceFile(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) unforce(t *testing.T) {
	t.Helper()
	if err := os.Remove(w.forceFile()); err != nil {
		t.Fatal(err)
	}
}

// lines collects a log.
type lines struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(word string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), word)
}

var errDisk = errors.New("the disk is full")

// flaky is a store that can be lost.
type flaky struct {
	*sqlite.Store
	mu     sync.Mutex                // guards lost
	lost   func(commit func()) error // what a transition does instead; nil works
	broken error                     // of reads
}

func (f *flaky) lose(lost func(commit func()) error, reads error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost, f.broken = lost, reads
}

// refuse fails at once, as a full disk does.
func refuse(func()) error { return errDisk }

// keepAndFail commits and says that it failed.
func keepAndFail(commit func()) error {
	commit()
	return errDisk
}

// hang commits when somebody lets it.
func hang(until <-chan struct{}) func(func()) error {
	return func(commit func()) error {
		<-until
		commit()
		return nil
	}
}

func (f *flaky) Transition(ctx context.Context, t thor.Transition, e thor.Event) (stored thor.Transition, event thor.Event, err error) {
	f.mu.Lock()
	lost := f.lost
	f.mu.Unlock()
	commit := func() { stored, event, err = f.Store.Transition(context.WithoutCancel(ctx), t, e) }
	if lost == nil {
		commit()
		return stored, event, err
	}
	if lostErr := lost(commit); lostErr != nil {
		return t, e, lostErr
	}
	return stored, event, err
}

func (f *flaky) reads() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken
}

func (f *flaky) Stages(ctx context.Context) ([]thor.FeatureStage, error) {
	if err := f.reads(); err != nil {
		return nil, err
	}
	return f.Store.Stages(ctx)
}
