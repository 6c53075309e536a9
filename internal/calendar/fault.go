package calendar

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"thor"
)

// place is where something stands in a data file.
type place struct {
	file string
	line int
	path string // names of members and indexes of items, with slashes between
}

func (p place) String() string {
	if p.path == "" {
		return fmt.Sprintf("%s:%d", p.file, p.line)
	}
	return fmt.Sprintf("%s:%d: %s", p.file, p.line, p.path)
}

// fault is one thing that is wrong in a data file.
type fault struct {
	line int
	err  *thor.Error
}

// newFault says what is wrong at a place and, as a whole sentence, what to do
// about it.
func newFault(at place, hint, format string, args ...any) *fault {
	err := thor.Errorf(thor.EINVALID, "%s: %w", at, fmt.Errorf(format, args...))
	err.Hint, err.Path = hint, at.path
	return &fault{line: at.line, err: err}
}

// faults collects what is wrong with a file, so that one answer names all of
// it.
type faults []*fault

func (f *faults) add(at place, hint, format string, args ...any) {
	*f = append(*f, newFault(at, hint, format, args...))
}

// err returns the faults in the order of their lines, or nil.
func (f faults) err() error {
	sorted := slices.SortedStableFunc(slices.Values(f), func(a, b *fault) int { return cmp.Compare(a.line, b.line) })
	errs := make([]error, len(sorted))
	for i, fault := range sorted {
		errs[i] = fault.err
	}
	return errors.Join(errs...)
}
