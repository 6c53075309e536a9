//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// owner is somebody with an account at the double.
type owner struct {
	name, account, other string
	token                string
	client               *plainClient
	bytes                *tape
	worth                map[string]bool // of the account, as REST has said it
}

// tape keeps every byte that was read.
type tape struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (t *tape) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(b)
}

func (t *tape) all() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.text.Bytes())
}

// connectWith connects with a header, a ticket in the query, or neither.
func connectWith(t *testing.T, s *server, query string, header http.Header) (*plainClient, *tape) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, rest, _, err := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+"/ws/"+query)
	if err != nil {
		t.Fatal(err)
	}
	var from io.Reader = conn
	if rest != nil {
		from = rest // it reads from the connection as well
	}
	read := &tape{}
	return newPlainClient(t, conn, bufio.NewReader(io.TeeReader(from, read))), read
}

var worth = regexp.MustCompile(`"portfolio_value":([0-9.]+)`)

// TestABackendsUsers lets two users of a backend, known by its own tokens, use
// the server over REST and WebSocket, and searches every byte they get for what
// is the other's. Then the backend goes away: who is known goes on for a minute,
// and nobody is let in by a guess.
func TestABackendsUsers(t *testing.T) { //nolint:tparallel // one after the other
	t.Parallel()
	d := startDouble(t, "0", "--bugs=-expired-token")
	s := serveUpstream(t, d, "--auth-key", d.key)
	ada := &owner{name: "ada", account: "PAPER-1", other: "PAPER-2"}
	bob := &owner{name: "bob", account: "PAPER-2", other: "PAPER-1"}
	owners := []*owner{ada, bob}
	for _, o := range owners {
		o.token, o.worth = d.signIn(o.name).Access, map[string]bool{}
	}
	eventually(t, "there is something of both accounts", func() bool {
		for _, o := range owners {
			for _, path := range []string{"/api/account/balance", "/api/positions"} {
				if response, _, err := s.tryGet(path+"?account_id="+o.account, "Authorization", "Bearer "+o.token); err != nil || response.StatusCode != 200 {
					return false
				}
			}
		}
		return true
	})

	// Ada sends her token in a header, Bob in a message.
	ada.client, ada.bytes = connectWith(t, s, "", bearer(ada.token))
	bob.client, bob.bytes = connectWith(t, s, "", nil)
	bob.client.say(t, map[string]string{"type": "auth", "token": bob.token})
	for _, o := range owners {
		o.client.say(t, map[string]any{"type": "subscribe", "streams": []string{
			"account_balance:" + o.account, "positions:" + o.account, "account_balance:" + o.other, "positions:" + o.other, "global_market",
		}})
		o.mustHear(t, "account_balance", "positions", "global_market")
	}
	var answers bytes.Buffer // of Ada
	for range 10 {
		for _, o := range owners {
			for _, path := range []string{"/api/account/balance", "/api/positions", "/api/accounts", "/api/status", "/metrics", "/api/features"} {
				response, body := s.get(path, "Authorization", "Bearer "+o.token)
				if response.StatusCode != http.StatusOK {
					t.Fatalf("%s asks for %s: %d %s", o.name, path, response.StatusCode, body)
				}
				if err := search(body, o.account); err != nil {
					t.Errorf("%s asks for %s: %v", o.name, path, err)
				}
				if m := worth.FindSubmatch(body); m != nil {
					o.worth[string(m[1])] = true
				}
				if o == ada {
					answers.Write(body)
				}
			}
			for _, path := range []string{"/api/account/balance?account_id=", "/api/positions?account_id="} {
				if response, body := s.get(path+o.other, "Authorization", "Bearer "+o.token); response.StatusCode != http.StatusForbidden {
					t.Errorf("%s asks for %s: %d %s", o.name, path+o.other, response.StatusCode, body)
				}
			}
		}
		ada.mustHear(t, "account_balance")
	}
	seen := append(ada.bytes.all(), answers.Bytes()...)
	for value := range bob.worth {
		if bytes.Contains(seen, []byte(value)) {
			t.Errorf("Ada has seen what Bob is worth: %s", value)
		}
	}
	known := false
	for value := range ada.worth {
		known = known || bytes.Contains(ada.bytes.all(), []byte(value))
	}
	if len(bob.worth) == 0 || !known {
		t.Errorf("%d values of Bob's were looked for, and none of Ada's %d was found: that is no test", len(bob.worth), len(ada.worth))
	}

	t.Run("a ticket is as good as its token", func(t *testing.T) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/ticket", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = bearer(ada.token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close() //nolint:errcheck // it is read
		var made struct{ Ticket string }
		if err := json.NewDecoder(response.Body).Decode(&made); err != nil || made.Ticket == "" {
			t.Fatalf("no ticket: %d %v", response.StatusCode, err)
		}
		again := &owner{name: "ada", account: ada.account}
		again.client, again.bytes = connectWith(t, s, "?ticket="+made.Ticket, nil)
		again.mustHear(t, "account_balance", "positions") // by default
		if err := search(again.bytes.all(), ada.account); err != nil {
			t.Error(err)
		}
	})
	t.Run("who is not let in", func(t *testing.T) {
		for name, tt := range map[string]struct{ token, says string }{
			"a refresh token":         {d.signIn("ada").Refresh, "its token_type must be access"},
			"a user nobody knows":     {signedWith(d.key, map[string]any{"token_type": "access", "user_id": 99}), "the backend does not take this token, 401: User not found"},
			"a token of another key":  {signedWith(testKey, map[string]any{"token_type": "access", "user_id": 2}), "not signed with the key of this server"},
			"a user by another claim": {signedWith(d.key, map[string]any{"token_type": "access", "sub": "2"}), "does not say who it is for: user_id"},
			"one who names accounts": {
				signedWith(d.key, map[string]any{"token_type": "access", "user_id": 99, "accounts": []string{"PAPER-1"}, "roles": "operator"}), "401: User not found",
			},
		} {
			response, body := s.get("/api/accounts", "Authorization", "Bearer "+tt.token)
			if response.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), tt.says) {
				t.Errorf("%s: %d %s, want %q", name, response.StatusCode, body, tt.says)
			}
			c, read := connectWith(t, s, "", bearer(tt.token))
			if code := c.end(t, 20*time.Second); code != 4401 {
				t.Errorf("%s: closed with %d", name, code)
			}
			if err := search(read.all(), ""); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, o := range owners {
			if response, _ := s.get("/api/status", "Authorization", "Bearer "+o.token); response.StatusCode != http.StatusOK {
				t.Errorf("%s is no longer let in: %d", o.name, response.StatusCode)
			}
		}
		if out, code := s.thor("cutover", "promote", "positions", "--token", d.token); code == 0 || !strings.Contains(out, "role operator") {
			t.Errorf("a user of the backend moves stages: %d\n%s", code, out)
		}
		if out, code := s.thor("token", "create", "--auth-key", d.key, "--sub", "ops", "--role", "operator"); code != 0 {
			t.Errorf("%s", out)
		} else if out, code = s.thor("cutover", "freeze", "positions", "--reason", "test", "--token", strings.TrimSpace(out)); code != 0 {
			t.Errorf("thor's own token does not: %s", out)
		}
	})
	t.Run("the backend goes away", func(t *testing.T) {
		newcomer := signedWith(d.key, map[string]any{"token_type": "access", "user_id": 2, "jti": "new"})
		d.kill()
		began := time.Now()
		response, body := s.get("/api/accounts", "Authorization", "Bearer "+newcomer)
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "which accounts are yours does not answer") {
			t.Errorf("a newcomer over REST: %d %v %s", response.StatusCode, response.Header, body)
		}
		c, _ := connectWith(t, s, "", bearer(newcomer))
		if code := c.end(t, 20*time.Second); code != 1013 {
			t.Errorf("a newcomer: closed with %d", code)
		}
		if response, body := s.get("/api/account/balance", "Authorization", "Bearer "+ada.token); response.StatusCode != http.StatusOK && time.Since(began) < 10*time.Second {
			t.Errorf("Ada is known, and gets %d %s", response.StatusCode, body)
		}
		eventually(t, "the status names the trouble, and no account", func() bool {
			response, body, err := s.tryGet("/readyz")
			if err == nil && search(body, "") != nil {
				t.Errorf("readiness: %v", search(body, ""))
			}
			return err == nil && response.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), "transient")
		})
		for _, o := range owners {
			if code := o.client.end(t, 2*time.Minute); code != 1013 {
				t.Errorf("after a minute %s is closed with %d", o.name, code)
			}
			if err := search(o.bytes.all(), o.account); err != nil && !o.echo(err) {
				t.Errorf("%s has got: %v", o.name, err)
			}
		}
		if lasted := time.Since(began); lasted < 10*time.Second {
			t.Errorf("they were closed after %v", lasted)
		}
	})
	if at := tokens.FindString(s.said()); at != "" {
		t.Errorf("the log has a token: %s", at)
	}
	if strings.Contains(s.said(), d.key) {
		t.Error("the log has the key")
	}
}

