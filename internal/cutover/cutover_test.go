package cutover

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"thor"
	"thor/internal/store/sqlite"
)

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "40"); err != nil { // each opens a store or several; the flag still counts
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// layer records what is published.
type layer struct {
	mu     sync.Mutex // guards events
	events []thor.Event
}

func (l *layer) Publish(_ context.Context, events []thor.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, events...)
	return nil
}

// all is what was published, and take forgets it.
func (l *layer) all() []thor.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

func (l *layer) take() []thor.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := l.events
	l.events = nil
	return events
}

// setup opens a controller over the store in dir.
func setup(t *testing.T, dir string, overrides map[string]bool) (*Controller, *layer, []string) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	l := &layer{}
	k, notes, err := Open(t.Context(), Config{Store: s, Layer: l, Build: "test", Overrides: overrides})
	if err != nil {
		t.Fatal(err)
	}
	return k, l, notes
}

const feature = "positions"

func stateOf(t *testing.T, k *Controller) State {
	t.Helper()
	s, err := k.State(feature)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stageOf(t *testing.T, k *Controller) thor.FeatureStage {
	t.Helper()
	return stateOf(t, k).Stored
}

// bring moves the feature to a stage, by steps that are allowed.
func bring(t *testing.T, k *Controller, to thor.Stage) {
	t.Helper()
	if to < thor.StageShadow {
		if _, err := k.Rollback(t.Context(), feature, to, "test", ""); err != nil {
			t.Fatal(err)
		}
	}
	for now := stageOf(t, k); now.Stage < to; now = stageOf(t, k) {
		if _, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: now.Rev, Any: true}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	k, l, _ := setup(t, t.TempDir(), nil)
	var got []string
	for _, s := range k.Stages() {
		got = append(got, fmt.Sprintf("%s %s %d", s.Feature, s.Stage, s.Rev))
	}
	var want []string
	for _, name := range thor.FeatureNames() {
		want = append(want, name+" shadow 1")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	n := len(want)
	if len(l.events) != n || l.events[n-1].Version.Seq != uint64(n) || l.events[0].Stream != thor.CutoverStream {
		t.Errorf("%d events, want one for each feature on the cutover stream", len(l.events))
	}
	history, err := k.History(t.Context(), feature, 10)
	if err != nil || len(history) != 1 || history[0].Action != thor.ActionInitial {
		t.Errorf("history %+v, %v", history, err)
	}
}

// TestForward walks the table cell by cell: from every stage to every stage.
func TestForward(t *testing.T) {
	t.Parallel()
	for _, from := range thor.Stages() {
		for _, to := range thor.Stages() {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				t.Parallel()
				k, _, _ := setup(t, t.TempDir(), nil)
				bring(t, k, from)
				before := stageOf(t, k)
				_, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: before.Rev, To: to, Actor: "ada", Reason: "why not"})
				if to == from+1 {
					after := stageOf(t, k)
					want := thor.FeatureStage{Feature: feature, Stage: to, Rev: before.Rev + 1, Reason: "why not"}
					if to == thor.StageCanary {
						want.Weight = 50
					}
					if diff := cmp.Diff(want, after, cmpopts.IgnoreFields(thor.FeatureStage{}, "Since")); diff != "" || err != nil {
						t.Errorf("%v (-want +got):\n%s", err, diff)
					}
					return
				}
				if thor.ErrorCode(err) != thor.ECONFLICT {
					t.Errorf("error %v, want %s", err, thor.ECONFLICT)
				}
				if diff := cmp.Diff(before, stageOf(t, k)); diff != "" {
					t.Errorf("the stage changed:\n%s", diff)
				}
			})
		}
	}
}

// TestBack walks the other half of the table.
func TestBack(t *testing.T) {
	t.Parallel()
	for _, from := range thor.Stages() {
		for _, to := range thor.Stages() {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				t.Parallel()
				k, l, _ := setup(t, t.TempDir(), nil)
				bring(t, k, from)
				before, events := stageOf(t, k), len(l.events)
				o, err := k.Rollback(t.Context(), feature, to, "ada", "because")
				step, changed := o.Transition, o.Changed
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				after := stageOf(t, k)
				if to >= from {
					if changed || len(l.events) != events || after != before || step.Rev != before.Rev {
						t.Errorf("changed %v, %+v; want nothing changed", changed, after)
					}
					return
				}
				if !changed || after.Stage != to || after.Rev != before.Rev+1 || step.From != from || step.To != to || len(l.events) != events+1 {
					t.Errorf("changed %v, %+v, step %+v", changed, after, step)
				}
			})
		}
	}
}

