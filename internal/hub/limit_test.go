package hub

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"thor/internal/auth"
)

var doorKey = []byte("0123456789abcdef0123456789abcdef")

// counts are of refusals.
type counts struct {
	mu   sync.Mutex // guards seen
	seen map[string]int
}

func (c *counts) add(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	c.seen[reason]++
}

func (c *counts) want(t *testing.T, want map[string]int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if diff := cmp.Diff(want, c.seen); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
}

func TestConnectionsOfAUser(t *testing.T) {
	t.Parallel()
	var refused counts
	door := &auth.Door{Key: doorKey}
	two := func(c *Config) { c.Door, c.Limits, c.Refused = door, Limits{User: 2}, refused.add }
	ada, bob := &auth.Principal{Subject: "ada"}, &auth.Principal{Subject: "bob"}
	open := func(t *testing.T, c *client) {
		t.Helper()
		c.send(`{"type":"ping"}`)
		c.want("pong")
	}
	greet := func(t *testing.T, w *world, p *auth.Principal) *client {
		t.Helper()
		c := w.dialAs(t, p)
		c.want("hello")
		return c
	}
	replaced := func(t *testing.T, c *client) {
		t.Helper()
		began := time.Now()
		if m := c.want("close 4409")[0]; m.Reason != "replaced: too many connections of this user" {
			t.Errorf("reason %q", m.Reason)
		}
		if waited := time.Since(began); waited > 2*checkEvery {
			t.Errorf("closed after %v", waited)
		}
	}
	virtual(t, "the oldest makes room, and others are left alone", two, func(t *testing.T, w *world) {
		first, other, second := greet(t, w, ada), greet(t, w, bob), greet(t, w, ada)
		third := greet(t, w, ada)
		replaced(t, first)
		fourth := greet(t, w, ada)
		replaced(t, second)
		for _, c := range []*client{third, fourth, other} {
			open(t, c)
		}
	})
	virtual(t, "whoever has gone counts no more", two, func(t *testing.T, w *world) {
		first, second := greet(t, w, ada), greet(t, w, ada)
		second.conn.Close() //nolint:errcheck // a test
		time.Sleep(time.Second)
		third := greet(t, w, ada)
		time.Sleep(time.Second)
		open(t, first)
		open(t, third)
	})
	virtual(t, "the local operator has as many as they like", two, func(t *testing.T, w *world) {
		var all []*client
		for range 10 {
			all = append(all, greet(t, w, local()))
		}
		time.Sleep(time.Second)
		for _, c := range all {
			open(t, c)
		}
	})
	virtual(t, "a token for another counts for the other", two, func(t *testing.T, w *world) {
		say := func(c *client, sub string) {
			token, err := door.NewToken(auth.Principal{Subject: sub}, time.Now(), time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			c.send(fmt.Sprintf(`{"type":"auth","token":%q}`, token))
			c.want("authenticated")
		}
		first, second := greet(t, w, ada), greet(t, w, ada)
		say(first, "bob")
		third := greet(t, w, ada) // ada has two now
		time.Sleep(time.Second)
		open(t, first)
		open(t, second)
		open(t, third)
		b := greet(t, w, bob)
		say(second, "bob") // bob's third: the first of bob's makes room
		replaced(t, first)
		say(b, "bob") // the same: it keeps its place
		open(t, b)
		open(t, second)
	})
	virtual(t, "refusals are counted", func(c *Config) {
		two(c)
		c.Refused = func(reason string) {
			if reason != RefusedUser {
				t.Errorf("refused for %s", reason)
			}
			refused.add("here")
		}
	}, func(t *testing.T, w *world) {
		first := greet(t, w, ada)
		greet(t, w, ada)
		greet(t, w, ada)
		replaced(t, first)
	})
}

// site is a hub behind a server on a real socket, which trusts a proxy on this
// machine: so a test comes from any address.
type site struct {
	*world
	url     string
	refused counts
	log     bytes.Buffer // warnings
}

func newSite(t *testing.T, limits Limits) *site {
	t.Helper()
	proxies, err := auth.ParseProxies([]string{"127.0.0.1", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{}
	s.world = newWorld(t, t.TempDir(), func(c *Config) {
		c.Door = &auth.Door{Key: doorKey, Proxies: proxies, CookieKey: []byte("cookie")}
		c.Limits, c.Refused = limits, s.refused.add
		c.Logger = slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	server := httptest.NewServer(s.world)
	t.Cleanup(server.Close)
	s.url = "ws" + strings.TrimPrefix(server.URL, "http") + "/ws/"
	return s
}

// visit connects from an address and returns the connection and what comes
// first: a token's hello, or the close.
func (s *site) visit(t *testing.T, from, query string, header http.Header) (net.Conn, message, error) {
	t.Helper()
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("X-Forwarded-For", from)
	dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}
	conn, br, _, err := dialer.Dial(t.Context(), s.url+query)
	if err != nil {
		return nil, message{}, err
	}
	t.Cleanup(func() { conn.Close() }) //nolint:errcheck // a test
	var r io.Reader = conn
	if br != nil {
		r = io.MultiReader(io.LimitReader(br, int64(br.Buffered())), conn)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	f, err := ws.ReadFrame(bufio.NewReader(r))
	if err != nil {
		t.Fatal(err)
	}
	if f.Header.OpCode == ws.OpClose {
		code, reason := ws.ParseCloseFrameData(f.Payload)
		if len(reason) > maxReason {
			t.Errorf("a reason of %d bytes", len(reason))
		}
		return conn, message{Close: code, Reason: reason}, nil
	}
	return conn, message{Type: "hello", raw: string(f.Payload)}, nil
}

func (s *site) token(t *testing.T, sub string, ttl time.Duration) http.Header {
	t.Helper()
	token, err := s.Door.NewToken(auth.Principal{Subject: sub}, time.Now(), ttl)
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{"Authorization": {"Bearer " + token}}
}

// wantClose visits and wants a close that says how long to wait, or not.
func (s *site) wantClose(t *testing.T, from, query string, header http.Header, code ws.StatusCode, says string) net.Conn {
	t.Helper()
	conn, m, err := s.visit(t, from, query, header)
	if err != nil {
		t.Fatal(err)
	}
	if m.Close != code || !regexp.MustCompile(says).MatchString(m.Reason) {
		t.Errorf("got %s %q, want a close with %d that says %q", m.brief(), m.Reason, code, says)
	}
	return conn
}

func (s *site) wantHello(t *testing.T, from string) net.Conn {
	t.Helper()
	conn, m, err := s.visit(t, from, "", s.token(t, "ada", time.Hour))
	if err != nil || m.Type != "hello" {
		t.Fatalf("got %+v, %v; want hello", m, err)
	}
	return conn
}

func TestConnectionsOfAnAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t, Limits{Address: 2})
	first := s.wantHello(t, "2001:db8:1:2::1")
	s.wantHello(t, "2001:db8:1:2::2") // of the same /64
	ada := s.token(t, "ada", time.Hour)
	full := s.wantClose(t, "2001:db8:1:2::3", "", ada, 4429, `^too many connections of this address: 2 are taken; retry_after=1\d$`)
	s.wantHello(t, "2001:db8:1:3::1")
	s.wantHello(t, "192.0.2.7")
	full.Close()  //nolint:errcheck // a test
	first.Close() //nolint:errcheck // a test
	waitFor(t, func() bool {
		_, m, err := s.visit(t, "2001:db8:1:2::3", "", ada)
		return err == nil && m.Type == "hello"
	})
	if s.refused.seen[RefusedAddress] < 1 {
		t.Errorf("counted %v", s.refused.seen)
	}
}

func TestTheRefusedAreBoundedToo(t *testing.T) {
	t.Parallel()
	h := New(Config{Limits: Limits{Node: 3, Address: 2}})
	full := func(address string, refused *closeError, code ws.StatusCode, status int) *place {
		t.Helper()
		p, refusal, got := h.enter(address, refused)
		if got != status || (refusal == nil) != (code == 0) || refusal != nil && refusal.code != code || (p == nil) != (status != 0) {
			t.Errorf("%s: %v, %v, %d; want code %d, status %d", address, p, refusal, got, code, status)
		}
		return p
	}
	first := full("a", nil, 0, 0)
	full("a", nil, 0, 0)
	told := full("a", nil, closeTooMany, 0)
	full("a", &closeError{closeUnauthorized, "no"}, closeUnauthorized, 0)
	full("a", nil, 0, http.StatusTooManyRequests)
	first.leave()
	first.leave()        // it is given back once
	full("a", nil, 0, 0) // those who are being told take no place
	full("b", nil, 0, 0) // the third of all
	full("", nil, 0, 0)  // the local operator's does not care
	told.leave()
	full("c", nil, closeOverloaded, 0)
	full("d", nil, closeOverloaded, 0)
	full("e", nil, 0, http.StatusServiceUnavailable)
	full("", nil, 0, 0)
}

// waitFor waits until something is so, which takes as long as it takes.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if so() {
			return
		}
		<-tick.C
	}
	t.Fatal("it does not come about")
}

