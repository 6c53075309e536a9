package cutover

import (
	"slices"
	"time"

	"thor"
)

// transitions is the whole machine: from a stage, by an action, to these stages.
// What is not in it does not exist. A rollback to where the feature is, or
// further, and a freeze of what is frozen are not refused: they change nothing.
// What else stands before a step is not the table's: a freeze and a force stand
// before every promotion.
var transitions = [...]map[thor.Action][]thor.Stage{
	thor.StageOff: {
		thor.ActionInitial:  {thor.StageShadow},
		thor.ActionPromote:  {thor.StageShadow},
		thor.ActionOverride: {thor.StageLive}, // of an empty store
		thor.ActionFreeze:   {thor.StageOff},
		thor.ActionUnfreeze: {thor.StageOff},
	},
	thor.StageShadow: {
		thor.ActionPromote:  {thor.StageCanary},
		thor.ActionRollback: {thor.StageOff},
		thor.ActionFreeze:   {thor.StageShadow},
		thor.ActionUnfreeze: {thor.StageShadow},
	},
	thor.StageCanary: {
		thor.ActionPromote:  {thor.StageCanary, thor.StageLive}, // to itself: the next weight
		thor.ActionRollback: {thor.StageOff, thor.StageShadow},
		thor.ActionOverride: {thor.StageShadow},
		thor.ActionFreeze:   {thor.StageCanary},
		thor.ActionUnfreeze: {thor.StageCanary},
	},
	thor.StageLive: {
		thor.ActionPromote:  {thor.StageRampdown},
		thor.ActionRollback: {thor.StageOff, thor.StageShadow, thor.StageCanary},
		thor.ActionOverride: {thor.StageShadow},
		thor.ActionFreeze:   {thor.StageLive},
		thor.ActionUnfreeze: {thor.StageLive},
	},
	thor.StageRampdown: {
		thor.ActionPromote:  {thor.StageComplete},
		thor.ActionRollback: {thor.StageOff, thor.StageShadow, thor.StageCanary, thor.StageLive},
		thor.ActionOverride: {thor.StageShadow},
		thor.ActionFreeze:   {thor.StageRampdown},
		thor.ActionUnfreeze: {thor.StageRampdown},
	},
	thor.StageComplete: {
		thor.ActionRollback: {thor.StageOff, thor.StageShadow, thor.StageCanary, thor.StageLive, thor.StageRampdown},
		thor.ActionOverride: {thor.StageShadow},
		thor.ActionFreeze:   {thor.StageComplete},
		thor.ActionUnfreeze: {thor.StageComplete},
	},
}

// allows reports whether the table has the step.
func allows(from thor.Stage, action thor.Action, to thor.Stage) bool {
	return slices.Contains(transitions[from][action], to)
}

// weights are the steps of canary, in percent of the clients.
var weights = []int{1, 5, 25, 50}

// fullWeight is where canary ends, and begins when nobody says otherwise.
var fullWeight = weights[len(weights)-1]

// weightAt is the weight of a stage somebody goes back to.
func weightAt(s thor.Stage) int {
	if s == thor.StageCanary {
		return fullWeight
	}
	return 0
}

// forward decides where a promotion leads.
func forward(now State, p Promotion) (to thor.Stage, weight int, err error) {
	from := now.Stored
	ahead := transitions[from.Stage][thor.ActionPromote]
	if len(ahead) == 0 {
		return 0, 0, thor.Errorf(thor.ECONFLICT, "%s is complete: there is no further stage", from.Feature)
	}
	to = ahead[len(ahead)-1]
	if from.Stage == thor.StageCanary && p.Weight != 0 {
		to = thor.StageCanary
	}
	if !p.Any && p.To != to {
		return 0, 0, thor.Errorf(thor.ECONFLICT, "%s is in %s, and the next stage is %s, not %s", from.Feature, from.Stage, to, p.To).
			WithHint("Forward is one stage at a time; back is: thor cutover rollback %s --to STAGE.", from.Feature)
	}
	if weight, err = nextWeight(from, to, p.Weight); err != nil {
		return 0, 0, err
	}
	return to, weight, now.blocks(to)
}

// nextWeight is the weight of canary after a promotion, 0 for other stages.
func nextWeight(from thor.FeatureStage, to thor.Stage, weight int) (int, error) {
	if to != thor.StageCanary {
		if weight != 0 {
			return 0, thor.Errorf(thor.EINVALID, "a weight belongs to canary, and the next stage of %s is %s", from.Feature, to)
		}
		return 0, nil
	}
	if weight == 0 {
		return fullWeight, nil
	}
	if !slices.Contains(weights, weight) {
		return 0, thor.Errorf(thor.EINVALID, "%d is not a weight of canary", weight).WithHint("The weights are 1, 5, 25 and 50.")
	}
	if from.Stage != thor.StageCanary {
		return weight, nil
	}
	step := slices.Index(weights, from.Weight) + 1
	if step == len(weights) {
		return 0, thor.Errorf(thor.ECONFLICT, "%s is in canary at %d %%, and the next step is live", from.Feature, from.Weight)
	}
	if weight != weights[step] {
		return 0, thor.Errorf(thor.ECONFLICT, "%s is in canary at %d %%, and the next weight is %d %%, not %d %%",
			from.Feature, from.Weight, weights[step], weight)
	}
	return weight, nil
}

// blocks is why a step forward to a stage is not taken, whatever the table says.
func (s State) blocks(to thor.Stage) error {
	feature := s.Stored.Feature
	if f := s.Effective.Freeze; s.Effective.Frozen() {
		why := ""
		if f.Reason != "" {
			why = ": " + f.Reason
		}
		return thor.Errorf(thor.ECONFLICT, "%s is frozen by %s since %s%s", feature, f.By, f.Since.UTC().Format(time.RFC3339), why).
			WithHint("A freeze stops steps forward, never a rollback. It ends with: thor cutover unfreeze %s.", feature)
	}
	for _, f := range s.Forces {
		if f.Stage < to {
			return thor.Errorf(thor.ECONFLICT, "%s is forced to %s by %s: a step to %s would have no effect", feature, f.Stage, f.By, to).
				WithHint("Take the force away first.")
		}
	}
	if s.Unstored {
		return thor.Errorf(thor.ECONFLICT, "a step of %s waits for the store", feature).
			WithHint("thor status says what the store lacks; go on when it is back.")
	}
	return nil
}

// idle reports whether a step changes nothing, for the feature is there.
func idle(now thor.FeatureStage, t thor.Transition) bool {
	switch t.Action {
	case thor.ActionRollback, thor.ActionOverride:
		return t.To >= now.Stage
	case thor.ActionFreeze:
		return now.Frozen()
	case thor.ActionUnfreeze:
		return !now.Frozen()
	case thor.ActionInitial, thor.ActionPromote:
	}
	return false
}
