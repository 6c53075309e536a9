package hub

import (
	"bytes"
	"io"
	"testing"
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
