package hub

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"thor"
)

// fakeTransport is a client in memory that takes everything at once, or nothing,
// and answers when it is told to.
type fakeTransport struct {
	taken func(b []byte) // nil forgets it
	full  bool
}

var _ starter = (*fakeTransport)(nil)

func (t *fakeTransport) TryWrite(b []byte) (int, error) {
	if t.full {
		return 0, nil
	}
	if t.taken != nil {
		t.taken(b)
	}
	return len(b), nil
}

func (*fakeTransport) Close() error    { return nil }
func (*fakeTransport) start(*Hub) bool { return true }

// inbox collects the frames a fake client was given.
type inbox struct {
	mu    sync.Mutex // guards bytes
	bytes bytes.Buffer
}

func (i *inbox) take(b []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.bytes.Write(b)
}

// frames takes out what came since the last call.
func (i *inbox) frames() (list []ws.Frame) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for i.bytes.Len() > 0 {
		f, err := ws.ReadFrame(&i.bytes)
		if err != nil {
			panic(err) // the hub writes whole frames
		}
		list = append(list, f)
	}
	return list
}

// fake connects a client in memory and returns how it makes things happen.
func (w *world) fake(t *testing.T, got *inbox) (post func(event)) {
	t.Helper()
	return w.fakeWith(t, &fakeTransport{taken: got.take})
}

func (w *world) fakeWith(t *testing.T, transport *fakeTransport) (post func(event)) {
	t.Helper()
	if !w.connect(guest{principal: local()}, func(p func(event)) starter {
		post = p
		return transport
	}) {
		t.Fatal("the hub has ended")
	}
	return post
}

// noStore is a store that keeps no event. Its streams are far along, so that
// every frame is as long as the one before.
type noStore struct{}

const manyDigits = 1_000_000_000

func (noStore) Latest(context.Context, thor.StreamID, thor.Window) (thor.Version, []thor.Event, error) {
	return thor.Version{Epoch: "e1", Seq: manyDigits}, nil, nil
}

func (noStore) Since(context.Context, thor.StreamID, uint64, int) ([]thor.Event, error) {
	return nil, nil
}

// said is a message as a client sends it.
func said(text string) []byte {
	return ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame([]byte(text))))
}
