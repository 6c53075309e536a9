package thor

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

var idPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// ValidID reports whether id may be part of a stream's name: 1 to 64 letters,
// digits, dots, underscores and hyphens.
func ValidID(id string) bool { return idPattern.MatchString(id) }

// faults collects what is wrong with a payload, so that one answer names all
// of it.
type faults []error

func (f *faults) add(path, format string, args ...any) {
	*f = append(*f, &Error{Code: EINVALID, Message: path + ": " + fmt.Sprintf(format, args...), Path: path})
}

func (f *faults) id(path, id string) {
	if !ValidID(id) {
		f.add(path, "%q is not an id: 1 to 64 of A-Z a-z 0-9 . _ -", id)
	}
}

func (f *faults) text(path, s string) {
	if s == "" || len(s) > 200 {
		f.add(path, "must be 1 to 200 characters long")
	}
}

func (f *faults) instant(path string, t time.Time) {
	if t.IsZero() {
		f.add(path, "the time is missing")
	}
}

func (f *faults) currency(path, code string) {
	if len(code) != 3 {
		f.add(path, "%q is not an ISO 4217 currency", code)
	}
}

func (f *faults) known(path string, d Decimal) {
	if !d.Known() {
		f.add(path, "must be a number")
	}
}

func (f *faults) err() error { return errors.Join(*f...) }
