package replay

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"thor"
)

var lineOf = regexp.MustCompile(`\.thor: line (\d+): `)

// wantLine holds that an error names that line of the file.
func wantLine(t *testing.T, err error, want int, words string) {
	t.Helper()
	m := lineOf.FindStringSubmatch(fmt.Sprint(err))
	if m == nil || m[1] != strconv.Itoa(want) || !strings.Contains(err.Error(), words) || thor.ErrorCode(err) != thor.EINVALID {
		t.Errorf("got %v, want line %d and %q", err, want, words)
	}
}

func TestACutFileIsNamedByLine(t *testing.T) {
	t.Parallel()
	path := recordSome(t)
	whole, err := play(t, path, false)
	if err != nil {
		t.Fatal(err)
	}
	list := lines(t, path)
	if len(list) != 17 || len(whole) != 20 {
		t.Fatalf("%d lines, %d answers", len(list), len(whole))
	}
	t.Run("behind every line", func(t *testing.T) {
		t.Parallel()
		for n := range len(list) - 1 {
			for _, text := range []string{strings.Join(list[:n+1], ""), strings.Join(list[:n+1], "") + list[n+1][:10]} {
				cut := write(t, text)
				_, err := Open(cut, false)
				wantLine(t, err, n+2, "was cut")
				if want := fmt.Sprintf("Lines 1 to %d are good and reach to 2026-11-23T15:", n+1); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--replay-cut plays those") {
					t.Errorf("got %v, want %q", err, want)
				}
				said, err := play(t, cut, true)
				if err != nil || !slices.Equal(said, whole[:len(said)]) || len(said) < n {
					t.Errorf("cut behind line %d it says %d of %d answers, %v", n+1, len(said), len(whole), err)
				}
			}
		}
	})
	t.Run("at any byte of the compressed file", func(t *testing.T) {
		t.Parallel()
		zipped, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(zipped); n += 3 {
			_, err := read(bytes.NewReader(zipped[:n]), "day.thor", false)
			m := lineOf.FindStringSubmatch(fmt.Sprint(err))
			if m == nil || !errors.Is(err, errCut) {
				t.Fatalf("cut behind byte %d: %v", n, err)
			}
			line, err := strconv.Atoi(m[1])
			if err != nil || line < 1 || line > len(list)+1 {
				t.Errorf("cut behind byte %d: line %d of %d", n, line, len(list))
			}
			if line == 1 || n%61 > 0 {
				continue // there is nothing to play, or it would take too long
			}
			if said, err := play(t, write(t, string(zipped[:n])), true); err != nil || !slices.Equal(said, whole[:len(said)]) || len(said) < line-2 && line <= len(list) {
				t.Errorf("cut behind byte %d, in line %d, it says %d of %d answers, %v", n, line, len(said), len(whole), err)
			}
		}
	})
}

