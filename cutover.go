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
}

// Stage is where the feature stands after the transition.
func (t Transition) Stage() FeatureStage {
	return FeatureStage{
		Feature: t.Feature, Stage: t.To, Rev: t.Rev, Weight: t.Weight, Reason: t.Reason, Since: t.At,
	}
}
