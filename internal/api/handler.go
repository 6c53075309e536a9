package api

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"thor"
	"thor/internal/auth"
)

// ServeHTTP serves a request: paths with and without a slash at the end, CORS
// for pages that may ask, a principal for what is behind /api, and a problem
// for what does not exist. What this server does not serve goes elsewhere,
// where there is somebody, before any of that.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.Elsewhere != nil && !a.Serves(r) {
		defer a.recover(w, r, "elsewhere") // the path is not ours to log
		a.Elsewhere.ServeHTTP(w, r)
		return
	}
	defer a.recover(w, r, r.URL.Path)
	r = trimSlash(r)
	if !a.cors(w, r) {
		return
	}
	handler, pattern := a.mux.Handler(r)
	if pattern == "" {
		a.refuse(w, r, handler)
		return
	}
	if guarded(r.URL.Path) {
		p, ok := a.enter(w, r)
		if !ok {
			return
		}
		c := caller{principal: p, browser: a.Door.Browser(r)}
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, c)) //nolint:contextcheck // it is the request's own
	}
	a.mux.ServeHTTP(w, r)
}

// recover keeps a fault of one request from the others.
func (a *API) recover(w http.ResponseWriter, r *http.Request, path string) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // a sentinel of net/http
		panic(p)
	}
	a.Logger.ErrorContext(r.Context(), "request failed",
		slog.String("path", path), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	WriteProblem(w, thor.Errorf(thor.EINTERNAL, "panic"))
}

// Serves reports whether this server serves a request: its path with its method,
// or, where a browser asks whether it may, with the method it asks for. A path
// with a method this server does not know is somebody else's.
func (a *API) Serves(r *http.Request) bool {
	asked := *trimSlash(r)
	if method := r.Header.Get("Access-Control-Request-Method"); r.Method == http.MethodOptions && method != "" {
		asked.Method = method
	}
	_, pattern := a.mux.Handler(&asked)
	return pattern != ""
}

// trimSlash takes the slash off the end of a path of ours. The WebSocket has its
// path both ways, and files have none.
func trimSlash(r *http.Request) *http.Request {
	path := strings.TrimRight(r.URL.Path, "/")
	ours := strings.HasPrefix(path, "/api/") || slices.Contains([]string{"/healthz", "/readyz", "/metrics"}, path)
	if !ours || path == r.URL.Path {
		return r
	}
	trimmed := r.Clone(r.Context())
	trimmed.URL.Path = path
	trimmed.URL.RawPath = ""
	return trimmed
}

// guarded reports whether a path is for principals only. The page and health
// are for everybody: they show no data.
func guarded(path string) bool {
	return strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/api/openapi") || path == "/metrics"
}

// refuse answers for a path or method nobody serves. The mux knows which it is.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	answer := refusal{header: http.Header{}}
	handler.ServeHTTP(&answer, r)
	if answer.status == http.StatusMethodNotAllowed {
		allow := answer.header.Get("Allow")
		w.Header().Set("Allow", allow)
		WriteProblem(w, thor.Errorf(thor.EMETHOD, "%s does not take %s", r.URL.Path, r.Method).WithHint("It takes %s.", allow))
		return
	}
	NotFound(w, r)
}

// NotFound answers that there is nothing at a path.
func NotFound(w http.ResponseWriter, r *http.Request) {
	WriteProblem(w, thor.Errorf(thor.ENOTFOUND, "there is nothing at %.200s", r.URL.Path).
		WithHint("/api/openapi.json lists the paths."))
}

// UpgradeRequired answers a request for the WebSocket that asks for none.
func UpgradeRequired(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "websocket")
	p := newProblem(http.StatusUpgradeRequired, r.URL.Path+" is the WebSocket")
	p.Hint = "Connect to it with ws://. /api/openapi.json lists the paths of REST."
	sendProblem(w, p)
}

// refusal takes the mux's own answer apart.
type refusal struct {
	header http.Header
	status int
}

func (r *refusal) Header() http.Header         { return r.header }
func (r *refusal) WriteHeader(status int)      { r.status = status }
func (r *refusal) Write(b []byte) (int, error) { return len(b), nil }

// exposed are the headers a page of another origin may read.
const exposed = "ETag, Age, Cutover, Deprecation, Link, Retry-After, Sunset"

// cors lets pages of allowed origins ask. It is false when the request has been
// answered.
func (a *API) cors(w http.ResponseWriter, r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || !guarded(r.URL.Path) {
		return true
	}
	w.Header().Add("Vary", "Origin")
	if !a.Door.AllowsOrigin(r) {
		a.refused(RefusedOrigin)
		WriteProblem(w, thor.Errorf(thor.EFORBIDDEN, "pages of %.200s may not ask this server", origin).
			WithHint("Allow them with --allow-origin."))
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", exposed)
	if r.Method != http.MethodOptions {
		return true
	}
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Thor-Client")
	w.Header().Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return false
}

type callerKey struct{}

// caller is who sent a request behind /api.
type caller struct {
	principal auth.Principal
	browser   string // the name its cookie gives it, or ""
}

func callerOf(ctx context.Context) caller {
	c, ok := ctx.Value(callerKey{}).(caller)
	if !ok {
		panic(fmt.Sprintf("api: no caller in %v", ctx)) // ServeHTTP puts one there
	}
	return c
}

// principalOf is who sent a request behind /api.
func principalOf(ctx context.Context) auth.Principal { return callerOf(ctx).principal }

// identityOf is who the caller is for canary: the name it gives itself, that of
// its cookie, the token's sub, or "".
func identityOf(ctx context.Context, client string) string {
	c := callerOf(ctx)
	return cmp.Or(client, c.browser, c.principal.Identity())
}

// requireOperator lets only those pass who may move stages.
func requireOperator(ctx context.Context) (auth.Principal, error) {
	p := principalOf(ctx)
	if !p.May(auth.Operator) {
		return p, thor.Errorf(thor.EFORBIDDEN, "this needs the role operator").WithHint("Ask for a token with that role.")
	}
	return p, nil
}