func TestAnEditedFileIsNamedByLine(t *testing.T) {
	t.Parallel()
	path := recordSome(t)
	list := lines(t, path)
	open := func(t *testing.T, list []string) error {
		t.Helper()
		for _, cutToo := range []bool{false, true} {
			rec, err := Open(write(t, strings.Join(list, "")), cutToo)
			if err == nil {
				closeIt(t, rec.file)
				return nil
			}
			if cutToo {
				return err
			}
		}
		return nil
	}
	t.Run("a byte of any line", func(t *testing.T) {
		t.Parallel()
		random := rand.New(rand.NewPCG(1, 2))
		for n, text := range list {
			for range 10 {
				edited := slices.Clone(list)
				b := []byte(text)
				i := random.IntN(len(b) - 1)
				if b[i]++; b[i] == '\n' {
					b[i]++
				}
				edited[n] = string(b)
				err := open(t, edited)
				m := lineOf.FindStringSubmatch(fmt.Sprint(err))
				if m == nil || m[1] != strconv.Itoa(n+1) {
					t.Errorf("byte %d of line %d: %v", i, n+1, err)
				}
			}
		}
	})
	t.Run("a value, with a hash that fits the line", func(t *testing.T) {
		t.Parallel()
		for n := 1; n < len(list)-1; n++ {
			edited := slices.Clone(list)
			body, _, _ := unseal([]byte(strings.TrimSuffix(list[n], "\n")))
			_, before, _ := unseal([]byte(strings.TrimSuffix(list[n-1], "\n")))
			sealed, _ := seal(before, append(bytes.Replace(body, []byte("USA"), []byte("UK"), 1), " }"...))
			edited[n] = string(sealed) + "\n"
			wantLine(t, open(t, edited), n+2, "it was edited")
		}
	})
	t.Run("lines that are gone, twice or moved", func(t *testing.T) {
		t.Parallel()
		for n := 1; n < len(list)-1; n++ {
			wantLine(t, open(t, slices.Delete(slices.Clone(list), n, n+1)), n+1, "lines are missing before it")
			wantLine(t, open(t, slices.Insert(slices.Clone(list), n, list[n])), n+2, "the line was repeated")
			swapped := slices.Clone(list)
			swapped[n], swapped[n+1] = swapped[n+1], swapped[n]
			wantLine(t, open(t, swapped), n+1, "or were moved")
		}
		wantLine(t, open(t, list[1:]), 1, "not the first line of a recording")
		wantLine(t, open(t, append(slices.Clone(list), list[0])), len(list)+1, "more behind the end")
		wantLine(t, open(t, append(slices.Clone(list[:3]), "\n")), 4, "does not end as a line of a recording")
	})
	t.Run("bytes of the compressed file", func(t *testing.T) {
		t.Parallel()
		zipped, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := play(t, path, false)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(zipped); n += 23 {
			flipped := bytes.Clone(zipped)
			flipped[n] ^= 0x10
			said, err := play(t, write(t, string(flipped)), false)
			if err == nil && !slices.Equal(said, whole) || err != nil && !lineOf.MatchString(err.Error()) {
				t.Errorf("byte %d: it says %d answers, %v", n, len(said), err)
			}
		}
		wantLine(t, func() error { _, err := Open(write(t, string(zipped)+"more"), false); return err }(), len(list)+1, "more behind the end")
	})
	t.Run("other files", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"hello", "{}\n", `{"format":"1"}` + "\n", `{"format":0}` + "\n", "[]\n"} {
			err := func() error { _, err := Open(write(t, text), false); return err }()
			wantLine(t, err, 1, "")
		}
		if _, err := Open(filepath.Join(t.TempDir(), "none"), false); thor.ErrorCode(err) != thor.EINVALID {
			t.Errorf("no file: %v", err)
		}
		if _, err := Open(t.TempDir(), false); err == nil {
			t.Error("a directory is a recording")
		}
	})
}

func TestANewerFormatIsRefused(t *testing.T) {
	t.Parallel()
	for _, cutToo := range []bool{false, true} {
		_, err := Open(write(t, `{"format":2,"whatever":true}`+"\n"), cutToo)
		wantLine(t, err, 1, "has format 2, and this thor reads up to 1. Upgrade thor")
	}
}

// TestFormatOne holds that a file of this format stays readable.
func TestFormatOne(t *testing.T) {
	t.Parallel()
	said, err := play(t, "testdata/format1.thor", false)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/format1.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(said, "\n") + "\n"; got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestARecordingTakesThePlaceOfNothing(t *testing.T) {
	t.Parallel()
	path := write(t, "mine")
	if _, err := Create(path, Describe(newDesk(), time.Second, "0")); thor.ErrorCode(err) != thor.EINVALID || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("got %v", err)
	}
	if Absent(path) == nil || Absent(path+"2") != nil {
		t.Error("it does not know what is in its way")
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
		t.Errorf("the file has become %q, %v", text, err)
	}
}

// disk is a file on a disk with little room.
type disk struct {
	bytes.Buffer
	room   int
	synced int // bytes
}

var errFull = errors.New("no space left on device")

