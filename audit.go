package thor

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"
)

// auditForm names the encoding of [Transition.Sum].
const auditForm = "thor.audit.1"

// Sum is the hash the entry has behind an entry with the hash previous: SHA-256,
// in hex, over the netstrings (length in bytes, colon, bytes, comma) of the form
// "thor.audit.1", previous, id, at (RFC 3339 with milliseconds, UTC), feature,
// action, from, to, rev, weight, actor, reason, gate and build, in this order,
// numbers in decimal. The first entry has "" before it.
func (t Transition) Sum(previous string) string {
	h := sha256.New()
	for _, field := range []string{
		auditForm, previous, strconv.FormatInt(t.ID, 10), t.At.UTC().Format("2006-01-02T15:04:05.000Z"),
		t.Feature, string(t.Action), t.From.String(), t.To.String(), strconv.FormatUint(t.Rev, 10),
		strconv.Itoa(t.Weight), t.Actor, t.Reason, t.Gate, t.Build,
	} {
		fmt.Fprintf(h, "%d:%s,", len(field), field)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// AuditHead is how long an audit is and the hash of its last entry, kept apart
// from it: so a tail that was cut off is missed.
type AuditHead struct {
	Count int64  `json:"count"`
	Hash  string `json:"hash"`
}

// Audit is everything a store knows of transitions, oldest first.
type Audit struct {
	Entries []Transition
	Head    AuditHead
	Stages  []FeatureStage
}

// AuditFault is a place where an audit does not hold.
type AuditFault struct {
	ID      int64  `json:"id"` // of the entry; 0 is the audit as a whole
	Message string `json:"message"`
}

func (f AuditFault) String() string {
	if f.ID == 0 {
		return f.Message
	}
	return fmt.Sprintf("entry %d: %s", f.ID, f.Message)
}

// Verify returns the places where the audit does not hold: an entry that was
// changed, taken out, put in or moved, a tail that is missing, and a stage that
// is not what the entries make of it. It goes on behind a fault, so that each
// is told once. Who can write the whole store can write another audit that
// holds: keep the head's hash elsewhere to notice that too.
func (a Audit) Verify() []AuditFault {
	var faults []AuditFault
	fault := func(id int64, format string, args ...any) {
		faults = append(faults, AuditFault{ID: id, Message: fmt.Sprintf(format, args...)})
	}
	stages, last := map[string]FeatureStage{}, Transition{}
	for _, t := range a.Entries {
		if t.ID != last.ID+1 {
			fault(t.ID, "it follows entry %d: what was between is missing", last.ID)
		}
		if t.Previous != last.Hash && t.ID == last.ID+1 {
			fault(t.ID, "it was not written behind entry %d as that is now", last.ID)
		}
		if t.Sum(t.Previous) != t.Hash {
			fault(t.ID, "it was changed: %s %s → %s of %s by %s at %s does not have its hash",
				t.Action, t.From, t.To, t.Feature, t.Actor, t.At.Format(time.RFC3339))
		}
		if before := stages[t.Feature]; t.Rev != before.Rev+1 {
			fault(t.ID, "it makes revision %d of %s, and the one before made %d", t.Rev, t.Feature, before.Rev)
		}
		stages[t.Feature], last = stages[t.Feature].After(t), t
	}
	if int64(len(a.Entries)) != a.Head.Count || last.Hash != a.Head.Hash {
		fault(0, "the audit has %d entries and ends with entry %d, and its head says %d with the hash %.12s: its end was cut off or put on",
			len(a.Entries), last.ID, a.Head.Count, a.Head.Hash)
	}
	for _, s := range a.Stages {
		if want := stages[s.Feature]; s.Stage != want.Stage || s.Rev != want.Rev || s.Weight != want.Weight || s.Freeze.By != want.Freeze.By {
			fault(0, "%s is in %s at revision %d, and by the audit it is in %s at revision %d", s.Feature, s.Stage, s.Rev, want.Stage, want.Rev)
		}
		delete(stages, s.Feature)
	}
	for feature := range stages {
		fault(0, "%s is in the audit and has no stage", feature)
	}
	return faults
}
