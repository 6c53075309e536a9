// Package cutover owns the stage of every feature: it moves a feature forward
// one step at a time and back any distance, writes each step into the audit,
// and tells the world.
//
// It never moves a feature forward by itself. It does not compare data and does
// not know clients; who renders what follows from the stage, see
// [Controller.DataSource].
package cutover

import (
	"context"
	"errors"
	"fmt"
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
}

// publisher sends the events of the cutover stream.
type publisher interface {
	Publish(ctx context.Context, events []thor.Event) error
}

// Config is what a controller is made of.
type Config struct {
	Store stages
	Layer publisher
	// Changed is called after every transition, before its event is published;
	// nil is nobody. The event goes out even if it fails.
	Changed func(ctx context.Context, t thor.Transition) error
	Build   string // of this binary, for the audit
	// Overrides are WS_FEATURE_…: false takes a feature back to shadow, true
	// makes it live in an empty store.
	Overrides map[string]bool
}

// Controller holds the stages. Make one with [Open].
type Controller struct {
	Config

	moving sync.Mutex // one transition at a time; held while the store works

	mu     sync.RWMutex // guards states
	states map[string]thor.FeatureStage
}

// Itself is the actor of what thor does by itself: first stages and overrides.
const Itself = "thor"

// NoGate is what the audit says of a step before which nothing was judged.
const NoGate = "no gate ran"

// Open reads the stages, gives new features their first one, and applies the
// overrides. The notes say what an override did or did not do.
func Open(ctx context.Context, c Config) (controller *Controller, notes []string, err error) {
	k := &Controller{Config: c, states: map[string]thor.FeatureStage{}}
	kept, err := c.Store.Stages(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read the stages: %w", err)
	}
	for _, s := range kept {
		k.states[s.Feature] = s
	}
	empty := len(kept) == 0
	for _, f := range thor.Features {
		on, overridden := c.Overrides[f.Name]
		if _, known := k.states[f.Name]; !known {
			step := thor.Transition{Feature: f.Name, Action: thor.ActionInitial, To: thor.StageShadow, Actor: Itself, Reason: "the default"}
			if empty && overridden && on {
				step.Action, step.To, step.Reason = thor.ActionOverride, thor.StageLive, variable(f.Name)+"=true in an empty store"
			}
			if _, err := k.move(ctx, step); err != nil {
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
	return k, notes, nil
}

// override applies an old switch to a feature that has a stage.
func (k *Controller) override(ctx context.Context, feature string, on bool) (note string, err error) {
	now := k.states[feature]
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
	_, err = k.move(ctx, thor.Transition{
		Feature: feature, Action: thor.ActionOverride, To: thor.StageShadow, Actor: Itself, Reason: name + " at start",
	})
	return fmt.Sprintf("%s: %s went from %s back to shadow", name, feature, now.Stage), err
}

// variable is the environment variable that switches a feature.
func variable(feature string) string { return thor.FeatureVariable(feature) }

// Stage is where a feature stands.
func (k *Controller) Stage(feature string) (thor.FeatureStage, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	s, ok := k.states[feature]
	if !ok {
		_, err := thor.FeatureNamed(feature)
		return s, err
	}
	return s, nil
}

// Stages is where every feature stands, in cutover order.
func (k *Controller) Stages() []thor.FeatureStage {
	k.mu.RLock()
	defer k.mu.RUnlock()
	list := make([]thor.FeatureStage, 0, len(k.states))
	for _, f := range thor.Features {
		list = append(list, k.states[f.Name])
	}
	return list
}

// Publishes reports whether the jobs of a feature publish.
func (k *Controller) Publishes(feature string) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.states[feature].Stage.Publishes()
}

// History returns the newest transitions of a feature, newest first.
func (k *Controller) History(ctx context.Context, feature string, limit int) ([]thor.Transition, error) {
	if _, err := thor.FeatureNamed(feature); err != nil {
		return nil, err
	}
	return k.Store.History(ctx, feature, limit)
}

// Promotion asks for one step forward.
type Promotion struct {
	Feature string
	Rev     uint64     // what the decision is based on
	To      thor.Stage // where to; the next step when Any
	Any     bool
	// Weight is the share of canary, in percent: where it begins, or within it
	// the next step. 0 begins with half of the clients, and within canary goes
	// on to the next stage.
	Weight int
	Actor  string
	Reason string
}

// Promote takes one step forward: a stage, or within canary a weight. The
// error is ESTALE when somebody changed the stage since Rev, and ECONFLICT when
// the step does not exist.
func (k *Controller) Promote(ctx context.Context, p Promotion) (thor.Transition, error) {
	k.moving.Lock()
	defer k.moving.Unlock()
	now, err := k.Stage(p.Feature)
	if err != nil {
		return thor.Transition{}, err
	}
	if now.Rev != p.Rev {
		return thor.Transition{}, k.stale(ctx, now, p.Rev)
	}
	to, weight, err := forward(now, p)
	if err != nil {
		return thor.Transition{}, err
	}
	return k.move(ctx, thor.Transition{
		Feature: p.Feature, Action: thor.ActionPromote, To: to, Weight: weight, Actor: p.Actor, Reason: p.Reason,
	})
}

// Rollback goes back to a stage, any distance, in every state. Where the
// feature is there or before already, nothing changes and changed is false.
func (k *Controller) Rollback(ctx context.Context, feature string, to thor.Stage, actor, reason string) (t thor.Transition, changed bool, err error) {
	k.moving.Lock()
	defer k.moving.Unlock()
	now, err := k.Stage(feature)
	if err != nil {
		return t, false, err
	}
	if to >= now.Stage {
		return thor.Transition{Feature: feature, From: now.Stage, To: now.Stage, Rev: now.Rev, Weight: now.Weight}, false, nil
	}
	weight := 0
	if to == thor.StageCanary {
		weight = weights[len(weights)-1]
	}
	t, err = k.move(ctx, thor.Transition{
		Feature: feature, Action: thor.ActionRollback, To: to, Weight: weight, Actor: actor, Reason: reason,
	})
	return t, err == nil, err
}

// stale says who changed the stage.
func (k *Controller) stale(ctx context.Context, now thor.FeatureStage, based uint64) error {
	err := thor.Errorf(thor.ESTALE, "%s is at revision %d, and the request is based on %d", now.Feature, now.Rev, based)
	if last, lastErr := k.Store.History(ctx, now.Feature, 1); lastErr == nil && len(last) == 1 {
		return err.WithHint("%s moved it from %s to %s at %s. Look again, then repeat.",
			last[0].Actor, last[0].From, last[0].To, last[0].At.Format(time.RFC3339))
	}
	return err.WithHint("Look again, then repeat.")
}

// moveTimeout bounds a step: storing it and telling the world.
const moveTimeout = 30 * time.Second

// move stores a step and tells the world. It is finished even if whoever asked
// for it has gone: a stage that is stored and not told would be the worst of
// both. The caller holds moving, or nobody else has the controller yet.
func (k *Controller) move(ctx context.Context, t thor.Transition) (thor.Transition, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), moveTimeout)
	defer cancel()
	now := k.states[t.Feature] // only move writes states
	t.At = time.Now().UTC().Truncate(time.Millisecond)
	t.From, t.Rev, t.Gate, t.Build = now.Stage, now.Rev+1, NoGate, k.Build
	msg := thor.CutoverMessage(t.Stage())
	data, err := msg.Encode()
	if err != nil {
		return t, err
	}
	t, event, err := k.Store.Transition(ctx, t, thor.Event{Stream: msg.Stream, Type: msg.Type, Key: msg.Key, Data: data})
	if err != nil {
		return t, fmt.Errorf("move %s to %s: %w", t.Feature, t.To, err)
	}
	k.mu.Lock()
	k.states[t.Feature] = t.Stage()
	k.mu.Unlock()
	var changedErr error
	if k.Changed != nil {
		changedErr = k.Changed(ctx, t)
	}
	if err := errors.Join(changedErr, k.Layer.Publish(ctx, []thor.Event{event})); err != nil {
		return t, fmt.Errorf("%s is in %s, but telling it failed: %w", t.Feature, t.To, err)
	}
	return t, nil
}

