package hub

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"thor"
	"thor/internal/auth"
)

func TestRefresh(t *testing.T) {
	t.Parallel()
	door := &auth.Door{Key: doorKey}
	keyed := func(c *Config) { c.Door = door }
	say := func(t *testing.T, c *client, sub string, ttl time.Duration, accounts ...string) {
		t.Helper()
		token, err := door.NewToken(auth.Principal{Subject: sub, Accounts: accounts}, time.Now(), ttl)
		if err != nil {
			t.Fatal(err)
		}
		c.send(fmt.Sprintf(`{"type":"auth","id":"r","token":%q}`, token))
	}
	virtual(t, "a fresh token extends the connection, and its end closes it", keyed, func(t *testing.T, w *world) {
		c := w.dialAs(t, nil)
		say(t, c, "ada", 10*time.Second)
		c.want("authenticated", "hello")
		began := time.Now()
		time.Sleep(8 * time.Second)
		say(t, c, "ada", 20*time.Second)
		c.want("authenticated")
		c.silent(15 * time.Second)
		if m := c.want("close 4401")[0]; m.Reason != "the token has expired" {
			t.Errorf("reason %q", m.Reason)
		}
		if lasted := time.Since(began); lasted < 27*time.Second || lasted > 29*time.Second {
			t.Errorf("lasted %v, want 8 and 20 seconds", lasted)
		}
	})
	virtual(t, "a token that is refused changes nothing", keyed, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1))
		c := w.dialAs(t, nil)
		say(t, c, "ada", 10*time.Second, "A")
		c.want("authenticated", "hello", "snapshot positions:A/1")
		say(t, c, "ada", -time.Second, "A")
		if m := c.want("error")[0]; data[errorData](t, m).Code != thor.EUNAUTHORIZED || string(m.ID) != `"r"` {
			t.Errorf("answer %s", m.raw)
		}
		w.publish(t, draft("positions:A", 2))
		c.want("positions:A/2", "close 4401") // when the old one is over
	})
	virtual(t, "fewer accounts: an error for each stream, and nothing of it follows", keyed, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("positions:B", 1), draft("positions:C", 1), draft("global_market", 1))
		c := w.dialAs(t, nil)
		say(t, c, "ada", time.Hour, "A", "B", "C")
		c.want("authenticated", "hello")
		c.send(`{"type":"subscribe","streams":["positions:A","positions:B","positions:C","global_market"]}`)
		c.want("subscribed", "snapshot positions:A/1", "snapshot positions:B/1", "snapshot positions:C/1", "snapshot global_market/1")
		// Published and not yet swept: what the old token allowed may come before
		// the errors, never behind them.
		say(t, c, "ada", time.Hour, "B")
		c.want("authenticated")
		for _, lost := range []string{"positions:A", "positions:C"} {
			m := c.want("error")[0]
			if e := data[errorData](t, m); e.Code != thor.EFORBIDDEN || !strings.Contains(e.Message, lost) || string(m.ID) != `"r"` {
				t.Errorf("answer %s, want that %s is lost", m.raw, lost)
			}
		}
		w.publish(t, draft("positions:A", 2), draft("positions:C", 2), draft("positions:B", 2), draft("global_market", 2))
		got := []string{c.next().brief(), c.next().brief()} // the streams take turns
		if slices.Sort(got); !slices.Equal(got, []string{"global_market/2", "positions:B/2"}) {
			t.Errorf("got %v", got)
		}
		c.send(`{"type":"subscribe","streams":["positions:A"],"resume":{"positions:A":{"epoch":"x","seq":1}}}`)
		c.want("error", "subscribed")
		c.silent(time.Second)
	})
	virtual(t, "what waits for a slow client is not sent once the token that allowed it is replaced", keyed, func(t *testing.T, w *world) {
		conn := w.dialer(t, w, nil)
		defer conn.Close() //nolint:errcheck // a test
		write := func(text string) {
			if err := ws.WriteFrame(conn, ws.MaskFrameInPlace(ws.NewTextFrame([]byte(text)))); err != nil {
				t.Fatal(err)
			}
		}
		auths := func(accounts ...string) string {
			token, err := door.NewToken(auth.Principal{Subject: "ada", Accounts: accounts}, time.Now(), time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf(`{"type":"auth","token":%q}`, token)
		}
		write(auths("A"))
		write(`{"type":"subscribe","streams":["positions:A"]}`)
		for i := range 50 {
			e := draft("positions:A", i)
			e.Key, e.Data = fmt.Sprint(i), fmt.Appendf(nil, `{"pad":%q}`, strings.Repeat("x", 8<<10))
			w.publish(t, e)
		}
		time.Sleep(time.Second) // far more waits than a transport takes
		write(auths())
		time.Sleep(time.Second)
		lost, after := false, 0
		for {
			if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
				t.Fatal(err)
			}
			f, err := ws.ReadFrame(conn)
			if err != nil {
				break // nothing more comes
			}
			lost = lost || strings.HasPrefix(string(f.Payload), `{"type":"error"`)
			if lost && strings.Contains(string(f.Payload), `"stream":"positions:A"`) {
				after++
			}
		}
		if !lost || after > 0 {
			t.Errorf("told: %v; %d events came behind", lost, after)
		}
	})
	virtual(t, "more accounts: under the default they follow, beside a choice they do not", keyed, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("positions:B", 1))
		c, chose := w.dialAs(t, nil), w.dialAs(t, nil)
		say(t, c, "ada", time.Hour, "A")
		c.want("authenticated", "hello", "snapshot positions:A/1")
		say(t, chose, "ada", time.Hour, "A")
		chose.want("authenticated", "hello")
		chose.send(`{"type":"subscribe","streams":["positions:A"]}`)
		chose.want("subscribed", "snapshot positions:A/1")
		say(t, c, "ada", time.Hour, "A", "B")
		c.want("authenticated", "snapshot positions:B/1")
		say(t, chose, "ada", time.Hour, "A", "B")
		chose.want("authenticated")
		w.publish(t, draft("positions:B", 2), draft("positions:A", 2))
		got := []string{c.next().brief(), c.next().brief()} // the streams take turns
		if slices.Sort(got); !slices.Equal(got, []string{"positions:A/2", "positions:B/2"}) {
			t.Errorf("got %v", got)
		}
		chose.want("positions:A/2")
		chose.silent(time.Second)
	})
	virtual(t, "a token before the default begins decides what it is", keyed, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("positions:B", 1))
		c := w.dialAs(t, nil)
		say(t, c, "ada", time.Hour, "A")
		c.want("authenticated", "hello")
		say(t, c, "ada", time.Hour, "B")
		c.want("authenticated", "snapshot positions:B/1")
		c.silent(time.Second)
	})
	virtual(t, "another sub is another client in canary", func(c *Config) {
		keyed(c)
		c.Features = func(client string) map[string]FeatureState {
			source := thor.DataSourceREST
			if client == "bob" {
				source = thor.DataSourceWS
			}
			return map[string]FeatureState{"positions": {Stage: thor.StageCanary, DataSource: source, Rev: 2}}
		}
	}, func(t *testing.T, w *world) {
		c := w.dialAs(t, nil)
		say(t, c, "ada", time.Hour)
		c.want("authenticated", "hello")
		say(t, c, "bob", time.Hour)
		if a := data[assignmentData](t, c.want("authenticated", "assignment")[1]); a.DataSource != thor.DataSourceWS {
			t.Errorf("told %+v", a)
		}
	})
}
