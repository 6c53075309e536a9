package hub

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/auth"
)

// heard collects what clients say of themselves.
type heard struct {
	acks    chan Ack
	reports chan Report
}

// listens runs a test in virtual time in which somebody listens.
func listens(t *testing.T, name string, test func(t *testing.T, w *world, h heard)) {
	t.Helper()
	h := heard{acks: make(chan Ack, 100), reports: make(chan Report, 100)}
	virtual(t, name, func(c *Config) {
		c.Ack = func(a Ack) { h.acks <- a }
		c.Report = func(r Report) { h.reports <- r }
	}, func(t *testing.T, w *world) { test(t, w, h) })
}

func TestCutoverAck(t *testing.T) {
	t.Parallel()
	listens(t, "it is handed on once for each revision, and answered every time", func(t *testing.T, w *world, h heard) {
		w.setStage("positions", FeatureState{Stage: thor.StageLive, DataSource: thor.DataSourceWS, Rev: 7})
		opened := time.Now()
		c := w.dial(t)
		c.want("hello")
		time.Sleep(3 * time.Second)
		say := func(rev int) {
			c.send(fmt.Sprintf(`{"type":"cutover_ack","id":1,"feature":"positions","rev":%d,"switched_ms":12.5,"rendered_ms":40}`, rev))
			if m := c.want("acked")[0]; string(m.ID) != "1" || data[ackedData](t, m) != (ackedData{Feature: "positions", Rev: uint64(rev)}) {
				t.Errorf("answered %s", m.raw)
			}
		}
		say(6)
		say(7)
		say(7)
		say(6)
		rendered := 40 * time.Millisecond
		want := Ack{
			Connection: "c1", Client: "c1", Connected: opened, Arrived: opened.Add(3 * time.Second),
			Feature: "positions", Rev: 6, Switched: 12500 * time.Microsecond, Rendered: &rendered,
		}
		first, second := <-h.acks, <-h.acks
		if diff := cmp.Diff(want, first); diff != "" {
			t.Errorf("handed on (-want +got):\n%s", diff)
		}
		if second.Rev != 7 || len(h.acks) != 0 {
			t.Errorf("then revision %d and %d more", second.Rev, len(h.acks))
		}
	})
	listens(t, "what a client does not know it leaves out", func(t *testing.T, w *world, h heard) {
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"cutover_ack","feature":"positions","rev":1,"switched_ms":0}`)
		c.want("acked")
		if a := <-h.acks; a.Rendered != nil || a.Switched != 0 {
			t.Errorf("handed on %+v", a)
		}
	})
	virtual(t, "nobody needs to listen", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"cutover_ack","feature":"positions","rev":1,"switched_ms":0}`)
		c.send(`{"type":"parity_report","feature":"positions","matched":3}`)
		c.want("acked", "acked")
	})
	for name, tt := range map[string]struct{ members, path, says string }{
		"no feature":                         {`"rev":1,"switched_ms":1`, "feature", "is missing; rev is counted for each feature"},
		"an unknown feature":                 {`"feature":"x","rev":1,"switched_ms":1`, "feature", `no feature "x"`},
		"no revision":                        {`"feature":"positions","switched_ms":1`, "rev", "must be the revision"},
		"a revision of tomorrow":             {`"feature":"positions","rev":2,"switched_ms":1`, "rev", "positions is at 1"},
		"a revision that is no whole number": {`"feature":"positions","rev":1.5,"switched_ms":1`, "rev", "must be a whole number"},
		"no time":                            {`"feature":"positions","rev":1`, "switched_ms", "milliseconds from the frame's arrival"},
		"a negative time":                    {`"feature":"positions","rev":1,"switched_ms":-1`, "switched_ms", "from 0 to 600000"},
		"a time beyond sense":                {`"feature":"positions","rev":1,"switched_ms":600001`, "switched_ms", "from 0 to 600000"},
		"a time that is text":                {`"feature":"positions","rev":1,"switched_ms":"1"`, "switched_ms", "must be a number"},
		"drawn before switched":              {`"feature":"positions","rev":1,"switched_ms":5,"rendered_ms":4`, "rendered_ms", "is before switched_ms"},
	} {
		listens(t, name+" is an error", func(t *testing.T, w *world, h heard) {
			c := w.dial(t)
			c.want("hello")
			c.send(`{"type":"cutover_ack",` + tt.members + `}`)
			if e := data[errorData](t, c.want("error")[0]); e.Path != tt.path || !strings.Contains(e.Message, tt.says) {
				t.Errorf("error %+v, want one of %s that says %q", e, tt.path, tt.says)
			}
			if len(h.acks) != 0 {
				t.Error("it was handed on")
			}
		})
	}
}

