// Package frontdoor stands before the user's own backend: what this server does
// not serve itself goes there and comes back as it was, with streams, uploads,
// cookies and the backend's own WebSockets. Paths of the backend that belong to
// a feature are counted and carry what the feature's stage asks for, and once
// the feature is complete they are gone.
//
// It knows no stage itself: what a path is to carry, and whether it is gone,
// others decide. Nor does it look at who asks: the backend does.
package frontdoor

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"thor"
)

// Config is what a door is made of.
type Config struct {
	// Backend is where it leads. Only scheme and host count: a path goes on as
	// it came, so that links, redirects and cookies of the backend fit.
	Backend *url.URL
	Paths   []Path
	// Stage adds what an answer of a feature carries. An error is the answer
	// instead: the feature's REST is gone.
	Stage func(r *http.Request, feature string, header http.Header) error
	// Served sees every request for a feature's path; nil is nobody.
	Served func(r *http.Request, feature string)
	// Refuse returns why a request may not pass; nil lets everybody in.
	Refuse func(r *http.Request) error
	// Trusted reports whether a request comes from a proxy whose word counts on
	// whom it speaks for; nil trusts nobody.
	Trusted func(r *http.Request) bool
	// Cookie is the name of this server's own cookie, which is nothing to the
	// backend; "" is none.
	Cookie string
	// Problem answers with an error.
	Problem func(w http.ResponseWriter, err error)
	// Ended sees how each request ended; nil is nobody.
	Ended  func(Outcome)
	Logger *slog.Logger // nil discards
}

// Outcome is how a request ended.
type Outcome string

// The outcomes.
const (
	Answered Outcome = "answered" // by the backend, with whatever status
	Failed   Outcome = "failed"   // the backend did not answer
	Gone     Outcome = "gone"     // the feature's REST has been retired
	Refused  Outcome = "refused"  // it may not pass
	Left     Outcome = "left"     // whoever asked went away before there was an answer
)

// Outcomes lists every outcome.
func Outcomes() []Outcome { return []Outcome{Answered, Failed, Gone, Refused, Left} }

// Door is the handler. Make one with [New], and Close it in the end.
type Door struct {
	Config
	id        string // of this door, by which it knows its own requests
	patterns  []pattern
	proxy     *httputil.ReverseProxy
	transport *http.Transport
	away      atomic.Bool // the backend did not answer lately: it is said once

	mu     sync.Mutex // guards what follows
	closed bool
	open   map[*visit]struct{}
	visits sync.WaitGroup
}

// Times of the door. There is none for a whole answer: a stream has no end.
const (
	dialTimeout = 5 * time.Second
	// headerTimeout is long because a backend's report may take its time; whoever
	// has no patience goes away before.
	headerTimeout = 10 * time.Minute
	// continueTimeout is how long a client that asks first whether it may upload
	// waits for the backend's word.
	continueTimeout = time.Second
	// idleTimeout is less than that of the usual backends (node 5 s, uvicorn 5 s):
	// on a connection the backend closes just then a request would be lost.
	idleTimeout = 4 * time.Second
)

// New returns a door. It asks the backend nothing until somebody comes.
func New(c Config) *Door {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Door{Config: c, id: rand.Text(), patterns: compile(c.Paths), open: map[*visit]struct{}{}}
	d.transport = &http.Transport{
		Proxy:                 http.ProxyFromEnvironment, // as what reads the backend
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: headerTimeout,
		ExpectContinueTimeout: continueTimeout,
		IdleConnTimeout:       idleTimeout,
		MaxIdleConnsPerHost:   64,
		DisableCompression:    true, // bytes stay what the backend made of them
	}
	d.proxy = &httputil.ReverseProxy{
		Rewrite:        d.rewrite,
		ModifyResponse: d.answered,
		ErrorHandler:   d.failed,
		FlushInterval:  -1, // what the backend sends goes on at once
		ErrorLog:       slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
		Transport:      d.transport,
	}
	return d
}

// visit is one request on its way. It is in the context of what goes to the
// backend, whose request is another than the one that came.
type visit struct {
	r        *http.Request // as it came
	features []string
	answered bool        // the backend has
	torn     atomic.Bool // the request did not come whole
	end      func()      // ends it, whatever it waits for
}

