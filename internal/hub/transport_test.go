package hub

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"thor"
)

// TestTheCloseIsNotLostInWhatFollowsIt sends much behind a close, and behind a
// fault. A socket closed while bytes lie unread in it is reset, and a reset may
// take the close frame with it before the client has read it.
func TestTheCloseIsNotLostInWhatFollowsIt(t *testing.T) {
	t.Parallel()
	dial := tcp(t, plainHub(t))
	for name, first := range map[string][]byte{"a close": closing(1000, ""), "a fault": wire(fin|rsv1|text, say)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t)
			defer conn.Close() //nolint:errcheck // a test
			if _, err := conn.Write(join(first, bytes.Repeat(wire(fin|text, sized(8000)), 1000))); err != nil {
				t.Fatalf("the server does not take it: %v", err)
			}
			finish(conn)
			all, err := io.ReadAll(conn)
			if err != nil || !bytes.Contains(all, []byte{fin | closeOp}) {
				t.Errorf("read %d bytes, %v; want a close and the end", len(all), err)
			}
		})
	}
}

// TestACloseIsAnsweredBehindABacklog closes while much is on its way: the frame
// that has begun is finished, the close is answered, and no stream is between.
func TestACloseIsAnsweredBehindABacklog(t *testing.T) {
	t.Parallel()
	environments(t, "by its code", nil, func(t *testing.T, w *world) {
		var drafts []thor.Event
		for i := range 80 {
			e := draft("positions:A", i)
			e.Key = fmt.Sprintf("k%d", i)
			e.Data = fmt.Appendf(nil, `{"pad":%q}`, strings.Repeat("x", 100_000))
			drafts = append(drafts, e)
		}
		w.publish(t, drafts...)
		conn := w.dialer(t, w, local())
		defer conn.Close() //nolint:errcheck // a test
		if _, err := conn.Write(wire(fin|text, `{"type":"subscribe","streams":["positions:A"]}`)); err != nil {
			t.Fatal(err)
		}
		if f, err := ws.ReadFrame(conn); err != nil || !bytes.HasPrefix(f.Payload, []byte(`{"type":"hello"`)) {
			t.Fatalf("%q %v", f.Payload, err)
		}
		if f, err := ws.ReadFrame(conn); err != nil || !bytes.HasPrefix(f.Payload, []byte(`{"type":"subscribed"`)) {
			t.Fatalf("%q %v", f.Payload, err)
		}
		if _, err := conn.Write(closing(4321, "")); err != nil {
			t.Fatal(err)
		}
		frames := 0
		for {
			f, err := ws.ReadFrame(conn)
			if err != nil {
				t.Fatalf("after %d frames of the snapshot: %v, want a close", frames, err)
			}
			if f.Header.OpCode == ws.OpClose {
				if code, _ := ws.ParseCloseFrameData(f.Payload); code != 4321 {
					t.Errorf("closed with %d", code)
				}
				break
			}
			frames++
		}
		if frames == len(drafts) {
			t.Error("the whole snapshot came before the answer: there was no backlog")
		}
		if f, err := ws.ReadFrame(conn); !errors.Is(err, io.EOF) {
			t.Errorf("behind the close came %v %v", f.Header, err)
		}
	})
}
