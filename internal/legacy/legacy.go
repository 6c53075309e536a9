// Package legacy is a double of the backend people have before thor: the same
// REST paths, shapes and sign-in, and on request its faults, over the data of
// any source. Demonstrations and tests put it where the real one would be.
//
// It serves what the four features read and nothing else: no orders, no quotes,
// nothing is ever written. With the simulator for a source its bodies are a
// function of the seed and the time.
package legacy

import (
	"context"
	"net/http"
	"strings"
	"time"

	"thor"
	"thor/internal/source"
)

// Era is one of the states the backend was in.
type Era string

// The eras.
const (
	// EraSeed: the list of markets is paged, the state of a market is nested in it.
	EraSeed Era = "S"
	// EraHome: markets are a bare array, the session path has a slash.
	EraHome Era = "H"
	// EraDev: accounts are wrapped, positions are split in live and paper.
	EraDev Era = "D"
)

// Eras lists the eras, oldest first.
func Eras() []Era { return []Era{EraSeed, EraHome, EraDev} }

// Who thor signs in as: somebody who sees all accounts.
const (
	DefaultUser     = "trader@example.com"
	DefaultPassword = "simulated"
)

// SigningKey signs the tokens, with HS256. Whoever signs in here sees made-up
// data, so it is no secret.
const SigningKey = "SIMULATED-signing-key-of-the-double"

// User may sign in.
type User struct {
	ID              int
	Email, Password string
	Staff           bool // sees all accounts; those who are not share them, dealt in turn
}

// Users may sign in.
func Users() []User {
	return []User{
		{ID: 1, Email: DefaultUser, Password: DefaultPassword, Staff: true},
		{ID: 2, Email: "ada@example.com", Password: DefaultPassword},
		{ID: 3, Email: "bob@example.com", Password: DefaultPassword},
	}
}

// Config is what a backend is made of.
type Config struct {
	// Source must deliver accounts and bars, and must not be closed before the
	// last request is answered.
	Source source.Source
	// Markets are the states of markets as they are, for a backend without
	// [BugHours]; nil is unknown.
	Markets source.MarketSource
	Era     Era // "" is EraSeed
	// Bugs are the faults it has; nil is none. [AllBugs] are the original's.
	Bugs map[Bug]bool
	// PageSize is how many markets are on a page; 0 is 20.
	PageSize int
	// Tokens is the clock tokens go by, which others look at by their own; nil is
	// the source's.
	Tokens source.Clock
}

// Backend is the double. It is an [http.Handler].
type Backend struct {
	Config

	accounts source.AccountSource
	bars     latestBars
	routes   map[string]route
}

var _ http.Handler = (*Backend)(nil)

// route is what is behind a path.
type route struct {
	method  string
	private bool // it needs a token
	answer  func(r *http.Request) answer
}

const defaultPage = 20

// New makes a backend.
func New(c Config) (*Backend, error) {
	if c.Era == "" {
		c.Era = EraSeed
	}
	if c.PageSize == 0 {
		c.PageSize = defaultPage
	}
	can := source.AbilitiesOf(c.Source)
	if can.Accounts == nil || can.Bars == nil {
		return nil, thor.Errorf(thor.EINVALID, "the source %s has no accounts or no bars", c.Source.Name())
	}
	if c.Tokens == nil {
		c.Tokens = c.Source.Clock()
	}
	b := &Backend{Config: c, accounts: can.Accounts}
	b.bars.source = can.Bars
	b.routes = b.paths()
	return b, nil
}

// paths are the paths of the era, as it wrote them: some with a slash at the
// end, some without.
func (b *Backend) paths() map[string]route {
	get := func(f func(r *http.Request) answer) route { return route{method: http.MethodGet, answer: f} }
	private := func(f func(r *http.Request) answer) route {
		return route{method: http.MethodGet, private: true, answer: f}
	}
	post := func(f func(r *http.Request) answer) route { return route{method: http.MethodPost, answer: f} }
	routes := map[string]route{
		"/api/users/login/":               post(b.login),
		"/api/users/token/refresh/":       post(b.refresh),
		"/api/users/profile/":             private(b.profile),
		"/api/accounts/balance/":          private(b.balance),
		"/api/actandpos/accounts/balance": private(b.balance),
		"/api/actandpos/account":          private(b.account),
		"/api/actandpos/accounts":         private(b.allAccounts),
		"/api/intraday/health":            get(b.barHealth),
	}
	switch b.Era {
	case EraSeed:
		routes["/api/session"] = get(b.session)
		for _, path := range []string{"/api/global-markets/markets/", "/api/worldclock/", "/api/world-markets/"} {
			routes[path] = get(b.pagedMarkets)
		}
	case EraHome, EraDev:
		routes["/api/session/"] = get(b.session)
		routes["/api/global-markets/"] = get(b.allMarkets)
		routes["/api/global-markets/markets/"] = get(b.allMarkets)
	}
	switch b.Era {
	case EraSeed, EraHome:
		routes["/api/actandpos/positions"] = private(b.positions)
		routes["/api/actandpos/activity/today"] = private(b.activity)
	case EraDev:
		routes["/api/actandpos/live/positions"] = private(b.livePositions)
		routes["/api/actandpos/paper/positions"] = private(b.paperPositions)
	}
	return routes
}

// ServeHTTP answers like the original.
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "thor SIMULATED")
	to, found := b.find(r.URL.Path)
	switch {
	case found:
		b.serve(w, r, to)
	case b.Bugs[BugSlashes] && b.routes[r.URL.Path+"/"].answer != nil:
		redirectToSlash(w, r)
	default:
		notFoundPage(w)
	}
}

// find returns what is behind a path; without its fault, with or without the
// slash.
func (b *Backend) find(path string) (route, bool) {
	to, found := b.routes[path]
	if !found && !b.Bugs[BugSlashes] {
		if to, found = b.routes[path+"/"]; !found {
			to, found = b.routes[strings.TrimSuffix(path, "/")]
		}
	}
	return to, found
}

func (b *Backend) serve(w http.ResponseWriter, r *http.Request, to route) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if method != to.method {
		detail(http.StatusMethodNotAllowed, "Method \""+r.Method+"\" not allowed.").write(w, r, false)
		return
	}
	// A bad token is refused even where none is needed.
	user, refused, ok := b.authenticate(r, to.private)
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer realm="api"`)
		refused.write(w, r, false)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), userKey{}, user))
	to.answer(r).write(w, r, !b.Bugs[BugNoETag])
}

// now is the source's time.
func (b *Backend) now() time.Time { return b.Source.Clock().Now().UTC() }
