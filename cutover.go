package thor

import "time"

// FeatureStage is where a feature stands, and why. It is the data of the
// messages on the [CutoverStream].
type FeatureStage struct {
	Feature string    `json:"feature"`
	Stage   Stage     `json:"stage"`
	Rev     uint64    `json:"rev"`    // rises by one with every transition
	Weight  int       `json:"weight"` // share of clients that render WebSocket in canary, in percent
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`

	Freeze Freeze `json:"-"` // who moves the feature forward must know, a client need not
}

// Freeze is a person's stop: while it stands the feature does not move forward.
// The zero value is none.
type Freeze struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Frozen reports whether the feature is frozen.
func (s FeatureStage) Frozen() bool { return s.Freeze != Freeze{} }

// After is where the feature stands after a transition. Stages are nothing but
// their transitions, one after the other: so the audit says whether a stage is
// true.
func (s FeatureStage) After(t Transition) FeatureStage {
	s.Feature, s.Rev = t.Feature, t.Rev
	switch t.Action {
	case ActionFreeze:
		s.Freeze = Freeze{By: t.Actor, Reason: t.Reason, Since: t.At}
	case ActionUnfreeze:
		s.Freeze = Freeze{}
	case ActionInitial, ActionPromote, ActionRollback, ActionOverride:
		s.Stage, s.Weight, s.Reason, s.Since = t.To, t.Weight, t.Reason, t.At
	}
	return s
}

// Validate reports everything that is wrong with s.
func (s FeatureStage) Validate() error {
	var f faults
	f.id("feature", s.Feature)
	f.instant("since", s.Since)
	if s.Weight < 0 || s.Weight > 100 {
		f.add("weight", "%d is not a percentage", s.Weight)
	}
	return f.err()
}

// CutoverMessage builds the message that tells everybody where a feature
// stands.
func CutoverMessage(s FeatureStage) Message {
	s.Since = s.Since.UTC()
	return Message{Type: "cutover", Stream: CutoverStream, Key: s.Feature, Data: s}
}

// Action is what kind of step a transition is.
type Action string

// The actions.
const (
	ActionInitial  Action = "initial"  // the feature's first stage
	ActionPromote  Action = "promote"  // one step forward
	ActionRollback Action = "rollback" // back, any distance
	ActionOverride Action = "override" // by WS_FEATURE_…, at start
	ActionFreeze   Action = "freeze"   // no step forward from now on
	ActionUnfreeze Action = "unfreeze"
)

// Transition is one step of a feature from a stage to another, and an entry of
// the audit: what, who, why, when, and what the gate said.
type Transition struct {
	ID      int64     `json:"id"` // rises over all features; 0 before it is stored
	At      time.Time `json:"at"`
	Feature string    `json:"feature"`
	Action  Action    `json:"action"`
	From    Stage     `json:"from"`
	To      Stage     `json:"to"`
	Rev     uint64    `json:"rev"` // the revision it made
	Weight  int       `json:"weight"`
	Actor   string    `json:"actor"`
	Reason  string    `json:"reason"`
	Gate    string    `json:"gate"` // what was judged before, in words
	Build   string    `json:"build"`

	// Previous is the hash of the entry before, and Hash the entry's own: see
	// [Transition.Sum]. Both are the store's.
	Previous string `json:"previous"`
	Hash     string `json:"hash"`
}