type visitKey struct{}

// ServeHTTP implements [http.Handler].
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{r: r, features: d.FeaturesOf(r)}
	if err := d.admit(r); err != nil {
		d.ended(Refused)
		d.Problem(w, err)
		return
	}
	for _, feature := range v.features {
		if d.Served != nil {
			d.Served(r, feature)
		}
	}
	said := http.Header{}
	if err := d.stage(v, said); err != nil {
		d.ended(Gone)
		maps.Copy(w.Header(), said)
		d.Problem(w, err)
		return
	}
	ctx, leave := d.enter(w, v)
	defer leave()
	if ctx == nil {
		d.ended(Refused)
		d.Problem(w, thor.Errorf(thor.EUNAVAILABLE, "this server is stopping"))
		return
	}
	// A nil type is none: otherwise one would be guessed for an answer that has
	// none.
	w.Header()["Content-Type"] = nil
	r = r.WithContext(context.WithValue(ctx, visitKey{}, v)) //nolint:contextcheck // it is the request's own
	if r.Body == nil || r.Body == http.NoBody {
		d.proxy.ServeHTTP(w, r)
		return
	}
	body := &upload{ReadCloser: r.Body, visit: v}
	r.Body = body
	d.proxy.ServeHTTP(w, r)
	if ctx.Err() == nil {
		body.linger(w)
	}
}

// passedHeader names the doors a request has passed.
const passedHeader = "Thor-Front-Door"

// admit says why a request may not pass.
func (d *Door) admit(r *http.Request) error {
	switch {
	case slices.Contains(r.Header.Values(passedHeader), d.id): // or it would go round until nothing is left
		return thor.Errorf(thor.EUPSTREAM, "the backend at %s leads back to this server", d.Backend.Host).
			WithHint("--upstream must be the address of the backend itself.")
	case r.Method == http.MethodConnect:
		return thor.Errorf(thor.EMETHOD, "this server opens no tunnels")
	case strings.ContainsFunc(r.Header.Get("Upgrade"), func(c rune) bool { return c < ' ' || c > '~' }):
		return thor.Errorf(thor.EINVALID, "Upgrade names no protocol")
	}
	if d.Refuse == nil {
		return nil
	}
	return d.Refuse(r)
}

// stage adds what the features of a path ask for. A path of several carries what
// the first one asks for that is not gone, and is gone when all are.
func (d *Door) stage(v *visit, header http.Header) (gone error) {
	var first http.Header
	for _, feature := range v.features {
		said := http.Header{}
		err := d.Stage(v.r, feature, said)
		if err == nil {
			maps.Copy(header, said)
			return nil
		}
		if gone == nil {
			gone, first = err, said
		}
	}
	maps.Copy(header, first)
	return gone
}

// enter notes a request that is on its way, and frees it from the server's
// times, which are for short requests. The context is nil once the door is
// closed; leave must be called in any case.
func (d *Door) enter(w http.ResponseWriter, v *visit) (ctx context.Context, leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(v.r.Context())
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})  // where it cannot be set
	_ = control.SetWriteDeadline(time.Time{}) // there is none
	_ = control.EnableFullDuplex()            // HTTP/2 always is
	v.end = func() {
		cancel()
		past := time.Unix(1, 0)
		_ = control.SetReadDeadline(past)  // a client that says nothing,
		_ = control.SetWriteDeadline(past) // or does not listen, is not waited for
	}
	d.open[v] = struct{}{}
	d.visits.Add(1)
	return ctx, func() {
		cancel()
		d.mu.Lock()
		delete(d.open, v)
		d.mu.Unlock()
		d.visits.Done()
	}
}

// Close ends what is still open, WebSockets too, and waits until it has ended.
// What comes after that is refused. It may be called twice.
func (d *Door) Close() {
	d.mu.Lock()
	d.closed = true
	open := slices.Collect(maps.Keys(d.open))
	d.mu.Unlock()
	for _, v := range open {
		v.end()
	}
	d.visits.Wait()
	d.transport.CloseIdleConnections()
}

func (d *Door) ended(o Outcome) {
	if d.Ended != nil {
		d.Ended(o)
	}
}