func TestConnectionsOfTheNode(t *testing.T) {
	t.Parallel()
	s := newSite(t, Limits{Node: 1})
	conn := s.wantHello(t, "192.0.2.1")
	s.wantClose(t, "192.0.2.2", "", s.token(t, "bob", time.Hour), 1013, `^overloaded: .*; retry_after=1\d$`)
	s.refused.want(t, map[string]int{RefusedNode: 1})
	conn.Close() //nolint:errcheck // a test
	waitFor(t, func() bool {
		_, m, err := s.visit(t, "192.0.2.3", "", s.token(t, "bob", time.Hour))
		return err == nil && m.Type == "hello"
	})
}

func TestRateOfAnAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t, Limits{Rate: &auth.Rates{PerSecond: 0.001, Burst: 2}})
	s.wantHello(t, "192.0.2.1")
	s.wantHello(t, "192.0.2.1")
	s.wantClose(t, "192.0.2.1", "", s.token(t, "ada", time.Hour), 4429, `^this address connects too fast; retry_after=(999|1000)$`)
	s.wantHello(t, "192.0.2.2")
	s.refused.want(t, map[string]int{RefusedRate: 1})
	// Who is not trusted cannot choose an address.
	s.Door.Proxies = nil
	s.wantHello(t, "192.0.2.3")
	s.wantHello(t, "192.0.2.4")
	if got := s.log.String(); got != "" {
		t.Errorf("logged %s", got)
	}
	for range 2 {
		s.wantClose(t, "192.0.2.5", "", s.token(t, "ada", time.Hour), 4429, "too fast")
	}
	if got := s.log.String(); strings.Count(got, "--trusted-proxy") != 1 {
		t.Errorf("logged %q, want once what the limit may come from", got)
	}
}

