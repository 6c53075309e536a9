package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"thor"
	"thor/internal/auth"
)

// lister is a backend that lists accounts for its tokens.
type lister struct {
	t    *testing.T
	door *auth.Door

	mu       sync.Mutex          // guards what follows
	accounts map[string][]string // by token
	fails    error
	slow     time.Duration
	asked    int
}

// listing runs a test over a hub that takes a backend's tokens, in virtual time.
func listing(t *testing.T, name string, test func(t *testing.T, w *world, l *lister)) {
	t.Helper()
	var l *lister
	change := func(c *Config) {
		l = &lister{accounts: map[string][]string{}}
		l.door = &auth.Door{Key: doorKey, Claims: auth.Claims{Subject: "user_id", Named: true}, Grants: &auth.Grants{Ask: l.ask}}
		c.Door = l.door
	}
	virtual(t, name, change, func(t *testing.T, w *world) {
		l.t = t
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.door.Grants.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		test(t, w, l)
	})
}

func (l *lister) ask(ctx context.Context, token string) ([]string, error) {
	l.mu.Lock()
	l.asked++
	slow := l.slow
	l.mu.Unlock()
	if slow > 0 {
		timer := time.NewTimer(slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	accounts, ok := l.accounts[token]
	switch {
	case l.fails != nil:
		return nil, l.fails
	case !ok:
		return nil, thor.Errorf(thor.EUNAUTHORIZED, "the backend does not take this token, 401: User not found")
	}
	return slices.Clone(accounts), nil
}

func (l *lister) set(change func(l *lister)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// token is that of a user, who may see accounts; nil is that the backend does not
// know them.
func (l *lister) token(user int, accounts ...string) string {
	l.t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"user_id": user, "exp": 4_102_444_800}).SignedString(doorKey)
	if err != nil {
		l.t.Fatal(err)
	}
	if accounts != nil {
		l.set(func(l *lister) { l.accounts[token] = accounts })
	}
	return token
}

func (c *client) auth(token string) {
	c.send(fmt.Sprintf(`{"type":"auth","id":"a","token":%q}`, token))
}

func TestABackendSaysWhichAccounts(t *testing.T) {
	t.Parallel()
	listing(t, "each sees their own, and what they say while the backend is asked waits", func(t *testing.T, w *world, l *lister) {
		w.publish(t, draft("positions:A", 1), draft("positions:B", 1))
		l.set(func(l *lister) { l.slow = 3 * time.Second })
		ada, bob := w.dialAs(t, nil), w.dialAs(t, nil)
		ada.auth(l.token(1, "A"))
		ada.send(`{"type":"subscribe","streams":["positions:A","positions:B"]}`)
		ada.send(`{"type":"ping"}`)
		bob.auth(l.token(2, "B"))
		ada.silent(2 * time.Second)
		if h := data[helloData](t, ada.want("authenticated", "hello")[1]); len(h.Streams) != 1 || h.Streams["positions:A"].CadenceMS == 0 {
			t.Errorf("hello lists %v", h.Streams)
		}
		e := data[errorData](t, ada.want("error")[0])
		if e.Code != thor.EFORBIDDEN || !strings.Contains(e.Message, "positions:B") {
			t.Errorf("answer %+v", e)
		}
		ada.want("subscribed", "pong", "snapshot positions:A/1")
		bob.want("authenticated", "hello", "snapshot positions:B/1")
		w.publish(t, draft("positions:A", 2), draft("positions:B", 2))
		ada.want("positions:A/2")
		bob.want("positions:B/2")
		ada.silent(time.Second)
	})
	listing(t, "a thousand come back with one token, and one asks", func(t *testing.T, w *world, l *lister) {
		l.set(func(l *lister) { l.slow = time.Second })
		token := l.token(1, "A")
		clients := make([]*client, 1000)
		for i := range clients {
			clients[i] = w.dialAs(t, nil)
			clients[i].auth(token)
		}
		for _, c := range clients {
			c.want("authenticated", "hello")
		}
		if l.asked != 1 {
			t.Errorf("asked %d times", l.asked)
		}
	})
	listing(t, "an account that is taken away ends within a minute, one that is new begins", func(t *testing.T, w *world, l *lister) {
		w.publish(t, draft("positions:A", 1), draft("positions:B", 1), draft("positions:C", 1))
		c, chose := w.dialAs(t, nil), w.dialAs(t, nil)
		c.auth(l.token(1, "A", "B"))
		c.want("authenticated", "hello", "snapshot positions:A/1", "snapshot positions:B/1")
		chose.auth(l.token(1))
		chose.want("authenticated", "hello")
		chose.send(`{"type":"subscribe","streams":["positions:A"]}`)
		chose.want("subscribed", "snapshot positions:A/1")
		l.token(1, "B", "C")
		began := time.Now()
		ended := false
		for n := 2; !ended; n++ {
			w.publish(t, draft("positions:A", n))
			m := c.next()
			if ended = m.Type == "reset"; !ended {
				if want := fmt.Sprintf("positions:A/%d", n); m.brief() != want || time.Since(began) > time.Minute {
					t.Fatalf("after %v came %s, want %s", time.Since(began), m.raw, want)
				}
				time.Sleep(time.Second)
				continue
			}
			if r := data[resetData](t, m); r.Stream != "positions:A" || r.Reason != "off" {
				t.Errorf("told %s", m.raw)
			}
		}
		c.want("snapshot positions:C/1")
		for m := chose.next(); m.Type != "reset"; m = chose.next() {
			if m.Stream != "positions:A" {
				t.Errorf("got %s", m.raw)
			}
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
		w.publish(t, draft("positions:A", 900), draft("positions:B", 900))
		c.want("positions:B/2")
		c.silent(time.Second)
		chose.silent(time.Second)
		// Neither by name nor by resume.
		c.send(`{"type":"subscribe","streams":["positions:A"],"resume":{"positions:A":{"epoch":"x","seq":1}}}`)
		if e := data[errorData](t, c.want("error")[0]); e.Code != thor.EFORBIDDEN {
			t.Errorf("answer %+v", e)
		}
	})
	listing(t, "a user who is gone is closed within a minute", func(t *testing.T, w *world, l *lister) {
		c := w.dialAs(t, nil)
		c.auth(l.token(1, "A"))
		c.want("authenticated", "hello")
		l.set(func(l *lister) { clear(l.accounts) })
		began := time.Now()
		for m := c.nextWithin(time.Minute); ; m = c.nextWithin(time.Minute) {
			if m.Close != 0 {
				if m.brief() != "close 4401" || !strings.Contains(m.Reason, "401: User not found") {
					t.Errorf("closed with %d %s", m.Close, m.Reason)
				}
				break
			}
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
	listing(t, "away: a connection goes on within the minute, then comes back later", func(t *testing.T, w *world, l *lister) {
		w.publish(t, draft("positions:A", 1))
		c := w.dialAs(t, nil)
		c.auth(l.token(1, "A"))
		c.want("authenticated", "hello", "snapshot positions:A/1")
		l.set(func(l *lister) { l.fails = errors.New("nobody listens") })
		began := time.Now()
		for n := 2; ; n++ {
			w.publish(t, draft("positions:A", n))
			m := c.next()
			if m.Close != 0 {
				took := time.Since(began)
				if m.brief() != "close 1013" || !strings.HasPrefix(m.Reason, "the backend that says which accounts are yours does not answer; retry_after=1") ||
					took < 55*time.Second || took > time.Minute {
					t.Errorf("closed with %d %q after %v", m.Close, m.Reason, took)
				}
				break
			}
			if want := fmt.Sprintf("positions:A/%d", n); m.brief() != want {
				t.Fatalf("got %s, want %s", m.raw, want)
			}
			time.Sleep(time.Second)
		}
	})
	listing(t, "away and back within the minute: nobody notices", func(t *testing.T, w *world, l *lister) {
		c := w.dialAs(t, nil)
		c.auth(l.token(1, "A"))
		c.want("authenticated", "hello")
		for range 5 {
			c.silent(30 * time.Second)
			l.set(func(l *lister) { l.fails = errors.New("nobody listens") })
			c.silent(25 * time.Second)
			l.set(func(l *lister) { l.fails = nil })
			c.send(`{"type":"ping"}`)
			c.want("pong")
		}
	})
	for _, tt := range []struct {
		name   string
		change func(l *lister)
		token  func(l *lister) string
		code   thor.Code
		retry  bool
		says   string
		close  string
		reason string
	}{
		{
			"a user the backend does not know", nil, func(l *lister) string { return l.token(99) },
			thor.EUNAUTHORIZED, false, "the backend does not take this token, 401: User not found", "close 4401", "401: User not found",
		},
		{
			"a backend that is away", func(l *lister) { l.fails = errors.New("nobody listens") }, func(l *lister) string { return l.token(1, "A") },
			thor.EUNAVAILABLE, true, "does not answer: try again in 2 s", "close 1013", "does not answer; retry_after=2",
		},
		{
			"a backend that hangs", func(l *lister) { l.slow = time.Hour }, func(l *lister) string { return l.token(1, "A") },
			thor.EUNAVAILABLE, true, "does not answer: try again in 2 s", "close 1013", "does not answer; retry_after=2",
		},
	} {
		listing(t, tt.name, func(t *testing.T, w *world, l *lister) {
			if tt.change != nil {
				l.set(tt.change)
			}
			w.publish(t, draft("positions:A", 1), draft("global_market", 1))
			c := w.dialAs(t, nil)
			time.Sleep(4 * time.Second) // a second is left for a token, and the backend may take longer
			c.auth(tt.token(l))
			c.send(`{"type":"subscribe","streams":["positions:A","global_market"]}`)
			e := data[errorData](t, c.want("error")[0])
			if e.Code != tt.code || e.Retryable != tt.retry || !strings.Contains(e.Message, tt.says) {
				t.Errorf("answer %+v", e)
			}
			if m := c.want(tt.close)[0]; !strings.Contains(m.Reason, tt.reason) {
				t.Errorf("reason %q", m.Reason)
			}
		})
	}
	listing(t, "a newer token that is refused changes nothing", func(t *testing.T, w *world, l *lister) {
		w.publish(t, draft("positions:A", 1))
		c := w.dialAs(t, nil)
		c.auth(l.token(1, "A"))
		c.want("authenticated", "hello", "snapshot positions:A/1")
		c.auth(l.token(99))
		if e := data[errorData](t, c.want("error")[0]); e.Code != thor.EUNAUTHORIZED {
			t.Errorf("answer %+v", e)
		}
		w.publish(t, draft("positions:A", 2))
		c.want("positions:A/2")
	})
}
