package auth

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"thor"
)

// How long counts what a backend has said of a token. It is asked again before
// its answer is over, so that there is a newer one by then; an account that was
// taken away is seen for a minute at most, the look at connections included.
const (
	grantLife   = 59 * time.Second
	grantFresh  = 45 * time.Second
	refusedLife = 5 * time.Second // that it does not take the token
	awayLife    = 2 * time.Second // that it did not answer
)

// Bounds of asking.
const (
	asksAtOnce = 8
	askWait    = 5 * time.Second // for an answer, its turn included
	maxGrants  = 20_000          // tokens that are remembered
)

// Grant lets the accounts of a principal be asked for again. Nothing shows the
// token in it.
type Grant struct {
	token string
	key   grantKey
	asked time.Time // for the accounts the principal has; zero is not yet
}

// grantKey is what is kept of a token.
type grantKey [sha256.Size]byte

func newGrant(token string) *Grant { return &Grant{token: token, key: sha256.Sum256([]byte(token))} }

// Due reports whether the accounts should be asked for again.
func (g *Grant) Due(now time.Time) bool { return g != nil && now.Sub(g.asked) >= grantFresh }

// Over reports whether the accounts no longer count.
func (g *Grant) Over(now time.Time) bool { return g != nil && now.Sub(g.asked) >= grantLife }

// Grants are the accounts a backend lists for the bearers of its tokens. One
// question is asked for all who come with the same token, a few at a time, and
// the answer is kept for a minute. While it is, a backend that does not answer
// changes nothing; then nobody is let in by a guess. They work while they Run.
type Grants struct {
	// Ask asks the backend with a token which accounts it lists. The error is
	// EUNAUTHORIZED when it does not take the token; any other says nothing of it.
	// None of the token may be in it. An empty list is no account.
	Ask func(ctx context.Context, token string) ([]string, error)

	mu    sync.Mutex // guards what follows
	known map[grantKey]*answer
	queue chan *question // see line
	ended bool           // nobody asks any more
	swept time.Time
}

// answer is what a backend has said of a token.
type answer struct {
	accounts []string
	asked    time.Time // for them; zero is that it has not said
	err      error     // of the last question, until:
	until    time.Time
	question *question // on its way; nil is none
}

func (a *answer) good(now time.Time) bool { return !a.asked.IsZero() && now.Sub(a.asked) < grantLife }

// idle reports whether forgetting the answer would change nothing.
func (a *answer) idle(now time.Time) bool {
	return a.question == nil && !a.good(now) && !now.Before(a.until)
}

type question struct {
	grant *Grant
	since time.Time
	done  chan struct{} // closed when the answer is known
}

// Run asks until ctx ends.
func (g *Grants) Run(ctx context.Context) error {
	g.mu.Lock()
	queue := g.line()
	g.mu.Unlock()
	var asking sync.WaitGroup
	for range asksAtOnce {
		asking.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case q := <-queue:
					g.ask(ctx, q)
				}
			}
		})
	}
	asking.Wait()
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
	for {
		select {
		case q := <-queue:
			g.ask(ctx, q) // which says that it is over
		default:
			return nil
		}
	}
}

// line is where questions wait for their turn, as many as there can be: nobody
// waits to ask. The caller has the lock.
func (g *Grants) line() chan *question {
	if g.queue == nil {
		g.queue = make(chan *question, maxGrants)
	}
	return g.queue
}

// ask asks one question and tells those who wait for it.
func (g *Grants) ask(ctx context.Context, q *question) {
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, q.since.Add(askWait))
	defer cancel()
	var accounts []string
	err := ctx.Err() // its turn may have come too late
	if err == nil {
		accounts, err = g.Ask(ctx, q.grant.token)
	}
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.known[q.grant.key]
	switch {
	case err == nil:
		*a = answer{accounts: accounts, asked: began}
	case thor.ErrorCode(err) == thor.EUNAUTHORIZED:
		*a = answer{err: err, until: now.Add(refusedLife)}
	default:
		a.err, a.until, a.question = errAway, now.Add(awayLife), nil
	}
	close(q.done)
}

