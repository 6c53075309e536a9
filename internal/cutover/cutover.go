// Package cutover owns the stage of every feature: it moves a feature forward
// one step at a time and back any distance, writes each step into the audit,
// and tells the world. What forces a feature back works without the store.
//
// It never moves a feature forward by itself. It does not compare data and does
// not know clients; who renders what follows from the stage, see
// [Controller.DataSource].
package cutover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"thor"
)

// stages is where stages, audit and the cutover stream are kept.
type stages interface {
	Stages(ctx context.Context) ([]thor.FeatureStage, error)
	Transition(ctx context.Context, t thor.Transition, event thor.Event) (thor.Transition, thor.Event, error)
	History(ctx context.Context, feature string, limit int) ([]thor.Transition, error)
	Latest(ctx context.Context, id thor.StreamID, w thor.Window) (thor.Version, []thor.Event, error)
}

// publisher sends the events of the cutover stream.
type publisher interface {
	Publish(ctx context.Context, events []thor.Event) error
}

// Config is what a controller is made of.
type Config struct {
	Store stages
	Layer publisher
	// Changed is called when what is in effect for a feature has changed, before
	// the event that tells it is published; nil is nobody. It must not wait for
	// the store where a feature goes back. The event goes out even if it fails.
	Changed func(ctx context.Context, before, now thor.FeatureStage) error
	// Moved is called once for every step that was stored; nil is nobody.
	Moved func(t thor.Transition)
	// Announce is called with the features that are forced since the last call,
	// otherwise than before, or no more; nil is nobody.
	Announce func([]Notice)
	Build    string // of this binary, for the audit
	// Overrides are WS_FEATURE_…: false takes a feature back to shadow, true
	// makes it live in an empty store.
	Overrides map[string]bool
	// Force is THOR_FORCE, see [ParseForce].
	Force string
	// ForceFile is a file that says the same, looked at while Run runs; "" is
	// none.
	ForceFile string
	Logger    *slog.Logger // nil discards
}

// Notice says where a feature stands that is forced, or was a moment ago.
type Notice struct {
	thor.FeatureStage      // in effect
	Forced            bool // false: the force was lifted
}

// Controller holds the stages. Make one with [Open] and let it [Controller.Run].
type Controller struct {
	Config

	turn  chan struct{}  // has room for one: whoever has put something in may use the store
	tasks sync.WaitGroup // attempts to store something

	telling sync.Mutex       // orders what is told; held while the world is told
	told    map[string]State // guarded by telling

	mu          sync.RWMutex // guards what follows
	stored      map[string]thor.FeatureStage
	environment map[string]Force // from THOR_FORCE
	file        map[string]Force // from the file
	fileFaults  []string
	waiting     []*step         // oldest first
	storing     bool            // somebody is at the waiting ones
	promoting   map[string]int  // promotions on their way
	doubt       bool            // an attempt to store something ended, and nobody knows how
	lost        map[string]bool // of which a promotion ended so
	trouble     string          // why the store did not take the last step
	retryAt     time.Time
	backoff     time.Duration
}

// Itself is the actor of what thor does by itself: first stages and overrides.
const Itself = "thor"

// NoGate is what the audit says of a step before which nothing was judged.
const NoGate = "no gate ran"

// Open reads the stages, gives new features their first one, and applies the
// forces and the overrides. The notes say what these did or did not do.
func Open(ctx context.Context, c Config) (controller *Controller, notes []string, err error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Controller{
		Config: c, turn: make(chan struct{}, 1), told: map[string]State{},
		stored: map[string]thor.FeatureStage{}, environment: map[string]Force{}, file: map[string]Force{}, promoting: map[string]int{}, lost: map[string]bool{},
	}
	if err := k.force(); err != nil {
		return nil, nil, err
	}
	kept, err := c.Store.Stages(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read the stages: %w", err)
	}
	for _, s := range kept {
		k.stored[s.Feature] = s
	}
	k.look(ctx)
	empty := len(kept) == 0
	for _, f := range thor.Features {
		on, overridden := c.Overrides[f.Name]
		if _, known := k.stored[f.Name]; !known {
			step := thor.Transition{Feature: f.Name, Action: thor.ActionInitial, To: thor.StageShadow, Actor: Itself, Reason: "the default"}
			if empty && overridden && on {
				step.Action, step.To, step.Reason = thor.ActionOverride, thor.StageLive, variable(f.Name)+"=true in an empty store"
			}
			if _, err := k.perform(ctx, f.Name, func(State) (thor.Transition, error) { return step, nil }); err != nil {
				return nil, nil, err
			}
		}
		if overridden {
			note, err := k.override(ctx, f.Name, on)
			if err != nil {
				return nil, nil, err
			}
			notes = append(notes, note)
		}
	}
	return k, append(notes, k.remarks()...), k.tell(ctx)
}

