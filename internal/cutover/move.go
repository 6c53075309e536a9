package cutover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"thor"
)

// Times of a step.
const (
	// patience is how long a step back waits for the store before it takes effect
	// without it.
	patience = 700 * time.Millisecond
	// storeWait bounds one attempt to store a step and to tell the world, and how
	// long a step forward waits.
	storeWait  = 10 * time.Second
	minBackoff = 500 * time.Millisecond
	maxBackoff = 10 * time.Second
)

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
// error is ESTALE when somebody changed the stage since Rev, ECONFLICT when the
// step does not exist or something stands before it, and EUNAVAILABLE when the
// store does not answer: then it may still be stored.
func (k *Controller) Promote(ctx context.Context, p Promotion) (thor.Transition, error) {
	if _, err := thor.FeatureNamed(p.Feature); err != nil {
		return thor.Transition{}, err
	}
	k.mu.Lock()
	k.promoting[p.Feature]++
	k.mu.Unlock()
	return k.perform(ctx, p.Feature, func(now State) (thor.Transition, error) {
		if now.Stored.Rev != p.Rev {
			return thor.Transition{}, k.stale(ctx, now.Stored, p.Rev)
		}
		to, weight, err := forward(now, p)
		return thor.Transition{
			Feature: p.Feature, Action: thor.ActionPromote, To: to, Weight: weight, Actor: p.Actor, Reason: p.Reason,
		}, err
	})
}

// stale says who changed the stage.
func (k *Controller) stale(ctx context.Context, now thor.FeatureStage, based uint64) error {
	err := thor.Errorf(thor.ESTALE, "%s is at revision %d, and the request is based on %d", now.Feature, now.Rev, based)
	if last, lastErr := k.Store.History(ctx, now.Feature, 1); lastErr == nil && len(last) == 1 {
		did := fmt.Sprintf("moved it from %s to %s", last[0].From, last[0].To)
		if last[0].Action == thor.ActionFreeze || last[0].Action == thor.ActionUnfreeze {
			did = fmt.Sprintf("did %s it", last[0].Action)
		}
		return err.WithHint("%s %s at %s. Look again, then repeat.", last[0].Actor, did, last[0].At.Format(time.RFC3339))
	}
	return err.WithHint("Look again, then repeat.")
}

// perform decides on a step when the store is free, stores it and tells the
// world. Once begun it is finished even if whoever asked has gone: a stage that
// is stored and not told would be the worst of both.
func (k *Controller) perform(ctx context.Context, feature string, decide func(State) (thor.Transition, error)) (thor.Transition, error) {
	type result struct {
		t   thor.Transition
		err error
	}
	done := make(chan result, 1)
	k.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWait)
		defer cancel()
		defer k.promoted(feature)
		select {
		case k.turn <- struct{}{}:
		case <-ctx.Done():
			done <- result{err: ctx.Err()}
			return
		}
		defer func() { <-k.turn }()
		if err := k.settle(ctx); err != nil {
			done <- result{err: err}
			return
		}
		k.mu.RLock()
		now := k.state(feature)
		k.mu.RUnlock()
		t, err := decide(now)
		if err == nil {
			t.At = time.Now()
			t, err = k.move(ctx, t, nil)
		}
		done <- result{t, err}
	})
	timer := time.NewTimer(storeWait)
	defer timer.Stop()
	select {
	case r := <-done:
		if errors.Is(r.err, context.DeadlineExceeded) {
			r.err = unanswered()
		}
		return r.t, r.err
	case <-timer.C:
		return thor.Transition{}, unanswered()
	}
}

func unanswered() error {
	return thor.Errorf(thor.EUNAVAILABLE, "the store does not answer: the step may still be stored").
		WithHint("Look where the feature stands, then repeat. A rollback works meanwhile.")
}

// promoted notes that no promotion of the feature is on its way any more.
func (k *Controller) promoted(feature string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.promoting[feature] > 0 {
		k.promoting[feature]--
	}
}

