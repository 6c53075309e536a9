package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"

	"thor"
	"thor/internal/source"
)

// gather joins the errors of several questions of one kind. Those that say the
// same are one: eleven symbols of a backend that is away are one trouble.
func gather(errs []error) error {
	var all []error
	said := map[string]*source.Error{}
	more := map[*source.Error]int{}
	for _, err := range errs {
		if err == nil {
			continue
		}
		e, ok := errors.AsType[*source.Error](err)
		if !ok {
			all = append(all, err)
			continue
		}
		words := fmt.Sprint(e.Kind, e.Status, e.Err)
		if first := said[words]; first != nil {
			more[first]++
			continue
		}
		own := *e
		said[words] = &own
		all = append(all, &own)
	}
	for e, n := range more {
		e.Op += fmt.Sprintf(" and %d more", n)
	}
	if len(all) == 1 {
		return all[0]
	}
	return errors.Join(all...)
}

// fault makes the errors of one question: what was asked, what came, what to do.
type fault struct{ op, asked string }

func (f fault) fail(kind source.Kind, status int, format string, args ...any) *source.Error {
	return f.hint(kind, status, "", format, args...)
}

func (f fault) bad(format string, args ...any) *source.Error {
	return f.hint(source.BadData, 0, "thor upstream check shows what the backend answers, field by field.", format, args...)
}

func (f fault) hint(kind source.Kind, status int, hint, format string, args ...any) *source.Error {
	words := thor.Errorf(thor.EUNAVAILABLE, "%s: "+format, append([]any{f.asked}, args...)...)
	if hint != "" {
		words = words.WithHint("%s", hint)
	}
	return &source.Error{Kind: kind, Source: name, Op: f.op, Status: status, Err: words}
}

// broken is an answer that did not come, or not whole. A context that was
// cancelled is returned as it is.
func (f fault) broken(ctx context.Context, host string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if redirect, ok := errors.AsType[*errRedirect](err); ok {
		return f.hint(source.BadData, 0, "If the backend has moved, --upstream is its new address.", "%s", redirect.words)
	}
	var slow net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout():
		return f.fail(source.Transient, 0, "%s did not answer in time", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return f.hint(source.Transient, 0, "Is the backend running?", "nobody listens at %s", host)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return f.fail(source.Transient, 0, "only a part of the answer came")
	case errors.Is(err, io.EOF):
		return f.fail(source.Transient, 0, "%s hung up without an answer", host)
	}
	if inner := errors.Unwrap(err); inner != nil { // without the URL, which may name an account
		if _, ok := errors.AsType[*url.Error](err); ok {
			err = inner
		}
	}
	return f.fail(source.Transient, 0, "%s cannot be reached: %s", host, shorten(scrub(err.Error()), 200))
}
