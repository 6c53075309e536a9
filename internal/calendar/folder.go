package calendar

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"thor"
)

// Bounds of an override folder: what is beyond them is not a calendar.
const (
	maxFiles = 1000
	maxBytes = 1 << 20
)

// Folder is a directory of override files and the calendar they make. Make one
// with [OpenFolder], and call Look every few seconds; a folder without a name
// has the embedded files alone.
//
// What is on the disk is taken as a whole and only when two looks in a row have
// seen the same bytes, so that neither a file that is being written nor one that
// is away for a moment counts. When it cannot be read or used, the calendar that
// was in force stays, and State says what is wrong.
type Folder struct {
	dir   string
	state atomic.Pointer[State]

	// Of the goroutine that calls Look.
	seen   reading // by the last look
	judged reading // what State speaks of
}

// State is what a folder has come to. It is never changed.
type State struct {
	Calendar *Calendar // in force
	Files    []string  // it was made of, besides the embedded ones; names without the folder
	Since    time.Time // when it came into force
	Trouble  error     // why the folder as it is now is not in force, or nil
}

// reading is what was found in a folder.
type reading struct {
	files []file
	err   error
}

func (r reading) equal(other reading) bool {
	return fmt.Sprint(r.err) == fmt.Sprint(other.err) && slices.EqualFunc(r.files, other.files, func(a, b file) bool {
		return a.name == b.name && string(a.data) == string(b.data)
	})
}

// names returns the names of the files without their folder.
func (r reading) names() []string {
	names := make([]string, len(r.files))
	for i, f := range r.files {
		names[i] = filepath.Base(f.name)
	}
	return names
}

// OpenFolder reads a folder. Its error names file and line of everything that is
// wrong, and there is no folder then.
func OpenFolder(dir string, now time.Time) (*Folder, error) {
	f := &Folder{dir: dir}
	f.judged = f.read()
	f.seen = f.judged
	c, err := f.judged.calendar()
	if err != nil {
		return nil, err
	}
	f.state.Store(&State{Calendar: c, Files: f.judged.names(), Since: now})
	return f, nil
}

// Dir is the name of the folder, "" where there is none.
func (f *Folder) Dir() string { return f.dir }

// State returns the calendar in force and what is wrong, if anything.
func (f *Folder) State() *State { return f.state.Load() }

// Look reads the folder again and reports whether State has changed. It must not
// be called twice at a time.
func (f *Folder) Look(now time.Time) bool {
	if f.dir == "" {
		return false
	}
	last := f.seen
	f.seen = f.read()
	if !f.seen.equal(last) || f.seen.equal(f.judged) {
		return false
	}
	f.judged = f.seen
	next := *f.state.Load()
	c, err := f.judged.calendar()
	if next.Trouble = err; err == nil {
		next.Calendar, next.Files, next.Since = c, f.judged.names(), now
	}
	f.state.Store(&next)
	return true
}

// calendar makes the calendar of what was read.
func (r reading) calendar() (*Calendar, error) {
	if r.err != nil {
		return nil, r.err
	}
	return newCalendar(r.files)
}

// read reads every *.json file of the folder that is not hidden.
func (f *Folder) read() reading {
	if f.dir == "" {
		return reading{}
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return reading{err: thor.Errorf(thor.EINVALID, "the folder of calendars cannot be read: %w", err).
			WithHint("Bring it back, or remove the setting calendars.")}
	}
	var r reading
	var errs []error
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasSuffix(name, ".json") || strings.HasPrefix(name, ".") {
			continue
		}
		if len(r.files) == maxFiles {
			errs = append(errs, thor.Errorf(thor.EINVALID, "%s has more than %d files", f.dir, maxFiles).
				WithHint("Name the folder of the calendars alone."))
			break
		}
		path := filepath.Join(f.dir, entry.Name())
		data, err := readFile(path)
		if err != nil {
			errs = append(errs, thor.Errorf(thor.EINVALID, "the calendar file %s cannot be read: %w", path, err).
				WithHint("Repair it, or move it out of the folder."))
		}
		r.files = append(r.files, file{name: path, data: data})
	}
	r.err = errors.Join(errs...)
	return r
}

// readFile reads a file that is not too large, and nothing that is no file: a
// pipe would never end.
func readFile(path string) (data []byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a file")
	}
	in, err := os.Open(path) //nolint:gosec // the operator names the folder
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	data, err = io.ReadAll(io.LimitReader(in, maxBytes+1))
	if len(data) > maxBytes {
		return nil, fmt.Errorf("it has more than %d bytes", maxBytes)
	}
	return data, err
}
