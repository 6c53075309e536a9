package stream

import (
	"bytes"
	"testing"

	"thor"
)

func TestConflate(t *testing.T) {
	t.Parallel()
	t.Run("what is left for the next time is conflated anew", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{MaxLag: 1}, event(1, "a", false), event(2, "a", false), event(3, "b", false), event(4, "c", false))
		first := l.Read(1, 1)
		wantBrief(t, first.Frames, "gap1-2 2")
		if first.Next != 3 || first.Skipped != 1 {
			t.Errorf("next %d, skipped %d; want 3 and 1", first.Next, first.Skipped)
		}
		l.Append(event(5, "b", false))
		second := l.Read(first.Next, 1)
		wantBrief(t, second.Frames, "gap3-4 4")
		wantBrief(t, l.Read(second.Next, 1).Frames, "5")
	})
	t.Run("a reader that lags is handed about as much as one that does not", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{MaxLag: 1})
		for seq := uint64(1); seq <= 1000; seq++ {
			l.Append(event(seq, "a", true)) // none may be left out
		}
		if got, frame := len(l.Read(1, 4<<10).Frames), len(l.Read(1000, 1).Frames); got > 4<<10+frame {
			t.Errorf("%d bytes at once, want about 4 KiB", got)
		}
	})
	t.Run("the last words on a key supersede the merged ones before", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{MaxLag: 1}, event(1, "10:00", false), event(2, "10:01", false), event(3, "10:00", true))
		wantBrief(t, l.Read(1, 1<<20).Frames, "gap1-3 2 3")
	})
	t.Run("an entry that says its key is gone is the newest like any other", func(t *testing.T) {
		t.Parallel()
		gone := event(3, "a", false)
		gone.Data = []byte(`null`)
		l := logOf(Limits{MaxLag: 1}, event(1, "a", false), event(2, "b", false), gone)
		frames := l.Read(1, 1<<20).Frames
		if !bytes.Contains(frames, []byte(`"data":null,"stream":"intraday:FUT.ES","seq":3,`)) {
			t.Errorf("frames %q", frames)
		}
	})
	t.Run("below the floor of the last words the newest of each key follows", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{Keep: 1})
		for seq := uint64(1); seq <= 200; seq++ {
			l.Append(event(seq, "10:00", true))
		}
		got := decode(t, l.Read(1, 1<<20).Frames)
		if floor := l.floor(); got[0].Data.Reason != gapBelowFloor || len(got) != int(200-floor)+2 || got[len(got)-1].Seq != 200 {
			t.Errorf("got %s from a floor of %d", brief(got), floor)
		}
	})
}

func TestThin(t *testing.T) {
	t.Parallel()
	all := uint64(1 << 40)
	t.Run("the newest of each key, in order and without a gap", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{}, event(1, "a", false), event(2, "b", false), event(3, "a", false), event(4, "c", false))
		b := l.Thin(1, all, 1<<20)
		wantBrief(t, b.Frames, "2 3 4")
		if b.Next != 5 || b.Skipped != 0 {
			t.Errorf("next %d, skipped %d", b.Next, b.Skipped)
		}
		if again := l.Thin(5, all, 1<<20); again.Frames != nil || again.Next != 5 {
			t.Errorf("at the head: %+v", again)
		}
	})
	t.Run("up to the last word, and what is held back stays behind it", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{}, event(1, "10:00", false), event(2, "10:01", false), event(3, "10:00", true), event(4, "10:02", false), event(5, "10:01", false))
		if l.Sequenced() != 3 {
			t.Fatalf("sequenced %d, want 3", l.Sequenced())
		}
		b := l.Thin(1, l.Sequenced(), 1<<20)
		wantBrief(t, b.Frames, "3") // 2 was replaced by 5, which is held back
		wantBrief(t, l.Thin(b.Next, all, 1<<20).Frames, "4 5")
	})
	t.Run("a limit cuts between frames", func(t *testing.T) {
		t.Parallel()
		l := logOf(Limits{}, event(1, "a", false), event(2, "b", false), event(3, "c", false))
		b := l.Thin(1, all, 1)
		wantBrief(t, b.Frames, "1")
		wantBrief(t, l.Thin(b.Next, all, 1<<20).Frames, "2 3")
	})
	t.Run("merged entries that have left are no gap, last words that have left are", func(t *testing.T) {
		t.Parallel()
		l := NewLog(id, Limits{Keep: 1}, thor.Version{Epoch: "e1"}, nil)
		for seq := uint64(1); seq <= 200; seq++ {
			l.Append(event(seq, "a", seq == 5))
		}
		wantBrief(t, l.Thin(6, all, 1<<20).Frames, "200")
		wantBrief(t, l.Thin(5, all, 1<<20).Frames, "gap5-200:below_floor 200")
	})
	t.Run("what was before the log is a gap, for nobody knows it", func(t *testing.T) {
		t.Parallel()
		l := NewLog(id, Limits{}, thor.Version{Epoch: "e1", Seq: 9}, []thor.Event{event(4, "10:00", true), event(9, "10:01", false)})
		wantBrief(t, l.Thin(3, all, 1<<20).Frames, "gap3-9:below_floor 4 9")
		wantBrief(t, l.Thin(10, all, 1<<20).Frames, "")
	})
}
