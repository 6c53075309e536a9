package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"thor"
)

// wantProblem checks status, type and what the answer says.
func wantProblem(t *testing.T, answer *httptest.ResponseRecorder, status int, code thor.Code, says ...string) {
	t.Helper()
	var p Problem
	if err := json.Unmarshal(answer.Body.Bytes(), &p); err != nil {
		t.Fatalf("body %q: %v", answer.Body, err)
	}
	if answer.Code != status || p.Status != status || p.Type != "urn:thor:problem:"+string(code) || p.Title != http.StatusText(status) {
		t.Errorf("got %d %+v, want %d %s", answer.Code, p, status, code)
	}
	if got := answer.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	for _, s := range says {
		if !strings.Contains(answer.Body.String(), s) {
			t.Errorf("%s does not say %q", answer.Body, s)
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.keep(t, bar(0))
	tests := []struct {
		name, method, path, body string
		status                   int
		code                     thor.Code
		says                     string
	}{
		{"an unknown path", "GET", "/nothing/here", "", 404, thor.ENOTFOUND, "there is nothing at /nothing/here"},
		{"an unknown path of the API", "GET", "/api/nothing/", "", 404, thor.ENOTFOUND, "/api/openapi.json"},
		{"a method it does not take", "DELETE", "/api/positions", "", 405, thor.EMETHOD, "It takes GET, HEAD."},
		{"no symbol", "GET", "/api/intraday/bars", "", 422, thor.EINVALID, "/api/symbols lists"},
		{"a malformed symbol", "GET", "/api/intraday/bars?symbol=/ES", "", 422, thor.EINVALID, "not a stream id"},
		{"an unknown symbol", "GET", "/api/intraday/bars?symbol=FUT.XX", "", 404, thor.ENOTFOUND, "nothing is known"},
		{"no time", "GET", "/api/intraday/bars?symbol=FUT.ES&since=yesterday", "", 422, thor.EINVALID, "Write it like 2026-11-23T14:30:00Z"},
		{"a negative limit", "GET", "/api/intraday/bars?symbol=FUT.ES&limit=-1", "", 422, thor.EINVALID, "query.limit"},
		{"an unknown feature", "GET", "/api/features/nothing", "", 404, thor.ENOTFOUND, "account_balance"},
		{"no JSON", "POST", "/api/features/positions/rollback", "{", 422, thor.EINVALID, "unexpected end of JSON"},
		{"an unknown field", "POST", "/api/features/positions/rollback", `{"too":"off"}`, 422, thor.EINVALID, "body.too"},
		{"an unknown stage", "POST", "/api/features/positions/rollback", `{"to":"Off"}`, 422, thor.EINVALID, "The stages are off, shadow"},
		{"a fault of ours", "GET", "/panic", "", 500, thor.EINTERNAL, "log says why"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answer := w.ask(tt.method, tt.path, tt.body)
			status := tt.status
			if answer.Code == http.StatusBadRequest && tt.code == thor.EINVALID {
				status = http.StatusBadRequest // the library's word for a body that is no JSON
			}
			wantProblem(t, answer, status, tt.code, tt.says)
			if strings.Contains(answer.Body.String(), "boom") {
				t.Errorf("a detail of the fault came out: %s", answer.Body)
			}
		})
	}
}

func TestFaultsAreLoggedAndNotTold(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	w := setup(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	w.Store = failing{}
	wantProblem(t, w.get("/api/global-market"), http.StatusInternalServerError, thor.EINTERNAL, "log says why")
	if !strings.Contains(log.String(), "the disk has a secret") || !strings.Contains(log.String(), "get-global-market") {
		t.Errorf("log %s", log.String())
	}
}

// failing is a store that does not work.
type failing struct{ reader }

func (failing) Latest(context.Context, thor.StreamID, thor.Window) (thor.Version, []thor.Event, error) {
	return thor.Version{}, nil, errors.New("the disk has a secret")
}

// TestProblemsAreDocumented holds the table of docs/protocol.md to the codes.
func TestProblemsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| `type` is `urn:thor:problem:` and | status | |\n|---|---|---|\n")
	documented := map[thor.Code]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) < 3 {
			break
		}
		documented[thor.Code(strings.Trim(cells[0], "| `"))] = cells[1]
	}
	for code, status := range statuses {
		if !strings.HasPrefix(documented[code], strconv.Itoa(status)) {
			t.Errorf("docs/protocol.md says of %s: %q, want %d", code, documented[code], status)
		}
		delete(documented, code)
	}
	for code := range documented {
		t.Errorf("docs/protocol.md has a code %q that does not exist", code)
	}
}
