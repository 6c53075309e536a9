//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sync/errgroup"

	"thor"
)

const users = 50

// TestFiftyUsers lets fifty people, each with an account of their own, use the
// server through the documented proxy for some seconds: over REST, over
// WebSocket, with and without mistakes, coming back and changing tokens. Every
// byte they get is searched for accounts that are not theirs, and for tokens; so
// is what the server and the proxy print.
func TestFiftyUsers(t *testing.T) {
	t.Parallel()
	const seed = 20261123

	s := serve(t, "--auth-key", testKey, "--trusted-proxy", "127.0.0.1", "--sim-accounts", fmt.Sprint(users),
		"--sim-start", "2025-02-10T15:00:00Z", "--log-level", "debug") // early, so that there is little to replay
	n := proxy(t, s, documentedProxy(t))
	everybody := make([]*user, users)
	for i := range everybody {
		name := fmt.Sprintf("user-%d", i+1)
		u := &user{url: n.URL, name: name, account: fmt.Sprintf("PAPER-%d", i+1), everybody: everybody}
		u.token = signed(name, u.account)
		u.chance = rand.New(rand.NewPCG(seed, uint64(i)))
		u.caller = caller{url: n.URL, from: fmt.Sprintf("127.0.1.%d", i+1)}
		u.http = &http.Client{Transport: &http.Transport{DialContext: u.caller.dialContext}, Timeout: 20 * time.Second}
		everybody[i] = u
	}
	last := everybody[users-1] // whose streams come last
	awaitStreams(t, s, last.token, "account_balance:"+last.account, "positions:"+last.account)

	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second) // only so that a fault ends the test
	defer cancel()
	until := time.Now().Add(12 * time.Second)
	using, ctx := errgroup.WithContext(ctx)
	for _, u := range everybody {
		defer u.http.CloseIdleConnections()
		using.Go(func() error { return u.use(ctx, until) })
	}
	if err := using.Wait(); err != nil {
		t.Fatal(err)
	}
	var swaps, returns, refusals int64
	for _, u := range everybody {
		if u.framesOfOwn.Load() == 0 || u.answersOfOwn.Load() == 0 {
			t.Errorf("%s got %d frames and %d answers of its own account: that is no test", u.name, u.framesOfOwn.Load(), u.answersOfOwn.Load())
		}
		swaps, returns, refusals = swaps+u.swaps.Load(), returns+u.returns.Load(), refusals+u.refusals.Load()
	}
	t.Logf("%d swaps, %d returns, %d refusals", swaps, returns, refusals)
	if swaps < users || returns < users || refusals < users {
		t.Errorf("%d swaps, %d returns, %d refusals: want %d of each at least", swaps, returns, refusals, users)
	}

	for _, args := range [][]string{{"status"}, {"status", "--json"}} {
		out, code := s.thor(append(args, "--token", everybody[0].token)...)
		if code != 0 || search([]byte(out), "") != nil {
			t.Errorf("thor %v: code %d, %v:\n%s", args, code, search([]byte(out), ""), out)
		}
	}
	if err := search([]byte(s.said()), ""); err != nil {
		t.Errorf("the server's log: %v", err)
	}
	// The proxy logs what is asked for, which is where a token must not be.
	if at := tokens.FindString(n.said()); at != "" {
		t.Errorf("the proxy's log has a token: %s", at)
	}
}

// signed is a token as somebody else with the same key makes it.
func signed(sub, account string) string {
	return signedWith(testKey, map[string]any{"sub": sub, "accounts": []string{account}})
}

