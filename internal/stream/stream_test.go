package stream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"thor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const id thor.StreamID = "intraday:FUT.ES"

func event(seq uint64, key string, final bool) thor.Event {
	return thor.Event{
		Stream: id, Version: thor.Version{Epoch: "e1", Seq: seq}, Type: "intraday_bar", Key: key, Final: final,
		Time: time.UnixMilli(1_800_000_000_123), Data: fmt.Appendf(nil, `{"seq":%d}`, seq),
	}
}

func logOf(limits Limits, events ...thor.Event) *Log {
	l := NewLog(id, limits, thor.Version{Epoch: "e1"}, nil)
	for _, e := range events {
		if !l.Append(e) {
			panic("not appended")
		}
	}
	return l
}

// message is a frame as a client sees it.
type message struct {
	Type string `json:"type"`
	Seq  uint64 `json:"seq"`
	Data struct {
		Seq    uint64 `json:"seq"`
		From   uint64 `json:"from"`
		To     uint64 `json:"to"`
		Reason string `json:"reason"`
	} `json:"data"`
	Snapshot bool   `json:"snapshot"`
	Part     int    `json:"part"`
	Parts    int    `json:"parts"`
	At       uint64 `json:"at"`
}

// decode reads frames with a library, so that the encoder is not its own judge.
func decode(t *testing.T, frames []byte) []message {
	t.Helper()
	var messages []message
	r := bytes.NewReader(frames)
	for r.Len() > 0 {
		f, err := ws.ReadFrame(r)
		if err != nil {
			t.Fatalf("read a frame: %v", err)
		}
		if f.Header.OpCode != ws.OpText || !f.Header.Fin || f.Header.Masked || f.Header.Rsv != 0 {
			t.Fatalf("header %+v, want an unmasked whole text frame", f.Header)
		}
		var m message
		if err := json.Unmarshal(f.Payload, &m); err != nil {
			t.Fatalf("frame %q: %v", f.Payload, err)
		}
		messages = append(messages, m)
	}
	return messages
}

// brief writes messages in a line: 7 is the event 7, gap3-9 a gap of a slow
// reader, gap3-9:why one of another reason, s7 an event of a snapshot.
func brief(messages []message) string {
	var words []string
	for _, m := range messages {
		switch {
		case m.Type == "gap":
			word := fmt.Sprintf("gap%d-%d", m.Data.From, m.Data.To)
			if m.Data.Reason != gapConflated {
				word += ":" + m.Data.Reason
			}
			words = append(words, word)
		case m.Snapshot:
			words = append(words, fmt.Sprintf("s%d", m.Seq))
		default:
			words = append(words, fmt.Sprint(m.Seq))
		}
	}
	return strings.Join(words, " ")
}