func TestCanaryWeights(t *testing.T) {
	t.Parallel()
	k, _, _ := setup(t, t.TempDir(), nil)
	promote := func(weight int) error {
		_, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: stageOf(t, k).Rev, Any: true, Weight: weight})
		return err
	}
	if err := promote(7); thor.ErrorCode(err) != thor.EINVALID {
		t.Errorf("7 %%: %v", err)
	}
	if err := promote(5); err != nil || stageOf(t, k).Weight != 5 {
		t.Fatalf("5 %%: %v", err)
	}
	for _, weight := range []int{1, 5, 50} { // back, nowhere, and past a step
		if err := promote(weight); thor.ErrorCode(err) != thor.ECONFLICT || !strings.Contains(err.Error(), "the next weight is 25 %") {
			t.Errorf("from 5 to %d %%: %v", weight, err)
		}
	}
	for _, weight := range []int{25, 50} {
		if err := promote(weight); err != nil || stageOf(t, k).Weight != weight || stageOf(t, k).Stage != thor.StageCanary {
			t.Errorf("up to %d %%: %v", weight, err)
		}
	}
	if err := promote(50); thor.ErrorCode(err) != thor.ECONFLICT || !strings.Contains(err.Error(), "the next step is live") {
		t.Errorf("beyond the last weight: %v", err)
	}
	if err := promote(0); err != nil || stageOf(t, k).Stage != thor.StageLive || stageOf(t, k).Weight != 0 {
		t.Errorf("live: %v", err)
	}
	if err := promote(5); thor.ErrorCode(err) != thor.EINVALID {
		t.Errorf("a weight in live: %v", err)
	}
}

func TestPromoteOnAnOldRevisionSaysWhoChangedIt(t *testing.T) {
	t.Parallel()
	k, _, _ := setup(t, t.TempDir(), nil)
	rev := stageOf(t, k).Rev
	if _, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: rev, Any: true, Actor: "ada"}); err != nil {
		t.Fatal(err)
	}
	_, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: rev, Any: true, Actor: "bob"})
	if thor.ErrorCode(err) != thor.ESTALE || !strings.Contains(err.Error(), "ada moved it from shadow to canary") {
		t.Errorf("error %v", err)
	}
}

func TestUnknownFeature(t *testing.T) {
	t.Parallel()
	k, _, _ := setup(t, t.TempDir(), nil)
	_, promoteErr := k.Promote(t.Context(), Promotion{Feature: "nothing", Any: true})
	_, rollbackErr := k.Rollback(t.Context(), "nothing", thor.StageShadow, "", "")
	_, historyErr := k.History(t.Context(), "nothing", 1)
	for _, err := range []error{promoteErr, rollbackErr, historyErr} {
		if thor.ErrorCode(err) != thor.ENOTFOUND || !strings.Contains(err.Error(), "account_balance") {
			t.Errorf("error %v, want one that lists the features", err)
		}
	}
}

func TestStagesSurviveARestartAndAreAudited(t *testing.T) { //nolint:tparallel // one run after the other
	t.Parallel()
	dir := t.TempDir()
	t.Run("first run", func(t *testing.T) {
		k, _, _ := setup(t, dir, nil)
		bring(t, k, thor.StageLive)
	})
	k, l, _ := setup(t, dir, nil)
	if s := stageOf(t, k); s.Stage != thor.StageLive || s.Rev != 3 {
		t.Errorf("stage %+v", s)
	}
	if len(l.events) != 0 {
		t.Errorf("a restart published %d events", len(l.events))
	}
	history, err := k.History(t.Context(), feature, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range history {
		got = append(got, fmt.Sprintf("%s %s→%s rev %d %s %s", h.Action, h.From, h.To, h.Rev, h.Gate, h.Build))
	}
	want := []string{
		"promote canary→live rev 3 no gate ran test",
		"promote shadow→canary rev 2 no gate ran test",
		"initial off→shadow rev 1 no gate ran test",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	t.Run("true makes a feature live in an empty store, recorded as an override", func(t *testing.T) {
		t.Parallel()
		k, _, notes := setup(t, t.TempDir(), map[string]bool{feature: true})
		if s := stageOf(t, k); s.Stage != thor.StageLive || s.Reason != "WS_FEATURE_POSITIONS=true in an empty store" {
			t.Errorf("stage %+v", s)
		}
		if history, err := k.History(t.Context(), feature, 1); err != nil || history[0].Action != thor.ActionOverride {
			t.Errorf("history %+v, %v", history, err)
		}
		if len(notes) != 1 || !strings.Contains(notes[0], "positions is live") {
			t.Errorf("notes %q", notes)
		}
	})
	t.Run("true on a used store changes nothing and says so", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		t.Run("first run", func(t *testing.T) { setup(t, dir, nil) })
		k, _, notes := setup(t, dir, map[string]bool{feature: true})
		if s := stageOf(t, k); s.Stage != thor.StageShadow || s.Rev != 1 {
			t.Errorf("stage %+v", s)
		}
		if len(notes) != 1 || !strings.Contains(notes[0], "nothing was changed") || !strings.Contains(notes[0], "thor cutover promote positions") {
			t.Errorf("notes %q", notes)
		}
	})
	t.Run("false takes a feature back to shadow, audited", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		t.Run("first run", func(t *testing.T) {
			k, _, _ := setup(t, dir, nil)
			bring(t, k, thor.StageRampdown)
		})
		k, _, notes := setup(t, dir, map[string]bool{feature: false})
		if s := stageOf(t, k); s.Stage != thor.StageShadow || s.Rev != 5 {
			t.Errorf("stage %+v", s)
		}
		if history, err := k.History(t.Context(), feature, 1); err != nil || history[0].Action != thor.ActionOverride || history[0].From != thor.StageRampdown {
			t.Errorf("history %+v, %v", history, err)
		}
		if len(notes) != 1 || !strings.Contains(notes[0], "back to shadow") {
			t.Errorf("notes %q", notes)
		}
	})
	t.Run("false in an empty store leaves the default", func(t *testing.T) {
		t.Parallel()
		k, _, notes := setup(t, t.TempDir(), map[string]bool{feature: false})
		if s := stageOf(t, k); s.Stage != thor.StageShadow || s.Rev != 1 || len(notes) != 1 {
			t.Errorf("stage %+v, notes %q", s, notes)
		}
	})
}

