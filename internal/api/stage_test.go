package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"thor"
	"thor/internal/cutover"
)

func TestStages(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.keep(t, balance("A-1"))
	state := func() FeatureState {
		var s FeatureState
		answer := w.get("/api/features/account_balance")
		if err := json.Unmarshal(answer.Body.Bytes(), &s); err != nil {
			t.Fatalf("%s: %v", answer.Body, err)
		}
		if tag := answer.Header().Get("ETag"); tag != strconv.Quote(strconv.FormatUint(s.Rev, 10)) {
			t.Errorf("tag %s of revision %d", tag, s.Rev)
		}
		return s
	}
	promote := func(rev, body string) *httptest.ResponseRecorder {
		return w.ask("POST", "/api/features/account_balance/promote", body, "If-Match", rev)
	}

	if s := state(); s.Stage != thor.StageShadow || s.Rev != 1 || s.Next != "canary" || s.Gate != "no gate ran" || s.DataSource != thor.DataSourceREST {
		t.Errorf("at first %+v", s)
	}
	wantProblem(t, promote("", `{}`), http.StatusPreconditionRequired, thor.EPRECONDITION, "If-Match")
	wantProblem(t, promote(`"x"`, `{}`), http.StatusUnprocessableEntity, thor.EINVALID, "not a revision")
	wantProblem(t, promote(`"9"`, `{}`), http.StatusPreconditionFailed, thor.ESTALE, "at revision 1", "thor moved it")
	wantProblem(t, promote(`"1"`, `{"to":"live"}`), http.StatusConflict, thor.ECONFLICT, "the next stage is canary")
	wantProblem(t, promote(`"1"`, `{"weight":7}`), http.StatusUnprocessableEntity, thor.EINVALID, "1, 5, 25 and 50")

	answer := promote(`"1"`, `{"reason":"looks good","weight":25}`)
	var step transitionBody
	if err := json.Unmarshal(answer.Body.Bytes(), &step); err != nil || answer.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", answer.Code, answer.Body, err)
	}
	if !step.Changed || step.To != thor.StageCanary || step.Weight != 25 || step.Actor != "local operator" || step.Gate != cutover.NoGate {
		t.Errorf("step %+v", step)
	}
	// In canary the answer's header is the client's own.
	sources := map[string]int{}
	for i := range 200 {
		header := w.get("/api/account/balance", "Thor-Client", fmt.Sprintf("client-%d", i)).Header().Get("Cutover")
		sources[header]++
	}
	if sources["stage=canary, data_source=ws, rev=2"] < 20 || sources["stage=canary, data_source=rest, rev=2"] < 100 || len(sources) != 2 {
		t.Errorf("in canary at 25 %%: %v", sources)
	}
	if got := w.get("/api/account/balance").Header().Get("Cutover"); got != "stage=canary, data_source=rest, rev=2" {
		t.Errorf("without a name: %s", got)
	}
	for rev := 2; rev <= 4; rev++ {
		if answer := promote(fmt.Sprintf(`"%d"`, rev), ``); answer.Code != http.StatusOK {
			t.Fatalf("from revision %d: %d %s", rev, answer.Code, answer.Body)
		}
	}

	gone := w.get("/api/account/balance")
	wantProblem(t, gone, http.StatusGone, thor.EGONE, "/ws/")
	if gone.Header().Get("Cache-Control") != "no-store" || gone.Header().Get("Cutover") != "stage=complete, data_source=ws, rev=5" {
		t.Errorf("410 with %v", gone.Header())
	}
	wantProblem(t, promote(`"5"`, `{}`), http.StatusConflict, thor.ECONFLICT, "no further stage")
	if s := state(); s.Next != "" || s.DataSource != thor.DataSourceWS {
		t.Errorf("at the end %+v", s)
	}

	back := w.ask("POST", "/api/features/account_balance/rollback", `{"reason":"second thoughts"}`)
	if err := json.Unmarshal(back.Body.Bytes(), &step); err != nil || !step.Changed || step.To != thor.StageShadow || step.From != thor.StageComplete {
		t.Errorf("back: %d %s, %v", back.Code, back.Body, err)
	}
	again := w.ask("POST", "/api/features/account_balance/rollback", "")
	step = transitionBody{}
	if err := json.Unmarshal(again.Body.Bytes(), &step); err != nil || step.Changed || step.Rev != 6 || again.Code != http.StatusOK ||
		step.Reason != "second thoughts" || step.At.IsZero() || step.To != thor.StageShadow {
		t.Errorf("again: %d %s, %v", again.Code, again.Body, err)
	}
	if answer := w.get("/api/account/balance"); answer.Code != http.StatusOK {
		t.Errorf("REST after the rollback: %d", answer.Code)
	}
	var history struct{ History []thor.Transition }
	if err := json.Unmarshal(w.get("/api/features/account_balance/history?limit=2").Body.Bytes(), &history); err != nil ||
		len(history.History) != 2 || history.History[0].Reason != "second thoughts" {
		t.Errorf("history %+v, %v", history, err)
	}
}
