package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"thor"
	"thor/internal/auth"
)

// TestWhatGoesElsewhere holds which requests this server serves itself when there
// is somebody else, and that the others arrive there untouched.
func TestWhatGoesElsewhere(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := setup(t, func(c *Config) {
		c.Door = &auth.Door{Key: doorKey}
		c.Elsewhere = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/boom/12345678" {
				panic("boom")
			}
			body, err := io.ReadAll(r.Body)
			w.Header().Set("Content-Type", "theirs")
			fmt.Fprintf(w, "elsewhere %s %s %s %v", r.Method, r.RequestURI, body, err)
		})
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	ours := func(method, path string, status int, header ...string) {
		t.Helper()
		if answer := w.ask(method, path, "", header...); answer.Code != status || strings.HasPrefix(answer.Body.String(), "elsewhere") {
			t.Errorf("%s %s: %d %s", method, path, answer.Code, answer.Body)
		}
	}
	theirs := func(method, path string, header ...string) {
		t.Helper()
		answer := w.ask(method, path, "said", header...)
		if want := "elsewhere " + method + " " + path + " said <nil>"; answer.Body.String() != want || answer.Header().Get("Content-Type") != "theirs" || len(answer.Header()) != 1 {
			t.Errorf("%s %s: %d %v %s", method, path, answer.Code, answer.Header(), answer.Body)
		}
	}
	ours("GET", "/", 200)
	ours("GET", "/healthz", 200)
	ours("GET", "/healthz/", 200)
	ours("GET", "/api/status", 401)
	ours("GET", "/api/positions/", 401)
	ours("HEAD", "/api/positions", 401)
	ours("POST", "/api/publish", 401)
	ours("POST", "/api/features/positions/promote/", 401)
	ours("GET", "/api/openapi.json", 200)
	ours("OPTIONS", "/api/positions", 204, "Origin", "http://localhost:5173", "Access-Control-Request-Method", "GET")

	theirs("GET", "/api/accounts/balance/?account_id=1")
	theirs("GET", "/api")
	theirs("GET", "/x//y/../z")
	theirs("GET", "/api/Positions")
	// A path of ours with a method we do not know: a form of the backend's page,
	// say, or what only the backend can create.
	theirs("POST", "/api/positions")
	theirs("PATCH", "/api/accounts/7/")
	theirs("POST", "/")
	theirs("GET", "/api/publish")
	theirs("OPTIONS", "/api/positions")
	theirs("OPTIONS", "/api/positions", "Access-Control-Request-Method", "PUT")
	// Origins and tokens are the backend's affair there.
	theirs("OPTIONS", "/api/x", "Origin", "https://e.example.com")
	theirs("GET", "/api/x?token=theirs", "Origin", "https://e.example.com")

	wantProblem(t, w.get("/boom/12345678"), http.StatusInternalServerError, thor.EINTERNAL)
	if !strings.Contains(log.String(), "boom") || strings.Contains(log.String(), "12345678") {
		t.Errorf("log %s", &log)
	}
}

// TestNothingElsewhere holds that without anybody else all is as it was.
func TestNothingElsewhere(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	wantProblem(t, w.get("/api/accounts/balance/"), http.StatusNotFound, thor.ENOTFOUND)
	wantProblem(t, w.ask(http.MethodPost, "/api/positions", "{}"), http.StatusMethodNotAllowed, thor.EMETHOD)
}

// TestEveryAnswerIsStamped holds that who only polls learns from any answer where
// the feature stands, also from one that refuses.
func TestEveryAnswerIsStamped(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.keep(t, balance("A-1"))
	const shadow = "stage=shadow, data_source=rest, rev=1"
	tag := w.get("/api/account/balance").Header().Get("ETag")
	for _, tt := range []struct {
		path   string
		status int
		header []string
	}{
		{"/api/account/balance", 200, nil},
		{"/api/account/balance", 304, []string{"If-None-Match", tag}},
		{"/api/account/balance?account_id=B-1", 404, nil},
		{"/api/intraday/bars?symbol=FUT.ES&limit=x", 422, nil},
		{"/api/intraday/bars", 422, nil},
	} {
		answer := w.get(tt.path, tt.header...)
		if got := answer.Header().Values("Cutover"); answer.Code != tt.status || len(got) != 1 || got[0] != shadow {
			t.Errorf("%s: %d, Cutover %q", tt.path, answer.Code, got)
		}
	}
	// What others answer for a feature carries the same, and ends with it.
	header := http.Header{}
	if err := w.Stamp("account_balance", "", header); err != nil || header.Get("Cutover") != shadow {
		t.Errorf("%v, %v", header, err)
	}
	for range 6 {
		state, err := w.Stages.State("account_balance")
		if err != nil {
			t.Fatal(err)
		}
		answer := w.ask(http.MethodPost, "/api/features/account_balance/promote", `{}`, "If-Match", revTag(state.Stored.Rev))
		var step struct{ To thor.Stage }
		if json.Unmarshal(answer.Body.Bytes(), &step) != nil || answer.Code != http.StatusOK {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
		if step.To == thor.StageComplete {
			break
		}
	}
	answer := w.get("/api/account/balance")
	wantProblem(t, answer, http.StatusGone, thor.EGONE, "retired")
	header = http.Header{}
	if err := w.Stamp("account_balance", "", header); thor.ErrorCode(err) != thor.EGONE || header.Get("Cutover") != answer.Header().Get("Cutover") {
		t.Errorf("%v, %v", header, err)
	}
}
