package thor

import (
	"errors"
	"fmt"
	"strings"
)

// Code says what kind of error happened. Codes are part of the protocol: the
// HTTP problem types and the WebSocket error frames carry them. They are mapped
// to HTTP statuses in one place, internal/api.
type Code string

// The codes.
const (
	EINVALID      Code = "invalid"      // the request or value is wrong; repeating it does not help
	EUNAUTHORIZED Code = "unauthorized" // nobody is known to be asking
	EFORBIDDEN    Code = "forbidden"    // not for this caller, or it does not exist: the two look the same
	ENOTFOUND     Code = "not_found"    // no such thing
	ECONFLICT     Code = "conflict"     // the state does not allow it
	ESTALE        Code = "stale"        // somebody else changed it first
	EPRECONDITION Code = "precondition" // the request must say what it is based on
	EGONE         Code = "gone"         // it was here and has been retired
	ETOOLARGE     Code = "too_large"    // more bytes than are read
	ETOOMANY      Code = "too_many"     // a limit on rate or number
	EMETHOD       Code = "method"       // this path does not take this method
	EUNAVAILABLE  Code = "unavailable"  // a part is away; repeating it later may help
	EUPSTREAM     Code = "upstream"     // the user's own backend does not answer
	EINTERNAL     Code = "internal"     // a fault of the server; the details are in its log
)

// Error is an error of the domain: a code, a message fit for a person, and
// where it helps a hint on what to do and the place in the input that is wrong.
type Error struct {
	Code    Code
	Message string
	Hint    string // what to do about it, a whole sentence
	Path    string // JSON pointer or field name of the offending input
	Err     error  // the cause, for the log; it is never sent to a client
}

// Errorf returns an [Error] with a formatted message. A %w verb keeps its
// operand as the cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint returns a copy of e with a sentence on what to do.
func (e *Error) WithHint(format string, args ...any) *Error {
	withHint := *e
	withHint.Hint = fmt.Sprintf(format, args...)
	return &withHint
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	if strings.HasSuffix(e.Message, "?") {
		return e.Message + " " + e.Hint
	}
	return e.Message + ". " + e.Hint
}

func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the code of the first [Error] in err's chain, "" for nil
// and [EINTERNAL] for any other error.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return EINTERNAL
}
