package cutover

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"thor"
)

// TestTable holds the table to the rules it stands for: forward is one stage,
// back is any distance, and nothing else moves a stage.
func TestTable(t *testing.T) {
	t.Parallel()
	for _, from := range thor.Stages() {
		for _, to := range thor.Stages() {
			want := map[thor.Action]bool{
				thor.ActionPromote:  to == from+1 || from == to && to == thor.StageCanary,
				thor.ActionRollback: to < from,
				thor.ActionInitial:  from == thor.StageOff && to == thor.StageShadow,
				thor.ActionOverride: from == thor.StageOff && to == thor.StageLive || from > thor.StageShadow && to == thor.StageShadow,
				thor.ActionFreeze:   to == from,
				thor.ActionUnfreeze: to == from,
			}
			for action, allowed := range want {
				if got := allows(from, action, to); got != allowed {
					t.Errorf("%s from %s to %s: %v, want %v", action, from, to, got, allowed)
				}
			}
		}
	}
}

// TestFrozen walks every stage: nothing goes forward, everything goes back.
func TestFrozen(t *testing.T) {
	t.Parallel()
	for _, from := range thor.Stages() {
		t.Run(from.String(), func(t *testing.T) {
			t.Parallel()
			k, l, _ := setup(t, t.TempDir(), nil)
			bring(t, k, from)
			before := stageOf(t, k)
			freeze := func(f func(reason string) (Outcome, error), rev uint64, changed bool) {
				t.Helper()
				events := len(l.events)
				o, err := f("quarter end")
				if err != nil || o.Changed != changed || !o.Durable || o.Rev != rev || (len(l.events) > events) != changed || o.To != stageOf(t, k).Stage {
					t.Errorf("%+v, %v; want revision %d, changed %v, and an event for a change", o, err, rev, changed)
				}
			}
			on := func(reason string) (Outcome, error) { return k.Freeze(t.Context(), feature, "ada", reason) }
			off := func(reason string) (Outcome, error) { return k.Unfreeze(t.Context(), feature, "ada", reason) }
			freeze(off, before.Rev, false)
			freeze(on, before.Rev+1, true)
			freeze(on, before.Rev+1, false)
			frozen := stageOf(t, k)
			if frozen.Stage != before.Stage || frozen.Since != before.Since || frozen.Reason != before.Reason || frozen.Weight != before.Weight {
				t.Errorf("frozen %+v, before %+v: a freeze leaves the stage as it is", frozen, before)
			}
			_, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: frozen.Rev, Any: true, Actor: "bob"})
			if from < thor.StageComplete {
				for _, want := range []string{"frozen by ada since " + frozen.Freeze.Since.Format("2006-01-02T15:04:05Z"), "quarter end", "thor cutover unfreeze positions"} {
					if thor.ErrorCode(err) != thor.ECONFLICT || !strings.Contains(fmt.Sprint(err), want) {
						t.Errorf("promote: %v, want a conflict that says %q", err, want)
					}
				}
			}
			back := from
			for _, to := range slices.Backward(thor.Stages()[:from]) {
				o, err := k.Rollback(t.Context(), feature, to, "bob", "")
				if err != nil || o.From != back || o.To != to || !stageOf(t, k).Frozen() {
					t.Errorf("rollback to %s: %+v, %v; want it done, and still frozen", to, o, err)
				}
				back = to
			}
			freeze(off, stageOf(t, k).Rev+1, true)
			if _, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: stageOf(t, k).Rev, Any: true}); err != nil && from < thor.StageComplete {
				t.Errorf("promote after the freeze: %v", err)
			}
		})
	}
}

// TestForced walks every pair of a stored and a forced stage.
func TestForced(t *testing.T) {
	t.Parallel()
	for _, stored := range thor.Stages() {
		for _, forced := range thor.Stages() {
			t.Run(fmt.Sprintf("%s, forced to %s", stored, forced), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.force(t, "positions:"+forced.String())
				k := w.open(t, nil)
				bring(t, k, min(stored, forced)) // further it is not moved while it is forced
				before := stateOf(t, k)
				_, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: before.Stored.Rev, Any: true})
				if stored > forced && (thor.ErrorCode(err) != thor.ECONFLICT || !strings.Contains(err.Error(), "forced to "+forced.String()+" by the file force")) {
					t.Errorf("promote beyond the force: %v", err)
				}
				w.unforce(t)
				k.look(t.Context())
				bring(t, k, stored)
				w.force(t, "positions:"+forced.String())
				k.look(t.Context())
				s := stateOf(t, k)
				if s.Effective.Stage != min(stateOf(t, k).Stored.Stage, forced) || s.Effective.Rev != s.Stored.Rev || (s.Forced != nil) != (forced < s.Stored.Stage) {
					t.Errorf("state %+v: want the earlier of stored and forced", s)
				}
				if (k.DataSource(feature, "") == thor.DataSourceWS) != (s.Effective.Stage >= thor.StageLive) || k.Publishes(feature) != (s.Effective.Stage > thor.StageOff) {
					t.Errorf("%s renders %s, publishes %v", s.Effective.Stage, k.DataSource(feature, ""), k.Publishes(feature))
				}
				if idle := strings.Contains(fmt.Sprint(k.Troubles()), "has no effect"); idle != (forced > s.Stored.Stage) {
					t.Errorf("troubles %q", k.Troubles())
				}
				if o, err := k.Rollback(t.Context(), feature, thor.StageOff, "ada", ""); err != nil || !o.Durable || stateOf(t, k).Effective.Stage != thor.StageOff {
					t.Errorf("rollback: %+v, %v", o, err)
				}
			})
		}
	}
}