// signedWith is a token that is valid for an hour.
func signedWith(key string, claims map[string]any) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // strings and numbers
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	claims["exp"] = time.Now().Add(time.Hour).Unix()
	text := part(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." + part(claims)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

var (
	accountIDs = regexp.MustCompile(`PAPER-\d+`)
	tokens     = regexp.MustCompile(`eyJ[\w-]{8,}`) // how every JWT begins
)

// search looks for tokens, and for accounts other than the one that is allowed.
func search(b []byte, allowed string) error {
	if token := tokens.Find(b); token != nil {
		return fmt.Errorf("there is a token in it: %s", token)
	}
	for _, id := range accountIDs.FindAll(b, -1) {
		if string(id) != allowed {
			return fmt.Errorf("there is %s in it", id)
		}
	}
	return nil
}

// user is somebody with a token for one account.
type user struct {
	url, name, account, token string
	everybody                 []*user
	chance                    *rand.Rand
	caller                    caller
	http                      *http.Client

	framesOfOwn, answersOfOwn, swaps, returns, refusals atomic.Int64
}

// use uses the server until the time is up, REST and WebSocket at once.
func (u *user) use(ctx context.Context, until time.Time) error {
	group, ctx := errgroup.WithContext(ctx)
	chance := rand.New(rand.NewPCG(u.chance.Uint64(), 1))
	group.Go(func() error {
		for ctx.Err() == nil && time.Now().Before(until) {
			if err := u.ask(ctx, chance); err != nil {
				return fmt.Errorf("%s over REST: %w", u.name, err)
			}
			if err := pause(ctx, chance); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error {
		for first := true; first || ctx.Err() == nil && time.Now().Before(until); first = false {
			if err := u.connect(ctx, until); err != nil {
				return fmt.Errorf("%s over WebSocket: %w", u.name, err)
			}
			u.returns.Add(1)
		}
		return nil
	})
	return group.Wait()
}

func pause(ctx context.Context, chance *rand.Rand) error {
	timer := time.NewTimer(time.Duration(50+chance.IntN(300)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// stranger is somebody else.
func (u *user) stranger(chance *rand.Rand) *user {
	for {
		if other := u.everybody[chance.IntN(len(u.everybody))]; other != u {
			return other
		}
	}
}

// ask asks REST something that is the user's, everybody's, or nobody's business.
func (u *user) ask(ctx context.Context, chance *rand.Rand) error {
	other := u.stranger(chance)
	own := []string{
		"/api/account/balance", "/api/account/balance?account_id=" + u.account, "/api/positions/?account_id=" + u.account,
		"/api/accounts",
	}
	common := []string{
		"/api/symbols", "/api/status", "/api/features", "/api/features/positions", "/api/features/positions/history",
		"/api/global-market", "/metrics", "/readyz", "/healthz", "/api/openapi.json", "/api/nothing", "/",
	}
	foreign := []string{"/api/account/balance?account_id=", "/api/positions?account_id="}

	switch chance.IntN(6) {
	case 0, 1, 2:
		status, all, err := u.get(ctx, own[chance.IntN(len(own))], u.token)
		if err != nil {
			return err
		}
		if status != http.StatusOK || !bytes.Contains(all, []byte(u.account)) {
			return fmt.Errorf("got %.500s, want data of %s", all, u.account)
		}
		u.answersOfOwn.Add(1)
		return search(all, u.account)
	case 3:
		path := common[chance.IntN(len(common))]
		_, all, err := u.get(ctx, path, u.token)
		if err != nil {
			return err
		}
		if path == "/api/openapi.json" { // its examples name an account
			return nil
		}
		return search(all, "")
	case 4: // what there is of somebody else sounds like what is not there at all
		path := foreign[chance.IntN(len(foreign))]
		status, theirs, err := u.get(ctx, path+other.account, u.token)
		if err != nil {
			return err
		}
		_, nobodys, err := u.get(ctx, path+"PAPER-999", u.token)
		if err != nil {
			return err
		}
		u.refusals.Add(1)
		_, theirBody, _ := bytes.Cut(theirs, []byte("\r\n\r\n"))
		_, nobodysBody, _ := bytes.Cut(nobodys, []byte("\r\n\r\n"))
		if status < 400 || !bytes.Equal(bytes.ReplaceAll(theirBody, []byte(other.account), []byte("PAPER-999")), nobodysBody) {
			return fmt.Errorf("of %s it said\n%s\nand of nobody\n%s", other.account, theirBody, nobodysBody)
		}
		return search(theirs, other.account) // its name is an echo
	default: // a token that is wrong is not repeated
		if chance.IntN(4) > 0 {
			return nil // seldom: who tries too often is slowed down
		}
		_, all, err := u.get(ctx, "/api/accounts", u.token[:len(u.token)-4]+"AAAA")
		if err != nil {
			return err
		}
		return search(all, "")
	}
}

// get returns the whole answer, status line and headers too.
func (u *user) get(ctx context.Context, path, token string) (status int, all []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url+path, nil)
	if err != nil {
		return 0, nil, err
	}
	request.Header = bearer(token)
	response, err := u.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	all, err = httputil.DumpResponse(response, true)
	return response.StatusCode, all, err
}

// connect comes in by one of the ways there are, follows, tries what it may not,
// becomes somebody else, and goes.
func (u *user) connect(ctx context.Context, until time.Time) error {
	w, err := u.dial(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	if u.chance.IntN(10) > 0 { // else the default begins, and sends all there is
		w.say(command{"type": "subscribe", "streams": w.streams(u.account)})
	}
	if err := w.await(ctx, func() bool { return w.own > 0 }); err != nil {
		return fmt.Errorf("own data: %w", err)
	}
	for range 2 + u.chance.IntN(3) {
		other := u.stranger(u.chance)
		w.mayEcho(other.account)
		w.say(command{"type": "subscribe", "streams": w.streams(other.account), "resume": w.guesses(other.account)})
		if err := pause(ctx, u.chance); err != nil {
			return err
		}
	}
	other := u.stranger(u.chance)
	w.mayEcho(u.account) // which of its streams the connection has lost
	w.say(command{"type": "auth", "token": other.token, "id": "swap"})
	w.say(command{"type": "subscribe", "streams": w.streams(other.account)})
	if err := w.await(ctx, func() bool { return w.owner == other.account && w.own > 0 }); err != nil {
		return fmt.Errorf("after becoming %s: %w", other.name, err)
	}
	u.swaps.Add(1)
	w.say(command{"type": "subscribe", "streams": w.streams(u.account)}) // what was one's own is not any more
	if time.Now().Before(until) {
		return pause(ctx, u.chance)
	}
	return nil
}

func (u *user) dial(ctx context.Context) (*watcher, error) {
	c, way := u.caller, u.chance.IntN(3)
	switch way {
	case 0:
		c.header = bearer(u.token)
	case 1:
		ticket, err := u.ticket(ctx)
		if err != nil {
			return nil, err
		}
		c.path = "/ws/?ticket=" + ticket
	}
	dialer := ws.Dialer{NetDial: c.dialContext, Header: ws.HandshakeHeaderHTTP(c.header), Timeout: 20 * time.Second}
	conn, reader, _, err := dialer.Dial(ctx, "ws"+strings.TrimPrefix(u.url, "http")+orDefault(c.path, "/ws/"))
	if err != nil {
		return nil, err
	}
	if reader == nil {
		reader = bufio.NewReader(conn)
	}
	w := &watcher{user: u, conn: conn, owner: u.account, ended: make(chan struct{}), versions: map[thor.StreamID]version{}}
	go w.read(reader)
	if way == 2 {
		w.say(command{"type": "auth", "token": u.token})
	}
	return w, w.await(ctx, func() bool { return w.greeted })
}

func orDefault(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

func (u *user) ticket(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url+"/api/ticket", nil)
	if err != nil {
		return "", err
	}
	request.Header = bearer(u.token)
	response, err := u.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	var given struct {
		Ticket string `json:"ticket"`
	}
	body, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(body, &given)
	}
	if err != nil || given.Ticket == "" {
		return "", fmt.Errorf("ticket: %d %s: %w", response.StatusCode, body, err)
	}
	return given.Ticket, search(body, "")
}

type command map[string]any

type version struct {
	Epoch string `json:"epoch"`
	Seq   uint64 `json:"seq"`
}

// watcher reads all that a connection gets. Whose it is changes with the frame
// that answers auth: what comes before it belongs to the user before, what comes
// behind it to the new one, without exception.
type watcher struct {
	user  *user
	conn  net.Conn
	ended chan struct{} // closed when nothing more comes

	mu       sync.Mutex // guards what follows
	owner    string     // the account the connection may see
	greeted  bool
	own      int             // frames of that account
	echoes   map[string]bool // ids the client has asked for, which an error may repeat
	versions map[thor.StreamID]version
	fault    error
}

func (w *watcher) read(reader *bufio.Reader) {
	defer close(w.ended)
	for {
		var raw bytes.Buffer
		frame, err := ws.ReadFrame(io.TeeReader(reader, &raw))
		w.mu.Lock()
		if err == nil {
			err = w.look(frame, raw.Bytes())
		}
		w.fault = err
		w.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// look searches a frame, and takes from it where the connection stands.
func (w *watcher) look(frame ws.Frame, raw []byte) error {
	if frame.Header.OpCode == ws.OpClose {
		return fmt.Errorf("closed: %q", frame.Payload)
	}
	if frame.Header.OpCode != ws.OpText {
		return search(raw, "")
	}
	var m message
	if err := json.Unmarshal(frame.Payload, &m); err != nil {
		return err
	}
	if m.Type == "error" {
		if id := string(accountIDs.Find(m.Data)); id != "" && !w.echoes[id] {
			return fmt.Errorf("an error names %s, which was not asked for: %s", id, raw)
		}
		w.user.refusals.Add(1)
		return nil
	}
	if err := search(raw, w.owner); err != nil {
		return fmt.Errorf("as %s: %w: %.300s", w.owner, err, raw)
	}
	switch m.Type {
	case "authenticated":
		var who struct {
			Subject string `json:"sub"`
		}
		if err := json.Unmarshal(m.Data, &who); err != nil {
			return err
		}
		account := strings.Replace(who.Subject, "user", "PAPER", 1)
		if account != w.owner {
			w.owner, w.own = account, 0
		}
	case "hello":
		w.greeted = true
	}
	if m.Stream != "" {
		w.versions[m.Stream] = version{m.Epoch, m.Seq}
	}
	if m.Stream.Owner() == w.owner {
		w.own++
		if w.owner == w.user.account {
			w.user.framesOfOwn.Add(1)
		}
	}
	return nil
}

func (w *watcher) mayEcho(account string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.echoes == nil {
		w.echoes = map[string]bool{}
	}
	w.echoes[account] = true
}

func (w *watcher) streams(account string) []thor.StreamID {
	return []thor.StreamID{thor.NewStreamID("account_balance", account), thor.NewStreamID("positions", account), "global_market"}
}

// guesses are the points the client's own streams stand at: of others they are
// about the same, and the epoch is.
func (w *watcher) guesses(account string) map[thor.StreamID]version {
	w.mu.Lock()
	defer w.mu.Unlock()
	guesses := map[thor.StreamID]version{}
	for id, at := range w.versions {
		if id.Private() {
			guesses[thor.NewStreamID(id.Feature(), account)] = at
		}
	}
	return guesses
}

// say sends a command. What goes wrong shows where something is awaited.
func (w *watcher) say(c command) {
	payload, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings
	}
	_ = ws.WriteFrame(w.conn, ws.MaskFrameInPlace(ws.NewTextFrame(payload)))
}

// await waits for something to have come, and for no fault.
func (w *watcher) await(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		w.mu.Lock()
		ok, fault := done(), w.fault
		w.mu.Unlock()
		if fault != nil || ok {
			return fault
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// close ends the connection and reports what was found in the rest of it.
func (w *watcher) close() {
	w.conn.Close() //nolint:errcheck // it is over
	<-w.ended
}