func wantBrief(t *testing.T, frames []byte, want string) {
	t.Helper()
	if got := brief(decode(t, frames)); got != want {
		t.Errorf("frames %q, want %q", got, want)
	}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	for _, length := range []int{0, 1, 125, 126, 127, 65535, 65536, 200_000} {
		payload := bytes.Repeat([]byte{'x'}, length)
		f, err := ws.ReadFrame(bytes.NewReader(AppendFrame(nil, payload)))
		if err != nil || !bytes.Equal(f.Payload, payload) {
			t.Errorf("length %d: %v", length, err)
		}
		if got := frameLength(AppendFrame(nil, payload)); got != len(AppendFrame(nil, payload)) {
			t.Errorf("length %d: frameLength %d", length, got)
		}
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	frames := AppendFrame(AppendFrame(AppendFrame(nil, []byte("aaa")), []byte("bbb")), []byte("ccc"))
	for limit, want := range map[int]int{0: 5, 5: 5, 9: 5, 10: 10, 14: 10, 15: 15, 99: 15} {
		head, tail := Split(frames, limit)
		if len(head) != want || !bytes.Equal(append(bytes.Clone(head), tail...), frames) {
			t.Errorf("limit %d: head of %d bytes, want %d", limit, len(head), want)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	t.Run("a reader gets what follows its cursor, once", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{}, event(1, "a", false), event(2, "b", false), event(3, "a", false))
		batch := l.Read(2, 1<<20)
		wantBrief(t, batch.Frames, "2 3")
		if batch.Next != 4 || batch.Skipped != 0 {
			t.Errorf("next %d, skipped %d", batch.Next, batch.Skipped)
		}
		if again := l.Read(4, 1<<20); again.Frames != nil || again.Next != 4 {
			t.Errorf("at the head: %+v", again)
		}
	})
	t.Run("a limit cuts between frames, and lets at least one through", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{}, event(1, "a", false), event(2, "b", false), event(3, "a", false))
		batch := l.Read(1, 1)
		wantBrief(t, batch.Frames, "1")
		wantBrief(t, l.Read(batch.Next, 1).Frames, "2")
	})
	t.Run("a reader that lags gets a gap and the newest of each key", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{MaxLag: 1}, event(1, "a", false), event(2, "a", false), event(3, "b", false), event(4, "a", false))
		batch := l.Read(2, 1<<20)
		wantBrief(t, batch.Frames, "gap2-4 3 4")
		if batch.Next != 5 || batch.Skipped != 1 {
			t.Errorf("next %d, skipped %d; want 5 and 1", batch.Next, batch.Skipped)
		}
	})
	t.Run("nothing skipped is no gap", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{MaxLag: 1}, event(1, "a", false), event(2, "b", false))
		wantBrief(t, l.Read(1, 1<<20).Frames, "1 2")
	})
	t.Run("final entries are never skipped", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{MaxLag: 1}, event(1, "10:00", false), event(2, "10:00", true), event(3, "10:01", false),
			event(4, "10:00", true), event(5, "10:01", false))
		wantBrief(t, l.Read(1, 1<<20).Frames, "gap1-5 2 4 5")
	})
	t.Run("below the floor a reader gets the newest of each key", func(t *testing.T) {
		t.Parallel()
		l := NewLog(id, Limits{}, thor.Version{Epoch: "e1", Seq: 9}, []thor.Event{event(4, "10:00", true), event(9, "10:01", false)})
		if !l.Append(event(10, "10:01", false)) {
			t.Fatal("not appended")
		}
		wantBrief(t, l.Read(5, 1<<20).Frames, "gap5-10:below_floor 10")
		wantBrief(t, l.Read(3, 1<<20).Frames, "gap3-10:below_floor 4 10")
	})
	t.Run("a slice a reader holds does not change", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{Keep: 1}, event(1, "a", false))
		held := l.Read(1, 1<<20).Frames
		before := bytes.Clone(held)
		for seq := uint64(2); seq < 2000; seq++ {
			l.Append(event(seq, "a", false))
		}
		if !bytes.Equal(before, held) {
			t.Error("the bytes changed under the reader")
		}
	})
}

func TestKeep(t *testing.T) {
	t.Parallel()
	l := logOf(Limits{Keep: 16 << 10})
	for seq := uint64(1); seq <= 5000; seq++ {
		l.Append(event(seq, "a", false))
	}
	if l.kept > 16<<10+largeChunk {
		t.Errorf("the log holds %d bytes", l.kept)
	}
	if l.Holds(1) || !l.Holds(5001) || !l.Holds(5000) || l.Holds(5002) {
		t.Error("the log holds its tail and not its beginning, and nothing beyond its head")
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	l := NewLog(id, Limits{MaxLag: 1, Keep: 1 << 20}, thor.Version{Epoch: "e1", Seq: 5}, nil)
	for seq := uint64(6); seq <= 300; seq++ {
		l.Append(event(seq, "a", false))
	}
	if _, _, ok := l.Replay(5); ok {
		t.Error("replayed from below the floor")
	}
	if _, _, ok := l.Replay(302); ok {
		t.Error("replayed from beyond the head")
	}
	spans, next, ok := l.Replay(6)
	messages := decode(t, bytes.Join(spans, nil))
	if !ok || len(messages) != 295 || messages[0].Seq != 6 || messages[294].Seq != 300 || next != 301 {
		t.Errorf("replayed %d frames, next %d; want all 295 whatever the lag", len(messages), next)
	}
	if again, _, _ := l.Replay(6); &again[0][0] != &spans[0][0] {
		t.Error("two replays of the same do not share its bytes")
	}
	if spans, next, ok := l.Replay(301); !ok || len(spans) != 0 || next != 301 {
		t.Errorf("at the head: %v %v %v, want success with nothing", spans, next, ok)
	}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	l := logOf(Limits{}, event(1, "a", false))
	for name, e := range map[string]thor.Event{
		"the same again":     event(1, "a", false),
		"one behind a hole":  event(3, "a", false),
		"one of other times": {Stream: id, Version: thor.Version{Epoch: "e2", Seq: 2}},
	} {
		if l.Append(e) {
			t.Errorf("%s was appended", name)
		}
	}
	l.End()
	if l.Append(event(2, "a", false)) || !l.Ended() {
		t.Error("an ended log took an event")
	}
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	t.Run("it is the newest of each key in seq order, with the version it stands for", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{}, event(1, "a", false), event(2, "b", false), event(3, "a", false), event(4, "c", false))
		s := l.Snapshot()
		got := decode(t, s.Frames)
		wantBrief(t, s.Frames, "s2 s3 s4")
		for i, m := range got {
			if m.Part != i+1 || m.Parts != 3 || (m.At == 4) != (i == 2) {
				t.Errorf("part %d: %+v", i, m)
			}
		}
		if want := (thor.Version{Epoch: "e1", Seq: 4}); s.At != want || s.Entries != 3 {
			t.Errorf("snapshot at %v with %d entries", s.At, s.Entries)
		}
	})
	t.Run("it is shared until something new comes", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{}, event(1, "a", false))
		first := l.Snapshot()
		if l.Snapshot() != first {
			t.Error("encoded twice")
		}
		l.Append(event(2, "a", false))
		if l.Snapshot() == first {
			t.Error("an old snapshot was handed out")
		}
	})
	t.Run("of an empty stream it is empty, at 0", func(t *testing.T) {
		t.Parallel()
		if s := logOf(Limits{}).Snapshot(); s.Frames != nil || s.At.Seq != 0 || s.At.Epoch != "e1" {
			t.Errorf("%+v", s)
		}
	})
	t.Run("a window bounds it by number and by session", func(t *testing.T) {
		t.Parallel()
		byNumber := logOf(Limits{Window: 2}, event(1, "10:00", true), event(2, "10:01", true), event(3, "10:02", false))
		wantBrief(t, byNumber.Snapshot().Frames, "s2 s3")
		session := func(newest string) string { return newest[:2] + ":00" }
		bySession := logOf(Limits{Window: 10, Oldest: session}, event(1, "09:59", true), event(2, "10:00", true), event(3, "10:01", false))
		wantBrief(t, bySession.Snapshot().Frames, "s2 s3")
	})
}

