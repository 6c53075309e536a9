package calendar_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/calendar"
)

// overrides is an override folder on the disk and what is made of it.
type overrides struct {
	*testing.T
	dir    string
	folder *calendar.Folder
	now    time.Time
}

func openOverrides(t *testing.T, files map[string]string) *overrides {
	t.Helper()
	o := &overrides{T: t, dir: t.TempDir(), now: utc("2026-11-24 12:00")}
	for name, text := range files {
		o.write(name, text)
	}
	var err error
	if o.folder, err = calendar.OpenFolder(o.dir, o.now); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *overrides) write(name, text string) {
	o.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
		o.Fatal(err)
	}
}

func (o *overrides) remove(name string) {
	o.Helper()
	if err := os.Remove(filepath.Join(o.dir, name)); err != nil {
		o.Fatal(err)
	}
}

// look looks once, a second later.
func (o *overrides) look() bool {
	o.now = o.now.Add(time.Second)
	return o.folder.Look(o.now)
}

// settle looks as often as it takes to see a change, twice, and reports whether
// there was news.
func (o *overrides) settle() bool {
	first := o.look()
	return o.look() || first
}

// closed reports whether New York is closed on 2026-12-01.
func (o *overrides) closed() bool {
	o.Helper()
	return status(o.T, o.folder.State().Calendar, "XNYS", utc("2026-12-01 16:00")).Status == thor.MarketHoliday
}

func (o *overrides) trouble() string {
	if err := o.folder.State().Trouble; err != nil {
		return strings.ReplaceAll(err.Error(), o.dir+string(filepath.Separator), "")
	}
	return ""
}

const closure = `{"amends": "XNYS", "closed": {"2026-12-01": "Closed"}}`

func TestAFolderIsReadAgain(t *testing.T) {
	t.Parallel()
	o := openOverrides(t, map[string]string{"notes.txt": "not a calendar", ".hidden.json": "nor this"})
	if o.settle() || o.closed() {
		t.Fatal("an empty folder closes")
	}
	o.write("closure.json", closure)
	if o.look() || o.closed() {
		t.Error("a change counts before it is seen twice")
	}
	if !o.look() || !o.closed() || o.trouble() != "" {
		t.Errorf("the closure is not in force: %s", o.trouble())
	}
	want := &calendar.State{Files: []string{"closure.json"}, Since: o.now}
	got := *o.folder.State()
	got.Calendar = nil
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	inForce := o.folder.State()
	o.write("closure.json", closure) // the same bytes at another time
	if o.settle() || o.folder.State() != inForce {
		t.Error("a file that was touched is news")
	}
	o.remove("closure.json")
	if !o.settle() || o.closed() || len(o.folder.State().Files) != 0 {
		t.Error("a closure that was taken back is in force")
	}
}

func TestTheCalendarInForceStaysWhenTheFolderIsInTrouble(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		harm, repair func(o *overrides)
		want         string
	}{
		"a file with a mistake": {
			func(o *overrides) {
				o.write("closure.json", strings.Replace(closure, "12-01", "12-32", 1))
			}, func(o *overrides) { o.write("closure.json", closure) },
			`closure.json:1: closed/2026-12-32: "2026-12-32" is not a date. Write it as 2026-12-25.`,
		},
		"a second file that contradicts": {
			func(o *overrides) {
				o.write("halt.json", "{\"amends\": \"XNYS\",\n\"early\": {\"2026-12-01\": {\"close\": \"13:10\", \"name\": \"Halt\"}}}")
			},
			func(o *overrides) { o.remove("halt.json") },
			"halt.json:2: early/2026-12-01: 2026-12-01 is amended on line 1 of closure.json already. Keep one of the two.",
		},
		"a file half written": {
			func(o *overrides) { o.write("closure.json", closure[:30]) }, func(o *overrides) { o.write("closure.json", closure) },
			"closure.json:1: closed: the file ends too early. A bracket or a quotation mark is not closed.",
		},
		"a file not yet written": {
			func(o *overrides) { o.write("closure.json", "") }, func(o *overrides) { o.write("closure.json", closure) },
			"closure.json:1: the file ends too early. A bracket or a quotation mark is not closed.",
		},
		"a file too large": {
			func(o *overrides) { o.write("closure.json", closure+strings.Repeat(" ", 1<<20)) }, func(o *overrides) { o.write("closure.json", closure) },
			"the calendar file closure.json cannot be read: it has more than 1048576 bytes. Repair it, or move it out of the folder.",
		},
		"a folder in the place of a file": {
			func(o *overrides) {
				o.remove("closure.json")
				if err := os.Mkdir(filepath.Join(o.dir, "closure.json"), 0o700); err != nil {
					o.Fatal(err)
				}
			},
			func(o *overrides) { o.remove("closure.json"); o.write("closure.json", closure) },
			"the calendar file closure.json cannot be read: it is not a file. Repair it, or move it out of the folder.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := openOverrides(t, map[string]string{"closure.json": closure})
			since := o.folder.State().Since
			test.harm(o)
			if !o.settle() || o.trouble() != test.want {
				t.Errorf("trouble\ngot  %s\nwant %s", o.trouble(), test.want)
			}
			if o.settle() {
				t.Error("the same trouble is news again")
			}
			if !o.closed() || o.folder.State().Since != since {
				t.Error("the calendar in force did not stay")
			}
			test.repair(o)
			if !o.settle() || o.trouble() != "" || !o.closed() {
				t.Errorf("it was repaired, and the trouble is %q", o.trouble())
			}
		})
	}
}