// between is a proxy before a double that answers for it when the accounts of one
// token are asked for.
type between struct {
	behind http.Handler

	mu     sync.Mutex // guards what follows
	token  string
	answer http.HandlerFunc // nil is the double's own
	asked  int
}

func (b *between) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	answer := b.answer
	if r.URL.Path != "/api/actandpos/accounts" || r.Header.Get("Authorization") != "Bearer "+b.token {
		answer = nil
	} else {
		b.asked++
	}
	b.mu.Unlock()
	if answer == nil {
		answer = b.behind.ServeHTTP
	}
	answer(w, r)
}

func (b *between) set(change func(b *between)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

// TestAnAccountIsTakenAway holds that a user who loses an account at the backend
// loses it here within a minute, connected or not, and that one who is no longer
// there is let go.
func TestAnAccountIsTakenAway(t *testing.T) {
	t.Parallel()
	d := startDouble(t, "0", "--bugs=-expired-token")
	at, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	b := &between{behind: httputil.NewSingleHostReverseProxy(at)}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	before := *d
	before.url = server.URL
	s := serveUpstream(t, &before, "--auth-key", d.key)
	// Somebody of the staff, by another token than the one thor reads with.
	token := signedWith(d.key, map[string]any{"token_type": "access", "user_id": 1, "jti": "of the page"})
	b.set(func(b *between) { b.token = token })
	eventually(t, "there is something of both accounts", func() bool {
		for _, account := range []string{"PAPER-1", "PAPER-2"} {
			if response, _, err := s.tryGet("/api/account/balance?account_id="+account, "Authorization", "Bearer "+token); err != nil || response.StatusCode != 200 {
				return false
			}
		}
		return true
	})
	const many = 15 // of one user at a time
	connections := make([]*plainClient, many)
	for i := range connections {
		connections[i], _ = connectWith(t, s, "", bearer(token))
		connections[i].say(t, map[string]any{"type": "subscribe", "streams": []string{"account_balance:PAPER-1", "account_balance:PAPER-2"}})
	}
	b.set(func(b *between) {
		if b.asked > 2 { // the machine may have been slow for longer than an answer lasts
			t.Errorf("asked %d times for %d connections", b.asked, many)
		}
		b.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `[{"id":2,"broker":"PAPER","broker_account_id":"PAPER-2","account_number":null}]`)
		}
	})
	began := time.Now()
	for _, c := range connections {
		list, ok := c.until(90*time.Second, func(m message) bool { return m.Type == "reset" })
		if !ok || !bytes.Contains(list[len(list)-1].Data, []byte(`"stream":"account_balance:PAPER-1"`)) || !bytes.Contains(list[len(list)-1].Data, []byte(`"reason":"off"`)) {
			t.Fatalf("after %v no stream has ended", time.Since(began))
		}
		list, ok = c.until(30*time.Second, func(m message) bool { return m.Stream == "account_balance:PAPER-2" && !m.Snapshot })
		for _, m := range list {
			ok = ok && m.Stream != "account_balance:PAPER-1"
		}
		if !ok {
			t.Error("the other account does not go on, or the first does")
		}
		c.say(t, map[string]string{"type": "ping"}) // who is silent for 75 seconds is closed
	}
	t.Logf("the stream ended %v after the account was taken away", time.Since(began))
	if response, body := s.get("/api/account/balance?account_id=PAPER-1", "Authorization", "Bearer "+token); response.StatusCode != http.StatusForbidden {
		t.Errorf("REST: %d %s", response.StatusCode, body)
	}
	b.set(func(b *between) {
		b.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"detail":"User is inactive","code":"user_inactive"}`)
		}
	})
	for _, c := range connections {
		if code := c.end(t, 90*time.Second); code != 4401 {
			t.Errorf("closed with %d", code)
		}
	}
	if response, body := s.get("/api/accounts", "Authorization", "Bearer "+token); response.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), "401: User is inactive (user_inactive)") {
		t.Errorf("REST: %d %s", response.StatusCode, body)
	}
}

// mustHear waits until something of each feature came, and looks at what came:
// nothing may be of somebody else's stream.
func (o *owner) mustHear(t *testing.T, features ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, f := range features {
		missing[f] = true
	}
	list, ok := o.client.until(30*time.Second, func(m message) bool {
		delete(missing, m.Stream.Feature())
		return len(missing) == 0
	})
	if !ok {
		t.Fatalf("%s does not hear of %v", o.name, missing)
	}
	for _, m := range list {
		if m.Stream != "" && m.Stream.Private() && m.Stream.Owner() != o.account {
			t.Errorf("%s gets %s %s", o.name, m.Stream, m.Data)
		}
	}
}

// echo reports whether an error is that the server named a stream back that was
// asked for.
func (o *owner) echo(err error) bool {
	want := []string{}
	for _, feature := range []string{"account_balance", "positions"} {
		want = append(want, fmt.Sprintf(`there is no stream \"%s:%s\" for you`, feature, o.other))
	}
	rest := string(o.bytes.all())
	for _, text := range want {
		rest = strings.ReplaceAll(rest, text, "")
	}
	return err != nil && search([]byte(rest), o.account) == nil
}

// end waits for the close code.
func (c *plainClient) end(t *testing.T, within time.Duration) ws.StatusCode {
	t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case code := <-c.closed:
			return code
		case <-c.messages:
		case <-timer.C:
			t.Fatalf("it is not closed within %v", within)
		}
	}
}
