package app

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"thor"
	"thor/internal/auth"
	"thor/internal/cutover"
	"thor/web"
)

// echo is a backend that says what it was asked.
func echo(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stream":
			fmt.Fprint(w, "data: 1\n\n")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
		case "/ws/chat/":
			conn, _, _, err := ws.UpgradeHTTP(r, w)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, conn) // until it ends
			conn.Close()                     //nolint:errcheck // it has ended
		default:
			fmt.Fprintf(w, "%s %s cookie=%q", r.Method, r.URL.Path, r.Header.Get("Cookie"))
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestFrontDoor(t *testing.T) {
	t.Parallel()
	url := echo(t)
	a := openTest(t, func(c *Config) {
		c.Source, c.Upstream, c.UpstreamToken, c.AuthKey = "upstream", url, "x", strings.Repeat("k", 32)
	})
	server := httptest.NewServer(a.api)
	t.Cleanup(server.Close)
	token := func(sub string, roles ...auth.Role) string {
		made, err := a.door.NewToken(auth.Principal{Subject: sub, Roles: roles}, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + made
	}
	ask := func(method, path string, header ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", "desk/1")
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close() //nolint:errcheck // it is read
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer, string(body)
	}

	// What is served here and what is not.
	page, _ := ask("GET", "/")
	cookie := page.Header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, auth.CookieName+"=") || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
		t.Errorf("the page: %v", page.Header)
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	for request, want := range map[string]string{
		"GET /x":                `GET /x cookie="a=1"`,
		"GET /assets/theirs.js": `GET /assets/theirs.js cookie="a=1"`,
		"POST /":                `POST / cookie="a=1"`,
		"DELETE /api/accounts":  `DELETE /api/accounts cookie="a=1"`,
		"GET /ws/chat":          `GET /ws/chat cookie="a=1"`,
	} {
		method, path, _ := strings.Cut(request, " ")
		if _, body := ask(method, path, "Cookie", cookie+"; a=1"); body != want {
			t.Errorf("%s: %s, want %s", request, body, want)
		}
	}
	// A path of a feature is counted and stamped, until it is gone.
	for range 2 { // what is not our token may be the backend's
		answer, _ := ask("GET", "/api/actandpos/live/positions?broker_account_id=12345678", "Authorization", "Bearer theirs")
		if got := answer.Header.Get("Cutover"); got != "stage=shadow, data_source=rest, rev=1" {
			t.Errorf("Cutover %q", got)
		}
	}
	ask("GET", "/api/actandpos/positions", "Authorization", token("ada"))
	if answer, _ := ask("GET", "/api/actandpos/orders"); answer.Header.Get("Cutover") != "" {
		t.Errorf("orders are no feature: %v", answer.Header)
	}
	_, census := ask("GET", "/api/consumers", "Authorization", token("olga", auth.Operator))
	for _, want := range []string{
		`"user_agent":"desk/1","principal":"unknown","thor":false,`, `"requests":2}`,
		`"user_agent":"desk/1","principal":"ada","thor":false,`, `"feature":"positions","via":"frontdoor"`,
	} {
		if !strings.Contains(census, want) || strings.Contains(census, "12345678") {
			t.Errorf("the census does not say %s:\n%s", want, census)
		}
	}
	for _, f := range a.Status(t.Context()).Features {
		if want := map[string]int64{"positions": 2}[f.Feature]; f.RESTConsumers != want {
			t.Errorf("%s: %d consumers, want %d", f.Feature, f.RESTConsumers, want)
		}
		if want := map[string]int64{"positions": 3}[f.Feature]; f.RESTPerMinute != want {
			t.Errorf("%s: %d a minute, want %d", f.Feature, f.RESTPerMinute, want)
		}
	}
	for {
		state, err := a.stages.State("positions")
		if err != nil {
			t.Fatal(err)
		}
		if state.Stored.Stage == thor.StageComplete {
			break
		}
		if _, err := a.stages.Promote(t.Context(), cutover.Promotion{Feature: "positions", Rev: state.Stored.Rev, Any: true, Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	answer, body := ask("GET", "/api/actandpos/positions?account_id=1")
	if answer.StatusCode != http.StatusGone || !strings.HasPrefix(answer.Header.Get("Cutover"), "stage=complete, data_source=ws") ||
		!strings.Contains(body, "its REST endpoint has been retired") {
		t.Errorf("%d %v %s", answer.StatusCode, answer.Header, body)
	}
	if answer, _ := ask("POST", "/api/actandpos/positions"); answer.StatusCode != http.StatusOK {
		t.Errorf("what writes there is gone with it: %d", answer.StatusCode)
	}
}

// TestTheFrontDoorServesThisMachineAlone holds that without a key a page of
// another site cannot reach the backend by a name that leads here.
func TestTheFrontDoorServesThisMachineAlone(t *testing.T) {
	t.Parallel()
	url := echo(t)
	a := openTest(t, func(c *Config) { c.Source, c.Upstream, c.UpstreamToken = "upstream", url, "x" })
	for host, want := range map[string]int{"localhost:8000": 200, "127.0.0.1": 200, "[::1]:8000": 200, "evil.example.com": 403, "": 403} {
		r := httptest.NewRequest(http.MethodGet, "/x", nil)
		r.Host = host
		answer := httptest.NewRecorder()
		a.api.ServeHTTP(answer, r)
		if answer.Code != want {
			t.Errorf("for %q: %d %s", host, answer.Code, answer.Body)
		}
	}
}

// TestRoomForThePageOfTheBackend holds that our page moves, and that its files
// are still there.
func TestRoomForThePageOfTheBackend(t *testing.T) {
	t.Parallel()
	url := echo(t)
	a := openTest(t, func(c *Config) { c.Source, c.Upstream, c.UpstreamToken, c.Page = "upstream", url, "x", "/thor/" })
	assets, err := fs.Glob(web.Dist(), "assets/*.js")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/": "GET / ", "/favicon.svg": "GET /favicon.svg ", "/assets/theirs.js": "GET /assets/theirs.js ", "/thor/x": "GET /thor/x ",
		"/thor/": "<!doctype html>", "/" + assets[0]: "",
	} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "localhost"
		answer := httptest.NewRecorder()
		a.api.ServeHTTP(answer, r)
		body := answer.Body.String()
		if answer.Code != http.StatusOK || !strings.HasPrefix(body, want) || want == "" && strings.HasPrefix(body, "GET ") {
			t.Errorf("%s: %d %.60s", path, answer.Code, body)
		}
	}
	var out strings.Builder
	a.announce(&out)
	if !strings.Contains(out.String(), "/thor · WebSocket") || !strings.Contains(out.String(), "front door: what is not served here goes to "+url+"\n") {
		t.Errorf("it does not say where the page is:\n%s", &out)
	}
	c := Default()
	for _, page := range []string{"", "thor", "/thor", "//", "/api/x/", "/ws/", "/assets/", "/a b/", "/{x}/", "/../"} {
		c.Page = page
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "--page: ") {
			t.Errorf("%q: %v", page, err)
		}
	}
}