// errAway is that a backend cannot be asked.
var errAway error = later(awayLife, "the backend that says which accounts are yours does not answer")

func later(wait time.Duration, words string) *thor.Error {
	return thor.Errorf(thor.EUNAVAILABLE, "%s: %w", words, waitError(wait))
}

// look returns what is known of a token, and has it asked for when it is time.
// Without an answer there is a question to wait for.
func (g *Grants) look(grant *Grant) (found answer, wait *question, err error) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.known[grant.key]
	if a == nil {
		a = &answer{}
	}
	good := a.good(now)
	switch {
	case good && now.Sub(a.asked) < grantFresh:
		return *a, nil, nil
	case a.question == nil && now.Before(a.until): // asked a moment ago
		if good {
			return *a, nil, nil
		}
		return answer{}, nil, a.err
	case a.question == nil:
		if !g.send(a, grant, now) && !good {
			return answer{}, nil, errAway
		}
	}
	if good {
		return *a, nil, nil
	}
	return answer{}, a.question, nil
}

// send has a question asked. It is false when there is no room for it, or nobody
// asks any more. The caller has the lock.
func (g *Grants) send(a *answer, grant *Grant, now time.Time) bool {
	if g.ended || g.known[grant.key] == nil && !g.makeRoom(now) {
		return false
	}
	a.question = &question{grant: grant, since: now, done: make(chan struct{})}
	g.known[grant.key] = a
	g.line() <- a.question // it has room for all there can be
	return true
}

// makeRoom forgets what is over, and if that is nothing, anything that is not
// being asked. The look at all of it is not for every newcomer to cause. The
// caller has the lock.
func (g *Grants) makeRoom(now time.Time) bool {
	if g.known == nil {
		g.known = map[grantKey]*answer{}
	}
	if len(g.known) < maxGrants {
		return true
	}
	if now.Sub(g.swept) >= time.Second {
		g.swept = now
		for key, a := range g.known {
			if a.idle(now) {
				delete(g.known, key)
			}
		}
	}
	for key, a := range g.known {
		if len(g.known) < maxGrants {
			break
		}
		if a.question == nil {
			delete(g.known, key)
		}
	}
	return len(g.known) < maxGrants
}

// Granted gives a principal the accounts the backend lists for its token, if
// that is who says so. It waits for the backend where nothing is known. The
// error is EUNAUTHORIZED when the backend does not take the token, EUNAVAILABLE
// when it cannot be asked.
func (d *Door) Granted(ctx context.Context, p Principal) (Principal, error) {
	if p.Grant == nil {
		return p, nil
	}
	found, wait, err := d.Grants.look(p.Grant)
	if err == nil && wait != nil {
		timer := time.NewTimer(askWait)
		defer timer.Stop()
		select {
		case <-wait.done:
			found, wait, err = d.Grants.look(p.Grant)
		case <-timer.C:
		case <-ctx.Done():
		}
		if err == nil && wait != nil { // it was forgotten already, or took too long
			err = errAway
		}
	}
	if err != nil {
		return Principal{}, err
	}
	return p.with(found), nil
}

// Regranted is Granted for somebody who is in already: it never waits. While
// nothing is known that is newer the principal stays as it is, which counts until
// its Grant is over.
func (d *Door) Regranted(p Principal) (Principal, error) {
	if p.Grant == nil {
		return p, nil
	}
	switch found, wait, err := d.Grants.look(p.Grant); {
	case thor.ErrorCode(err) == thor.EUNAUTHORIZED:
		return Principal{}, err
	case err != nil || wait != nil:
		return p, nil
	default:
		return p.with(found), nil
	}
}

// with is the principal with the accounts of an answer.
func (p Principal) with(found answer) Principal {
	grant := *p.Grant
	grant.asked = found.asked
	p.Accounts, p.Grant = found.accounts, &grant
	return p
}
