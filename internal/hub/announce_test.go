package hub

import (
	"testing"
	"time"

	"thor"
)

func notice(stage thor.Stage, forced bool) Notice {
	return Notice{
		FeatureStage: thor.FeatureStage{Feature: "positions", Stage: stage, Rev: 7, Reason: "forced: THOR_FORCE", Since: time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)},
		Forced:       forced,
	}
}

func TestAnnounce(t *testing.T) {
	t.Parallel()
	environments(t, "a force is told to those who are there and to those who come, and its end to those who were told", nil, func(t *testing.T, w *world) {
		before := w.dial(t)
		before.want("hello")
		w.Announce(notice(thor.StageShadow, true))
		m := before.want("cutover")[0]
		want := `{"type":"cutover","data":{"feature":"positions","stage":"shadow","rev":7,"weight":0,"reason":"forced: THOR_FORCE","since":"2026-11-23T15:00:00Z","forced":true}}`
		if m.raw != want {
			t.Errorf("got  %s\nwant %s", m.raw, want)
		}
		during := w.dial(t)
		if told := data[Notice](t, during.want("hello", "cutover")[1]); !told.Forced || told.Stage != thor.StageShadow {
			t.Errorf("who comes is told %+v", told)
		}
		w.Announce(notice(thor.StageOff, true))
		for _, c := range []*client{before, during} {
			if told := data[Notice](t, c.want("cutover")[0]); !told.Forced || told.Stage != thor.StageOff {
				t.Errorf("told %+v, want the new force", told)
			}
		}
		w.Reassign() // says nothing again
		w.Announce(notice(thor.StageLive, false))
		for _, c := range []*client{before, during} {
			if told := data[Notice](t, c.want("cutover")[0]); told.Forced || told.Stage != thor.StageLive {
				t.Errorf("told %+v, want that it is over", told)
			}
		}
		after := w.dial(t)
		after.want("hello")
		after.silent(100 * time.Millisecond)
	})
}
