package api

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"thor"
	"thor/internal/auth"
)

// Why a request was refused, for the count.
const (
	RefusedRate     = "rate"     // the caller asks too often
	RefusedFailures = "failures" // too many wrong tokens came from the address
	RefusedToken    = "token"    // no token, a wrong or an expired one, or one in the URL
	RefusedBackend  = "backend"  // the backend does not say which accounts are the caller's
	RefusedOrigin   = "origin"   // the page is of another site
)

// Refusals lists every reason.
func Refusals() []string {
	return []string{RefusedRate, RefusedFailures, RefusedToken, RefusedBackend, RefusedOrigin}
}

func (a *API) refused(reason string) {
	if a.Refused != nil {
		a.Refused(reason)
	}
}

// enter finds out who sent a request behind /api, and whether they ask too
// often. Whoever is known counts by name, at whatever address: many people may
// share one, and one may have many. It is false when the request has been
// answered.
func (a *API) enter(w http.ResponseWriter, r *http.Request) (auth.Principal, bool) {
	p, err := a.Door.Authenticate(r)
	switch {
	case err == nil && p.Local:
		return p, true
	case err == nil:
		wait, ok := a.Requests.Take(p.Subject)
		if ok {
			return p, true
		}
		a.refused(RefusedRate)
		err = auth.TooMany(wait, "you ask too often")
	case thor.ErrorCode(err) == thor.ETOOMANY:
		a.refused(RefusedFailures)
	case thor.ErrorCode(err) == thor.EUNAVAILABLE:
		a.refused(RefusedBackend)
	default:
		a.refused(RefusedToken)
	}
	if thor.ErrorCode(err) == thor.EUNAUTHORIZED {
		challenge := "Bearer"
		if r.Header.Get("Authorization") != "" && a.Door.TakesTokens() {
			challenge = `Bearer error="invalid_token"` // RFC 6750: another may do
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	if seconds := auth.RetryAfter(err); seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	WriteProblem(w, err)
	return p, false
}

// withRetry adds the header to an error that says how long to wait.
func withRetry(err error) error {
	if seconds := auth.RetryAfter(err); seconds > 0 {
		return huma.ErrorWithHeaders(err, http.Header{"Retry-After": {strconv.Itoa(seconds)}})
	}
	return err
}