// Outcome is what became of a step back, a freeze or its end.
type Outcome struct {
	thor.Transition
	Changed bool
	// Durable is that the store has it. If not it is in effect on this server,
	// and is stored when the store is back; Trouble says why and what if not.
	Durable bool
	Trouble string
}

// Rollback goes back to a stage, any distance, in every state and whatever the
// store does. Where the feature is there or before already, nothing changes.
func (k *Controller) Rollback(ctx context.Context, feature string, to thor.Stage, actor, reason string) (Outcome, error) {
	return k.back(ctx, thor.Transition{
		Feature: feature, Action: thor.ActionRollback, To: to, Weight: weightAt(to), Actor: actor, Reason: reason,
	})
}

// Freeze stops steps forward. A feature that is frozen stays so as it is.
func (k *Controller) Freeze(ctx context.Context, feature, actor, reason string) (Outcome, error) {
	return k.back(ctx, thor.Transition{Feature: feature, Action: thor.ActionFreeze, Actor: actor, Reason: reason})
}

// Unfreeze ends a freeze. Unlike the others it takes effect when it is stored.
func (k *Controller) Unfreeze(ctx context.Context, feature, actor, reason string) (Outcome, error) {
	return k.back(ctx, thor.Transition{Feature: feature, Action: thor.ActionUnfreeze, Actor: actor, Reason: reason})
}

// step is a step that is not forward, on its way into the store.
type step struct {
	t       thor.Transition
	inForce bool          // it is in effect without the store; guarded by the controller's mu
	failed  chan struct{} // has one when an attempt to store it failed
	done    chan struct{} // closed when it is in the store; then the outcome is
	outcome Outcome
	err     error // of telling it
}

// back takes a step that is not forward. It waits for the store for a moment,
// then it takes effect without. Whoever asked may go: it is done all the same.
func (k *Controller) back(ctx context.Context, t thor.Transition) (Outcome, error) {
	if _, err := thor.FeatureNamed(t.Feature); err != nil {
		return Outcome{}, err
	}
	t.At = time.Now().UTC().Truncate(time.Millisecond)
	s := &step{t: t, failed: make(chan struct{}, 1), done: make(chan struct{})}
	if outcome, idle := k.queue(s); idle {
		return outcome, nil
	}
	k.store(ctx)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.done:
		return s.outcome, s.err
	case <-s.failed:
	case <-timer.C:
	}
	return k.enforce(ctx, s)
}

// queue lets a step wait for the store, unless it changes nothing. With a
// promotion on its way, or one that ended nobody knows how, a rollback waits in
// any case: the feature may be further than it seems.
func (k *Controller) queue(s *step) (outcome Outcome, changesNothing bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, durable := k.stored[s.t.Feature], true
	ahead := k.promoting[s.t.Feature] > 0 || k.lost[s.t.Feature]
	for _, w := range k.waiting {
		if w.t.Feature == s.t.Feature {
			durable = false
			if isBack(w.t) && w.t.To <= s.t.To { // it comes behind the promotion too
				ahead = false
			}
			if !idle(now, w.t) {
				w := w.t
				if w.Action == thor.ActionFreeze || w.Action == thor.ActionUnfreeze {
					w.To = now.Stage
				}
				now = now.After(withRev(w, now.Rev))
			}
		}
	}
	if idle(now, s.t) && (!isBack(s.t) || !ahead) {
		o := unchanged(now)
		o.Durable = durable
		if !durable {
			o.Trouble = "what was done before is not stored yet: " + k.trouble
		}
		return o, true
	}
	k.waiting = append(k.waiting, s)
	return Outcome{}, false
}

// isBack reports whether a step goes back.
func isBack(t thor.Transition) bool {
	return t.Action == thor.ActionRollback || t.Action == thor.ActionOverride
}

func unchanged(now thor.FeatureStage) Outcome {
	return Outcome{
		Transition: thor.Transition{Feature: now.Feature, From: now.Stage, To: now.Stage, Rev: now.Rev, Weight: now.Weight},
		Durable:    true,
	}
}

