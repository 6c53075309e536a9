package hub

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"thor/internal/auth"
)

// Limits bound the connections; 0 and nil are no bound. The local operator has
// none.
type Limits struct {
	Node    int // all connections
	Address int // those of an address, as auth.Neighbourhood names it
	User    int // those of a token's sub; the oldest makes room
	// Rate bounds how fast an address may connect.
	Rate *auth.Rates
}

// Why a connection was refused, for the count.
const (
	RefusedNode     = "node"     // the server has all it takes
	RefusedAddress  = "address"  // the address has
	RefusedRate     = "rate"     // the address connects too fast
	RefusedUser     = "user"     // the oldest of a user made room
	RefusedFailures = "failures" // too many wrong tokens came from the address
	RefusedToken    = "token"    // no token, a wrong or an expired one
	RefusedBackend  = "backend"  // the backend does not say which accounts are theirs
	RefusedOrigin   = "origin"   // the page is of another site
	RefusedRequest  = "request"  // a version or a header we do not take
)

// Refusals lists every reason.
func Refusals() []string {
	return []string{
		RefusedNode, RefusedAddress, RefusedRate, RefusedUser, RefusedFailures, RefusedToken, RefusedBackend, RefusedOrigin, RefusedRequest,
	}
}

// refusalOf says which reason a close code that admit gives stands for.
func refusalOf(code ws.StatusCode) string {
	switch code {
	case closeTooMany:
		return RefusedFailures
	case closeUnauthorized:
		return RefusedToken
	case closeOverloaded:
		return RefusedBackend
	case closeForbidden:
		return RefusedOrigin
	default:
		return RefusedRequest
	}
}

func (h *Hub) refused(reason string) {
	if h.Refused != nil {
		h.Refused(reason)
	}
}

// fullWait is how long who finds no place is told to wait, at least; up to as
// much again is added, so that they do not all come back at once.
const fullWait = 10 * time.Second

// retry ends a reason with what a client should wait, in whole seconds. The
// words before it may be cut, it may not.
func retry(seconds int, format string, args ...any) string {
	tail := fmt.Sprintf("; retry_after=%d", seconds)
	return cut(fmt.Sprintf(format, args...), maxReason-len(tail)) + tail
}

func retryFull() int {
	return int((fullWait + rand.N(fullWait)).Seconds()) //nolint:gosec // not a secret
}

// tally is how many connections there are: those that were let in, and those
// that are being told why not.
type tally struct{ in, refused int }

func (t *tally) add(refused bool, n int) {
	if refused {
		t.refused += n
	} else {
		t.in += n
	}
}

func (t tally) of(refused bool) int {
	if refused {
		return t.refused
	}
	return t.in
}

// census counts the connections there are.
type census struct {
	mu        sync.Mutex // guards what follows
	all       tally
	addresses map[string]tally
	users     map[string][]*conn // oldest first
}

// place is one of a connection. It is given back once.
type place struct {
	census  *census
	address string // "" is the local operator's
	refused bool
	once    sync.Once
}

// enter takes a place for a connection from an address, which may be refused
// already. A refusal says that it is to be closed with it; until it is gone it
// has a place among the refused, which takes none from the others. When the
// refused are as many as may be let in, there is no place at all, and the request
// is answered with the status.
func (h *Hub) enter(address string, refused *closeError) (p *place, refusal *closeError, status int) {
	p = &place{census: &h.census, address: address, refused: refused != nil}
	if address == "" {
		h.census.take(p, Limits{})
		return p, refused, 0
	}
	wait, calm := h.Limits.Rate.Take(address)
	if refusal = refused; refusal == nil {
		reason := RefusedRate
		if calm {
			reason = h.census.take(p, h.Limits)
		}
		switch reason {
		case "":
			return p, nil, 0
		case RefusedNode:
			refusal = &closeError{closeOverloaded, retry(retryFull(), "overloaded: this server has all the %d connections it takes", h.Limits.Node)}
		case RefusedAddress:
			refusal = &closeError{closeTooMany, retry(retryFull(), "too many connections of this address: %d are taken", h.Limits.Address)}
		default:
			refusal = &closeError{closeTooMany, retry(auth.Seconds(wait), "this address connects too fast")}
		}
		h.refused(reason)
		p.refused = true
	}
	switch h.census.take(p, h.Limits) {
	case RefusedNode:
		return nil, nil, http.StatusServiceUnavailable
	case RefusedAddress:
		return nil, nil, http.StatusTooManyRequests
	}
	return p, refusal, 0
}

