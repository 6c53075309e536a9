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
	environments(t, "an unsubscribe holds for a stream there is not yet", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("global_market", 1))
		c := w.dial(t)
		c.want("hello", "snapshot global_market/1")
		c.send(`{"type":"unsubscribe","streams":["positions:A"]}`)
		c.want("unsubscribed")
		w.publish(t, draft("positions:A", 1), draft("positions:NEW", 1))
		c.want("snapshot positions:NEW/1")
		w.publish(t, draft("positions:A", 2), draft("positions:NEW", 2))
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

func TestBadMessages(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, code, says string }{
		{"no JSON", `hello`, "invalid", "cannot be read"},
		{"no object", `[1]`, "invalid", "cannot be read"},
		{"no type", `{}`, "invalid", "no type"},
		{"an unknown type", `{"type":"dance"}`, "invalid", `"dance"`},
		{"a field of the wrong type", `{"type":"subscribe","streams":"x"}`, "invalid", "streams: must be a list"},
		{"no streams", `{"type":"subscribe"}`, "invalid", "needs streams"},
		{"no streams to leave", `{"type":"unsubscribe"}`, "invalid", "needs streams"},
		{"too many streams", `{"type":"subscribe","streams":["a"` + strings.Repeat(`,"a"`, 200) + `]}`, "invalid", "at most 200"},
		{"a long id", `{"type":"ping","id":"` + strings.Repeat("i", 200) + `"}`, "invalid", "id: must be"},
		{"a malformed stream", `{"type":"subscribe","streams":["a b"]}`, "invalid", "not a stream id"},
		{"an id that is no scalar", `{"type":"ping","id":{}}`, "invalid", "id: must be"},
		{"a negative seq", `{"type":"subscribe","streams":["cutover"],"resume":{"cutover":{"epoch":"e","seq":-1}}}`, "invalid", "resume.cutover.seq: must be a whole number"},
		{"a seq no client can write", `{"type":"subscribe","streams":["cutover"],"resume":{"cutover":{"epoch":"e","seq":9007199254740992}}}`, "invalid", "resume.cutover.seq: must be"},
		{"a seq that is text", `{"type":"subscribe","streams":["cutover"],"resume":{"cutover":{"epoch":"e","seq":"1"}}}`, "invalid", "resume.cutover.seq: must be"},
		{"an epoch that is a number", `{"type":"subscribe","streams":["cutover"],"resume":{"cutover":{"epoch":1,"seq":1}}}`, "invalid", "resume.cutover.epoch: must be a string"},
		{"a point without an epoch", `{"type":"subscribe","streams":["cutover"],"resume":{"cutover":{"seq":1}}}`, "invalid", "resume.cutover: must be an object with epoch and seq"},
		{"a point without a seq", `{"type":"subscribe","streams":["cutover"],"resume":{"cutover":{"epoch":"e"}}}`, "invalid", "resume.cutover: must be an object with epoch and seq"},
		{"a point that is null", `{"type":"subscribe","streams":["cutover"],"resume":{"cutover":null}}`, "invalid", "resume.cutover: must be an object with epoch and seq"},
		{"a point of no stream", `{"type":"subscribe","streams":["cutover"],"resume":{"a b":{"epoch":"e","seq":1}}}`, "invalid", "is not a stream id"},
		{"points in a list", `{"type":"subscribe","streams":["cutover"],"resume":[]}`, "invalid", "resume: must be an object"},
		{"a rate below 1", `{"type":"subscribe","streams":["cutover"],"max_hz":0.5}`, "invalid", "max_hz: must be at least 1"},
		{"a negative rate", `{"type":"subscribe","streams":["cutover"],"max_hz":-4}`, "invalid", "max_hz: must be at least 1"},
		{"a rate that is text", `{"type":"subscribe","streams":["cutover"],"max_hz":"4"}`, "invalid", "max_hz: must be a number"},
		{"a rate beyond numbers", `{"type":"subscribe","streams":["cutover"],"max_hz":1e999}`, "invalid", "max_hz: must be a number"},
		{"a token that is a number", `{"type":"auth","token":1}`, "invalid", "token: must be a string"},
		{"a type that is a number", `{"type":1}`, "invalid", "type: must be a string"},
		{"nothing at all", `null`, "invalid", "not a JSON object"},
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
	virtual(t, "a bad member is named by its path", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["cutover","a b"]}`)
		if e := data[errorData](t, c.want("error")[0]); e.Path != "streams.1" || e.Retryable {
			t.Errorf("error %+v", e)
		}
	})
	virtual(t, "members that do not belong to the type are ignored, whatever they are", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscriptions","streams":7,"max_hz":"x","resume":[],"token":{},"rev":-1,"new":true}`)
		c.want("subscriptions")
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
