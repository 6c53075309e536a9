package hub

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"thor"
)

// bars publishes so many bars of about half a kilobyte.
func (w *world) bars(t *testing.T, n int) {
	t.Helper()
	drafts := make([]thor.Event, n)
	for i := range drafts {
		drafts[i] = bar(i, true)
		drafts[i].Key = fmt.Sprintf("%04d", i)
		drafts[i].Data = fmt.Appendf(nil, `{"minute":%d,"pad":%q}`, i, strings.Repeat("x", 400))
	}
	w.publish(t, drafts...)
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	environments(t, "a big one comes in parts, and another stream has its turn in between", nil, func(t *testing.T, w *world) {
		const n = 1440
		w.bars(t, n) // 750 KB
		w.publish(t, draft("global_market", 1))
		conn := w.dialer(t, w, local())
		defer conn.Close() //nolint:errcheck // a test
		if err := ws.WriteFrame(conn, ws.MaskFrameInPlace(ws.NewTextFrame([]byte(`{"type":"subscribe","streams":["intraday:FUT.ES","global_market"]}`)))); err != nil {
			t.Fatal(err)
		}
		before, part := 0, 0
		for part < n {
			f, err := ws.ReadFrame(conn)
			if err != nil {
				t.Fatal(err)
			}
			var m struct {
				message
				Part, Parts int
			}
			if err := json.Unmarshal(f.Payload, &m); err != nil {
				t.Fatal(err)
			}
			switch m.Stream.Feature() {
			case "intraday":
				if part++; m.Part != part || m.Parts != n || !m.Snapshot || (m.At == n) != (part == n) || m.At != 0 && part != n {
					t.Fatalf("part %d is %s", part, f.Payload)
				}
				if part == 1 { // nothing more is read until this is published
					w.publish(t, draft("global_market", 2))
				}
			case "global_market":
				if m.Seq == 2 {
					before = part
				}
			}
		}
		// What was on its way when it was published fits the sockets' buffers.
		if before == 0 || before > n*9/10 {
			t.Errorf("the market's news came behind %d of %d parts", before, n)
		}
	})
	virtual(t, "a thousand readers share one", func(c *Config) { c.Shards = 1 }, func(t *testing.T, w *world) {
		w.bars(t, 100)
		for range 1000 {
			w.fakeWith(t, &fakeTransport{full: true})
		}
		time.Sleep(followAfter + time.Second)
		synctest.Wait()
		log, err := w.logs.Attach(local(), "intraday:FUT.ES")
		if err != nil {
			t.Fatal(err)
		}
		first := &log.Snapshot().Frames[0]
		readers := 0
		for c := range w.shards[0].conns {
			for _, s := range c.order {
				if &s.pending[0] != first {
					t.Fatal("a reader has a copy of its own")
				}
				readers++
			}
		}
		if readers != 1000 {
			t.Errorf("%d readers, want 1000", readers)
		}
	})
}