func TestChangedComesBeforeTheEvent(t *testing.T) {
	t.Parallel()
	s, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := &layer{}
	var order []string
	k, _, err := Open(t.Context(), Config{Store: s, Layer: l, Changed: func(_ context.Context, before, now thor.FeatureStage) error {
		order = append(order, fmt.Sprintf("%s from %s to %s after %d events", now.Feature, before.Stage, now.Stage, len(l.events)))
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	order = nil
	if _, err := k.Rollback(t.Context(), feature, thor.StageOff, "ada", ""); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("positions from shadow to off after %d events", len(thor.Features))
	if diff := cmp.Diff([]string{want}, order); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if k.Publishes(feature) || !k.Publishes("intraday") {
		t.Error("a feature that is off publishes, or another does not")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAStoredStepIsTold holds that a step does not end half way: whoever asked
// may go, and whoever is told first may fail.
func TestAStoredStepIsTold(t *testing.T) {
	t.Parallel()
	s, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	l := &layer{}
	broken := errors.New("broken")
	k, _, err := Open(t.Context(), Config{Store: s, Layer: l, Changed: func(ctx context.Context, before, _ thor.FeatureStage) error {
		if before.Rev == 0 {
			return nil
		}
		leave()
		return errors.Join(ctx.Err(), broken)
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.Rollback(ctx, feature, thor.StageOff, "ada", "")
	if !errors.Is(err, broken) || errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want what broke and no word of who left", err)
	}
	if last := l.events[len(l.events)-1]; last.Key != feature || last.Version.Seq != uint64(len(thor.Features))+1 {
		t.Errorf("the last event is %+v, want the step's", last)
	}
	leave()
	if _, err := k.Rollback(ctx, "intraday", thor.StageOff, "ada", ""); !errors.Is(err, broken) || k.Publishes("intraday") {
		t.Errorf("a rollback whose caller has gone: %v", err)
	}
}

func TestAssignment(t *testing.T) {
	t.Parallel()
	stage := func(s thor.Stage, weight int) thor.FeatureStage {
		return thor.FeatureStage{Feature: feature, Stage: s, Weight: weight}
	}
	for _, s := range thor.Stages() {
		want := thor.DataSourceREST
		if s >= thor.StageLive {
			want = thor.DataSourceWS
		}
		for _, client := range []string{"", "someone"} {
			if got := assign(stage(s, 0), client); got != want {
				t.Errorf("%s, client %q: %s, want %s", s, client, got, want)
			}
		}
	}
	if assign(stage(thor.StageCanary, 100), "") != thor.DataSourceREST {
		t.Error("a client that nobody knows is in the WebSocket arm of canary")
	}
	const clients = 10_000
	before := map[int]bool{}
	for _, weight := range weights {
		n := 0
		for i := range clients {
			ws := assign(stage(thor.StageCanary, weight), fmt.Sprintf("client-%d", i)) == thor.DataSourceWS
			if ws {
				n++
			}
			if before[i] && !ws {
				t.Fatalf("client %d left at %d %%: raising the weight only adds clients", i, weight)
			}
			before[i] = ws
		}
		if want := clients * weight / 100; n < want*8/10 || n > want*12/10 {
			t.Errorf("%d of %d clients at %d %%", n, clients, weight)
		}
	}
}
