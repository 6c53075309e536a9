package upstream

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// list asks for a list and all its pages.
func (c *client) list(ctx context.Context, q question) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(time.Duration(q.endpoint.Timeout), timeout))
	defer cancel()
	body, path, err := c.askPath(ctx, q)
	if err != nil {
		return nil, err
	}
	f := fault{op: q.op, asked: "GET " + path}
	all, seen := []any{}, []string{}
	for {
		value, pointer, found := first(body, q.endpoint.roots())
		items, ok := value.([]any)
		if !ok {
			return nil, f.bad("%s %s, not a list", rootName(pointer), isWhat(value, found))
		}
		all = append(all, items...)
		next, ok := c.next(q.endpoint, body)
		if !ok {
			return all, nil
		}
		seen = append(seen, next)
		switch {
		case slices.Index(seen, next) < len(seen)-1:
			return nil, f.bad("its pages lead in a circle")
		case len(seen) >= maxPages:
			return nil, f.bad("it has more than %d pages", maxPages)
		}
		target, err := c.base.Parse(next)
		if err != nil || target.Host != c.base.Host || target.Scheme != c.base.Scheme {
			return nil, f.bad("the next page %q is not on the backend", shorten(scrub(next), 120))
		}
		if body, err = c.get(ctx, q, path, target.String()); err != nil {
			return nil, err
		}
	}
}

// next is the URL of the next page, if there is one.
func (c *client) next(e *Endpoint, body any) (string, bool) {
	if e.Next == "" {
		return "", false
	}
	raw, _ := lookup(body, e.Next)
	next, _ := raw.(string)
	return next, next != ""
}

func (e *Endpoint) roots() []string {
	if len(e.Root) == 0 {
		return []string{""}
	}
	return e.Root
}

func rootName(pointer string) string {
	if pointer == "" {
		return "the answer"
	}
	return pointer
}

func isWhat(v any, found bool) string {
	if !found {
		return "is missing"
	}
	return "is " + describe(v)
}
