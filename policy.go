package thor

// Policy says what a reader that lags gets of a stream's entries.
type Policy uint8

// The policies.
const (
	// PolicyMerge is the newest entry of each key; the ones it replaced may be
	// left out. One that says its key is gone is the newest like any other.
	PolicyMerge Policy = iota
	// PolicySequence is every entry for as long as it is held for replay, and
	// the newest of its key after that. Merged entries of its key that came
	// before it may be left out.
	PolicySequence
	// PolicyWhole is the latest alone. It is for what is neither stored nor
	// numbered: the heartbeat.
	PolicyWhole
)

var policyNames = []string{"merge", "sequence", "whole"}

func (p Policy) String() string { return policyNames[p] }

// PolicyOf is the policy of the feature's messages; final says whether it is the
// last word on its key.
func (f Feature) PolicyOf(final bool) Policy {
	if final {
		return f.FinalPolicy
	}
	return f.Policy
}

// Policy is what a reader that lags gets of the event, as its feature says.
// Events of the cutover stream, and of a feature nobody declared, merge.
func (e Event) Policy() Policy {
	name := e.Stream.Feature()
	for i := range Features {
		if Features[i].Name == name {
			return Features[i].PolicyOf(e.Final)
		}
	}
	return PolicyMerge
}
