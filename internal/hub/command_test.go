package hub

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"thor"
	"thor/internal/auth"
)

func TestPing(t *testing.T) {
	t.Parallel()
	environments(t, "a ping is answered with its scalars and the server's time", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"ping","timestamp":123,"who":"me","deep":{"x":1},"on":true}`)
		var pong map[string]any
		answer := c.want("pong")[0].raw
		if err := json.Unmarshal([]byte(answer), &pong); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(answer, `{"type":"pong","on":true,"timestamp":123,"who":"me","ts":`) {
			t.Errorf("got %s, want the type first", answer)
		}
		if pong["timestamp"] != float64(123) || pong["who"] != "me" || pong["on"] != true || pong["deep"] != nil || pong["ts"] == nil {
			t.Errorf("pong %v", pong)
		}
	})
	environments(t, "a protocol ping is answered", nil, func(t *testing.T, w *world) {
		conn := w.dialer(t, w, local())
		defer conn.Close() //nolint:errcheck // a test
		go func() {
			if err := ws.WriteFrame(conn, ws.MaskFrameInPlace(ws.NewPingFrame([]byte("are you there")))); err != nil {
				t.Errorf("write: %v", err)
			}
		}()
		for {
			f, err := ws.ReadFrame(conn)
			if err != nil {
				t.Fatal(err)
			}
			if f.Header.OpCode == ws.OpPong {
				if string(f.Payload) != "are you there" {
					t.Errorf("pong %q", f.Payload)
				}
				return
			}
		}
	})
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	environments(t, "a subscribe ends the default and brings a snapshot, then what follows", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("global_market", 1))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","id":"8","streams":["global_market"]}`)
		answer := c.want("subscribed", "snapshot global_market/1")[0]
		if string(answer.ID) != `"8"` {
			t.Errorf("id %s", answer.ID)
		}
		told := data[subscribedData](t, answer).Streams["global_market"]
		if told.Seq != 1 || told.Epoch == "" || told.Recovered != nil {
			t.Errorf("told %+v", told)
		}
		c.silent(followAfter + 500*time.Millisecond)
		w.publish(t, draft("positions:A", 2), draft("global_market", 2))
		c.want("global_market/2")
		c.silent(50 * time.Millisecond)
	})
	environments(t, "a stream without an event is at 0 and sends nothing", nil, func(t *testing.T, w *world) {
		if err := w.logs.Open(t.Context(), "global_market"); err != nil {
			t.Fatal(err)
		}
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["global_market"]}`)
		if told := data[subscribedData](t, c.want("subscribed")[0]).Streams["global_market"]; told.Seq != 0 {
			t.Errorf("told %+v", told)
		}
		w.publish(t, draft("global_market", 1))
		c.want("global_market/1")
	})
	environments(t, "a subscribe after the default has begun leaves what was asked for alone", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("global_market", 1))
		c := w.dial(t)
		c.want("hello", "snapshot global_market/1", "snapshot positions:A/1")
		c.send(`{"type":"subscribe","streams":["global_market"]}`)
		c.want("subscribed", "snapshot global_market/1")
		w.publish(t, draft("positions:A", 2), draft("positions:NEW", 1), draft("global_market", 2))
		c.want("global_market/2")
		c.silent(50 * time.Millisecond)
	})
	environments(t, "an unsubscribe leaves a stream out of the default and does not end it", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("global_market", 1))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"unsubscribe","streams":["positions:A"]}`)
		c.want("unsubscribed", "snapshot global_market/1")
		w.publish(t, draft("positions:A", 2), draft("positions:NEW", 1))
		c.want("snapshot positions:NEW/1")
		c.send(`{"type":"unsubscribe","streams":["global_market"]}`)
		c.want("unsubscribed")
		w.publish(t, draft("global_market", 2), draft("positions:A", 3), draft("positions:NEW", 2))
		c.want("positions:NEW/2")
		c.silent(50 * time.Millisecond)
	})
	environments(t, "unsubscribe and subscriptions", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1), draft("global_market", 1))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["global_market","positions:A"]}`)
		c.want("subscribed", "snapshot global_market/1", "snapshot positions:A/1")
		c.send(`{"type":"unsubscribe","id":1,"streams":["positions:A"]}`)
		c.want("unsubscribed")
		c.send(`{"type":"subscriptions","id":2}`)
		if got := data[streamsData](t, c.want("subscriptions")[0]).Streams; len(got) != 1 || got[0] != "global_market" {
			t.Errorf("subscriptions %v", got)
		}
		w.publish(t, draft("positions:A", 2), draft("global_market", 2))
		c.want("global_market/2")
		c.send(`{"type":"unsubscribe","streams":["global_market"]}`)
		c.send(`{"type":"subscriptions"}`)
		if none := c.want("unsubscribed", "subscriptions")[1]; string(none.Data) != `{"streams":[]}` {
			t.Errorf("subscriptions %s, want an empty list", none.Data)
		}
	})
	environments(t, "as many refusals as a message may ask for are all told", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		ids := make([]string, maxStreams)
		for i := range ids {
			ids[i] = fmt.Sprintf("positions:%064d", i)
		}
		names, err := json.Marshal(ids)
		if err != nil {
			t.Fatal(err)
		}
		c.send(`{"type":"subscribe","id":"` + strings.Repeat("i", maxID-2) + `","streams":` + string(names) + `}`)
		for range ids {
			c.want("error")
		}
		c.want("subscribed")
	})
}

func TestResume(t *testing.T) {
	t.Parallel()
	subscribe := func(c *client, epoch string, seq uint64) {
		c.send(fmt.Sprintf(`{"type":"subscribe","streams":["positions:A"],"resume":{"positions:A":{"epoch":%q,"seq":%d}}}`, epoch, seq))
	}
	told := func(t *testing.T, m message) subscribedStream {
		t.Helper()
		s := data[subscribedData](t, m).Streams["positions:A"]
		if s.Recovered == nil {
			t.Fatalf("no word on recovery: %s", m.raw)
		}
		return s
	}
	recovers := func(from uint64, want ...string) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) {
			// The log begins with the first event, so it holds 2 and 3.
			epoch := w.publish(t, draft("positions:A", 1))[0].Version.Epoch
			w.publish(t, draft("positions:A", 2), draft("positions:A", 3))
			c := w.dial(t)
			c.want("hello")
			subscribe(c, epoch, from)
			s := told(t, c.want("subscribed")[0])
			if !*s.Recovered || s.Replayed != uint64(len(want)) || s.Seq != 3 {
				t.Errorf("told %+v, want %d replayed up to 3", s, len(want))
			}
			c.want(want...)
			w.publish(t, draft("positions:A", 4))
			c.want("positions:A/4")
		}
	}
	environments(t, "what was missed is replayed exactly", nil, recovers(1, "positions:A/2", "positions:A/3"))
	environments(t, "at the head nothing is replayed, and it counts as recovered", nil, recovers(3))
	environments(t, "from the very beginning", nil, recovers(0, "positions:A/1", "positions:A/2", "positions:A/3"))

	snapshots := func(epoch func(real string) string, from uint64) func(t *testing.T, w *world) {
		return func(t *testing.T, w *world) {
			actual := w.publish(t, draft("positions:A", 1))[0].Version.Epoch
			w.publish(t, draft("positions:A", 2))
			c := w.dial(t)
			c.want("hello")
			subscribe(c, epoch(actual), from)
			if s := told(t, c.want("subscribed", "snapshot positions:A/2")[0]); *s.Recovered || s.Seq != 2 {
				t.Errorf("told %+v", s)
			}
		}
	}
	same := func(epoch string) string { return epoch }
	environments(t, "another epoch gets a snapshot", nil, snapshots(func(string) string { return "other" }, 1))
	environments(t, "beyond the head gets a snapshot", nil, snapshots(same, 99))

	// A restart leaves the logs empty: what was missed comes from the store.
	restart := func(t *testing.T, w *world) {
		t.Helper()
		w.logs.SetPublishing("positions", false)
		w.logs.SetPublishing("positions", true)
		if err := w.logs.Open(t.Context(), "positions:A"); err != nil {
			t.Fatal(err)
		}
	}
	environments(t, "below what the log holds the store is asked", nil, func(t *testing.T, w *world) {
		epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2), draft("positions:A", 3))[0].Version.Epoch
		restart(t, w)
		c := w.dial(t)
		c.want("hello")
		subscribe(c, epoch, 1)
		if s := told(t, c.want("subscribed", "positions:A/2", "positions:A/3")[0]); !*s.Recovered || s.Replayed != 2 {
			t.Errorf("told %+v", s)
		}
		w.publish(t, draft("positions:A", 4))
		c.want("positions:A/4")
	})
	environments(t, "what is said while the store is asked is done after it, in order", nil, func(t *testing.T, w *world) {
		epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2), draft("global_market", 1))[0].Version.Epoch
		restart(t, w)
		c := w.dial(t)
		c.want("hello")
		subscribe(c, epoch, 1)
		c.send(`{"type":"unsubscribe","streams":["positions:A"]}`)
		c.send(`{"type":"subscriptions"}`)
		for {
			m := c.next()
			if m.Type == "subscriptions" {
				if got := data[streamsData](t, m).Streams; len(got) != 0 {
					t.Errorf("subscriptions %v, want none", got)
				}
				break
			}
		}
		w.publish(t, draft("positions:A", 3))
		c.silent(50 * time.Millisecond)
	})
	environments(t, "below what the store keeps gets a snapshot", nil, func(t *testing.T, w *world) {
		epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2), draft("positions:A", 3))[0].Version.Epoch
		if _, err := w.store.Prune(t.Context(), time.Now().Add(time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		restart(t, w)
		c := w.dial(t)
		c.want("hello")
		subscribe(c, epoch, 1)
		if s := told(t, c.want("subscribed", "snapshot positions:A/3")[0]); *s.Recovered {
			t.Errorf("told %+v", s)
		}
	})
}

func TestBadMessages(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, code, says string }{
		{"no JSON", `hello`, "invalid", "cannot be read"},
		{"no object", `[1]`, "invalid", "cannot be read"},
		{"no type", `{}`, "invalid", "no type"},
		{"an unknown type", `{"type":"dance"}`, "invalid", `"dance"`},
		{"a field of the wrong type", `{"type":"subscribe","streams":"x"}`, "invalid", "cannot be read"},
		{"no streams", `{"type":"subscribe"}`, "invalid", "needs streams"},
		{"no streams to leave", `{"type":"unsubscribe"}`, "invalid", "needs streams"},
		{"too many streams", `{"type":"subscribe","streams":["a"` + strings.Repeat(`,"a"`, 200) + `]}`, "invalid", "at most 200"},
		{"a long id", `{"type":"ping","id":"` + strings.Repeat("i", 200) + `"}`, "invalid", "id must be"},
		{"a malformed stream", `{"type":"subscribe","streams":["a b"]}`, "invalid", "not a stream id"},
		{"an id that is no scalar", `{"type":"ping","id":{}}`, "invalid", "id must be"},
		{"a negative seq", `{"type":"subscribe","streams":["cutover"],"resume":{"cutover":{"epoch":"e","seq":-1}}}`, "invalid", "cannot be read"},
	}
	for _, tt := range tests {
		virtual(t, tt.name, nil, func(t *testing.T, w *world) {
			c := w.dial(t)
			c.want("hello")
			c.send(tt.text)
			e := data[errorData](t, c.want("error")[0])
			if string(e.Code) != tt.code || !strings.Contains(e.Message, tt.says) {
				t.Errorf("error %+v, want %q that says %q", e, tt.code, tt.says)
			}
			c.send(`{"type":"ping"}`)
			c.want("pong")
		})
	}
	virtual(t, "an error carries the id even when the rest cannot be read", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","id":"8","streams":"x"}`)
		if m := c.want("error")[0]; string(m.ID) != `"8"` {
			t.Errorf("id %s", m.ID)
		}
	})
	environments(t, "persisting nonsense closes the connection", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		for range maxBad {
			c.send(`nonsense`)
		}
		for range maxBad {
			c.want("error")
		}
		c.want("close 4400")
	})
}

