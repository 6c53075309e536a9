package hub

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"thor"
)

func TestInboundRate(t *testing.T) {
	t.Parallel()
	virtual(t, "a burst of 50 and 10 a second are taken", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		for range inboundBurst {
			c.send(`{"type":"ping"}`)
			c.want("pong")
		}
		for range 100 {
			time.Sleep(time.Second / inboundRate)
			c.send(`{"type":"ping"}`)
			c.want("pong")
		}
	})
	virtual(t, "one too many is answered with its id and not looked at", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		for range inboundBurst {
			c.send(`{"type":"ping"}`)
			c.want("pong")
		}
		c.send(`{"type":"subscriptions","id":"8"}`)
		m := c.want("error")[0]
		if e := data[errorData](t, m); e.Code != thor.ETOOMANY || !e.Retryable || string(m.ID) != `"8"` {
			t.Errorf("error %+v with the id %s", e, m.ID)
		}
		if got := w.Stats().Refused; got != 1 {
			t.Errorf("%d refused, want 1", got)
		}
		time.Sleep(time.Second)
		c.send(`{"type":"subscriptions"}`)
		c.want("subscriptions")
	})
	environments(t, "a flood is closed with 4429 and the time to stay away", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		go func() {
			for range inboundBurst + maxOver + 20 {
				c.send(`{"type":"ping"}`)
			}
		}()
		for {
			m := c.next()
			if m.Close == 0 {
				continue
			}
			if m.Close != closeTooMany || !strings.Contains(m.Reason, "retry_after=5") {
				t.Errorf("closed with %d %q", m.Close, m.Reason)
			}
			return
		}
	})
	virtual(t, "a little too much for long is closed as well, now and then is forgiven", nil, func(t *testing.T, w *world) {
		c := w.dial(t)
		c.want("hello")
		for range 3 * maxOver { // five too many at once, then a pause
			for range inboundBurst + 5 {
				c.send(`{"type":"ping"}`)
			}
			time.Sleep(forgiveAfter + time.Second)
			for len(c.messages) > 0 {
				if m := c.next(); m.Close != 0 {
					t.Fatalf("closed with %d %s", m.Close, m.Reason)
				}
			}
		}
		for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(time.Second / (2 * inboundRate)) {
			if len(c.messages) > 0 {
				if m := c.next(); m.Close != 0 {
					if m.Close != closeTooMany {
						t.Errorf("closed with %d", m.Close)
					}
					return
				}
			}
			c.send(`{"type":"ping"}`)
		}
		t.Error("twice the rate for a minute was not closed")
	})
}

func TestControlFlood(t *testing.T) {
	t.Parallel()
	virtual(t, "of many pings that come at once the newest is answered, and a flood is closed", nil, func(t *testing.T, w *world) {
		got := &inbox{}
		post := w.fake(t, got)
		var pings []byte
		for i := range 30 {
			pings = append(pings, ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewPingFrame(fmt.Append(nil, i))))...)
		}
		post(event{kind: eventReadable, data: pings})
		time.Sleep(time.Second)
		frames := got.frames()
		if last := frames[len(frames)-1]; len(frames) != 2 || last.Header.OpCode != ws.OpPong || string(last.Payload) != "29" {
			t.Errorf("%d frames, the last %v %q; want hello and one pong", len(frames), last.Header.OpCode, last.Payload)
		}
		for range 4 {
			post(event{kind: eventReadable, data: pings})
		}
		time.Sleep(time.Second)
		frames = got.frames()
		if code, _ := ws.ParseCloseFrameData(frames[len(frames)-1].Payload); code != closeTooMany {
			t.Errorf("the last frame is %v, want a close with 4429", frames[len(frames)-1].Header.OpCode)
		}
	})
	virtual(t, "a client that does not read and pings makes the server keep one pong", nil, func(t *testing.T, w *world) {
		post := w.fakeWith(t, &fakeTransport{full: true})
		for range 20 {
			post(event{kind: eventReadable, data: ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewPingFrame(make([]byte, 125))))})
			time.Sleep(time.Second) // within the rate
		}
		synctest.Wait()
		for _, s := range w.shards {
			for c := range s.conns {
				if got := len(c.pongFrame) + len(c.control); got > 127+10 { // and a ping of our own
					t.Errorf("%d bytes are kept", got)
				}
			}
		}
	})
}
