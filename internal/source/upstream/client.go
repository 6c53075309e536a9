package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"thor"
	"thor/internal/source"
)

// Bounds of what is read.
const (
	maxBody      = 4 << 20 // of one answer, unpacked
	maxPages     = 20      // of one list
	maxRedirects = 3
	maxTags      = 256       // of answers that are remembered
	maxTagged    = 256 << 10 // of one of them
	maxWait      = time.Hour // however long a backend wants to be left alone
	timeout      = 4 * time.Second
	// pause is how long nothing is asked after a 429 that does not say, and after
	// a sign-in that was refused.
	pause       = 5 * time.Second
	refusedWait = time.Minute
)

// client asks a backend. It is the only one who speaks HTTP.
type client struct {
	base    *url.URL
	http    *http.Client
	headers map[string]string // of every request of ours
	asked   map[string]string // of those of somebody else
	agent   string
	auth    *signIn
	veil    veil

	mu        sync.Mutex // guards what follows
	tags      map[string]tagged
	kept      map[*Endpoint]int // which of an endpoint's paths is there
	notBefore time.Time         // after a 429
	ahead     time.Duration
	said      bool // that ahead is known
	simulated bool
}

// tagged is an answer that has an ETag.
type tagged struct {
	etag string
	body any
}

func newClient(c Config) (*client, error) {
	base, err := ParseURL(c.URL)
	if err != nil {
		return nil, err
	}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		transport = &http.Transport{}
	}
	transport = transport.Clone()
	transport.MaxIdleConnsPerHost = 2 * atOnce
	u := &client{
		base: base, agent: cmp.Or(c.Agent, "thor"), tags: map[string]tagged{}, kept: map[*Endpoint]int{},
		http: &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
			return checkRedirect(base, r, via)
		}},
	}
	u.veil.keep(c.Password, c.Token)
	env := func(name string) (string, bool) { // what the environment holds for a header is a key
		if c.Env == nil {
			return "", false
		}
		v, ok := c.Env(name)
		u.veil.keep(v)
		return v, ok
	}
	if u.headers, err = resolve(c.Mapping.Headers, env); err != nil {
		return nil, err
	}
	if u.asked, err = resolve(c.Mapping.Tokens.Headers, env); err != nil {
		return nil, err
	}
	u.auth = &signIn{
		Auth: c.Mapping.Auth, client: u, turn: make(chan struct{}, 1),
		user: c.User, password: c.Password, fixed: c.Token, access: c.Token,
	}
	for _, e := range c.Mapping.endpoints() {
		if e.Headers, err = resolve(e.Headers, env); err != nil {
			return nil, err
		}
	}
	return u, nil
}

func (m *Mapping) endpoints() []*Endpoint {
	return []*Endpoint{&m.Who, &m.Accounts.Endpoint, &m.Balance, &m.Positions, &m.Bars, &m.Markets}
}