// TestGolden pins the bytes of the wire.
func TestGolden(t *testing.T) {
	t.Parallel()
	l := NewLog("positions:PAPER-1", Limits{MaxLag: 1}, thor.Version{Epoch: "k3f9", Seq: 1040}, nil)
	for _, e := range []thor.Event{
		{Version: thor.Version{Epoch: "k3f9", Seq: 1041}, Key: "PAPER-1"},
		{Version: thor.Version{Epoch: "k3f9", Seq: 1042}, Key: "PAPER-1"},
	} {
		e.Stream, e.Type, e.Data, e.Time = "positions:PAPER-1", "positions", json.RawMessage(`{"account_id":"PAPER-1"}`), time.UnixMilli(1724300000123)
		l.Append(e)
	}
	batch := l.Read(1041, 1<<20)
	var got []string
	for r := bytes.NewReader(batch.Frames); r.Len() > 0; {
		f, err := ws.ReadFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(f.Payload))
	}
	f, err := ws.ReadFrame(bytes.NewReader(l.Snapshot().Frames))
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, string(f.Payload))
	want := []string{
		`{"type":"gap","data":{"stream":"positions:PAPER-1","from":1041,"to":1042,"reason":"conflated"}}`,
		`{"type":"positions","data":{"account_id":"PAPER-1"},"stream":"positions:PAPER-1","seq":1042,"epoch":"k3f9","ts":1724300000123}`,
		`{"type":"positions","data":{"account_id":"PAPER-1"},"stream":"positions:PAPER-1","seq":1042,"epoch":"k3f9","ts":1724300000123,"snapshot":true,"part":1,"parts":1,"at":1042}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("wire (-want +got):\n%s", diff)
	}
}

// TestWhatHasLeftTheWindowStaysOut holds that an old key, read again, is sent on
// and does not come back into the snapshot.
func TestWhatHasLeftTheWindowStaysOut(t *testing.T) {
	t.Parallel()
	oldest := func(string) string { return "k5" }
	l := logOf(Limits{Window: 3, Oldest: oldest}, event(1, "k5", true), event(2, "k6", true))
	if !l.Append(event(3, "k2", true)) {
		t.Fatal("not appended")
	}
	wantBrief(t, l.Snapshot().Frames, "s1 s2")
	if l.Snapshot().At.Seq != 3 {
		t.Errorf("the snapshot is at %d", l.Snapshot().At.Seq)
	}
	wantBrief(t, l.Read(3, 1<<20).Frames, "3")
	if newest, ok := l.Newest(); !ok || newest.Version.Seq != 3 {
		t.Errorf("the newest is %v", newest.Version)
	}
}

func BenchmarkAppend(b *testing.B) {
	l := logOf(Limits{})
	e := event(0, "k", false)
	e.Data = json.RawMessage(`{"pad":"` + strings.Repeat("x", 300) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		e.Version.Seq++
		l.Append(e)
	}
}

func BenchmarkRead(b *testing.B) {
	l := logOf(Limits{})
	for seq := uint64(1); seq <= 300; seq++ {
		l.Append(event(seq, "k", false))
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Read(250, 16<<10)
	}
}
