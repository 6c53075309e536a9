package stream

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"thor"
)

func TestHeld(t *testing.T) {
	t.Parallel()
	var s Logs
	s.logs = map[thor.StreamID]*Log{
		"intraday:X": NewLog("intraday:X", Limits{Window: 10}, thor.Version{Epoch: "e"}, nil),
		"positions":  NewLog("positions", Limits{}, thor.Version{Epoch: "e"}, nil),
	}
	for i, key := range []string{"10:03", "10:01", "10:02", "10:01"} {
		e := thor.Event{Stream: "intraday:X", Type: "intraday_bar", Key: key, Version: thor.Version{Epoch: "e", Seq: uint64(i + 1)}, Data: []byte("{}")}
		if !s.logs["intraday:X"].Append(e) {
			t.Fatal("not the next event")
		}
	}
	held := func(id thor.StreamID, w thor.Window) string {
		at, events, ok := s.Held(id, w)
		words := fmt.Sprint(ok, " ", at, ":")
		for _, e := range events {
			words += fmt.Sprintf(" %s/%d", e.Key, e.Version.Seq)
		}
		return words
	}
	check := func(when string) {
		t.Helper()
		for want, got := range map[string]string{
			"true e-4: 10:03/1 10:02/3 10:01/4": held("intraday:X", thor.Window{}),
			"true e-4: 10:03/1 10:02/3":         held("intraday:X", thor.Window{Limit: 2}),
			"true e-4: 10:03/1":                 held("intraday:X", thor.Window{From: "10:03"}),
			"false -0:":                         held("intraday:Y", thor.Window{}),
		} {
			if got != want {
				t.Errorf("%s: held %q, want %q", when, got, want)
			}
		}
		if diff := cmp.Diff([]thor.StreamID{"intraday:X"}, s.HeldStreams()); diff != "" {
			t.Errorf("%s: streams (-want +got):\n%s", when, diff)
		}
	}
	check("open")
	s.SetPublishing("intraday", false)
	if _, err := s.Attach(nil, "intraday:X"); err == nil {
		t.Error("a stream that is off can be attached to")
	}
	check("off")
}
