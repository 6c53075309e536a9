package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"
)

// reader follows a log as a client does, and checks the law of delivery: seqs
// rise, every hole is covered by a gap (one who has asked to be told only so
// often knows of holes among the others), and no final entry is missing.
type reader struct {
	cursor  uint64
	backlog []byte
	state   map[string]uint64 // newest seq of each key
	last    uint64
	gapTo   uint64 // holes up to here are announced
	thin    bool   // it has asked to be told only so often
	finals  map[uint64]bool
	isFinal func(seq uint64) bool
}

func (r *reader) take(t *rapid.T, l *Log, limit int) {
	if len(r.backlog) == 0 {
		batch := Batch{Next: r.cursor}
		switch {
		case !r.thin:
			batch = l.Read(r.cursor, limit)
		case rapid.Bool().Draw(t, "due"):
			batch = l.Thin(r.cursor, l.Head(), limit)
		default:
			batch = l.Thin(r.cursor, l.Sequenced(), limit)
		}
		r.backlog, r.cursor = batch.Frames, batch.Next
	}
	var head []byte
	if len(r.backlog) > 0 {
		head, r.backlog = Split(r.backlog, limit)
	}
	for _, m := range decodeRapid(t, head) {
		if m.Type == "gap" {
			if m.Data.From != r.last+1 {
				t.Fatalf("a gap from %d after %d", m.Data.From, r.last)
			}
			r.gapTo = m.Data.To
			continue
		}
		if m.Seq <= r.last {
			t.Fatalf("seq %d after %d", m.Seq, r.last)
		}
		for hole := max(r.last, r.gapTo) + 1; hole < m.Seq; hole++ {
			if !r.thin || r.isFinal(hole) {
				t.Fatalf("seq %d after %d without a gap", m.Seq, r.last)
			}
		}
		r.last = m.Seq
		r.state[m.Key] = m.Seq
		r.finals[m.Seq] = true
	}
}

func TestReadersLaw(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{
			Keep:   rapid.SampledFrom([]int{1, 8 << 10, 64 << 10}).Draw(t, "keep"),
			MaxLag: rapid.SampledFrom([]int{1, 300, 4 << 10, 64 << 10}).Draw(t, "max lag"),
		}
		l := logOf(limits)
		model := map[string]uint64{} // newest seq of each key
		finals, isFinal := map[string][]uint64{}, map[uint64]bool{}
		var readers []*reader
		seq := uint64(0)
		steps := rapid.IntRange(1, 300).Draw(t, "steps")
		for range steps {
			switch rapid.SampledFrom([]string{"append", "append", "append", "join", "read", "leave"}).Draw(t, "step") {
			case "append":
				seq++
				key := fmt.Sprintf("k%d", rapid.IntRange(0, 5).Draw(t, "key"))
				final := rapid.IntRange(0, 4).Draw(t, "final") == 0
				e := event(seq, key, final)
				e.Data = fmt.Appendf(nil, `{"key":%q,"pad":"%0*d"}`, key, rapid.IntRange(1, 400).Draw(t, "size"), 0)
				if !l.Append(e) {
					t.Fatalf("event %d was not appended", seq)
				}
				model[key] = seq
				if final {
					finals[key] = append(finals[key], seq)
					isFinal[seq] = true
				}
			case "join":
				snapshot := l.Snapshot()
				r := &reader{
					cursor: snapshot.At.Seq + 1, last: snapshot.At.Seq, state: map[string]uint64{}, finals: map[uint64]bool{},
					thin: rapid.Bool().Draw(t, "thin"), isFinal: func(seq uint64) bool { return isFinal[seq] },
				}
				for _, m := range decodeRapid(t, snapshot.Frames) {
					r.state[m.Key] = m.Seq
					r.finals[m.Seq] = true
				}
				readers = append(readers, r)
			case "read":
				for _, r := range readers {
					if rapid.Bool().Draw(t, "reads") {
						r.take(t, l, rapid.SampledFrom([]int{1, 500, 16 << 10}).Draw(t, "limit"))
					}
				}
			case "leave":
				if len(readers) > 0 {
					readers = readers[1:]
				}
			}
		}
		for _, r := range readers {
			for r.last < seq {
				r.take(t, l, 16<<10)
				if len(r.backlog) == 0 && r.cursor > seq {
					break
				}
			}
			for key, want := range model {
				if r.state[key] != want {
					t.Fatalf("a reader ends with seq %d of %s, the log with %d", r.state[key], key, want)
				}
			}
			for key, list := range finals {
				newest := list[len(list)-1]
				if model[key] == newest && !r.finals[newest] {
					t.Fatalf("the final entry %d of %s never came", newest, key)
				}
			}
		}
	})
}

// keyed is a message with the key its data names.
type keyed struct {
	message
	Key string
}

func decodeRapid(t *rapid.T, frames []byte) []keyed {
	var messages []keyed
	for r := bytes.NewReader(frames); r.Len() > 0; {
		f, err := ws.ReadFrame(r)
		if err != nil {
			t.Fatalf("read a frame: %v", err)
		}
		var m keyed
		var key struct {
			Data struct {
				Key string `json:"key"`
			} `json:"data"`
		}
		if err := errors.Join(json.Unmarshal(f.Payload, &m.message), json.Unmarshal(f.Payload, &key)); err != nil {
			t.Fatalf("frame %q: %v", f.Payload, err)
		}
		m.Key = key.Data.Key
		messages = append(messages, m)
	}
	return messages
}
