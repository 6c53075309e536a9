package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/auth"
	"thor/internal/pipeline"
)

// publishing is a world whose door for publishers leads into a real pipeline.
func publishing(t *testing.T, change func(*Config)) *world {
	t.Helper()
	var p *pipeline.Pipeline
	w := setup(t, func(c *Config) {
		c.Publish = func(ctx context.Context, msgs ...thor.Message) ([]thor.Version, error) {
			return p.Publish(ctx, msgs...)
		}
		c.Publishers = &Publishers{}
		if change != nil {
			change(c)
		}
	})
	p = pipeline.New(pipeline.Config{Store: w.store, Layer: nowhere{}, Publishes: func(string) bool { return true }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return w
}

func said(t *testing.T, m thor.Message) string {
	t.Helper()
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return `{"type":"` + m.Type + `","data":` + string(data) + `}`
}

func wantBody(t *testing.T, answer *httptest.ResponseRecorder, status int, want string) {
	t.Helper()
	if diff := cmp.Diff(want, answer.Body.String()); diff != "" || answer.Code != status {
		t.Errorf("status %d, want %d; -want +got:\n%s", answer.Code, status, diff)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	post := func(w *world, body string, header ...string) *httptest.ResponseRecorder {
		return w.ask("POST", "/api/publish", body, append([]string{"Content-Type", "application/json"}, header...)...)
	}
	t.Run("a message is stored and numbered, and REST serves its bytes", func(t *testing.T) {
		t.Parallel()
		w := publishing(t, nil)
		wantBody(t, post(w, said(t, bar(0))), http.StatusAccepted, `{"accepted":1,"stream":"intraday:FUT.ES","seq":1}`)
		wantBody(t, post(w, said(t, bar(1))), http.StatusAccepted, `{"accepted":1,"stream":"intraday:FUT.ES","seq":2}`)
		data, err := bar(1).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got := w.ask("GET", "/api/intraday/bars?symbol=FUT.ES", "").Body.String(); !strings.Contains(got, string(data)) {
			t.Errorf("REST says %s", got)
		}
	})
	t.Run("a message that says nothing new gets the number it has", func(t *testing.T) {
		t.Parallel()
		w := publishing(t, nil)
		for range 2 {
			wantBody(t, post(w, said(t, balance("A-1"))), http.StatusAccepted, `{"accepted":1,"stream":"account_balance:A-1","seq":1}`)
		}
	})
	t.Run("a list is answered in its order", func(t *testing.T) {
		t.Parallel()
		w := publishing(t, nil)
		wantBody(t, post(w, "["+said(t, bar(0))+","+said(t, balance("A-1"))+","+said(t, bar(1))+"]"), http.StatusAccepted,
			`{"accepted":3,"events":[{"stream":"intraday:FUT.ES","seq":1},{"stream":"account_balance:A-1","seq":1},{"stream":"intraday:FUT.ES","seq":2}]}`)
	})
	t.Run("of a list with a fault nothing is taken, and every fault is named by path", func(t *testing.T) {
		t.Parallel()
		w := publishing(t, nil)
		answer := post(w, "["+said(t, bar(0))+`,{"type":"quotes","data":{}},`+strings.Replace(said(t, balance("A-1")), `"cash"`, `"cahs"`, 1)+`,{"type":"positions"},{"typ":1}]`)
		wantProblem(t, answer, 422, thor.EINVALID, "nothing was taken")
		var p Problem
		if err := json.Unmarshal(answer.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range p.Errors {
			got = append(got, e.Path+": "+e.Message)
		}
		if diff := cmp.Diff([]string{
			"1/type: there is no message type \"quotes\"",
			"2/data/cahs: there is no such field",
			`3/: the data is missing; a message is {"type":…,"data":{…}}`,
			`4/: json: unknown field "typ"; a message is {"type":…,"data":{…}}`,
		}, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if ids, err := w.store.Streams(t.Context()); err != nil || len(ids) > 1 { // the stages have a stream
			t.Errorf("stored %v, %v", ids, err)
		}
	})
	for what, c := range map[string]struct {
		body   string
		status int
		code   thor.Code
		says   string
	}{
		"no JSON":          {"{", 422, thor.EINVALID, "unexpected EOF"},
		"nothing":          {"", 400, thor.EINVALID, "required"},
		"an empty list":    {"[]", 422, thor.EINVALID, "1 to 10000"},
		"two in a row":     {`{"type":"positions","data":{}} {}`, 422, thor.EINVALID, "several go into a list"},
		"a stage":          {`{"type":"cutover","data":{}}`, 422, thor.EINVALID, "no message type"},
		"more than 1 MiB":  {`{"type":"` + strings.Repeat("x", 1<<20) + `"}`, 413, thor.ETOOLARGE, ""},
		"someone's stream": {`{"type":"account_balance","data":{"account_id":"a b"}}`, 422, thor.EINVALID, "is not an id"},
	} {
		t.Run(what+" is refused with a reason", func(t *testing.T) {
			t.Parallel()
			wantProblem(t, post(publishing(t, nil), c.body), c.status, c.code, c.says)
		})
	}
	t.Run("a repeated call with the same key does nothing, and another body is refused", func(t *testing.T) {
		t.Parallel()
		w := publishing(t, nil)
		first := post(w, said(t, bar(0)), "Idempotency-Key", "k1").Body.String()
		post(w, said(t, bar(1)))
		wantBody(t, post(w, said(t, bar(0)), "Idempotency-Key", "k1"), http.StatusAccepted, first)
		wantProblem(t, post(w, said(t, bar(1)), "Idempotency-Key", "k1"), 422, thor.EINVALID, "for another body")
	})
	t.Run("only a publisher of the feature may", func(t *testing.T) {
		t.Parallel()
		door := &auth.Door{Key: []byte(strings.Repeat("k", auth.MinKey))}
		w := publishing(t, func(c *Config) { c.Door = door })
		ask := func(p auth.Principal) *httptest.ResponseRecorder {
			token, err := door.NewToken(p, time.Now(), time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return post(w, said(t, bar(0)), "Authorization", "Bearer "+token)
		}
		wantProblem(t, ask(auth.Principal{Subject: "ann", Roles: []auth.Role{auth.Operator}}), 403, thor.EFORBIDDEN, "role publisher")
		wantProblem(t, ask(auth.Principal{Subject: "job", Roles: []auth.Role{auth.Publisher}}), 403, thor.EFORBIDDEN, "not for publishing intraday")
		if got := ask(auth.Principal{Subject: "job", Roles: []auth.Role{auth.Publisher}, Features: []string{"intraday"}}); got.Code != 202 {
			t.Errorf("got %d %s", got.Code, got.Body)
		}
	})
	t.Run("two publishers of a feature are an error that names both", func(t *testing.T) {
		t.Parallel()
		w := publishing(t, func(c *Config) {
			c.Publishers.Inside = func(feature string) string {
				if feature == "positions" {
					return "the job positions of this server"
				}
				return ""
			}
		})
		if got := post(w, said(t, bar(0)), "Thor-Client", "one"); got.Code != 202 {
			t.Fatalf("got %d %s", got.Code, got.Body)
		}
		wantProblem(t, post(w, said(t, bar(1)), "Thor-Client", "two"), 409, thor.ECONFLICT, "local operator/one", "local operator/two")
		positions := said(t, thor.PositionsMessage(thor.Positions{AccountID: "A-1", Timestamp: minute}))
		wantProblem(t, post(w, positions), 409, thor.ECONFLICT, "the job positions of this server", "--outside positions")
	})
}

func TestPublishers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p Publishers
		begun := time.Now()
		claim := func(name string, features ...string) error { return p.claim(name, features, time.Now()) }
		if err := claim("one", "intraday", "positions"); err != nil {
			t.Fatal(err)
		}
		p.note(map[string]int{"intraday": 3, "positions": 1}, time.Now(), nil)
		time.Sleep(10 * time.Second)
		if err := claim("one", "intraday"); err != nil {
			t.Fatal(err)
		}
		p.note(map[string]int{"intraday": 2}, time.Now(), thor.Errorf(thor.EUNAVAILABLE, "the disk is full"))
		if err := claim("two", "global_market", "intraday"); thor.ErrorCode(err) != thor.ECONFLICT {
			t.Errorf("got %v", err)
		}
		want := []PublisherStatus{
			{
				Feature: "intraday", Name: "one", Last: begun.Add(10 * time.Second), Interval: 10 * time.Second, Calls: 2, Messages: 3,
				Failed: 1, Failures: 1, LastError: "the disk is full", FailedAt: begun.Add(10 * time.Second),
			},
			{Feature: "positions", Name: "one", Last: begun, Calls: 1, Messages: 1},
		}
		if diff := cmp.Diff(want, p.Status()); diff != "" { // what two may not have is not noted, neither the rest of its call
			t.Errorf("-want +got:\n%s", diff)
		}
		time.Sleep(quietPublisher)
		if err := claim("two", "intraday"); err != nil {
			t.Errorf("after a minute of silence: %v", err)
		}
		if s := p.Status()[0]; s.Name != "two" || s.Messages != 0 {
			t.Errorf("got %+v", s)
		}
	})
}