// TestAnyConversation says anything in any order, and mostly does not listen:
// whatever happens to one connection, the hub serves the next.
func TestAnyConversation(t *testing.T) {
	t.Parallel()
	door := &auth.Door{Key: []byte("0123456789abcdef0123456789abcdef")}
	token, err := door.NewToken(auth.Principal{Subject: "ada", Accounts: []string{"A"}}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	many := make([]string, maxStreams-1)
	for i := range many {
		many[i] = fmt.Sprintf(`"positions:none-%d"`, i)
	}
	phrases := []string{
		`{"type":"auth","token":"` + token + `","client":"desk-3"}`,
		`{"type":"auth","token":"` + token + `"}`,
		`{"type":"auth","token":"nonsense","client":"x"}`,
		`{"type":"subscribe","streams":["positions:A","global_market"],"client":"desk-4"}`,
		`{"type":"subscribe","streams":["positions:A"],"resume":{"positions:A":{"epoch":"EPOCH","seq":1}}}`,
		`{"type":"subscribe","id":"` + strings.Repeat("i", 120) + `","streams":[` + strings.Join(many, ",") + `,"global_market"]}`,
		`{"type":"unsubscribe","streams":["positions:A"]}`,
		`{"type":"subscriptions"}`,
		`{"type":"ping","deep":{},"n":1}`,
		`{"type":"dance"}`,
		`nonsense`,
	}
	for seed := range uint64(30) {
		virtual(t, fmt.Sprintf("seed %d", seed), func(c *Config) {
			c.Door = door
			c.Shards = 1
		}, func(t *testing.T, w *world) {
			epoch := w.publish(t, draft("positions:A", 1), draft("positions:A", 2), draft("global_market", 1))[0].Version.Epoch
			w.logs.SetPublishing("positions", false)
			w.logs.SetPublishing("positions", true) // an empty log: a resume asks the store
			if err := w.logs.Open(t.Context(), "positions:A"); err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(seed, 0))
			c := w.dialAs(t, nil)
			for range 40 {
				switch random.IntN(12) {
				case 0:
					w.setStage("positions", FeatureState{Stage: thor.StageCanary, DataSource: thor.DataSourceWS, Rev: random.Uint64()})
				case 1:
					w.logs.SetPublishing("positions", random.IntN(2) == 0)
				case 2:
					w.publish(t, draft("positions:A", random.IntN(100)), draft("global_market", 1))
				case 3:
					time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
				default:
					c.send(strings.ReplaceAll(phrases[random.IntN(len(phrases))], "EPOCH", epoch))
				}
			}
			next := w.dialAs(t, nil)
			next.send(phrases[0])
			next.want("authenticated", "hello")
		})
	}
}