// TestHiddenPathsAreNamed holds that a path both have is told at the start.
func TestHiddenPathsAreNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "m.toml")
	text := "[accounts]\nids = [\"A\"]\n[positions]\npath = \"/api/positions/?account={account}\"\nalso = \"/api/old/positions\"\n" +
		"fields.symbol = { from = \"/s\" }\nfields.asset_class = { from = \"/a\" }\nfields.quantity = { from = \"/q\", type = \"dec\" }\nfields.currency = { from = \"/c\" }\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	url := echo(t)
	a := openTest(t, func(c *Config) { c.Source, c.Upstream, c.UpstreamConfig = "upstream", url, file })
	notes := strings.Join(a.frontDoorNotes(), "\n")
	want := "front door: what is not served here goes to " + url + "; if it has a page at /, --page /thor/ makes room for it\n" +
		"the backend's /api/positions/ is a path of this server too, which answers there in its own way: clients of the backend must ask the backend for it"
	if notes != want {
		t.Errorf("got  %s\nwant %s", notes, want)
	}
	if notes := openTest(t, nil).frontDoorNotes(); notes != nil {
		t.Errorf("without a backend it says %q", notes)
	}
}

// TestOpenStreamsDoNotKeepAServer holds that a server stops in its time though a
// stream and a WebSocket of the backend are open.
func TestOpenStreamsDoNotKeepAServer(t *testing.T) {
	t.Parallel()
	url := echo(t)
	c := Default()
	c.Addr, c.Data, c.Source, c.Upstream, c.UpstreamToken = "127.0.0.1:0", t.TempDir(), "upstream", url, "x"
	a := openApp(t, c.Data, func(set *Config) { *set = c })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, io.Discard) }()
	host := a.listeners[0].Addr().String()
	answer, err := http.Get("http://" + host + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it is over
	stream := bufio.NewReader(answer.Body)
	if line, err := stream.ReadString('\n'); err != nil || line != "data: 1\n" {
		t.Fatalf("%q, %v", line, err)
	}
	conn, early, _, err := ws.Dial(t.Context(), "ws://"+host+"/ws/chat/")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it is over
	if early != nil {
		ws.PutReader(early)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if rest, err := io.ReadAll(stream); err == nil {
		t.Errorf("the stream looks complete: %q", rest)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("the WebSocket did not end: %v", err)
	}
}