func TestAFolderThatVanishes(t *testing.T) {
	t.Parallel()
	o := openOverrides(t, map[string]string{"closure.json": closure})
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(o.dir, away); err != nil {
		t.Fatal(err)
	}
	if !o.settle() || !o.closed() || !strings.Contains(o.trouble(), "the folder of calendars cannot be read") {
		t.Errorf("closed %v, trouble %q", o.closed(), o.trouble())
	}
	if err := os.Rename(away, o.dir); err != nil {
		t.Fatal(err)
	}
	if !o.settle() || !o.closed() || o.trouble() != "" {
		t.Errorf("it is back, and the trouble is %q", o.trouble())
	}
}

// TestAFileThatIsAwayForAMoment replaces a file as careless editors do.
func TestAFileThatIsAwayForAMoment(t *testing.T) {
	t.Parallel()
	o := openOverrides(t, map[string]string{"closure.json": closure})
	o.remove("closure.json")
	if o.look() || !o.closed() {
		t.Error("the closure is lifted while the file is away for a moment")
	}
	o.write("closure.json", closure)
	if o.settle() || !o.closed() || o.trouble() != "" {
		t.Errorf("closed %v, trouble %q", o.closed(), o.trouble())
	}
}

func TestAFolderThatCannotBeUsedIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.json"), []byte("{\n\"amends\": \"XXXX\", \"closed\": {\"2026-12-01\": \"x\"}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := calendar.OpenFolder(dir, time.Time{})
	if want := filepath.Join(dir, "a.json") + ":2: amends: there is no exchange XXXX"; thor.ErrorCode(err) != thor.EINVALID || !strings.HasPrefix(fmt.Sprint(err), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := calendar.OpenFolder(filepath.Join(dir, "none"), time.Time{}); thor.ErrorCode(err) != thor.EINVALID {
		t.Errorf("a folder that does not exist: %v", err)
	}
	if runtime.GOOS != "windows" {
		if err := os.Symlink("nowhere", filepath.Join(dir, "a-link.json")); err != nil {
			t.Fatal(err)
		}
		if _, err := calendar.OpenFolder(dir, time.Time{}); !strings.Contains(fmt.Sprint(err), "a-link.json cannot be read") {
			t.Errorf("a link to nowhere: %v", err)
		}
	}
}

func TestNoFolder(t *testing.T) {
	t.Parallel()
	f, err := calendar.OpenFolder("", utc("2026-11-24 12:00"))
	if err != nil {
		t.Fatal(err)
	}
	if f.Look(utc("2026-11-24 12:01")) || f.Look(utc("2026-11-24 12:02")) || f.Dir() != "" {
		t.Error("there is news of no folder")
	}
	if diff := cmp.Diff(setup(t).Statuses(utc("2026-11-24 12:00")), f.State().Calendar.Statuses(utc("2026-11-24 12:00"))); diff != "" {
		t.Errorf("statuses (-embedded +got):\n%s", diff)
	}
}