// enforce puts a step into effect that the store has not taken yet.
func (k *Controller) enforce(ctx context.Context, s *step) (Outcome, error) {
	k.mu.Lock()
	select {
	case <-s.done: // in the last moment
		k.mu.Unlock()
		return s.outcome, s.err
	default:
	}
	before := k.state(s.t.Feature)
	s.inForce = true
	if k.trouble == "" {
		k.trouble = "the store does not answer"
	}
	o := Outcome{Transition: s.t, Changed: true, Trouble: k.trouble + ". " + k.untilStored(s.t)}
	k.mu.Unlock()
	o.From, o.Rev = max(before.Effective.Stage, s.t.To), before.Stored.Rev
	if o.Action == thor.ActionFreeze || o.Action == thor.ActionUnfreeze {
		o.To, o.Weight = o.From, before.Effective.Weight
	}
	o.Gate, o.Build = NoGate, k.Build
	k.Logger.WarnContext(ctx, "in effect, not stored", slog.String("step", describe(s.t)), slog.String("reason", s.t.Reason), slog.String("trouble", o.Trouble))
	return o, k.tell(context.WithoutCancel(ctx))
}

// store begins to store what waits, unless somebody is at it.
func (k *Controller) store(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.storing {
		return
	}
	k.storing = true
	ctx = context.WithoutCancel(ctx)
	k.tasks.Go(func() {
		k.turn <- struct{}{}
		defer func() { <-k.turn }()
		for {
			k.mu.Lock()
			if len(k.waiting) == 0 && !k.doubt {
				k.storing, k.trouble, k.backoff = false, "", 0
				k.mu.Unlock()
				return
			}
			var next *step // none: to end the doubt
			if len(k.waiting) > 0 {
				next = k.waiting[0]
			}
			k.mu.Unlock()
			if err := k.storeOne(ctx, next); err != nil {
				k.postpone(ctx, err)
				return
			}
		}
	})
}

// postpone lets everything that waits take effect without the store, which is
// asked again later.
func (k *Controller) postpone(ctx context.Context, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.backoff == 0 {
		k.Logger.ErrorContext(ctx, "the store does not take a step", slog.Any("error", err))
	}
	k.storing, k.trouble = false, strings.TrimSuffix(err.Error(), ".")
	k.backoff = min(max(2*k.backoff, minBackoff), maxBackoff)
	k.retryAt = time.Now().Add(k.backoff)
	for _, w := range k.waiting {
		select {
		case w.failed <- struct{}{}:
		default: // it knows
		}
	}
}

// storeOne ends a doubt, and stores the step that has waited longest, if there is
// one. The caller has the turn.
func (k *Controller) storeOne(ctx context.Context, s *step) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	if err := k.settle(ctx); err != nil || s == nil {
		return err
	}
	k.mu.Lock()
	select {
	case <-s.done: // an attempt that seemed to fail had stored it
		k.mu.Unlock()
		return nil
	default:
	}
	now, late := k.stored[s.t.Feature], s.inForce
	if idle(now, s.t) {
		s.outcome = unchanged(now)
		k.remove(s)
		close(s.done)
		k.mu.Unlock()
		return k.tell(ctx)
	}
	k.mu.Unlock()
	t := s.t
	if late {
		t.Gate = fmt.Sprintf("%s; in effect since then, stored at %s: the store was away", NoGate, time.Now().UTC().Format(time.RFC3339))
	}
	if t.Action == thor.ActionFreeze || t.Action == thor.ActionUnfreeze {
		t.To, t.Weight = now.Stage, now.Weight
	}
	_, err := k.move(ctx, t, s)
	select {
	case <-s.done: // what is stored is stored, also if telling it failed
		return nil
	default:
		return err
	}
}

