// Package storetest holds the laws every store keeps. An adapter runs them with
// one call from its own tests.
package storetest

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/store"
)

// Opener opens the store that belongs to a test. Called again after Close it
// opens the same store again, as a restart does.
type Opener func(t *testing.T) store.Store

// Run checks the laws on fresh stores. NewStore returns an opener of an empty
// store.
func Run(t *testing.T, newStore func(t *testing.T) Opener) {
	t.Helper()
	laws := []struct {
		name string
		law  func(t *testing.T, open Opener)
	}{
		{"seq starts at 1 and rises by 1 in each stream", seqRises},
		{"seq and epoch go on after a restart", seqSurvivesRestart},
		{"what was appended comes back as it was", roundTrip},
		{"concurrent writers leave no hole and no repetition", concurrentWriters},
		{"latest has the newest event of each key", latestPerKey},
		{"a window picks the greatest keys", latestWindow},
		{"an unknown stream is empty", unknownStream},
		{"since returns what follows, exactly", since},
		{"pruning removes what was superseded, and since says so", pruneSuperseded},
		{"pruning keeps the newest of each key and young final events", pruneKeeps},
		{"old final events leave, and old ones that never became final", pruneFinal},
		{"seq goes on after everything was pruned", pruneThenAppend},
		{"a failed append leaves nothing behind", failedAppend},
		{"a transition is stored with its audit and its event", transition},
		{"a transition on an old revision is stale and leaves nothing behind", staleTransition},
		{"stages and history survive a restart", stagesSurviveRestart},
		{"the audit is a chain that survives a restart", auditIsAChain},
		{"a freeze is audited and leaves the stage as it is", freezeIsAudited},
		{"an event has its own time", eventHasItsTime},
		{"the first claim is kept", claim},
		{"a secret is made once, and each name has its own", secret},
	}
	for _, l := range laws {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			l.law(t, newStore(t))
		})
	}
}

// at is when the events of the laws are committed.
var at = time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC)

func draft(stream thor.StreamID, key string, value int) thor.Event {
	return thor.Event{
		Stream: stream, Type: "positions", Key: key,
		Data: json.RawMessage(fmt.Sprintf(`{"value":%d,"timestamp":"2026-11-23T15:30:00Z"}`, value)),
	}
}

func finalDraft(stream thor.StreamID, key string, value int) thor.Event {
	e := draft(stream, key, value)
	e.Final = true
	return e
}

