package stream

import (
	"cmp"
	"slices"

	"thor"
)

// keys holds the newest event of each key of a stream, within the window.
type keys struct {
	window int
	oldest func(newest string) string

	events map[string]thor.Event
	head   thor.Event // the newest by seq
	top    string     // the greatest key
	bound  string     // keys below it have left the window
}

func (k *keys) put(e thor.Event) {
	if k.events == nil {
		k.events = map[string]thor.Event{}
	}
	k.head = e
	if e.Key < k.bound {
		return
	}
	k.events[e.Key] = e
	if k.window == 0 || e.Key <= k.top {
		return
	}
	k.top = e.Key
	if k.oldest != nil {
		k.bound = max(k.bound, k.oldest(k.top))
	}
	k.evict()
}

// evict runs when a new greatest key came, so once a minute for bars.
func (k *keys) evict() {
	for key := range k.events {
		if key < k.bound {
			delete(k.events, key)
		}
	}
	for len(k.events) > k.window {
		oldest := k.top
		for key := range k.events {
			oldest = min(oldest, key)
		}
		delete(k.events, oldest)
	}
}

func (k *keys) newestEvent() (thor.Event, bool) { return k.head, k.head.Version.Seq > 0 }

// since returns the events with a seq of at least from, in seq order.
func (k *keys) since(from uint64) []thor.Event {
	var events []thor.Event
	for _, e := range k.events {
		if e.Version.Seq >= from {
			events = append(events, e)
		}
	}
	slices.SortFunc(events, func(a, b thor.Event) int { return cmp.Compare(a.Version.Seq, b.Version.Seq) })
	return events
}
