package cutover

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
)

// mustVerify checks that the audit holds and returns it as lines.
func (w *world) mustVerify(t *testing.T) []string {
	t.Helper()
	a, err := w.store.Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if faults := a.Verify(); len(faults) != 0 {
		t.Errorf("the audit does not hold: %v", faults)
	}
	var list []string
	for _, e := range a.Entries {
		if e.Feature == feature {
			list = append(list, fmt.Sprintf("%s %s→%s %d %s", e.Action, e.From, e.To, e.Rev, e.Actor))
		}
	}
	return list
}

// seqs are the numbers on the cutover stream that were published, in order.
func (l *layer) seqs() []uint64 {
	var list []uint64
	for _, e := range l.all() {
		list = append(list, e.Version.Seq)
	}
	return list
}

var history = []string{"initial off→shadow 1 thor", "promote shadow→canary 2 ", "promote canary→live 3 "}

// TestRollbackWithoutAStore: a full disk says so at once.
func TestRollbackWithoutAStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := w.open(t, nil)
		bring(t, k, thor.StageLive)
		go k.Run(t.Context()) //nolint:errcheck // it has no error
		w.store.lose(refuse, errDisk)
		asked := time.Now()
		o, err := k.Rollback(t.Context(), feature, thor.StageCanary, "ada", "it is wrong")
		if err != nil || !o.Changed || o.Durable || o.From != thor.StageLive || o.To != thor.StageCanary || time.Since(asked) > 0 {
			t.Errorf("%+v after %v, %v; want it in effect at once, and not durable", o, time.Since(asked), err)
		}
		for _, want := range []string{"the disk is full", "stored when the store is back", "positions is in live again after the next start", "THOR_FORCE=positions:canary"} {
			if !strings.Contains(o.Trouble, want) {
				t.Errorf("trouble %q, want that it says %q", o.Trouble, want)
			}
		}
		if s := stateOf(t, k); s.Effective.Stage != thor.StageCanary || s.Effective.Weight != 50 || s.Stored.Stage != thor.StageLive || s.Forced.By != "a rollback by ada" || !s.Unstored {
			t.Errorf("state %+v", s)
		}
		if told := w.told(); len(told) != 1 || told[0].Stage != thor.StageCanary || !told[0].Forced || told[0].Rev != 3 {
			t.Errorf("told %+v", told)
		}
		if err := k.Away(); err == nil || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("away: %v", err)
		}
		// The same again changes nothing, and is no more durable; further goes further.
		if o, err := k.Rollback(t.Context(), feature, thor.StageCanary, "bob", ""); err != nil || o.Changed || o.Durable {
			t.Errorf("again: %+v, %v", o, err)
		}
		if o, err := k.Rollback(t.Context(), feature, thor.StageShadow, "bob", "still"); err != nil || o.Durable || o.From != thor.StageCanary || stateOf(t, k).Effective.Stage != thor.StageShadow {
			t.Errorf("further: %+v, %v", o, err)
		}
		if o, err := k.Freeze(t.Context(), feature, "bob", "until tomorrow"); err != nil || o.Durable || !stateOf(t, k).Effective.Frozen() {
			t.Errorf("freeze: %+v, %v", o, err)
		}
		if _, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: 3, Any: true}); err == nil {
			t.Error("it was promoted without a store")
		}
		time.Sleep(time.Minute)
		if n := w.log.count("does not take a step"); n != 1 {
			t.Errorf("that the store is away was logged %d times, want once", n)
		}
		at := time.Now().Add(-time.Minute)
		w.store.lose(nil, nil)
		time.Sleep(maxBackoff + time.Second)
		want := append(append([]string{}, history...), "rollback live→canary 4 ada", "rollback canary→shadow 5 bob", "freeze shadow→shadow 6 bob")
		if diff := cmp.Diff(want, w.mustVerify(t)); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		if s := stateOf(t, k); s.Stored.Stage != thor.StageShadow || s.Forced != nil || s.Unstored || !s.Stored.Frozen() || k.Away() != nil || len(k.Troubles()) != 0 {
			t.Errorf("state %+v, away %v, troubles %q", s, k.Away(), k.Troubles())
		}
		if entries, err := k.History(t.Context(), feature, 3); err != nil || !entries[2].At.Equal(at) || !strings.Contains(entries[2].Gate, "in effect since then, stored at") {
			t.Errorf("the entry is of the decision's time %v: %+v, %v", at, entries[2], err)
		}
		told := w.told()
		if last := told[len(told)-1]; last.Forced || last.Stage != thor.StageShadow || last.Rev != 5 && last.Rev != 6 {
			t.Errorf("told at the end %+v", last)
		}
		for i, seq := range w.layer.seqs() {
			if seq != uint64(i+1) {
				t.Fatalf("published %v: each event once, in order", w.layer.seqs())
			}
		}
	})
}

// TestRollbackOfAStoreThatHangs: the answer comes, and so does the commit, late.
func TestRollbackOfAStoreThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := w.open(t, nil)
		bring(t, k, thor.StageLive)
		go k.Run(t.Context()) //nolint:errcheck // it has no error
		free := make(chan struct{})
		w.store.lose(hang(free), nil)
		asked := time.Now()
		o, err := k.Rollback(t.Context(), feature, thor.StageShadow, "ada", "it is wrong")
		if waited := time.Since(asked); err != nil || o.Durable || waited != patience {
			t.Errorf("%+v after %v, %v; want not durable after %v", o, waited, err, patience)
		}
		if !strings.Contains(o.Trouble, "the store does not answer") || k.Publishes(feature) != true || k.DataSource(feature, "x") != thor.DataSourceREST {
			t.Errorf("trouble %q", o.Trouble)
		}
		// Another feature's rollback is held up no longer.
		asked = time.Now()
		if o, err := k.Rollback(t.Context(), "intraday", thor.StageOff, "ada", ""); err != nil || o.Durable || time.Since(asked) != patience {
			t.Errorf("another feature: %+v after %v, %v", o, time.Since(asked), err)
		}
		close(free)
		time.Sleep(time.Second)
		if diff := cmp.Diff(append(append([]string{}, history...), "rollback live→shadow 4 ada"), w.mustVerify(t)); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		if s := stateOf(t, k); s.Stored.Stage != thor.StageShadow || s.Forced != nil || k.Away() != nil {
			t.Errorf("state %+v, %v", s, k.Away())
		}
	})
}