func open(t *testing.T, opener Opener) store.Store {
	t.Helper()
	s := opener(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func mustAppend(t *testing.T, s store.Store, when time.Time, events ...thor.Event) []thor.Event {
	t.Helper()
	stored, err := s.Append(t.Context(), when, events)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	if len(stored) != len(events) {
		t.Fatalf("append returned %d events, want %d", len(stored), len(events))
	}
	return stored
}

func mustSince(t *testing.T, s store.Store, id thor.StreamID, after uint64) []thor.Event {
	t.Helper()
	events, err := s.Since(t.Context(), id, after, 1000)
	if err != nil {
		t.Fatalf("since %d: %v", after, err)
	}
	return events
}

func mustLatest(t *testing.T, s store.Store, id thor.StreamID, w thor.Window) (thor.Version, []thor.Event) {
	t.Helper()
	version, events, err := s.Latest(t.Context(), id, w)
	if err != nil {
		t.Fatalf("latest: %v", err)
	}
	return version, events
}

func seqs(events []thor.Event) []uint64 {
	list := []uint64{}
	for _, e := range events {
		list = append(list, e.Version.Seq)
	}
	return list
}

func wantSeqs(t *testing.T, events []thor.Event, want ...uint64) {
	t.Helper()
	if diff := cmp.Diff(append([]uint64{}, want...), seqs(events)); diff != "" {
		t.Errorf("seqs (-want +got):\n%s", diff)
	}
}

func seqRises(t *testing.T, opener Opener) {
	s := open(t, opener)
	first := mustAppend(t, s, at, draft("positions:A", "A", 1), draft("positions:B", "B", 2), draft("positions:A", "A", 3))
	wantSeqs(t, first, 1, 1, 2)
	wantSeqs(t, mustAppend(t, s, at, draft("positions:A", "A", 4)), 3)
	for _, e := range first {
		if e.Version.Epoch == "" || e.Version.Epoch != first[0].Version.Epoch {
			t.Errorf("epoch %q, want the same one for every event", e.Version.Epoch)
		}
	}
}

func seqSurvivesRestart(t *testing.T, opener Opener) {
	s := opener(t)
	before := mustAppend(t, s, at, draft("positions:A", "A", 1), draft("positions:A", "A", 2))
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	s = open(t, opener)
	after := mustAppend(t, s, at, draft("positions:A", "A", 3))
	want := thor.Version{Epoch: before[0].Version.Epoch, Seq: 3}
	if diff := cmp.Diff(want, after[0].Version); diff != "" {
		t.Errorf("version after the restart (-want +got):\n%s", diff)
	}
	wantSeqs(t, mustSince(t, s, "positions:A", 0), 1, 2, 3)
}

func roundTrip(t *testing.T, opener Opener) {
	s := open(t, opener)
	when := at.Add(123456789 * time.Nanosecond)
	stored := mustAppend(t, s, when, finalDraft("positions:A", `key "with" <odd> ünïcode`, 7))
	if want := when.Truncate(time.Millisecond); !stored[0].Time.Equal(want) {
		t.Errorf("time %v, want %v: whole milliseconds", stored[0].Time, want)
	}
	if diff := cmp.Diff(stored, mustSince(t, s, "positions:A", 0)); diff != "" {
		t.Errorf("since (-appended +read):\n%s", diff)
	}
	version, latest := mustLatest(t, s, "positions:A", thor.Window{})
	if diff := cmp.Diff(stored, latest); diff != "" {
		t.Errorf("latest (-appended +read):\n%s", diff)
	}
	if diff := cmp.Diff(stored[0].Version, version); diff != "" {
		t.Errorf("version (-appended +read):\n%s", diff)
	}
	ids, err := s.Streams(t.Context())
	if diff := cmp.Diff([]thor.StreamID{"positions:A"}, ids); diff != "" || err != nil {
		t.Errorf("streams: %v (-want +got):\n%s", err, diff)
	}
}

func concurrentWriters(t *testing.T, opener Opener) {
	s := open(t, opener)
	const writers, rounds = 8, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range rounds {
				if _, err := s.Append(t.Context(), at, []thor.Event{draft("positions:A", fmt.Sprint(w), i)}); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
	}
	wg.Wait()
	events := mustSince(t, s, "positions:A", 0)
	if len(events) != writers*rounds {
		t.Fatalf("%d events, want %d", len(events), writers*rounds)
	}
	for i, e := range events {
		if e.Version.Seq != uint64(i+1) {
			t.Fatalf("event %d has seq %d", i, e.Version.Seq)
		}
	}
}

func latestPerKey(t *testing.T, opener Opener) {
	s := open(t, opener)
	mustAppend(t, s, at,
		draft("positions:A", "x", 1), draft("positions:A", "y", 2),
		draft("positions:A", "x", 3), draft("positions:B", "x", 4))
	version, latest := mustLatest(t, s, "positions:A", thor.Window{})
	wantSeqs(t, latest, 2, 3)
	if version.Seq != 3 {
		t.Errorf("the stream stands at %d, want 3", version.Seq)
	}
}

func latestWindow(t *testing.T, opener Opener) {
	s := open(t, opener)
	for i, key := range []string{"10:03", "10:01", "10:02", "10:04"} {
		mustAppend(t, s, at, draft("intraday:X", key, i))
	}
	_, greatest := mustLatest(t, s, "intraday:X", thor.Window{Limit: 2})
	wantSeqs(t, greatest, 1, 4)
	_, from := mustLatest(t, s, "intraday:X", thor.Window{From: "10:02"})
	wantSeqs(t, from, 1, 3, 4)
	_, both := mustLatest(t, s, "intraday:X", thor.Window{From: "10:02", Limit: 1})
	wantSeqs(t, both, 4)
}

func unknownStream(t *testing.T, opener Opener) {
	s := open(t, opener)
	version, latest := mustLatest(t, s, "positions:nobody", thor.Window{})
	if version.Seq != 0 || version.Epoch == "" || len(latest) != 0 {
		t.Errorf("version %v with %d events, want seq 0, an epoch and none", version, len(latest))
	}
	wantSeqs(t, mustSince(t, s, "positions:nobody", 0))
}

func since(t *testing.T, opener Opener) {
	s := open(t, opener)
	for i := range 5 {
		mustAppend(t, s, at, draft("positions:A", "A", i))
	}
	wantSeqs(t, mustSince(t, s, "positions:A", 3), 4, 5)
	wantSeqs(t, mustSince(t, s, "positions:A", 5))
	events, err := s.Since(t.Context(), "positions:A", 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	wantSeqs(t, events, 2, 3)
}

func pruneSuperseded(t *testing.T, opener Opener) {
	s := open(t, opener)
	for i := range 4 {
		mustAppend(t, s, at.Add(time.Duration(i)*time.Minute), draft("positions:A", "A", i))
	}
	if removed, err := s.Prune(t.Context(), at.Add(150*time.Second), at); err != nil || removed != 3 {
		t.Fatalf("pruned %d, %v; want 3", removed, err)
	}
	if _, err := s.Since(t.Context(), "positions:A", 1, 10); thor.ErrorCode(err) != thor.ENOTFOUND {
		t.Errorf("since 1: %v, want %s: 2 and 3 are gone", err, thor.ENOTFOUND)
	}
	wantSeqs(t, mustSince(t, s, "positions:A", 3), 4)
	wantSeqs(t, mustSince(t, s, "positions:A", 4))
}

func pruneKeeps(t *testing.T, opener Opener) {
	s := open(t, opener)
	mustAppend(t, s, at, draft("global_market", "XNYS", 1), draft("global_market", "CMES", 2))
	mustAppend(t, s, at, draft("intraday:X", "10:01", 1), finalDraft("intraday:X", "10:01", 2))
	later := at.Add(time.Hour)
	if _, err := s.Prune(t.Context(), later, at.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	version, latest := mustLatest(t, s, "global_market", thor.Window{})
	wantSeqs(t, latest, 1, 2)
	if version.Seq != 2 {
		t.Errorf("the stream stands at %d, want 2", version.Seq)
	}
	_, bars := mustLatest(t, s, "intraday:X", thor.Window{})
	wantSeqs(t, bars, 2)

	// What was newest then and is superseded now leaves with the next pruning.
	mustAppend(t, s, later, draft("global_market", "XNYS", 3))
	if removed, err := s.Prune(t.Context(), later, at.Add(-time.Hour)); err != nil || removed != 1 {
		t.Errorf("pruned %d, %v; want 1", removed, err)
	}
	_, latest = mustLatest(t, s, "global_market", thor.Window{})
	wantSeqs(t, latest, 2, 3)
}

func pruneFinal(t *testing.T, opener Opener) {
	s := open(t, opener)
	mustAppend(t, s, at, finalDraft("intraday:X", "10:01", 1))
	mustAppend(t, s, at, draft("intraday:X", "10:02", 2))
	mustAppend(t, s, at.Add(time.Minute), finalDraft("intraday:X", "10:03", 3), draft("intraday:X", "10:04", 4))
	if removed, err := s.Prune(t.Context(), at.Add(time.Hour), at.Add(time.Second)); err != nil || removed != 2 {
		t.Fatalf("pruned %d, %v; want 2", removed, err)
	}
	version, latest := mustLatest(t, s, "intraday:X", thor.Window{})
	wantSeqs(t, latest, 3, 4)
	if version.Seq != 4 {
		t.Errorf("the stream stands at %d, want 4", version.Seq)
	}
	// A half bar that is younger than every final one does not outlive them.
	mustAppend(t, s, at.Add(2*time.Minute), draft("intraday:X", "10:05", 5))
	for _, cut := range []time.Time{at.Add(90 * time.Second), at.Add(time.Hour)} {
		if _, err := s.Prune(t.Context(), at.Add(2*time.Hour), cut); err != nil {
			t.Fatal(err)
		}
	}
	_, latest = mustLatest(t, s, "intraday:X", thor.Window{})
	wantSeqs(t, latest)
}

func pruneThenAppend(t *testing.T, opener Opener) {
	s := open(t, opener)
	mustAppend(t, s, at, finalDraft("intraday:X", "10:01", 1))
	if _, err := s.Prune(t.Context(), at.Add(time.Hour), at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantSeqs(t, mustAppend(t, s, at, finalDraft("intraday:X", "10:02", 2)), 2)
}

func failedAppend(t *testing.T, opener Opener) {
	s := open(t, opener)
	mustAppend(t, s, at, draft("positions:A", "A", 1))
	noData := draft("positions:A", "A", 3)
	noData.Data = nil
	if _, err := s.Append(t.Context(), at, []thor.Event{draft("positions:A", "A", 2), noData}); err == nil {
		t.Fatal("an event without data was stored")
	}
	wantSeqs(t, mustAppend(t, s, at, draft("positions:A", "A", 4)), 2)
}

func claim(t *testing.T, opener Opener) {
	for _, origin := range []string{"sim", "sim", "upstream"} {
		s := opener(t)
		if kept, err := s.Claim(t.Context(), origin); err != nil || kept != "sim" {
			t.Errorf("claimed for %s: kept %q, %v; want sim", origin, kept, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func secret(t *testing.T, opener Opener) {
	known := map[string]string{}
	for range 2 {
		s := opener(t)
		var asked sync.WaitGroup
		answers := make([][]byte, 8)
		for i := range answers {
			asked.Go(func() {
				var err error
				if answers[i], err = s.Secret(t.Context(), "cookie"); err != nil {
					t.Errorf("secret: %v", err)
				}
			})
		}
		asked.Wait()
		other, err := s.Secret(t.Context(), "other")
		if err != nil {
			t.Fatalf("secret: %v", err)
		}
		for i, answer := range append(answers, other) {
			name := "cookie"
			if i == len(answers) {
				name = "other"
			}
			if known[name] == "" {
				known[name] = string(answer)
			}
			if len(answer) != 32 || string(answer) != known[name] {
				t.Errorf("%s: %d bytes, not 32 that stay the same", name, len(answer))
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if known["cookie"] == known["other"] {
		t.Error("two names have the same secret")
	}
}

func stage(feature string, to thor.Stage, rev uint64) (thor.Transition, thor.Event) {
	t := thor.Transition{
		At: at, Feature: feature, Action: thor.ActionPromote, From: thor.StageOff, To: to, Rev: rev,
		Weight: 5, Actor: "someone", Reason: "because", Gate: "no gate ran", Build: "test",
	}
	e := draft(thor.CutoverStream, feature, int(rev)) //nolint:gosec // small
	e.Type = "cutover"
	return t, e
}

func transition(t *testing.T, opener Opener) {
	s := open(t, opener)
	step, event := stage("positions", thor.StageShadow, 1)
	stored, published, err := s.Transition(t.Context(), step, event)
	if err != nil {
		t.Fatal(err)
	}
	if stored.ID == 0 || published.Version.Seq != 1 {
		t.Errorf("audit entry %d and event %v, want both numbered", stored.ID, published.Version)
	}
	stages, err := s.Stages(t.Context())
	if diff := cmp.Diff([]thor.FeatureStage{thor.FeatureStage{}.After(step)}, stages); diff != "" || err != nil {
		t.Errorf("stages: %v (-want +got):\n%s", err, diff)
	}
	history, err := s.History(t.Context(), "positions", 10)
	if diff := cmp.Diff([]thor.Transition{stored}, history); diff != "" || err != nil {
		t.Errorf("history: %v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]thor.Event{published}, mustSince(t, s, thor.CutoverStream, 0)); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func staleTransition(t *testing.T, opener Opener) {
	s := open(t, opener)
	for _, rev := range []uint64{2, 0} {
		step, event := stage("positions", thor.StageShadow, rev)
		if _, _, err := s.Transition(t.Context(), step, event); thor.ErrorCode(err) != thor.ESTALE {
			t.Errorf("revision %d on a new feature: %v, want %s", rev, err, thor.ESTALE)
		}
	}
	stages, stagesErr := s.Stages(t.Context())
	history, historyErr := s.History(t.Context(), "", 10)
	if len(stages) != 0 || len(history) != 0 || stagesErr != nil || historyErr != nil {
		t.Errorf("stages %v (%v), history %v (%v); want none", stages, stagesErr, history, historyErr)
	}
	wantSeqs(t, mustSince(t, s, thor.CutoverStream, 0))
}

func stagesSurviveRestart(t *testing.T, opener Opener) {
	s := opener(t)
	for rev, to := range []thor.Stage{thor.StageShadow, thor.StageCanary} {
		step, event := stage("positions", to, uint64(rev+1))
		if _, _, err := s.Transition(t.Context(), step, event); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, opener)
	stages, err := s.Stages(t.Context())
	if err != nil || len(stages) != 1 || stages[0].Stage != thor.StageCanary || stages[0].Rev != 2 {
		t.Errorf("stages after the restart: %+v, %v", stages, err)
	}
	history, err := s.History(t.Context(), "", 1)
	if err != nil || len(history) != 1 || history[0].To != thor.StageCanary {
		t.Errorf("newest transition after the restart: %+v, %v", history, err)
	}
}
