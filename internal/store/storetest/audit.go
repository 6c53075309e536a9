package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/store"
)

func mustTransition(t *testing.T, s store.Store, step thor.Transition, event thor.Event) thor.Transition {
	t.Helper()
	stored, _, err := s.Transition(t.Context(), step, event)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func mustAudit(t *testing.T, s store.Store) thor.Audit {
	t.Helper()
	a, err := s.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func auditIsAChain(t *testing.T, opener Opener) {
	s := opener(t)
	if a := mustAudit(t, s); len(a.Entries) != 0 || a.Head != (thor.AuditHead{}) || len(a.Verify()) != 0 {
		t.Errorf("the audit of an empty store is %+v", a)
	}
	var want []thor.Transition
	for i, feature := range []string{"positions", "intraday", "positions"} {
		step, event := stage(feature, thor.StageShadow, uint64(i/2+1))
		step.Previous, step.Hash = "what a caller says", "does not count"
		want = append(want, mustTransition(t, s, step, event))
	}
	previous := ""
	for i, stored := range want {
		if stored.ID != int64(i+1) || stored.Previous != previous || stored.Hash != stored.Sum(previous) {
			t.Errorf("entry %d is not chained to the one before: %+v", i, stored)
		}
		previous = stored.Hash
	}
	step, event := stage("positions", thor.StageLive, 9)
	if _, _, err := s.Transition(t.Context(), step, event); thor.ErrorCode(err) != thor.ESTALE {
		t.Fatalf("a stale step: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, opener)
	step, event = stage("intraday", thor.StageShadow, 2)
	want = append(want, mustTransition(t, s, step, event))
	a := mustAudit(t, s)
	if diff := cmp.Diff(want, a.Entries); diff != "" {
		t.Errorf("entries (-stored +read):\n%s", diff)
	}
	if last := want[len(want)-1]; a.Head != (thor.AuditHead{Count: 4, Hash: last.Hash}) || len(a.Stages) != 2 {
		t.Errorf("head %+v behind %+v, %d stages", a.Head, last, len(a.Stages))
	}
	if faults := a.Verify(); len(faults) != 0 {
		t.Errorf("the audit does not hold: %v", faults)
	}
}

func freezeIsAudited(t *testing.T, opener Opener) {
	s := opener(t)
	first, event := stage("positions", thor.StageShadow, 1)
	mustTransition(t, s, first, event)
	freeze := thor.Transition{
		At: at.Add(time.Minute), Feature: "positions", Action: thor.ActionFreeze, From: thor.StageShadow, To: thor.StageShadow,
		Rev: 2, Actor: "ada", Reason: "quarter end",
	}
	mustTransition(t, s, freeze, event)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, opener)
	read := func() thor.FeatureStage {
		stages, err := s.Stages(t.Context())
		if err != nil || len(stages) != 1 {
			t.Fatalf("stages %v, %v", stages, err)
		}
		return stages[0]
	}
	want := thor.FeatureStage{}.After(first)
	want.Rev, want.Freeze = 2, thor.Freeze{By: "ada", Reason: "quarter end", Since: at.Add(time.Minute)}
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("frozen (-want +got):\n%s", diff)
	}
	freeze.Action, freeze.Rev = thor.ActionUnfreeze, 3
	mustTransition(t, s, freeze, event)
	want.Rev, want.Freeze = 3, thor.Freeze{}
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("unfrozen (-want +got):\n%s", diff)
	}
	if faults := mustAudit(t, s).Verify(); len(faults) != 0 {
		t.Errorf("the audit does not hold: %v", faults)
	}
}

// eventHasItsTime: a step may be stored later than it took effect.
func eventHasItsTime(t *testing.T, opener Opener) {
	s := open(t, opener)
	step, event := stage("positions", thor.StageShadow, 1)
	event.Time = at.Add(time.Hour)
	stored, published, err := s.Transition(t.Context(), step, event)
	if err != nil || !stored.At.Equal(at) || !published.Time.Equal(at.Add(time.Hour)) {
		t.Errorf("the step at %v, its event at %v, %v", stored.At, published.Time, err)
	}
	wantTimes := mustSince(t, s, thor.CutoverStream, 0)
	if len(wantTimes) != 1 || !wantTimes[0].Time.Equal(at.Add(time.Hour)) {
		t.Errorf("read %+v", wantTimes)
	}
}
