package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"thor"
)

// TicketTTL is how long a ticket waits to be used.
const TicketTTL = 30 * time.Second

// How many unused tickets there may be.
const (
	maxTickets        = 10_000
	maxTicketsForUser = 40
)

// tickets are those that wait to be used. What is kept of one is its hash.
type tickets struct {
	mu      sync.Mutex // guards what follows
	waiting map[[sha256.Size]byte]ticket
	users   map[string]int
}

type ticket struct {
	principal Principal
	expires   time.Time
}

// NewTicket makes a ticket that lets its bearer in as the principal, once and
// soon: a URL may carry it. The local operator needs none, which is ECONFLICT.
func (d *Door) NewTicket(p Principal) (string, error) {
	if p.Local {
		return "", thor.Errorf(thor.ECONFLICT, "no key is configured, so the local operator needs no ticket").
			WithHint("Connect to /ws/ without one.")
	}
	t := &d.tickets
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.waiting == nil {
		t.waiting, t.users = map[[sha256.Size]byte]ticket{}, map[string]int{}
	}
	if len(t.waiting) >= maxTickets || t.users[p.Subject] >= maxTicketsForUser {
		if soonest := t.prune(now, p.Subject); len(t.waiting) >= maxTickets || t.users[p.Subject] >= maxTicketsForUser {
			return "", TooMany(soonest, "%d tickets of yours or %d of everybody wait to be used", maxTicketsForUser, maxTickets)
		}
	}
	text := rand.Text()
	t.waiting[sha256.Sum256([]byte(text))] = ticket{principal: p, expires: now.Add(TicketTTL)}
	t.users[p.Subject]++
	return text, nil
}

// prune removes what has expired, and says how long it takes until the next of
// the user's does, or of anybody's if the user has none. The caller has the lock.
func (t *tickets) prune(now time.Time, user string) time.Duration {
	mine, any := TicketTTL, TicketTTL
	for hash, waiting := range t.waiting {
		left := waiting.expires.Sub(now)
		if left <= 0 {
			t.remove(hash)
			continue
		}
		any = min(any, left)
		if waiting.principal.Subject == user {
			mine = min(mine, left)
		}
	}
	if t.users[user] > 0 {
		return mine
	}
	return any
}

// remove takes a ticket out. The caller has the lock.
func (t *tickets) remove(hash [sha256.Size]byte) (ticket, bool) {
	found, ok := t.waiting[hash]
	if !ok {
		return ticket{}, false
	}
	delete(t.waiting, hash)
	user := found.principal.Subject
	if t.users[user]--; t.users[user] <= 0 {
		delete(t.users, user)
	}
	return found, true
}

// redeemFrom returns whom a ticket lets in, and counts a wrong one against the
// address. A used, an expired and an unknown one look the same.
func (d *Door) redeemFrom(address netip.Addr, text string) (Principal, error) {
	if !d.TakesTokens() {
		return Principal{}, thor.Errorf(thor.EUNAUTHORIZED, "no key is configured, so there are no tickets").
			WithHint("Connect to /ws/ without one.")
	}
	t := &d.tickets
	t.mu.Lock()
	found, ok := t.remove(sha256.Sum256([]byte(text)))
	t.mu.Unlock()
	now := time.Now()
	if !ok || !now.Before(found.expires) {
		return Principal{}, d.count(address, guess("the ticket is used, expired or unknown").
			WithHint("Get a new one: POST /api/ticket."))
	}
	if expires := found.principal.Expires; !expires.IsZero() && !now.Before(expires) {
		return Principal{}, thor.Errorf(thor.EUNAUTHORIZED, "the token of this ticket has expired").WithHint("Get a new token.")
	}
	return found.principal, nil
}
