package hub

import (
	"fmt"
	"testing"
	"time"

	"thor"
)

func TestRoundRate(t *testing.T) {
	t.Parallel()
	for hz, want := range map[float64]int{1: 1, 1.9: 1, 2: 2, 3: 2, 4: 4, 9.99: 4, 10: 10, 19: 10, 20: 20, 1000: 20} {
		if got := roundRate(hz); got != want {
			t.Errorf("%v is rounded to %d, want %d", hz, got, want)
		}
	}
}

func bar(minute int, final bool) thor.Event {
	return thor.Event{
		Stream: "intraday:FUT.ES", Type: "intraday_bar", Key: fmt.Sprintf("10:%02d", minute), Final: final,
		Data: fmt.Appendf(nil, `{"minute":%d,"final":%v}`, minute, final),
	}
}

func TestMaxHz(t *testing.T) {
	t.Parallel()
	// during publishes one event each 10 ms, and returns what a client got of the
	// stream in the meantime and just after.
	during := func(t *testing.T, w *world, c *client, d time.Duration, next func(i int) thor.Event) (got []message) {
		t.Helper()
		for i := range int(d / (10 * time.Millisecond)) {
			w.deliver(t, next(i))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * time.Second) // what is held back comes
		for len(c.messages) > 0 {
			got = append(got, c.next())
		}
		return got
	}
	for _, tt := range []struct{ asked, rate string }{{"1", "1"}, {"3.7", "2"}, {"4", "4"}, {"10", "10"}, {"50", "20"}} {
		virtual(t, "no more than "+tt.asked+" a second, the newest at last", nil, func(t *testing.T, w *world) {
			w.publish(t, draft("positions:A", 0))
			c := w.dial(t)
			c.want("hello")
			c.send(`{"type":"subscribe","streams":["positions:A"],"max_hz":` + tt.asked + `}`)
			told := data[subscribedData](t, c.want("subscribed", "snapshot positions:A/1")[0]).Streams["positions:A"]
			if !told.Conflated || fmt.Sprint(told.MaxHz) != tt.rate {
				t.Fatalf("told %+v, want conflated to %s", told, tt.rate)
			}
			const seconds = 5
			got := during(t, w, c, seconds*time.Second, func(i int) thor.Event { return draft("positions:A", i) })
			want := seconds * told.MaxHz
			if len(got) < want-1 || len(got) > want+1 {
				t.Errorf("%d frames in %d seconds, want %d", len(got), seconds, want)
			}
			last := uint64(1)
			for _, m := range got {
				if m.Stream != "positions:A" || m.Seq <= last {
					t.Fatalf("got %s after %d", m.brief(), last)
				}
				last = m.Seq
			}
			if last != seconds*100+1 {
				t.Errorf("it ends with %d, want %d", last, seconds*100+1)
			}
			if w.Stats().Skipped != 0 {
				t.Error("what was asked for counts as lag")
			}
		})
	}
	virtual(t, "the first after a pause goes at once", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 0))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["positions:A"],"max_hz":1}`)
		c.want("subscribed", "snapshot positions:A/1")
		for i := range uint64(3) {
			time.Sleep(1500 * time.Millisecond)
			began := time.Now()
			w.publish(t, draft("positions:A", 0))
			c.want(fmt.Sprintf("positions:A/%d", i+2))
			if waited := time.Since(began); waited > 20*time.Millisecond {
				t.Errorf("it waited %v", waited)
			}
		}
	})
	virtual(t, "entries that are not merged go at once and none is lost", nil, func(t *testing.T, w *world) {
		w.publish(t, bar(0, false))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["intraday:FUT.ES"],"max_hz":1}`)
		c.want("subscribed", "snapshot intraday:FUT.ES/1")
		got := during(t, w, c, 3*time.Second, func(i int) thor.Event { return bar(i/20, i%20 == 19) })
		finals, last := 0, uint64(1)
		for _, m := range got {
			if m.Seq <= last {
				t.Fatalf("%d after %d: order holds within a stream", m.Seq, last)
			}
			if last = m.Seq; (m.Seq-1)%20 == 0 {
				finals++
			}
		}
		if finals != 15 {
			t.Errorf("%d final bars, want 15", finals)
		}
		if len(got) > 15+3+1 { // and about one unfinished a second
			t.Errorf("%d frames", len(got))
		}
		w.deliver(t, bar(49, false))
		c.want("intraday:FUT.ES/302")
		time.Sleep(20 * time.Millisecond)
		began := time.Now()
		w.deliver(t, bar(50, false), bar(51, true))
		c.want("intraday:FUT.ES/303", "intraday:FUT.ES/304") // what was held back before the final one comes with it
		if waited := time.Since(began); waited > 20*time.Millisecond {
			t.Errorf("the final bar waited %v", waited)
		}
	})
	virtual(t, "what was held back comes when its time has come, though nothing else happens", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 0))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["positions:A"],"max_hz":20}`)
		c.want("subscribed", "snapshot positions:A/1")
		for seq := uint64(2); seq < 40; seq += 2 {
			w.deliver(t, draft("positions:A", 1))
			c.want(fmt.Sprintf("positions:A/%d", seq))
			began := time.Now()
			w.deliver(t, draft("positions:A", 2))
			c.want(fmt.Sprintf("positions:A/%d", seq+1))
			if waited := time.Since(began); waited > pace+20*time.Millisecond {
				t.Fatalf("it waited %v", waited)
			}
			time.Sleep(77 * time.Millisecond)
		}
	})
	virtual(t, "a merged entry is not sent when a final one of its key follows", nil, func(t *testing.T, w *world) {
		w.publish(t, bar(0, false))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["intraday:FUT.ES"],"max_hz":1}`)
		c.want("subscribed", "snapshot intraday:FUT.ES/1")
		w.publish(t, bar(1, false))
		c.want("intraday:FUT.ES/2")
		w.publish(t, bar(1, false))
		time.Sleep(20 * time.Millisecond)
		w.publish(t, bar(1, true))
		c.want("intraday:FUT.ES/4")
		c.silent(3 * time.Second)
	})
	virtual(t, "a resume replays every entry, and a subscribe without it sends all again", nil, func(t *testing.T, w *world) {
		epoch := w.publish(t, draft("positions:A", 1))[0].Version.Epoch
		w.publish(t, draft("positions:A", 2), draft("positions:A", 3), draft("positions:A", 4))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["positions:A"],"max_hz":1,"resume":{"positions:A":{"epoch":"` + epoch + `","seq":1}}}`)
		told := data[subscribedData](t, c.want("subscribed", "positions:A/2", "positions:A/3", "positions:A/4")[0]).Streams["positions:A"]
		if !*told.Recovered || told.Replayed != 3 || !told.Conflated {
			t.Errorf("told %+v", told)
		}
		c.send(`{"type":"subscribe","streams":["positions:A"]}`)
		if told := data[subscribedData](t, c.want("subscribed", "snapshot positions:A/4")[0]).Streams["positions:A"]; told.Conflated || told.MaxHz != 0 {
			t.Errorf("told %+v", told)
		}
		w.publish(t, draft("positions:A", 5))
		c.want("positions:A/5")
		w.publish(t, draft("positions:A", 6))
		c.want("positions:A/6")
	})
	virtual(t, "what goes by while it is held back is no gap, however much", nil, func(t *testing.T, w *world) {
		w.publish(t, draft("positions:A", 0))
		c := w.dial(t)
		c.want("hello")
		c.send(`{"type":"subscribe","streams":["positions:A"],"max_hz":1}`)
		c.want("subscribed", "snapshot positions:A/1")
		big := draft("positions:A", 0)
		big.Data = fmt.Appendf(nil, `{"pad":"%04000d"}`, 0)
		for _, m := range during(t, w, c, 3*time.Second, func(int) thor.Event { return big }) { // 1.2 MB
			if m.Stream != "positions:A" {
				t.Fatalf("got %s %s", m.brief(), m.raw)
			}
		}
	})
}
