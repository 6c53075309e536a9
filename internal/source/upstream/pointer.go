package upstream

import (
	"strconv"
	"strings"
)

// lookup follows a JSON pointer (RFC 6901). It is false when nothing is there;
// null is something.
func lookup(node any, pointer string) (any, bool) {
	if pointer == "" {
		return node, true
	}
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch v := node.(type) {
		case map[string]any:
			next, ok := v[token]
			if !ok {
				return nil, false
			}
			node = next
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			node = v[i]
		default:
			return nil, false
		}
	}
	return node, true
}

// first follows the pointers and returns the first that leads somewhere, with
// the pointer; the last pointer when none does.
func first(node any, pointers []string) (value any, pointer string, found bool) {
	for _, pointer = range pointers {
		if value, found = lookup(node, pointer); found {
			return value, pointer, true
		}
	}
	return nil, pointer, false
}
