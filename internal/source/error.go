package source

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what a failure of a source means for whoever asked.
type Kind string

// The kinds.
const (
	Transient    Kind = "transient"     // time-out, broken connection, 5xx: try again, backing off
	RateLimited  Kind = "rate_limited"  // asked too often: not before RetryAt
	AuthExpired  Kind = "auth_expired"  // the token must be refreshed, then once more
	AuthRequired Kind = "auth_required" // a person must log in; stop asking
	Forbidden    Kind = "forbidden"     // this account may not have it
	NotSupported Kind = "not_supported" // the source does not know it
	BadData      Kind = "bad_data"      // the answer cannot be what the source meant
	Conflict     Kind = "conflict"      // somebody else uses the same login
	EndOfData    Kind = "end_of_data"   // a recording is over
)

// Error is a failure of a source.
type Error struct {
	Kind    Kind
	Source  string    // name of the source
	Op      string    // what was tried, for everybody to read: "positions of ••••-1"
	Status  int       // HTTP status, where there was one
	RetryAt time.Time // for RateLimited: not before
	Err     error
}

func (e *Error) Error() string {
	msg := fmt.Sprintf("%s: %s: %s", e.Source, e.Op, e.Kind)
	if e.Status != 0 {
		msg += fmt.Sprintf(" (status %d)", e.Status)
	}
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

func (e *Error) Unwrap() error { return e.Err }

// NotBefore is the earliest time at which asking again makes sense; the zero
// time when the source did not say.
func (e *Error) NotBefore() time.Time { return e.RetryAt }

// Partial is an answer that is good in part: what could not be read is in Err,
// and the rest came with it.
type Partial struct{ Err error }

func (p *Partial) Error() string { return p.Err.Error() }

func (p *Partial) Unwrap() error { return p.Err }

// Partial says to whoever asks in beats to go on in beats: the part that failed
// must not make the rest old.
func (*Partial) Partial() bool { return true }

// KindOf returns the kind of the first [Error] in err's chain, "" for nil, and
// Transient for any other error.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Transient
}
