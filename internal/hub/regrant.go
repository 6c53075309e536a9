package hub

import (
	"slices"
	"time"

	"thor/internal/stream"
)

// regrant looks whether the accounts of the connection are still those the
// backend lists. A stream of one that was taken away ends with a reset; by
// default those of a new one are followed. When the backend no longer takes the
// token, or has not answered for as long as its word counts, the connection is
// closed.
func (c *conn) regrant(now time.Time) {
	p, err := c.hub.Door.Regranted(*c.principal)
	switch {
	case err != nil:
		c.hub.refused(RefusedToken)
		c.close(closeUnauthorized, err.Error())
		return
	case p.Grant.Over(now):
		c.hub.refused(RefusedBackend)
		c.close(closeOverloaded, retry(retryFull(), backendAway))
		return
	}
	same := slices.Equal(p.Accounts, c.principal.Accounts)
	c.principal = &p
	if same {
		return
	}
	for _, s := range slices.Clone(c.order) {
		if !stream.MaySee(p, s.id) {
			c.end(s)
		}
	}
	if c.following {
		c.followVisible()
	}
}
