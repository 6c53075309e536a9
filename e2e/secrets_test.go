//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// The secrets of a backend, as they look.
const (
	brokerNumber = "552187349" // beside a hash, which is the id
	bareNumber   = "873490216" // where the id is the number itself
	brokerHash   = "4d0fa7dd1cb08d4ef4ccf15d5ae38a5f08a9c1f4b8bdd3f5e7b0e7f6e3a9b1c2"
	backendPass  = "Tr0ub4dor & 3/"
	backendKey   = "live_9fQ2xVb71LmZ"
	firstAccess  = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoiYWNjZXNzIn0.Rk9PYmFyQmF6MTIzNDU2Nzg5MA"
	otherAccess  = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoiYWNjZXNzMiJ9.QWJjRGVmR2hpSmtsTW5vcFFyc3R1"
	theRefresh   = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0b2tlbl90eXBlIjoicmVmcmVzaCJ9.WnlYd1Z1VHNScVBvTm1Ma0ppSGdG"
)

// talkative is a backend that says whatever it knows when it fails.
type talkative struct {
	mu     sync.Mutex // guards what follows
	faults map[string]http.HandlerFunc
	asked  map[string]int
	access string
}

func (b *talkative) set(faults map[string]http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults, b.asked = faults, map[string]int{}
}

// hit reports whether every fault was met.
func (b *talkative) hit() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for path := range b.faults {
		if b.asked[path] == 0 {
			return false
		}
	}
	return true
}

func (b *talkative) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	b.mu.Lock()
	fault := b.faults[path]
	b.asked[path]++
	access := b.access
	if path == "/api/users/token/refresh/" {
		b.access, access = otherAccess, otherAccess
	}
	b.mu.Unlock()
	say := func(format string, args ...any) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, format, args...)
	}
	switch {
	case fault != nil:
		fault(w, r)
	case path == "/api/users/login/":
		say(`{"access":%q,"refresh":%q}`, access, theRefresh)
	case path == "/api/users/token/refresh/":
		say(`{"access":%q}`, access)
	case r.Header.Get("Authorization") != "Bearer "+access || r.Header.Get("X-Api-Key") != backendKey:
		w.WriteHeader(http.StatusUnauthorized)
		say(`{"detail":%q}`, "the token "+r.Header.Get("Authorization")+" is over")
	case path == "/api/users/profile/":
		say(`{"email":"trader@example.com"}`)
	case path == "/api/actandpos/accounts":
		say(`[{"id":7,"broker":"SCHWAB","broker_account_id":%q,"account_number":%q},{"id":8,"broker":"SCHWAB","broker_account_id":%q,"account_number":%[3]q}]`,
			brokerHash, brokerNumber, bareNumber)
	case path == "/api/accounts/balance/":
		say(`{"account_id":%q,"net_liquidation":"105000.25","cash":"5000.25","equity":"105000.25","buying_power":"1.00","day_trade_bp":"1.00"}`, r.URL.Query().Get("account_id"))
	case path == "/api/actandpos/positions":
		say(`{"account":{"account_number":%q},"positions":[{"symbol":"AAPL","asset_type":"EQ","quantity":"1","avg_price":"1","mark_price":"2","currency":"USD"}]}`, brokerNumber)
	case path == "/api/session/":
		say(`{"intraday_latest":{"open":1.0,"high":1.0,"low":1.0,"close":1.0,"volume":3}}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// forms are the ways a secret may be written.
func forms(secret string) []string {
	all := []string{secret, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret))}
	if quoted, err := json.Marshal(secret); err == nil {
		all = append(all, strings.Trim(string(quoted), `"`))
	}
	for shift := range 3 { // where it begins within a longer text
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(bytes.Repeat([]byte{' '}, shift), secret...))
			all = append(all, text[(shift*8+5)/6:len(text)-2])
		}
	}
	return all
}

