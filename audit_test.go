package thor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"thor"
)

// chain is an audit that holds.
func chain() thor.Audit {
	var a thor.Audit
	stages := map[string]thor.FeatureStage{}
	at := time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC)
	for _, step := range []thor.Transition{
		{Feature: "positions", Action: thor.ActionInitial, To: thor.StageShadow, Actor: "thor"},
		{Feature: "intraday", Action: thor.ActionInitial, To: thor.StageShadow, Actor: "thor"},
		{Feature: "positions", Action: thor.ActionPromote, To: thor.StageCanary, Weight: 25, Actor: "ada", Reason: "looks good"},
		{Feature: "positions", Action: thor.ActionFreeze, To: thor.StageCanary, Weight: 25, Actor: "bob"},
		{Feature: "positions", Action: thor.ActionRollback, To: thor.StageShadow, Actor: "ada", Reason: "second thoughts"},
		{Feature: "intraday", Action: thor.ActionRollback, To: thor.StageOff, Actor: "ada"},
	} {
		before := stages[step.Feature]
		step.ID, step.At, step.From, step.Rev = a.Head.Count+1, at.Add(time.Duration(a.Head.Count)*time.Second), before.Stage, before.Rev+1
		step.Previous = a.Head.Hash
		step.Hash = step.Sum(step.Previous)
		a.Entries = append(a.Entries, step)
		a.Head = thor.AuditHead{Count: step.ID, Hash: step.Hash}
		stages[step.Feature] = before.After(step)
	}
	a.Stages = []thor.FeatureStage{stages["intraday"], stages["positions"]}
	return a
}

func TestAuditVerify(t *testing.T) {
	t.Parallel()
	if faults := chain().Verify(); len(faults) != 0 {
		t.Fatalf("one that holds: %v", faults)
	}
	tests := []struct {
		name  string
		spoil func(a *thor.Audit)
		id    int64
		want  string
	}{
		{"an edited actor", func(a *thor.Audit) { a.Entries[2].Actor = "eve" }, 3, "it was changed"},
		{"an edited time", func(a *thor.Audit) { a.Entries[2].At = a.Entries[2].At.Add(time.Hour) }, 3, "it was changed"},
		{"an edited weight", func(a *thor.Audit) { a.Entries[2].Weight = 1 }, 3, "it was changed"},
		{"a word that moved into the next field", func(a *thor.Audit) {
			a.Entries[4].Reason, a.Entries[4].Gate = "second", " thoughts"
		}, 5, "it was changed"},
		{"a stage that is none", func(a *thor.Audit) { a.Entries[4].To = ^thor.Stage(0) }, 5, "it was changed"},
		{"an edited entry with a hash of its own", func(a *thor.Audit) {
			a.Entries[2].Actor = "eve"
			a.Entries[2].Hash = a.Entries[2].Sum(a.Entries[2].Previous)
		}, 4, "not written behind entry 3"},
		{"one from the middle", func(a *thor.Audit) { a.Entries = slices.Delete(a.Entries, 2, 3) }, 4, "it follows entry 2"},
		{"the first", func(a *thor.Audit) { a.Entries = a.Entries[1:] }, 2, "it follows entry 0"},
		{"the tail", func(a *thor.Audit) { a.Entries = a.Entries[:5] }, 0, "has 5 entries"},
		{"all", func(a *thor.Audit) { a.Entries = nil }, 0, "has 0 entries"},
		{"two that changed places", func(a *thor.Audit) {
			a.Entries[2], a.Entries[3] = a.Entries[3], a.Entries[2]
		}, 4, "it follows entry 2"},
		{"two that changed places and ids", func(a *thor.Audit) {
			a.Entries[2], a.Entries[3] = a.Entries[3], a.Entries[2]
			a.Entries[2].ID, a.Entries[3].ID = 3, 4
		}, 3, "it was changed"},
		{"the head", func(a *thor.Audit) { a.Head.Count = 5 }, 0, "its head says 5"},
		{"a tail with its head", func(a *thor.Audit) {
			a.Entries = a.Entries[:5]
			a.Head = thor.AuditHead{Count: 5, Hash: a.Entries[4].Hash}
		}, 0, "by the audit it is in shadow at revision 1"},
		{"a stage", func(a *thor.Audit) { a.Stages[1].Stage = thor.StageLive }, 0, "positions is in live"},
		{"the end of a freeze", func(a *thor.Audit) { a.Stages[1].Freeze = thor.Freeze{} }, 0, "positions is in shadow"},
		{"a stage that was taken out", func(a *thor.Audit) { a.Stages = a.Stages[:1] }, 0, "positions is in the audit and has no stage"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := chain()
			tt.spoil(&a)
			faults := a.Verify()
			if !slices.ContainsFunc(faults, func(f thor.AuditFault) bool { return f.ID == tt.id && strings.Contains(f.String(), tt.want) }) {
				t.Errorf("faults %q, want one of entry %d that says %q", faults, tt.id, tt.want)
			}
		})
	}
}

// TestAuditSum holds the form of the hash, which others may compute.
func TestAuditSum(t *testing.T) {
	t.Parallel()
	const want = "19f637431516d10324586b522fd280fb0cbabf2ec90fbf9754373111d2426c55"
	if got := chain().Entries[2].Hash; got != want {
		t.Errorf("hash %s, want %s: audits that exist would not hold any more", got, want)
	}
}