// remarks says what is forced at the start, and what is wrong with it.
func (k *Controller) remarks() []string {
	var list []string
	for _, s := range k.States() {
		if s.Forced != nil && !s.Unstored {
			list = append(list, fmt.Sprintf("%s is forced to %s by %s; its stored stage is %s", s.Stored.Feature, s.Effective.Stage, s.Forced.By, s.Stored.Stage))
		}
	}
	return append(list, k.Troubles()...)
}

// override applies an old switch to a feature that has a stage.
func (k *Controller) override(ctx context.Context, feature string, on bool) (note string, err error) {
	s, err := k.State(feature)
	if err != nil {
		return "", err
	}
	now := s.Stored
	name := fmt.Sprintf("%s=%v", variable(feature), on)
	switch {
	case on && now.Rev == 1 && now.Stage == thor.StageLive:
		return name + ": " + feature + " is live", nil
	case on:
		return fmt.Sprintf("%s: nothing was changed, %s stays in %s; a used store moves forward with: thor cutover promote %s",
			name, feature, now.Stage, feature), nil
	case now.Stage <= thor.StageShadow:
		return fmt.Sprintf("%s: %s is in %s already", name, feature, now.Stage), nil
	}
	_, err = k.back(ctx, thor.Transition{
		Feature: feature, Action: thor.ActionOverride, To: thor.StageShadow, Actor: Itself, Reason: name + " at start",
	})
	return fmt.Sprintf("%s: %s went from %s back to shadow", name, feature, now.Stage), err
}

// variable is the environment variable that switches a feature.
func variable(feature string) string { return thor.FeatureVariable(feature) }

// History returns the newest transitions of a feature, newest first; of all
// features when it is "".
func (k *Controller) History(ctx context.Context, feature string, limit int) ([]thor.Transition, error) {
	if feature != "" {
		if _, err := thor.FeatureNamed(feature); err != nil {
			return nil, err
		}
	}
	return k.Store.History(ctx, feature, limit)
}

// tell makes the world as the stages are: those who are asked when a stage
// changes, then the events, then who is to know of a force.
func (k *Controller) tell(ctx context.Context, events ...thor.Event) error {
	k.telling.Lock()
	defer k.telling.Unlock()
	var errs []error
	var notices []Notice
	for _, now := range k.States() {
		if now.Stored.Rev == 0 {
			continue // it gets its first stage in a moment
		}
		feature := now.Stored.Feature
		before, known := k.told[feature]
		if k.Changed != nil && (!known || before.Effective.Stage != now.Effective.Stage || before.Effective.Weight != now.Effective.Weight) {
			errs = append(errs, k.Changed(ctx, before.Effective, now.Effective))
		}
		if now.Forced != nil && (before.Forced == nil || before.Effective != now.Effective) || now.Forced == nil && before.Forced != nil {
			notices = append(notices, Notice{now.Effective, now.Forced != nil})
		}
		k.told[feature] = now
	}
	if len(events) > 0 {
		errs = append(errs, k.Layer.Publish(ctx, events))
	}
	if len(notices) > 0 && k.Announce != nil {
		k.Announce(notices)
	}
	return errors.Join(errs...)
}

// Run looks at the force file and brings into the store what waits for it, until
// ctx ends. It returns when nobody uses the store any more.
func (k *Controller) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			k.tasks.Wait()
			for _, trouble := range k.Troubles() {
				k.Logger.Warn("at the end", slog.String("trouble", trouble))
			}
			return nil
		case <-tick.C:
		}
		k.look(ctx)
		if err := k.tell(ctx); err != nil {
			k.Logger.ErrorContext(ctx, "tell of a force", slog.Any("error", err))
		}
		k.retry(ctx)
	}
}

// retry begins another attempt when it is time.
func (k *Controller) retry(ctx context.Context) {
	k.mu.RLock()
	due := (len(k.waiting) > 0 || k.doubt) && !time.Now().Before(k.retryAt)
	k.mu.RUnlock()
	if due {
		k.store(ctx)
	}
}

// remove takes a step from those that wait. The caller holds mu.
func (k *Controller) remove(s *step) {
	k.waiting = slices.DeleteFunc(k.waiting, func(w *step) bool { return w == s })
}
