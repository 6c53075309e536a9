package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"thor"
	"thor/internal/auth"
	"thor/internal/cutover"
	"thor/internal/store/sqlite"
	"thor/internal/stream"
)

// lost is a store that can be away: it fails, or it hangs.
type lost struct {
	*sqlite.Store
	err  error
	hang chan struct{}
}

func (l *lost) broken() error {
	if l.hang != nil {
		<-l.hang
	}
	return l.err
}

func (l *lost) Latest(ctx context.Context, id thor.StreamID, w thor.Window) (thor.Version, []thor.Event, error) {
	if err := l.broken(); err != nil {
		return thor.Version{}, nil, err
	}
	return l.Store.Latest(ctx, id, w)
}

func (l *lost) Streams(ctx context.Context) ([]thor.StreamID, error) {
	if err := l.broken(); err != nil {
		return nil, err
	}
	return l.Store.Streams(ctx)
}

func (l *lost) Transition(ctx context.Context, t thor.Transition, e thor.Event) (thor.Transition, thor.Event, error) {
	if err := l.broken(); err != nil {
		return t, e, err
	}
	return l.Store.Transition(ctx, t, e)
}

// losable is an API whose store can be lost, with a memory of one account.
func losable(t *testing.T) (*world, *lost, *cutover.Controller) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	l := &lost{Store: s}
	stages, _, err := cutover.Open(t.Context(), cutover.Config{Store: l, Layer: nowhere{}, Build: "test", Force: "intraday:off"})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: s}
	events := w.keep(t, balance("A-1"))
	logs := &stream.Logs{Store: s}
	if err := logs.Append(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	w.API = New(Config{
		Version: "test", Store: l, Memory: logs, Stages: stages, Door: &auth.Door{}, Audit: s.Audit,
		Checks: []Check{{Name: "store", Run: func(ctx context.Context) error {
			_, err := l.Streams(ctx)
			return errors.Join(err, stages.Away())
		}}},
	})
	return w, l, stages
}