// take counts a place, unless as many of its kind are taken as there may be; then
// it says which bound is reached.
func (c *census) take(p *place, limits Limits) (reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case limits.Node > 0 && c.all.of(p.refused) >= limits.Node:
		return RefusedNode
	case limits.Address > 0 && c.addresses[p.address].of(p.refused) >= limits.Address:
		return RefusedAddress
	}
	c.add(p, 1)
	return ""
}

// add counts a place, once more or once less. The caller has the lock.
func (c *census) add(p *place, n int) {
	c.all.add(p.refused, n)
	if p.address == "" {
		return
	}
	if c.addresses == nil {
		c.addresses = map[string]tally{}
	}
	mine := c.addresses[p.address]
	if mine.add(p.refused, n); mine == (tally{}) {
		delete(c.addresses, p.address)
		return
	}
	c.addresses[p.address] = mine
}

// leave gives the place back.
func (p *place) leave() {
	if p == nil { // a test has none
		return
	}
	p.once.Do(func() {
		p.census.mu.Lock()
		defer p.census.mu.Unlock()
		p.census.add(p, -1)
	})
}

// suspectProxy says once in the log why an address may have reached a limit: it
// is a proxy nobody has named.
func (h *Hub) suspectProxy(r *http.Request, counted netip.Addr) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || r.Header.Get("X-Forwarded-For") == "" || peer.Addr().Unmap().WithZone("") != counted {
		return // there is no proxy, or it is trusted
	}
	h.suspected.Do(func() {
		h.Logger.Warn("limit reached by a peer that sends X-Forwarded-For; if it is a reverse proxy, name it with --trusted-proxy",
			slog.String("peer", counted.String()))
	})
}

// turnAway answers without an upgrade.
func turnAway(w http.ResponseWriter, status int, why string, seconds int) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	http.Error(w, why, status)
}

// belong counts a connection among those of its user, who may have changed with
// a token. The oldest makes room: its shard sees that within [checkEvery].
func (c *conn) belong() {
	user := c.principal.Identity()
	if user == c.user {
		return
	}
	if c.hub.census.move(c, user, c.hub.Limits.User) {
		c.hub.refused(RefusedUser)
	}
}

// move counts a connection for a user and no longer for the one before. It is
// true when the user's oldest made room.
func (c *census) move(moved *conn, user string, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(moved)
	if moved.user = user; user == "" {
		return false
	}
	if c.users == nil {
		c.users = map[string][]*conn{}
	}
	mine := append(c.users[user], moved)
	full := limit > 0 && len(mine) > limit
	if full {
		mine[0].replaced.Store(true)
		mine = slices.Delete(mine, 0, 1)
	}
	c.users[user] = mine
	return full
}

// part takes a connection that is gone out of the counts.
func (c *conn) part() {
	census := &c.hub.census
	census.mu.Lock()
	census.forget(c)
	census.mu.Unlock()
	c.place.leave()
}

// forget takes a connection out of its user's. The caller has the lock.
func (c *census) forget(gone *conn) {
	left := slices.DeleteFunc(c.users[gone.user], func(o *conn) bool { return o == gone })
	if len(left) == 0 {
		delete(c.users, gone.user)
		return
	}
	c.users[gone.user] = left
}
