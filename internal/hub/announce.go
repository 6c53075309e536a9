package hub

import (
	"maps"
	"sync/atomic"

	"thor"
)

// Notice says where a feature stands that is forced, or was.
type Notice struct {
	thor.FeatureStage
	Forced bool `json:"forced"`
}

// announcements are the last notices, by feature, encoded once for everybody. A
// force is not an event: it has no number, and nobody can resume to it. So each
// connection is brought up to date with what stands, whatever it has missed.
type announcements struct {
	now atomic.Pointer[map[string]*announcement]
}

type announcement struct {
	forced bool
	frame  []byte
}

// Announce tells every connection where forced features stand, and every
// connection that comes later while they are forced. Calls take turns: it is
// for one caller.
func (h *Hub) Announce(notices ...Notice) {
	after := map[string]*announcement{}
	if before := h.notices.now.Load(); before != nil {
		maps.Copy(after, *before)
	}
	for _, n := range notices {
		n.Since = n.Since.UTC()
		after[n.Feature] = &announcement{forced: n.Forced, frame: encode("cutover", nil, n)}
	}
	h.notices.now.Store(&after)
	h.Reassign()
}

// announce sends the client the notices it has not got. That a force was lifted
// is told to who was told that it stands.
func (c *conn) announce() {
	now := c.hub.notices.now.Load()
	if now == nil || c.assigned == nil || c.closing { // hello comes first
		return
	}
	for feature, a := range *now {
		before := c.announced[feature]
		if before == a || before == nil && !a.forced {
			continue
		}
		if c.announced == nil {
			c.announced = map[string]*announcement{}
		}
		c.announced[feature] = a
		c.send(a.frame)
	}
}