// TestNoSecretIsWrittenAnywhere reads every byte the server has written, in its
// log and in its files, and what it answers operators, after a backend has
// echoed everything it was told, and looks for what nobody may find there.
func TestNoSecretIsWrittenAnywhere(t *testing.T) {
	t.Parallel()
	backend := &talkative{access: firstAccess, asked: map[string]int{}}
	upstream := httptest.NewServer(backend)
	t.Cleanup(upstream.Close)

	mapping, err := exec.Command(binary, "upstream", "preset", "thor").Output()
	if err != nil {
		t.Fatal(err)
	}
	mapping = bytes.Replace(mapping, []byte("[headers]\n"), []byte("[headers]\nX-Api-Key = \"$THOR_UPSTREAM_API_KEY\"\n"), 1)
	file := filepath.Join(t.TempDir(), "upstream.toml")
	if err := os.WriteFile(file, mapping, 0o600); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	cmd := exec.Command(binary, "serve", "--addr", "127.0.0.1:0", "--data", data, "--log-level", "debug", "--upstream", upstream.URL, "--upstream-config", file)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "THOR_AUTH_KEY="+testKey,
		"THOR_UPSTREAM_USER=trader@example.com", "THOR_UPSTREAM_PASSWORD="+backendPass, "THOR_UPSTREAM_API_KEY="+backendKey)
	s := serveCommand(t, cmd)
	s.data = data

	token := func(args ...string) string {
		cmd := exec.Command(binary, append([]string{"token", "create", "--sub", "ada"}, args...)...)
		cmd.Env = append(os.Environ(), "THOR_AUTH_KEY="+testKey)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	operator, viewer := token("--role", "operator", "--accounts", brokerHash+",account-8"), token("--accounts", brokerHash)
	secrets := map[string]string{
		"a broker's number": brokerNumber, "a broker's number that is an id": bareNumber, "the password": backendPass, "the header's key": backendKey,
		"an access token": firstAccess, "the access token after it": otherAccess, "the refresh token": theRefresh,
		"the server's key": testKey, "an operator's token": operator, "a viewer's token": viewer, "a wrong token": viewer + "x",
	}
	ask := func(method, path, token, body string) []byte {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close() //nolint:errcheck // it is read
		for i, cookie := range response.Cookies() {
			secrets[fmt.Sprintf("the cookie %d of %s", i, path)] = cookie.Value
		}
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	waitFor(t, 60*time.Second, "both accounts", func() bool {
		accounts := ask("GET", "/api/accounts", operator, "")
		return bytes.Contains(accounts, []byte(`{"account_id":"`+brokerHash+`","label":"…7349"}`)) &&
			bytes.Contains(accounts, []byte(`{"account_id":"account-8","label":"…0216"}`))
	})

	// People, with good and bad tokens, tickets and cookies.
	ask("GET", "/", "", "")
	var ticket struct{ Ticket string }
	if err := json.Unmarshal(ask("POST", "/api/ticket", viewer, ""), &ticket); err != nil || ticket.Ticket == "" {
		t.Fatalf("no ticket: %v", err)
	}
	secrets["a ticket"] = ticket.Ticket
	for range 2 { // it is used up by the first
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		conn, _, _, err := ws.Dial(ctx, "ws"+strings.TrimPrefix(s.URL, "http")+"/ws/?ticket="+ticket.Ticket)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() }) //nolint:errcheck // it is over
	}
	ask("GET", "/api/status", viewer+"x", "")
	ask("GET", "/api/status?token="+viewer, "", "")
	ask("GET", "/api/account/balance?account_id="+bareNumber, viewer, "")
	ask("POST", "/api/features/positions/freeze", operator, `{"reason":"to be in the audit"}`)

	// The backend fails, and says all it knows.
	all := strings.Join([]string{brokerNumber, bareNumber, backendPass, backendKey, firstAccess, otherAccess, theRefresh}, " ")
	echo := func(status int, contentType, format string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Location", "/"+url.PathEscape(all))
			w.WriteHeader(status)
			fmt.Fprintf(w, format, all+" "+r.Header.Get("Authorization"))
		}
	}
	const balance, positions, bars = "/api/accounts/balance/", "/api/actandpos/positions", "/api/session/"
	seen := []byte{}
	for i, faults := range []map[string]http.HandlerFunc{
		{balance: echo(403, "application/json", `{"detail":%q}`), positions: echo(500, "application/json", `{"message":%q}`), bars: echo(200, "text/html", "<title>%s</title>")},
		{balance: echo(401, "application/json", `{"detail":%q}`), "/api/users/token/refresh/": echo(401, "application/json", `{"detail":%q}`)},
		{balance: echo(200, "application/json", `{"net_liquidation":%q}`), positions: echo(200, "application/json", `{"positions":[{"symbol":"A","asset_type":%q}]}`), bars: echo(200, "application/json", `{"intraday_latest":%q}`)},
		{balance: echo(302, "application/json", `%s`), positions: echo(200, "application/json", `{"positions":%q}`), bars: echo(400, "application/json", `{"detail":"x","code":%q}`)},
		{balance: echo(401, "application/json", `{"detail":%q}`), "/api/users/token/refresh/": echo(401, "application/json", `{"detail":%q}`), "/api/users/login/": echo(401, "application/json", `{"detail":%q}`)},
	} {
		backend.set(faults)
		waitFor(t, 120*time.Second, fmt.Sprintf("the faults of round %d", i), backend.hit)
		for _, path := range []string{"/api/status", "/metrics", "/readyz", "/api/features", "/api/audit", "/api/accounts"} {
			seen = append(seen, ask("GET", path, operator, "")...)
		}
	}
	scan(t, "what operators are told", seen, secrets)
	scan(t, "what the WAL and all else is beside", read(t, data), secrets) // while it runs
	if err := s.stop(os.Interrupt, 20*time.Second); err != nil {
		t.Error(err)
	}
	scan(t, "the log", []byte(s.said()), secrets)
	files := read(t, data)
	scan(t, "the data directory", files, secrets)
	// The scan looks where something is: what may be found is.
	if !bytes.Contains(files, []byte(brokerHash)) || !bytes.Contains(files, []byte("account-8")) || !strings.Contains(s.said(), "job failed") {
		t.Errorf("there is nothing to scan: %d bytes of files, and the log\n%s", len(files), s.said())
	}
}

// read returns everything in the files of a directory.
func read(t *testing.T, dir string) (all []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all = append(append(all, content...), '\n')
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func scan(t *testing.T, where string, text []byte, secrets map[string]string) {
	t.Helper()
	for name, secret := range secrets {
		for _, form := range forms(secret) {
			if i := bytes.Index(text, []byte(form)); i >= 0 {
				t.Errorf("%s is in %s: …%q…", name, where, text[max(0, i-120):min(len(text), i+len(form)+40)])
				break
			}
		}
	}
}