// TestWithoutAStore: REST serves what is in memory and says so; a rollback is
// accepted and says that it is not durable.
func TestWithoutAStore(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"fails", "hangs"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, l, stages := losable(t)
				if answer := w.ask("POST", "/api/features/account_balance/promote", "", "If-Match", `"1"`); answer.Code != http.StatusOK {
					t.Fatalf("promote: %d %s", answer.Code, answer.Body)
				}
				before := w.get("/api/account/balance")
				time.Sleep(3 * time.Second)
				l.err = thor.Errorf(thor.EUNAVAILABLE, "the disk is full")
				if how == "hangs" {
					l.hang = make(chan struct{})
				}
				asked := time.Now()
				after := w.get("/api/account/balance")
				if after.Code != http.StatusOK || after.Body.String() != before.Body.String() || after.Header().Get("ETag") != before.Header().Get("ETag") {
					t.Errorf("from memory: %d %s", after.Code, after.Body)
				}
				if age := after.Header().Get("Age"); age != "3" && age != "5" { // an account and a value were waited for
					t.Errorf("age %s", age)
				}
				if waited := time.Since(asked); waited > 2*readWait {
					t.Errorf("it took %v", waited)
				}
				if got := after.Header().Get("Cutover"); got != "stage=canary, data_source=rest, rev=2, stale" {
					t.Errorf("Cutover: %s", got)
				}
				unknown := w.get("/api/account/balance?account_id=A-2")
				wantProblem(t, unknown, http.StatusServiceUnavailable, thor.EUNAVAILABLE, map[string]string{"fails": "the disk is full", "hangs": "does not answer"}[how])

				answer := w.ask("POST", "/api/features/account_balance/rollback", `{"reason":"it is wrong"}`)
				var step transitionBody
				if err := json.Unmarshal(answer.Body.Bytes(), &step); err != nil || answer.Code != http.StatusAccepted || step.Durable || !step.Changed ||
					step.From != thor.StageCanary || step.To != thor.StageShadow || !strings.Contains(answer.Body.String(), `"durable":false`) || step.Trouble == "" {
					t.Errorf("rollback: %d %s, %v", answer.Code, answer.Body, err)
				}
				if got := w.get("/api/account/balance?account_id=A-1").Header().Get("Cutover"); got != "stage=shadow, data_source=rest, rev=2, forced, stale" {
					t.Errorf("Cutover after the rollback: %s", got)
				}
				var state FeatureState
				if err := json.Unmarshal(w.get("/api/features/account_balance").Body.Bytes(), &state); err != nil ||
					state.Stage != thor.StageCanary || state.Effective != thor.StageShadow || state.Forced == nil || !state.Unstored {
					t.Errorf("state %+v, %v", state, err)
				}
				if answer := w.ask("POST", "/api/features/account_balance/freeze", ""); answer.Code != http.StatusAccepted {
					t.Errorf("freeze: %d %s", answer.Code, answer.Body)
				}
				if ready := w.get("/readyz"); ready.Code != http.StatusServiceUnavailable {
					t.Errorf("ready: %d %s", ready.Code, ready.Body)
				}
				l.err = nil
				if l.hang != nil {
					close(l.hang)
				}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- stages.Run(ctx) }()
				time.Sleep(time.Minute)
				if got := w.get("/api/account/balance").Header().Get("Cutover"); got != "stage=shadow, data_source=rest, rev=4" {
					t.Errorf("Cutover when the store is back: %s", got)
				}
				if ready := w.get("/readyz"); ready.Code != http.StatusOK {
					t.Errorf("ready: %d %s", ready.Code, ready.Body)
				}
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestFreezeOverREST(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	act := func(verb, body string, rev uint64, changed bool) {
		t.Helper()
		answer := w.ask("POST", "/api/features/positions/"+verb, body)
		var step transitionBody
		if err := json.Unmarshal(answer.Body.Bytes(), &step); err != nil || answer.Code != http.StatusOK || step.Rev != rev || step.Changed != changed ||
			!step.Durable || answer.Header().Get("ETag") != revTag(rev) || string(step.Action) != verb {
			t.Errorf("%s: %d %s, %v", verb, answer.Code, answer.Body, err)
		}
	}
	act("freeze", `{"reason":"quarter end"}`, 2, true)
	act("freeze", "", 2, false)
	wantProblem(t, w.ask("POST", "/api/features/positions/promote", "", "If-Match", `"2"`), http.StatusConflict, thor.ECONFLICT,
		"frozen by local operator since", "quarter end", "thor cutover unfreeze positions")
	var state FeatureState
	if err := json.Unmarshal(w.get("/api/features/positions").Body.Bytes(), &state); err != nil || state.Frozen == nil || state.Frozen.Reason != "quarter end" {
		t.Errorf("state %+v, %v", state, err)
	}
	act("unfreeze", "", 3, true)
	act("unfreeze", "", 3, false)
	wantProblem(t, w.ask("POST", "/api/features/nothing/freeze", ""), http.StatusNotFound, thor.ENOTFOUND, "account_balance")
	if answer := w.ask("POST", "/api/features/positions/promote", "", "If-Match", `"3"`); answer.Code != http.StatusOK {
		t.Errorf("promote: %d %s", answer.Code, answer.Body)
	}
	var audit Audit
	if err := json.Unmarshal(w.get("/api/audit?limit=2").Body.Bytes(), &audit); err != nil || len(audit.Entries) != 2 || len(audit.Faults) != 0 ||
		audit.Entries[0].Action != thor.ActionPromote || audit.Entries[0].Previous != audit.Entries[1].Hash ||
		audit.Head.Hash != audit.Entries[0].Hash || audit.Head.Count != audit.Entries[0].ID {
		t.Errorf("audit %+v, %v", audit, err)
	}
}

// TestForcedOverREST holds that header and the answer follow the stage in effect.
func TestForcedOverREST(t *testing.T) {
	t.Parallel()
	w, _, _ := losable(t) // its intraday is forced to off
	var state FeatureState
	if err := json.Unmarshal(w.get("/api/features/intraday").Body.Bytes(), &state); err != nil ||
		state.Stage != thor.StageShadow || state.Effective != thor.StageOff || state.Forced.By != "THOR_FORCE" || state.Forced.Stage != thor.StageOff {
		t.Errorf("state %+v, %v", state, err)
	}
	if got := w.get("/api/intraday/bars?symbol=X").Header().Get("Cutover"); got != "stage=off, data_source=rest, rev=1, forced" {
		t.Errorf("Cutover: %s", got)
	}
	wantProblem(t, w.ask("POST", "/api/features/intraday/promote", "", "If-Match", `"1"`), http.StatusConflict, thor.ECONFLICT, "forced to off by THOR_FORCE")
}