// TestAPromotionThatHangs: a rollback meanwhile counts, whatever becomes of it.
func TestAPromotionThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := w.open(t, nil)
		go k.Run(t.Context()) //nolint:errcheck // it has no error
		free := make(chan struct{})
		w.store.lose(hang(free), nil)
		promoted := make(chan error, 1)
		go func() {
			_, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: 1, Any: true, Actor: "bob"})
			promoted <- err
		}()
		synctest.Wait()
		o, err := k.Rollback(t.Context(), feature, thor.StageShadow, "ada", "do not")
		if err != nil || o.Durable {
			t.Errorf("rollback: %+v, %v; want that it waits for the end of the promotion", o, err)
		}
		if err := <-promoted; thor.ErrorCode(err) != thor.EUNAVAILABLE || !strings.Contains(err.Error(), "may still be stored") {
			t.Errorf("promotion: %v", err)
		}
		close(free)
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{history[0], "promote shadow→canary 2 bob", "rollback canary→shadow 3 ada"}, w.mustVerify(t)); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		for _, s := range []thor.FeatureStage{stateOf(t, k).Stored, stateOf(t, k).Effective} {
			if s.Stage != thor.StageShadow {
				t.Errorf("%+v, want shadow", s)
			}
		}
	})
}

// TestACommitThatSaysItFailed: what is stored is found, told once and not done
// twice.
func TestACommitThatSaysItFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := w.open(t, nil)
		bring(t, k, thor.StageLive)
		go k.Run(t.Context()) //nolint:errcheck // it has no error
		w.store.lose(keepAndFail, errDisk)
		if o, err := k.Rollback(t.Context(), feature, thor.StageShadow, "ada", ""); err != nil || o.Durable {
			t.Errorf("%+v, %v", o, err)
		}
		w.store.lose(nil, nil)
		time.Sleep(maxBackoff)
		if diff := cmp.Diff(append(append([]string{}, history...), "rollback live→shadow 4 ada"), w.mustVerify(t)); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		if s := stateOf(t, k); s.Stored.Stage != thor.StageShadow || s.Unstored || s.Forced != nil {
			t.Errorf("state %+v", s)
		}
		if seqs := w.layer.seqs(); seqs[len(seqs)-1] != uint64(len(thor.Features)+3) {
			t.Errorf("published %v, want the rollback's event too", seqs)
		}
		// The same with a promotion: what it did is known before the next step.
		w.store.lose(keepAndFail, errDisk)
		if _, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: 4, Any: true, Actor: "bob"}); err == nil {
			t.Error("a promotion that failed says that it worked")
		}
		w.store.lose(nil, nil)
		if _, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: 4, Any: true, Actor: "bob"}); thor.ErrorCode(err) != thor.ESTALE || !strings.Contains(err.Error(), "bob moved it from shadow to canary") {
			t.Errorf("the same again: %v", err)
		}
	})
}

// TestAPromotionThatSaysItFailed: a rollback behind it does not trust what was
// known before.
func TestAPromotionThatSaysItFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := w.open(t, nil)
		promote := func() {
			w.store.lose(keepAndFail, errDisk)
			if _, err := k.Promote(t.Context(), Promotion{Feature: feature, Rev: stateOf(t, k).Stored.Rev, Any: true, Actor: "bob"}); err == nil {
				t.Error("a promotion that failed says that it worked")
			}
			w.store.lose(nil, nil)
			synctest.Wait() // the promotion is not on its way any more
		}
		promote()
		o, err := k.Rollback(t.Context(), feature, thor.StageShadow, "ada", "")
		if err != nil || !o.Changed || !o.Durable || o.From != thor.StageCanary {
			t.Errorf("rollback: %+v, %v; want it back from canary", o, err)
		}
		// Nobody asks for anything: it is looked up all the same.
		promote()
		go k.Run(t.Context()) //nolint:errcheck // it has no error
		time.Sleep(2 * time.Second)
		if s := stateOf(t, k); s.Stored.Stage != thor.StageCanary || s.Stored.Rev != 4 {
			t.Errorf("state %+v, want what the store has", s)
		}
		w.mustVerify(t)
	})
}

// TestAnOldSwitchWithoutAStore: an explicit false counts whatever the store does.
func TestAnOldSwitchWithoutAStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := w.open(t, nil)
		bring(t, k, thor.StageLive)
		w.store.lose(refuse, nil)
		c := w.config()
		c.Overrides = map[string]bool{feature: false}
		k, notes, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if s := stateOf(t, k); s.Effective.Stage != thor.StageShadow || s.Stored.Stage != thor.StageLive {
			t.Errorf("state %+v", s)
		}
		if words := strings.Join(notes, "\n"); !strings.Contains(words, "went from live back to shadow") || !strings.Contains(words, "not stored: ") {
			t.Errorf("notes %s", words)
		}
		go k.Run(t.Context()) //nolint:errcheck // it has no error
		w.store.lose(nil, nil)
		time.Sleep(time.Minute)
		if diff := cmp.Diff(append(append([]string{}, history...), "override live→shadow 4 thor"), w.mustVerify(t)); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}
