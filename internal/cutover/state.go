package cutover

import (
	"fmt"
	"slices"
	"time"

	"thor"
)

// State is where a feature stands: by the store, and in effect.
type State struct {
	// Stored is what the store has: the result of every step that was audited.
	Stored thor.FeatureStage
	// Effective is what counts, everywhere: the earlier of stored and forced. It
	// has the stored revision.
	Effective thor.FeatureStage
	// Forced is the force in effect, nil when there is none.
	Forced *Force
	// Forces are all that stand, those without effect too.
	Forces []Force
	// Unstored is that a step waits for the store.
	Unstored bool
}

// Force is somebody's word that a feature goes no further than a stage, with or
// without the store.
type Force struct {
	Stage thor.Stage `json:"stage"`
	By    string     `json:"by"`
	Since time.Time  `json:"since"`
}

// State is where a feature stands.
func (k *Controller) State(feature string) (State, error) {
	if _, err := thor.FeatureNamed(feature); err != nil {
		return State{}, err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.state(feature), nil
}

// States is where every feature stands, in cutover order.
func (k *Controller) States() []State {
	k.mu.RLock()
	defer k.mu.RUnlock()
	list := make([]State, 0, len(thor.Features))
	for _, f := range thor.Features {
		list = append(list, k.state(f.Name))
	}
	return list
}

// Stages is where every feature stands in effect, in cutover order.
func (k *Controller) Stages() []thor.FeatureStage {
	states := k.States()
	list := make([]thor.FeatureStage, len(states))
	for i, s := range states {
		list[i] = s.Effective
	}
	return list
}

// Publishes reports whether the jobs of a feature publish.
func (k *Controller) Publishes(feature string) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.state(feature).Effective.Stage.Publishes()
}

// state puts together what is known of a feature. The caller holds mu.
func (k *Controller) state(feature string) State {
	s := State{Stored: k.stored[feature]}
	s.Stored.Feature = feature
	s.Effective = s.Stored
	for _, from := range []map[string]Force{k.environment, k.file} {
		if f, ok := from[feature]; ok {
			s.Forces = append(s.Forces, f)
		}
	}
	for _, w := range k.waiting {
		if w.t.Feature != feature || !w.inForce {
			continue
		}
		s.Unstored = true
		switch w.t.Action {
		case thor.ActionRollback, thor.ActionOverride:
			s.Forces = append(s.Forces, Force{Stage: w.t.To, By: fmt.Sprintf("a rollback by %s", w.t.Actor), Since: w.t.At})
		case thor.ActionFreeze: // the end of one counts when it is stored
			s.Effective = s.Effective.After(withRev(w.t, s.Stored.Rev))
		case thor.ActionUnfreeze, thor.ActionInitial, thor.ActionPromote:
		}
	}
	for i, f := range s.Forces {
		if f.Stage < s.Effective.Stage {
			s.Forced = &s.Forces[i]
			s.Effective.Stage, s.Effective.Weight = f.Stage, weightAt(f.Stage)
			s.Effective.Reason, s.Effective.Since = "forced: "+f.By, f.Since
		}
	}
	return s
}

// withRev is a step that makes no revision of its own yet.
func withRev(t thor.Transition, rev uint64) thor.Transition {
	t.Rev = rev
	return t
}

// Troubles says what a person should know: steps the store does not have, forces
// without effect, and what is wrong with the force file.
func (k *Controller) Troubles() []string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var list []string
	for _, w := range k.waiting {
		if w.inForce {
			list = append(list, fmt.Sprintf("%s is in effect on this server and not stored: %s. %s",
				describe(w.t), k.trouble, k.untilStored(w.t)))
		}
	}
	for _, f := range thor.Features {
		s := k.state(f.Name)
		for _, force := range s.Forces {
			switch {
			case force.Stage > s.Stored.Stage:
				list = append(list, fmt.Sprintf("%s: %s:%s has no effect, for %s is in %s: a force goes toward REST alone",
					force.By, f.Name, force.Stage, f.Name, s.Stored.Stage))
			case force.Stage == s.Stored.Stage:
				list = append(list, fmt.Sprintf("%s: %s:%s stands, and %s is in %s anyway", force.By, f.Name, force.Stage, f.Name, s.Stored.Stage))
			}
		}
	}
	return append(list, slices.Clone(k.fileFaults)...)
}

// describe is a step in a few words.
func describe(t thor.Transition) string {
	switch t.Action {
	case thor.ActionFreeze, thor.ActionUnfreeze:
		return fmt.Sprintf("%s of %s by %s", t.Action, t.Feature, t.Actor)
	case thor.ActionRollback, thor.ActionOverride, thor.ActionPromote, thor.ActionInitial:
	}
	return fmt.Sprintf("%s of %s to %s by %s", t.Action, t.Feature, t.To, t.Actor)
}

// untilStored says what happens to a step that is not stored. The caller holds
// mu.
func (k *Controller) untilStored(t thor.Transition) string {
	after := fmt.Sprintf("%s is in %s again after the next start", t.Feature, k.stored[t.Feature].Stage)
	switch t.Action {
	case thor.ActionFreeze:
		after = "it is gone"
	case thor.ActionUnfreeze:
		return "It is stored when the store is back; until then the freeze stands."
	case thor.ActionRollback, thor.ActionOverride, thor.ActionPromote, thor.ActionInitial:
		after += fmt.Sprintf(", unless that has THOR_FORCE=%s:%s", t.Feature, t.To)
	}
	return "It is stored when the store is back; if the server ends before, " + after + "."
}

// Away is why the store cannot keep a step, nil when none waits.
func (k *Controller) Away() error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	waiting := 0
	for _, w := range k.waiting {
		if w.inForce {
			waiting++
		}
	}
	if waiting == 0 {
		return nil
	}
	noun := "steps are"
	if waiting == 1 {
		noun = "step is"
	}
	return fmt.Errorf("%d %s in effect and not stored: %s", waiting, noun, k.trouble)
}