func TestWhatIsShownAtTheDoor(t *testing.T) {
	t.Parallel()
	s := newSite(t, Limits{})
	ticket, err := s.Door.NewTicket(auth.Principal{Subject: "ada", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, m, err := s.visit(t, "192.0.2.1", "?v=1&ticket="+ticket, nil); err != nil || m.Type != "hello" {
		t.Fatalf("a ticket: %+v, %v", m, err)
	}
	const unknown = "^the ticket is used, expired or unknown"
	s.wantClose(t, "192.0.2.1", "?ticket="+ticket, nil, 4401, unknown)
	s.wantClose(t, "192.0.2.1", "?ticket=", nil, 4401, unknown)
	s.wantClose(t, "192.0.2.1", "", s.token(t, "ada", -time.Minute), 4401, "^the token has expired")
	token := strings.TrimPrefix(s.token(t, "ada", time.Hour).Get("Authorization"), "Bearer ")
	for _, name := range []string{"token", "access_token", "jwt"} {
		s.wantClose(t, "192.0.2.1", "?"+name+"="+token, nil, 4400, "^a token must not be in the URL, where logs keep it: POST /api/ticket gives a ticket for /ws/")
	}
	s.refused.want(t, map[string]int{RefusedToken: 3, RefusedRequest: 3})
	s.Door.Failures = &auth.Rates{PerSecond: 0.01, Burst: 1}
	s.wantClose(t, "192.0.2.1", "?ticket=x", nil, 4401, unknown)
	s.wantClose(t, "192.0.2.1", "?ticket=x", nil, 4429, `^too many wrong tokens have come from this address; retry_after=\d+$`)
	bad := http.Header{"Authorization": {"Bearer nonsense"}}
	s.wantClose(t, "192.0.2.1", "", bad, 4429, "retry_after")
	s.wantClose(t, "192.0.2.2", "", bad, 4401, "it is not a JWT")
}

func TestTheCookieDecidesAboutCanary(t *testing.T) {
	t.Parallel()
	var asked counts
	door := &auth.Door{Key: doorKey, CookieKey: []byte("cookie")}
	w := newWorld(t, t.TempDir(), func(c *Config) {
		c.Door = door
		c.Features = func(client string) map[string]FeatureState {
			asked.add(client)
			return nil
		}
	})
	given := httptest.NewRecorder()
	door.GiveCookie(given, httptest.NewRequest(http.MethodGet, "/", nil))
	cookie := given.Result().Cookies()[0].Value
	id, _, _ := strings.Cut(cookie, ".")
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	s := &site{world: w, url: "ws" + strings.TrimPrefix(server.URL, "http") + "/ws/"}
	for _, tt := range []struct{ client, cookie string }{{"desk-3", cookie}, {"", cookie}, {"", cookie[1:]}} {
		header := s.token(t, "ada", time.Hour)
		header.Set("Cookie", "thor_client="+tt.cookie)
		if tt.client != "" {
			header.Set("Thor-Client", tt.client)
		}
		if _, m, err := s.visit(t, "192.0.2.1", "", header); err != nil || m.Type != "hello" {
			t.Fatalf("%+v: %+v, %v", tt, m, err)
		}
	}
	asked.want(t, map[string]int{"desk-3": 1, id: 1, "ada": 1})
}
