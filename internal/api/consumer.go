package api

import (
	"cmp"
	"container/list"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"thor"
)

// The ways to ask for a feature.
const (
	ViaREST      = "rest"
	ViaFrontDoor = "frontdoor"
)

// UnknownPrincipal is who asks when nobody knows.
const UnknownPrincipal = "unknown"

// Bounds of the census.
const (
	maxConsumers = 1000 // of those with a principal, and of those without
	maxAgent     = 200  // bytes of a user agent
)

// Consumer is somebody who asks REST for a feature.
type Consumer struct {
	Feature   string    `json:"feature"`
	Via       string    `json:"via" enum:"rest,frontdoor" doc:"rest is a path of this server, frontdoor one of the backend behind it"`
	UserAgent string    `json:"user_agent" doc:"what it calls itself, which anybody may write"`
	Principal string    `json:"principal" doc:"who it is, or unknown"`
	Thor      bool      `json:"thor" doc:"it uses thor's client, which follows the stages by itself"`
	First     time.Time `json:"first_seen"`
	Last      time.Time `json:"last_seen"`
	Requests  int64     `json:"requests"`
}

// Consumers is the census of those who ask REST for features, in memory, since
// the start. It is bounded: whoever was not seen for longest makes room. Those
// without a principal, whom anybody can make up, take no room from those with
// one. Make one with [NewConsumers].
type Consumers struct {
	since time.Time

	mu             sync.Mutex // guards what follows
	known, unknown seen
	forgotten      int64
}

// NewConsumers returns an empty census.
func NewConsumers() *Consumers { return &Consumers{since: time.Now()} }

// seen are consumers of one kind.
type seen struct {
	by    map[Consumer]*list.Element // by what tells them apart
	order list.List                  // of *Consumer, the one seen last in front
}

// Count counts a request. Times and number of c do not count.
func (c *Consumers) Count(asks Consumer) {
	asks.UserAgent = printable(asks.UserAgent)
	asks.Principal = cmp.Or(asks.Principal, UnknownPrincipal)
	asks.First, asks.Last, asks.Requests = time.Time{}, time.Time{}, 0
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := &c.known
	if asks.Principal == UnknownPrincipal {
		kind = &c.unknown
	}
	if at, ok := kind.by[asks]; ok {
		kind.order.MoveToFront(at)
		one := consumerAt(at)
		one.Last = now
		one.Requests++
		return
	}
	if kind.by == nil {
		kind.by = map[Consumer]*list.Element{}
	}
	if len(kind.by) >= maxConsumers {
		oldest := kind.order.Back()
		one := *consumerAt(oldest)
		one.First, one.Last, one.Requests = time.Time{}, time.Time{}, 0
		kind.order.Remove(oldest)
		delete(kind.by, one)
		c.forgotten++
	}
	one := asks
	one.First, one.Last, one.Requests = now, now, 1
	kind.by[asks] = kind.order.PushFront(&one)
}

func consumerAt(at *list.Element) *Consumer {
	c, ok := at.Value.(*Consumer)
	if !ok {
		panic("api: the census holds something else") // Count puts them there
	}
	return c
}

// all are the consumers, in no order.
func (c *Consumers) all() (list []Consumer, forgotten int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list = make([]Consumer, 0, len(c.known.by)+len(c.unknown.by))
	for _, kind := range []*seen{&c.known, &c.unknown} {
		for at := kind.order.Front(); at != nil; at = at.Next() {
			list = append(list, *consumerAt(at))
		}
	}
	return list, c.forgotten
}

// Within is how many different ones asked for each feature since then, whichever
// way.
func (c *Consumers) Within(since time.Time) map[string]int64 {
	type one struct {
		feature, agent, principal string
		thor                      bool
	}
	counted, number := map[one]bool{}, map[string]int64{}
	all, _ := c.all()
	for _, who := range all {
		key := one{who.Feature, who.UserAgent, who.Principal, who.Thor}
		if who.Last.Before(since) || counted[key] {
			continue
		}
		counted[key] = true
		number[who.Feature]++
	}
	return number
}

// Census is what is known of those who ask REST for features.
type Census struct {
	Since     time.Time  `json:"since" doc:"when it began to count: the start of this server"`
	Forgotten int64      `json:"forgotten" doc:"how many made room for others"`
	Consumers []Consumer `json:"consumers" doc:"by feature, whoever was seen last first"`
}

// Census returns what is known.
func (c *Consumers) Census() Census {
	all, forgotten := c.all()
	order := thor.FeatureNames()
	slices.SortStableFunc(all, func(a, b Consumer) int {
		return cmp.Or(
			cmp.Compare(slices.Index(order, a.Feature), slices.Index(order, b.Feature)), b.Last.Compare(a.Last),
			cmp.Compare(a.Via, b.Via), cmp.Compare(a.UserAgent, b.UserAgent), cmp.Compare(a.Principal, b.Principal),
		)
	})
	for i := range all {
		all[i].First, all[i].Last = instant(all[i].First), instant(all[i].Last)
	}
	return Census{Since: instant(c.since), Forgotten: forgotten, Consumers: all}
}

// instant is a time as it is written, to the millisecond.
func instant(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// printable is a text that anybody may have written, without what moves a
// cursor or turns a line around, and not too long.
func printable(text string) string {
	plain := func(r rune) bool { return r >= ' ' && r <= '~' }
	if len(text) <= maxAgent && !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text // as nearly all are
	}
	text = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	if len(text) > maxAgent {
		text = strings.ToValidUTF8(text[:maxAgent], "") // a letter may be cut in two
	}
	return text
}

// registerConsumers adds what says who asks REST.
func (a *API) registerConsumers() {
	register(a, huma.Operation{
		OperationID: "list-consumers", Method: http.MethodGet, Path: "/api/consumers",
		Summary: "Who asks REST for the features", Tags: []string{"cutover"}, Errors: []int{401, 403},
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body Census }, error) {
		if _, err := requireOperator(ctx); err != nil {
			return nil, err
		}
		if a.Consumers == nil {
			return &struct{ Body Census }{Census{Consumers: []Consumer{}}}, nil
		}
		return &struct{ Body Census }{a.Consumers.Census()}, nil
	})
}