func (d *disk) Write(p []byte) (int, error) {
	n := min(len(p), d.room-d.Len())
	d.Buffer.Write(p[:n])
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func (d *disk) Sync() error  { d.synced = d.Len(); return nil }
func (d *disk) Close() error { return nil }

// TestAFullDisk fills the disk at any point of a recording: the source goes on,
// the error says what is left, and that can be played.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	whole, err := play(t, recordSome(t), false)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		for room := 300; room < 4000; room += 411 {
			d, out := newDesk(), &disk{room: room}
			w, err := newWriter("day.thor", out, Describe(d, time.Second, "0"))
			if err != nil {
				continue // not even the first line
			}
			r := NewRecorder(d, w, nil)
			for range 100 {
				time.Sleep(time.Second)
				if err := askAll(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				d.clock.Advance(61 * time.Second)
			}
			select {
			case <-w.Failed():
			default:
				t.Fatalf("%d bytes were enough", room)
			}
			err = r.Close()
			if thor.ErrorCode(err) != thor.EUNAVAILABLE || !errors.Is(err, errFull) || !strings.Contains(err.Error(), "--replay-cut") {
				t.Errorf("got %v", err)
			}
			said, err := play(t, write(t, out.String()), true)
			if err != nil || len(said) == 0 && room > 1500 {
				t.Errorf("in %d bytes: %d answers of %d, %v", room, len(said), len(whole), err)
			}
		}
	})
}

// TestACrashLosesASecond holds that what was said is in the file soon, whether
// somebody closes it or not.
func TestACrashLosesASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, out := newDesk(), &disk{room: 1 << 20}
		w, err := newWriter("day.thor", out, Describe(d, time.Second, "0"))
		if err != nil {
			t.Fatal(err)
		}
		r := NewRecorder(d, w, nil)
		for i := range 40 {
			if err := askAll(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			said, err := play(t, write(t, out.String()), true)
			if err != nil || len(said) < 4*i {
				t.Errorf("after %d seconds a crash leaves %d answers, %v", i, len(said), err)
			}
			time.Sleep(1100 * time.Millisecond)
		}
		if out.synced == 0 {
			t.Error("it is not brought to the disk")
		}
		closeIt(t, r)
		if out.synced != out.Len() {
			t.Errorf("of %d bytes %d are on the disk", out.Len(), out.synced)
		}
		closeIt(t, r)
	})
}

// TestAClockThatGoesBack holds that a recording does not.
func TestAClockThatGoesBack(t *testing.T) {
	t.Parallel()
	d := newDesk()
	r, path := startRecording(t, d)
	for _, by := range []time.Duration{time.Minute, -time.Hour, time.Minute} {
		d.clock.Advance(by)
		if err := askAll(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	closeIt(t, r)
	if said, err := play(t, path, false); err != nil || len(said) != 12 {
		t.Errorf("%d answers, %v", len(said), err)
	}
}

func FuzzRead(f *testing.F) {
	path := recordSome(f)
	zipped, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	list := lines(f, path)
	f.Add(zipped)
	f.Add(zipped[:len(zipped)/2])
	f.Add([]byte(strings.Join(list, "")))
	f.Add([]byte(strings.Join(list[:4], "")))
	golden, err := os.ReadFile("testdata/format1.thor")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, text := range [][]byte{data, resealed(data)} {
			rec, err := read(bytes.NewReader(text), "x.thor", true)
			if err != nil {
				continue // it was refused, without a panic
			}
			if rec.To.Before(rec.From) {
				t.Errorf("it ends at %v and begins at %v", rec.To, rec.From)
			}
			again, err := newReader(bytes.NewReader(text))
			for err == nil {
				var record Record
				if record, err = again.next(); err == nil {
					_, _ = record.read() // what it says or why not
				}
			}
		}
	})
}

// resealed gives every line of a text the hash it should have, so that a fuzzer
// gets behind them.
func resealed(data []byte) []byte {
	if z, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
		var text bytes.Buffer
		_, _ = text.ReadFrom(io.LimitReader(z, 1<<20)) // as far as it goes
		data = text.Bytes()
	}
	var out bytes.Buffer
	before := ""
	for text := range bytes.Lines(data) {
		text = bytes.TrimSuffix(text, []byte("\n"))
		body, _, ok := unseal(text)
		if !ok {
			return nil
		}
		var sealed []byte
		sealed, before = seal(before, append(bytes.Clone(body), '}'))
		out.Write(append(sealed, '\n'))
	}
	return out.Bytes()
}