// ParseURL reads the address of a backend. What is sent there is a password, so
// beyond this machine it must be https.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, thor.Errorf(thor.EINVALID, "%q is not the address of a backend; write it like http://localhost:8001", text)
	}
	if u.User != nil {
		return nil, thor.Errorf(thor.EINVALID, "an address with a password in it ends up in logs").
			WithHint("Set THOR_UPSTREAM_USER and THOR_UPSTREAM_PASSWORD.")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, thor.Errorf(thor.EINVALID, "%q has more than an address in it; paths and queries belong in the mapping", text)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && !strings.EqualFold(u.Hostname(), "localhost") && (ip == nil || !ip.IsLoopback()) {
		return nil, thor.Errorf(thor.EINVALID, "%s would be sent the password and everybody's balances without encryption", u.Host).
			WithHint("Use https, or a tunnel that ends on this machine.")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

var variable = regexp.MustCompile(`\$([A-Z][A-Z0-9_]*)`)

// resolve puts the environment's values in the place of $NAMES.
func resolve(headers map[string]string, env func(string) (string, bool)) (map[string]string, error) {
	resolved := maps.Clone(headers)
	var missing []error
	for header, text := range headers {
		resolved[header] = variable.ReplaceAllStringFunc(text, func(name string) string {
			if v, ok := env(name[1:]); ok {
				return v
			}
			missing = append(missing, thor.Errorf(thor.EINVALID, "the header %s needs the variable %s, which is not set", header, name[1:]))
			return ""
		})
	}
	return resolved, errors.Join(missing...)
}

// errRedirect is a redirect that is not followed.
type errRedirect struct{ words string }

func (e *errRedirect) Error() string { return e.words }

// checkRedirect lets the backend send us to another of its paths, never to
// another host: the token is for nobody else.
func checkRedirect(base *url.URL, r *http.Request, via []*http.Request) error {
	switch {
	case r.URL.Host != base.Host || r.URL.Scheme != base.Scheme:
		return &errRedirect{fmt.Sprintf("it redirects to %s://%s, where the token must not go", r.URL.Scheme, shorten(scrub(r.URL.Host), 80))}
	case via[0].Method != http.MethodGet:
		return &errRedirect{fmt.Sprintf("it redirects to %s, and what was posted would get lost; write the path like that", shorten(scrub(r.URL.Path), 120))}
	case len(via) > maxRedirects:
		return &errRedirect{fmt.Sprintf("it redirects more than %d times", maxRedirects)}
	}
	return nil
}

// question is one thing that is asked.
type question struct {
	op       string // for people, of everybody: an account in it is masked
	endpoint *Endpoint
	vars     map[string]string
	as       string // the token of somebody else, who asks through us; "" is our own sign-in
}

// fault makes the errors of the question.
func (q question) fault() fault { return fault{op: q.op, asked: "GET " + q.endpoint.Path[0]} }

// ask asks one of the endpoint's paths, the first that is there, and returns
// the body.
func (c *client) ask(ctx context.Context, q question) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(time.Duration(q.endpoint.Timeout), timeout))
	defer cancel()
	body, _, err := c.askPath(ctx, q)
	return body, err
}

// askPath returns the place of the path that answered as well.
//
// Whoever asks through us gets an answer of their own: nothing of it is kept, and
// nothing that is kept is theirs.
func (c *client) askPath(ctx context.Context, q question) (any, string, error) {
	paths := q.endpoint.Path
	c.mu.Lock()
	kept, known := c.kept[q.endpoint]
	c.mu.Unlock()
	order := []int{}
	if known {
		order = append(order, kept)
	}
	for i := range paths {
		if !known || i != kept {
			order = append(order, i)
		}
	}
	var firstErr error
	for _, i := range order {
		target := c.base.String() + expand(paths[i], q.vars)
		body, err := c.get(ctx, q, paths[i], target)
		if err == nil {
			if q.as == "" {
				c.mu.Lock()
				c.kept[q.endpoint] = i
				c.mu.Unlock()
			}
			return body, paths[i], nil
		}
		if firstErr == nil {
			firstErr = err
		}
		if e, ok := errors.AsType[*source.Error](err); !ok || e.Status != http.StatusNotFound {
			return nil, paths[i], err
		}
	}
	return nil, paths[order[0]], firstErr
}

// keptPath is the path of an endpoint that answered last, or else its first.
func (c *client) keptPath(e *Endpoint) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return e.Path[c.kept[e]]
}

// expand puts values in the place of {names}.
func expand(template string, vars map[string]string) string {
	return placeholder.ReplaceAllStringFunc(template, func(name string) string {
		return url.QueryEscape(vars[name[1:len(name)-1]])
	})
}

// get asks for one URL, and once more with a new token if the old one was
// refused.
func (c *client) get(ctx context.Context, q question, path, target string) (any, error) {
	if q.as != "" {
		return c.getAs(ctx, q, path, target)
	}
	c.mu.Lock()
	notBefore := c.notBefore
	c.mu.Unlock()
	if now := time.Now(); notBefore.After(now) {
		return nil, &source.Error{
			Kind: source.RateLimited, Source: name, Op: q.op, RetryAt: notBefore,
			Err: fmt.Errorf("the backend wants to be left alone for another %v", notBefore.Sub(now).Round(time.Second)),
		}
	}
	token, err := c.auth.token(ctx, q.op)
	if err != nil {
		return nil, err
	}
	body, err := c.getOnce(ctx, q, path, target, token)
	if source.KindOf(err) != source.AuthExpired {
		return body, err
	}
	refused := err
	if err := c.auth.renew(ctx, q.op, token, refused); err != nil {
		return nil, err
	}
	if token, err = c.auth.token(ctx, q.op); err != nil {
		return nil, err
	}
	if body, err = c.getOnce(ctx, q, path, target, token); source.KindOf(err) == source.AuthExpired {
		return nil, c.auth.refuse(q.op, "a new token was refused as well", err)
	}
	return body, err
}

