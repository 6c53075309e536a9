package hub

import (
	"encoding/json"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"thor"
)

// Bounds of what a client may report.
const (
	maxSwitch       = 10 * time.Minute // from a cutover frame to the first render
	maxCompared     = 1_000_000        // a report may count of each outcome
	maxMismatches   = 5                // a report may show, and a client in a minute
	maxText         = 200              // bytes of a path or a value
	reportsAtOnce   = 2 * maxMismatches
	reportsEvery    = 6 * time.Second
	mismatchesEvery = time.Minute / maxMismatches
)

// Ack is a client's word that it renders a feature from where a cutover frame or
// an assignment said. Nobody vouches for it.
type Ack struct {
	Connection string
	Client     string    // who it is for canary
	Connected  time.Time // since when
	Arrived    time.Time // when the word came
	Feature    string
	Rev        uint64 // of the feature, that it followed

	// Switched and Rendered are how long after the frame's arrival the client
	// switched its data source, and drew for the first time from the new one.
	// Rendered is nil when it has not, or draws nothing.
	Switched time.Duration
	Rendered *time.Duration
}

// Report is what a client says of its own comparison of REST and WebSocket.
// Nobody vouches for it.
type Report struct {
	Connection string
	Client     string // who it is for canary
	Arrived    time.Time
	Feature    string

	// How many comparisons ended in each way since the last report.
	Matched, Mismatched, Ignored, Incomparable uint64
	Mismatches                                 []Mismatch
}

// Mismatch is one difference a client saw.
type Mismatch struct {
	Class  string        // value_drift, missing_key and so on
	Path   string        // in the data
	Stream thor.StreamID // of the feature, and one that the client may see
	Seq    uint64        // 0 is unknown
	REST   string        // what REST said, as text; "" is unknown
	WS     string
}

var classPattern = regexp.MustCompile(`^[a-z][a-z_]{0,31}$`)

// feature reads the name of a feature there is.
func (o *object) feature() string {
	name := o.text("feature", maxText)
	if _, err := thor.FeatureNamed(name); err != nil {
		if name == "" {
			o.wrong("feature", "is missing; rev is counted for each feature")
		}
		o.wrong("feature", "%v", err)
	}
	return name
}

func (o *object) ack() Ack {
	a := Ack{Feature: o.feature(), Rev: o.whole("rev", maxSeq), Rendered: o.milliseconds("rendered_ms", maxSwitch)}
	if a.Rev == 0 {
		o.wrong("rev", "must be the revision that was followed")
	}
	switched := o.milliseconds("switched_ms", maxSwitch)
	switch {
	case switched == nil:
		o.wrong("switched_ms", "must be the milliseconds from the frame's arrival to the switch")
		return a
	case a.Rendered != nil && *a.Rendered < *switched:
		o.wrong("rendered_ms", "is before switched_ms; both count from the frame's arrival")
	}
	a.Switched = *switched
	return a
}

func (o *object) report() Report {
	r := Report{
		Feature: o.feature(), Matched: o.whole("matched", maxCompared), Mismatched: o.whole("mismatched", maxCompared),
		Ignored: o.whole("ignored", maxCompared), Incomparable: o.whole("incomparable", maxCompared),
	}
	var list []json.RawMessage
	o.read("mismatches", &list, "a list")
	if len(list) > maxMismatches {
		o.wrong("mismatches", "%d in one report, at most %d are taken", len(list), maxMismatches)
		return r
	}
	for i, raw := range list {
		m := &object{path: o.path + "mismatches." + strconv.Itoa(i) + "."}
		if json.Unmarshal(raw, &m.members) != nil || m.members == nil {
			o.wrong("mismatches."+strconv.Itoa(i), "must be an object")
			break
		}
		r.Mismatches = append(r.Mismatches, m.mismatch(r.Feature))
		o.take(m)
	}
	if r.Mismatched < uint64(len(r.Mismatches)) {
		o.wrong("mismatched", "is less than the mismatches that are shown")
	}
	return r
}

func (o *object) mismatch(feature string) Mismatch {
	m := Mismatch{
		Class: o.text("class", maxText), Path: o.text("path", maxText), Stream: thor.StreamID(o.text("stream", maxText)),
		Seq: o.whole("seq", maxSeq), REST: o.text("rest", maxText), WS: o.text("ws", maxText),
	}
	if !classPattern.MatchString(m.Class) {
		o.wrong("class", "%q is not a class of mismatches, like value_drift", m.Class)
	}
	if err := m.Stream.Validate(); err != nil {
		o.wrong("stream", "%v", err)
	} else if m.Stream.Feature() != feature {
		o.wrong("stream", "%q is not a stream of %s", m.Stream, feature)
	}
	return m
}

// testimony is what a client has said of itself.
type testimony struct {
	acked      map[string]uint64 // the newest revision of each feature
	reports    *rate.Limiter
	mismatches *rate.Limiter
}

// ack hands on that the client has switched, once for each revision.
func (c *conn) ack(cmd command) error {
	a := cmd.Ack
	if at := c.hub.Features(c.identity())[a.Feature].Rev; a.Rev > at {
		return wrong("rev", "%s is at %d", a.Feature, at)
	}
	if a.Rev > c.testimony.acked[a.Feature] {
		if c.testimony.acked == nil {
			c.testimony.acked = map[string]uint64{}
		}
		c.testimony.acked[a.Feature] = a.Rev
		a.Connection, a.Client, a.Connected, a.Arrived = c.id, c.identity(), c.opened, time.Now()
		if c.hub.Ack != nil {
			c.hub.Ack(a)
		}
	}
	c.send(encode("acked", cmd.ID, ackedData{Feature: a.Feature, Rev: a.Rev}))
	return nil
}

// report hands on what the client has compared.
func (c *conn) report(cmd command) error {
	r, t := cmd.Report, &c.testimony
	for _, m := range r.Mismatches {
		if _, err := c.hub.Logs.Attach(c.principal, m.Stream); err != nil {
			return err
		}
	}
	if t.reports == nil {
		t.reports = rate.NewLimiter(rate.Every(reportsEvery), reportsAtOnce)
		t.mismatches = rate.NewLimiter(rate.Every(mismatchesEvery), maxMismatches)
	}
	now := time.Now()
	if !t.reports.AllowN(now, 1) {
		return thor.Errorf(thor.ETOOMANY, "more than %d reports a minute", time.Minute/reportsEvery)
	}
	if !t.mismatches.AllowN(now, len(r.Mismatches)) {
		return thor.Errorf(thor.ETOOMANY, "more than %d mismatches a minute", maxMismatches).
			WithHint("Count them in mismatched and show the first.")
	}
	r.Connection, r.Client, r.Arrived = c.id, c.identity(), now
	if c.hub.Report != nil {
		c.hub.Report(r)
	}
	c.send(encode("acked", cmd.ID, ackedData{Feature: r.Feature}))
	return nil
}
