package thor

import (
	"encoding/json"
	"strings"
	"time"
)

// Scope says what a feature has a stream for, and who may see it.
type Scope uint8

// The scopes.
const (
	ScopeShared  Scope = iota // one public stream
	ScopeSymbol               // one public stream for each symbol
	ScopeAccount              // one private stream for each account
)

// Param is the name of the REST query parameter that picks the stream, or "".
func (s Scope) Param() string {
	switch s {
	case ScopeSymbol:
		return "symbol"
	case ScopeAccount:
		return "account_id"
	case ScopeShared:
	}
	return ""
}

// Feature is one kind of data that moves from REST to WebSocket on its own.
type Feature struct {
	Name  string // also the first part of its streams' ids
	Type  string // the "type" of its messages
	Scope Scope

	Key  string // the member of its data that is the key of a message
	Path string // where REST serves it
	List string // the member REST wraps its values in; "" when a stream holds one value
	// Window is how many of the newest keys a stream's snapshot may hold; 0 is
	// all of them. A feature with a window keeps its history, which REST pages
	// through.
	Window int

	// Policy is what a reader that lags gets of the feature's messages, and
	// FinalPolicy what it gets of the final ones. A feature whose FinalPolicy is
	// merge has no final messages.
	Policy, FinalPolicy Policy

	// Cadence is how often the feature speaks when nothing changes; 0 is on
	// change only. Idle is how often a stream of it does while nothing it is about
	// trades: the symbol, or what the account holds; 0 is as always.
	Cadence time.Duration
	Idle    time.Duration

	// Read builds a message from data that somebody else wrote, strictly: the
	// error names each fault by its path.
	Read func(data json.RawMessage) (Message, error)

	Sample Message // one of its messages, for types, documents and laws
}

// Private reports whether a stream of the feature is for its owner alone.
func (f Feature) Private() bool { return f.Scope == ScopeAccount }

// FeatureNamed returns the feature of that name.
func FeatureNamed(name string) (Feature, error) {
	for _, f := range Features {
		if f.Name == name {
			return f, nil
		}
	}
	return Feature{}, Errorf(ENOTFOUND, "there is no feature %q", name).
		WithHint("The features are: %s.", strings.Join(FeatureNames(), ", "))
}

// FeatureOfType returns the feature whose messages have that type.
func FeatureOfType(kind string) (Feature, error) {
	types := make([]string, len(Features))
	for i, f := range Features {
		if f.Type == kind {
			return f, nil
		}
		types[i] = f.Type
	}
	return Feature{}, Errorf(EINVALID, "there is no message type %.64q", kind).WithHint("The types are: %s.", strings.Join(types, ", "))
}

// FeatureNames lists the names of the features in cutover order.
func FeatureNames() []string {
	names := make([]string, len(Features))
	for i, f := range Features {
		names[i] = f.Name
	}
	return names
}

// FeatureVariable is the environment variable that switched the feature in
// earlier days and still does: WS_FEATURE_ACCOUNT_BALANCE.
func FeatureVariable(name string) string { return "WS_FEATURE_" + strings.ToUpper(name) }
