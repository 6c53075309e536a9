package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"thor"
)

// Problem is an error as clients get it (RFC 9457). Its type is stable and
// names the code; docs/protocol.md lists them.
type Problem struct {
	Type   string          `json:"type" doc:"urn:thor:problem: and the code"`
	Title  string          `json:"title" doc:"the HTTP status in words"`
	Status int             `json:"status"`
	Detail string          `json:"detail" doc:"what was wrong"`
	Hint   string          `json:"hint,omitempty" doc:"what to do about it"`
	Errors []ProblemDetail `json:"errors,omitempty" doc:"the single faults, where there are several"`
}

// ProblemDetail is one of several faults.
type ProblemDetail struct {
	Message string `json:"message"`
	Path    string `json:"path,omitempty" doc:"where in the request"`
}

var _ huma.StatusError = (*Problem)(nil)

func (p *Problem) Error() string { return p.Detail }

// GetStatus implements [huma.StatusError].
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements [huma.ContentTypeFilter].
func (*Problem) ContentType(string) string { return "application/problem+json" }

// statuses is the one place where codes meet HTTP.
var statuses = map[thor.Code]int{
	thor.EINVALID:      http.StatusUnprocessableEntity,
	thor.EUNAUTHORIZED: http.StatusUnauthorized,
	thor.EFORBIDDEN:    http.StatusForbidden,
	thor.ENOTFOUND:     http.StatusNotFound,
	thor.ECONFLICT:     http.StatusConflict,
	thor.ESTALE:        http.StatusPreconditionFailed,
	thor.EPRECONDITION: http.StatusPreconditionRequired,
	thor.EGONE:         http.StatusGone,
	thor.ETOOLARGE:     http.StatusRequestEntityTooLarge,
	thor.ETOOMANY:      http.StatusTooManyRequests,
	thor.EMETHOD:       http.StatusMethodNotAllowed,
	thor.EUNAVAILABLE:  http.StatusServiceUnavailable,
	thor.EUPSTREAM:     http.StatusBadGateway,
	thor.EINTERNAL:     http.StatusInternalServerError,
}

// codeOf is the way back, for errors the libraries make. 400 is theirs for what
// is invalid to us.
func codeOf(status int) thor.Code {
	if status == http.StatusBadRequest {
		return thor.EINVALID
	}
	for code, s := range statuses {
		if s == status {
			return code
		}
	}
	if status < http.StatusInternalServerError {
		return thor.EINVALID
	}
	return thor.EINTERNAL
}

// newProblem makes the problem of an error of ours, or of a status and message
// of the library. What an internal error says stays in the log.
func newProblem(status int, message string, errs ...error) *Problem {
	for _, err := range errs {
		if p, ok := errors.AsType[*Problem](err); ok {
			return p
		}
		if e, ok := errors.AsType[*thor.Error](err); ok && e.Code != thor.EINTERNAL {
			status = statuses[e.Code]
			return &Problem{Type: problemType(e.Code), Title: http.StatusText(status), Status: status, Detail: e.Message, Hint: e.Hint}
		}
	}
	p := &Problem{Type: problemType(codeOf(status)), Title: http.StatusText(status), Status: status, Detail: message}
	if status >= http.StatusInternalServerError {
		p.Detail, p.Hint = "the server could not do it", "Its log says why."
		return p
	}
	for _, err := range errs {
		detail := ProblemDetail{Message: err.Error()}
		if d, ok := errors.AsType[*huma.ErrorDetail](err); ok {
			detail = ProblemDetail{Message: d.Message, Path: d.Location}
		}
		p.Errors = append(p.Errors, detail)
	}
	slices.SortFunc(p.Errors, func(a, b ProblemDetail) int {
		return slices.Compare([]string{a.Path, a.Message}, []string{b.Path, b.Message})
	})
	return p
}

func problemType(code thor.Code) string { return "urn:thor:problem:" + string(code) }

// WriteProblem answers with the problem of an error, outside of the operations.
func WriteProblem(w http.ResponseWriter, err error) {
	sendProblem(w, newProblem(http.StatusInternalServerError, "", err))
}

func sendProblem(w http.ResponseWriter, p *Problem) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client may have gone
}

// register adds an operation. What a handler returns as an error becomes a
// problem; what is a fault of the server is logged, for the client is not told.
func register[I, O any](a *API, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	if guarded(op.Path) {
		op.Errors = append(slices.Clone(op.Errors), http.StatusTooManyRequests)
		if !slices.Contains(op.Errors, http.StatusServiceUnavailable) { // a backend may be away that knows what the caller may see
			op.Errors = append(op.Errors, http.StatusServiceUnavailable)
		}
		op.Security = []map[string][]string{{}, {bearerScheme: {}}} // none is the local operator's
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err == nil {
			return out, nil
		}
		if thor.ErrorCode(err) == thor.EINTERNAL && !isProblem(err) && ctx.Err() == nil {
			a.Logger.ErrorContext(ctx, "request failed", slog.String("operation", op.OperationID), slog.Any("error", err))
		}
		return nil, err
	})
}

func isProblem(err error) bool {
	_, ok := errors.AsType[*Problem](err)
	return ok
}