// weights are the steps of canary, in percent of the clients.
var weights = []int{1, 5, 25, 50}

// forward decides where a promotion leads.
func forward(now thor.FeatureStage, p Promotion) (to thor.Stage, weight int, err error) {
	if now.Stage == thor.StageComplete {
		return 0, 0, thor.Errorf(thor.ECONFLICT, "%s is complete: there is no further stage", now.Feature)
	}
	next := now.Stage + 1
	if now.Stage == thor.StageCanary && p.Weight != 0 {
		next = thor.StageCanary
	}
	if !p.Any && p.To != next {
		return 0, 0, thor.Errorf(thor.ECONFLICT, "%s is in %s, and the next stage is %s, not %s", now.Feature, now.Stage, next, p.To).
			WithHint("Forward is one stage at a time; back is: thor cutover rollback %s --to STAGE.", now.Feature)
	}
	if next != thor.StageCanary {
		if p.Weight != 0 {
			return 0, 0, thor.Errorf(thor.EINVALID, "a weight belongs to canary, and the next stage of %s is %s", now.Feature, next)
		}
		return next, 0, nil
	}
	weight = p.Weight
	if weight == 0 {
		weight = weights[len(weights)-1]
	}
	if !slices.Contains(weights, weight) {
		return 0, 0, thor.Errorf(thor.EINVALID, "%d is not a weight of canary", weight).WithHint("The weights are 1, 5, 25 and 50.")
	}
	if now.Stage == thor.StageCanary {
		step := slices.Index(weights, now.Weight) + 1
		if step == len(weights) {
			return 0, 0, thor.Errorf(thor.ECONFLICT, "%s is in canary at %d %%, and the next step is live", now.Feature, now.Weight)
		}
		if weight != weights[step] {
			return 0, 0, thor.Errorf(thor.ECONFLICT, "%s is in canary at %d %%, and the next weight is %d %%, not %d %%",
				now.Feature, now.Weight, weights[step], weight)
		}
	}
	return next, weight, nil
}