func TestParityReport(t *testing.T) {
	t.Parallel()
	const mismatch = `{"class":"value_drift","path":"positions.0.market_value","stream":"positions:A","seq":4,"rest":"1.00","ws":"2.00"}`
	listens(t, "it is handed on as it was said", func(t *testing.T, w *world, h heard) {
		w.publish(t, draft("positions:A", 1))
		c := w.dial(t)
		c.want("hello")
		began := time.Now()
		c.send(`{"type":"parity_report","id":"r","feature":"positions","matched":118,"mismatched":2,"ignored":3,"incomparable":4,"mismatches":[` + mismatch + `]}`)
		if m := c.want("acked")[0]; string(m.ID) != `"r"` || string(m.Data) != `{"feature":"positions"}` {
			t.Errorf("answered %s", m.raw)
		}
		want := Report{
			Connection: "c1", Client: "c1", Arrived: began, Feature: "positions",
			Matched: 118, Mismatched: 2, Ignored: 3, Incomparable: 4,
			Mismatches: []Mismatch{{Class: "value_drift", Path: "positions.0.market_value", Stream: "positions:A", Seq: 4, REST: "1.00", WS: "2.00"}},
		}
		if diff := cmp.Diff(want, <-h.reports); diff != "" {
			t.Errorf("handed on (-want +got):\n%s", diff)
		}
	})
	listens(t, "five mismatches a minute are taken, and ten reports", func(t *testing.T, w *world, h heard) {
		w.publish(t, draft("positions:A", 1))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["positions:A"]}`)
		c.want("subscribed", "snapshot positions:A/1")
		tooMany := func(says string) {
			t.Helper()
			if e := data[errorData](t, c.want("error")[0]); e.Code != thor.ETOOMANY || !e.Retryable || !strings.Contains(e.Message, says) {
				t.Errorf("error %+v", e)
			}
		}
		five := strings.Repeat(mismatch+",", 4) + mismatch
		c.send(`{"type":"parity_report","feature":"positions","mismatched":5,"mismatches":[` + five + `]}`)
		c.want("acked")
		c.send(`{"type":"parity_report","feature":"positions","mismatched":1,"mismatches":[` + mismatch + `]}`)
		tooMany("5 mismatches a minute")
		for range reportsAtOnce - 2 {
			c.send(`{"type":"parity_report","feature":"positions","matched":1}`)
			c.want("acked")
		}
		c.send(`{"type":"parity_report","feature":"positions","matched":1}`)
		tooMany("10 reports a minute")
		time.Sleep(mismatchesEvery)
		c.send(`{"type":"parity_report","feature":"positions","mismatched":1,"mismatches":[` + mismatch + `]}`)
		c.want("acked")
	})
	virtual(t, "a mismatch on another's stream is refused like one on none", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 1))
		c := w.dialAs(t, &auth.Principal{Subject: "bob", Accounts: []string{"B"}})
		c.want("hello")
		c.send(`{"type":"parity_report","feature":"positions","mismatched":1,"mismatches":[` + mismatch + `]}`)
		if e := data[errorData](t, c.want("error")[0]); e.Code != thor.EFORBIDDEN {
			t.Errorf("error %+v", e)
		}
	})
	for name, tt := range map[string]struct{ members, path, says string }{
		"no feature":              {`"matched":1`, "feature", "is missing"},
		"a negative count":        {`"feature":"positions","matched":-1`, "matched", "must be a whole number"},
		"a count beyond sense":    {`"feature":"positions","matched":1000001`, "matched", "at most 1000000"},
		"six mismatches":          {`"feature":"positions","mismatched":6,"mismatches":[{},{},{},{},{},{}]`, "mismatches", "at most 5"},
		"mismatches in no list":   {`"feature":"positions","mismatches":{}`, "mismatches", "must be a list"},
		"a mismatch that is 1":    {`"feature":"positions","mismatched":1,"mismatches":[1]`, "mismatches.0", "must be an object"},
		"a class in words":        {`"feature":"positions","mismatched":1,"mismatches":[{"class":"oh no","stream":"positions:A"}]`, "mismatches.0.class", "is not a class"},
		"no stream":               {`"feature":"positions","mismatched":1,"mismatches":[{"class":"gap"}]`, "mismatches.0.stream", "is not a stream id"},
		"a stream of another":     {`"feature":"positions","mismatched":1,"mismatches":[{"class":"gap","stream":"global_market"}]`, "mismatches.0.stream", "is not a stream of positions"},
		"a value of great length": {`"feature":"positions","mismatched":1,"mismatches":[{"class":"gap","stream":"positions:A","ws":"` + strings.Repeat("1", 201) + `"}]`, "mismatches.0.ws", "200 characters"},
		"shown and not counted":   {`"feature":"positions","mismatches":[` + mismatch + `]`, "mismatched", "is less than"},
	} {
		listens(t, name+" is an error", func(t *testing.T, w *world, h heard) {
			w.publish(t, draft("positions:A", 1))
			c := w.dial(t)
			c.want("hello")
			c.send(`{"type":"parity_report",` + tt.members + `}`)
			if e := data[errorData](t, c.want("error")[0]); e.Path != tt.path || !strings.Contains(e.Message, tt.says) {
				t.Errorf("error %+v, want one of %s that says %q", e, tt.path, tt.says)
			}
		})
	}
}