func (c *client) getOnce(ctx context.Context, q question, path, target, token string) (any, error) {
	f := fault{op: q.op, asked: "GET " + path}
	r, err := c.request(ctx, f, target, token, c.headers, q.endpoint.Headers)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	known, tag := c.tags[target]
	c.mu.Unlock()
	if tag {
		r.Header.Set("If-None-Match", known.etag)
	}
	got, err := c.send(r, f)
	if err != nil {
		return nil, err
	}
	if got.status == http.StatusNotModified && tag {
		return known.body, nil
	}
	if err := c.status(f, got); err != nil {
		c.obey(err)
		return nil, err
	}
	body, err := parse(f, got)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if etag := got.header.Get("ETag"); etag != "" && len(got.data) <= maxTagged {
		if len(c.tags) >= maxTags { // it has new URLs all the time
			clear(c.tags)
		}
		c.tags[target] = tagged{etag, body}
	} else {
		delete(c.tags, target)
	}
	return body, nil
}

// getAs asks with somebody else's token. What a backend says to that token, that
// it has asked too often too, does not concern our own reading; and our headers,
// which may be a sign-in, are not sent. A token that is refused is EUNAUTHORIZED.
func (c *client) getAs(ctx context.Context, q question, path, target string) (any, error) {
	f := fault{op: q.op, asked: "GET " + path}
	r, err := c.request(ctx, f, target, q.as, c.asked)
	if err != nil {
		return nil, err
	}
	got, err := c.send(r, f)
	if err != nil {
		return nil, err
	}
	if got.status == http.StatusUnauthorized || got.status == http.StatusForbidden {
		return nil, thor.Errorf(thor.EUNAUTHORIZED, "the backend does not take this token, %d%s", got.status, got.said())
	}
	if err := c.status(f, got); err != nil {
		return nil, err
	}
	return parse(f, got)
}

func (c *client) request(ctx context.Context, f fault, target, token string, headers ...map[string]string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, f.bad("that is not a URL: %v", err)
	}
	for _, of := range headers {
		for header, v := range of {
			r.Header.Set(header, v)
		}
	}
	if token != "" {
		r.Header.Set("Authorization", c.auth.scheme()+" "+token)
	}
	return r, nil
}

// obey leaves the backend alone when it wants to be.
func (c *client) obey(err error) {
	if e, ok := errors.AsType[*source.Error](err); ok && e.Kind == source.RateLimited {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.notBefore = e.RetryAt
	}
}

// send sends a request and reads the answer, however bad its status.
func (c *client) send(r *http.Request, f fault) (reply, error) {
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", c.agent)
	began := time.Now()
	response, err := c.http.Do(r)
	if err != nil {
		return reply{}, f.broken(r.Context(), c.base.Host, err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read
	c.note(response.Header, began.Add(time.Since(began)/2))
	data, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return reply{}, f.broken(r.Context(), c.base.Host, err)
	case len(data) > maxBody:
		return reply{}, f.bad("the answer is longer than %d MiB", maxBody>>20)
	}
	return reply{response.StatusCode, response.Header, data}, nil
}

// note remembers what the headers say of the backend.
func (c *client) note(h http.Header, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.simulated = c.simulated || strings.Contains(h.Get("Server"), "SIMULATED")
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		// The header has whole seconds; on the average half of one is cut off.
		c.ahead, c.said = date.Add(time.Second/2).Sub(at), true
	}
}

func (c *client) skew() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead, c.said
}

func (c *client) isSimulated() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.simulated
}