// move stores a step and tells the world. The caller has the turn; s is the step
// that waits for it, or nil.
func (k *Controller) move(ctx context.Context, t thor.Transition, s *step) (thor.Transition, error) {
	k.mu.RLock()
	now := k.stored[t.Feature]
	k.mu.RUnlock()
	t.At = t.At.UTC().Truncate(time.Millisecond)
	t.From, t.Rev, t.Build = now.Stage, now.Rev+1, k.Build
	if t.Gate == "" {
		t.Gate = NoGate
	}
	if !allows(t.From, t.Action, t.To) {
		panic(fmt.Sprintf("cutover: %s from %s to %s is not in the table", t.Action, t.From, t.To)) // forward and idle have looked
	}
	msg := thor.CutoverMessage(now.After(t))
	data, err := msg.Encode()
	if err != nil {
		return t, err
	}
	draft := thor.Event{Stream: msg.Stream, Type: msg.Type, Key: msg.Key, Data: data, Time: time.Now()}
	stored, event, err := k.Store.Transition(ctx, t, draft)
	if err != nil {
		// It may have been stored all the same, and then it is behind what we know.
		k.mu.Lock()
		k.doubt = true
		if s == nil {
			k.lost[t.Feature] = true
		}
		k.mu.Unlock()
		return t, fmt.Errorf("%s %s to %s: %w", t.Action, t.Feature, t.To, err)
	}
	return stored, k.adopt(ctx, now.After(stored), []thor.Transition{stored}, s, event)
}

// adopt makes what was stored the stage, and tells the world.
func (k *Controller) adopt(ctx context.Context, now thor.FeatureStage, steps []thor.Transition, s *step, events ...thor.Event) error {
	k.mu.Lock()
	k.stored[now.Feature] = now
	if s != nil {
		s.outcome = Outcome{Transition: steps[len(steps)-1], Changed: true, Durable: true}
		k.remove(s)
	}
	k.mu.Unlock()
	if k.Moved != nil {
		for _, t := range steps {
			k.Moved(t)
		}
	}
	err := k.tell(ctx, events...)
	if err != nil {
		err = fmt.Errorf("%s is in %s, but telling it failed: %w", now.Feature, now.Stage, err)
		k.Logger.ErrorContext(ctx, "tell of a step", slog.Any("error", err))
	}
	if s != nil {
		k.mu.Lock()
		s.err = err
		close(s.done)
		k.mu.Unlock()
	}
	return err
}

// settle finds out what became of an attempt nobody knows the end of, and tells
// the world what it missed. The caller has the turn.
func (k *Controller) settle(ctx context.Context) error {
	k.mu.RLock()
	doubt := k.doubt
	k.mu.RUnlock()
	if !doubt {
		return nil
	}
	kept, err := k.Store.Stages(ctx)
	if err != nil {
		return fmt.Errorf("read the stages: %w", err)
	}
	_, events, err := k.Store.Latest(ctx, thor.CutoverStream, thor.Window{})
	if err != nil {
		return fmt.Errorf("read the events of the stages: %w", err)
	}
	for _, now := range kept {
		k.mu.RLock()
		known := k.stored[now.Feature]
		k.mu.RUnlock()
		if now.Rev <= known.Rev {
			continue
		}
		missed, err := k.Store.History(ctx, now.Feature, int(now.Rev-known.Rev)) //nolint:gosec // a few
		if err != nil {
			return fmt.Errorf("read the audit: %w", err)
		}
		var own []thor.Event
		for _, e := range events {
			if e.Key == now.Feature {
				own = append(own, e)
			}
		}
		_ = k.adopt(ctx, now, missed, k.waitingFor(missed), own...) // it is logged; whoever waits for the step gets it
	}
	k.mu.Lock()
	k.doubt = false
	clear(k.lost)
	k.mu.Unlock()
	return nil
}

// waitingFor is the step that waits and is one of those that were stored.
func (k *Controller) waitingFor(stored []thor.Transition) *step {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, s := range k.waiting {
		for _, t := range stored {
			if s.t.Feature == t.Feature && s.t.Action == t.Action && s.t.At.Equal(t.At) && s.t.Actor == t.Actor && s.t.Reason == t.Reason {
				return s
			}
		}
	}
	return nil
}
