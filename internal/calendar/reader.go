package calendar

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"thor"
)

// maxName is how long a name may be.
const maxName = 200

// readme is the hint for what does not look like a data file.
const readme = "Compare it with the format in internal/calendar/data/README.md."

// reader reads nodes as what they should be and notes what they are not. After
// a fault it goes on with a zero value, so that one reading finds all faults.
type reader struct{ faults faults }

func (r *reader) fault(n node, hint, format string, args ...any) {
	r.faults.add(n.place, hint, format, args...)
}

// members returns the members of an object, each name once.
func (r *reader) members(n node) []member {
	all, ok := n.value.([]member)
	if !ok {
		r.fault(n, readme, "must be an object, not %s", n.kind())
		return nil
	}
	lines := make(map[string]int, len(all))
	once := make([]member, 0, len(all))
	for _, m := range all {
		if line, twice := lines[m.name]; twice {
			r.fault(m.node, "Keep one of the two.", "is on line %d already", line)
			continue
		}
		lines[m.name] = m.line
		once = append(once, m)
	}
	return once
}

// fields are the members of an object whose names are known.
type fields []member

func (f fields) get(name string) (node, bool) {
	for _, m := range f {
		if m.name == name {
			return m.node, true
		}
	}
	return node{}, false
}

// object returns the members of an object. A name that ends in "?" may be
// absent; all others must be there, and none besides.
func (r *reader) object(n node, names ...string) fields {
	known := make([]string, len(names))
	for i, name := range names {
		known[i] = strings.TrimSuffix(name, "?")
	}
	var found fields
	for _, m := range r.members(n) {
		if !slices.Contains(known, m.name) {
			r.fault(m.node, "Known here are "+strings.Join(known, ", ")+".", "there is no such field")
			continue
		}
		found = append(found, m)
	}
	if _, ok := n.value.([]member); !ok {
		return nil
	}
	for i, name := range names {
		if _, ok := found.get(name); !ok && known[i] == name {
			r.fault(n, "Add it as internal/calendar/data/README.md says.", "the field %q is missing", name)
		}
	}
	return found
}

func (r *reader) list(n node) []node {
	items, ok := n.value.([]node)
	if !ok {
		r.fault(n, readme, "must be a list, not %s", n.kind())
		return nil
	}
	if len(items) == 0 {
		r.fault(n, readme, "must not be empty")
	}
	return items
}

func (r *reader) text(n node) string {
	text, ok := n.value.(string)
	switch {
	case !ok:
		r.fault(n, "Put it in quotation marks.", "must be a string, not %s", n.kind())
	case text == "" || len(text) > maxName:
		r.fault(n, "Give the name people know.", "must be 1 to %d characters long", maxName)
	}
	return text
}

// about reads the free text of a file. It is for people, who read the file.
func (r *reader) about(n node) {
	if _, ok := n.value.(string); !ok {
		r.fault(n, "Put it in quotation marks.", "must be a string, not %s", n.kind())
	}
}

func (r *reader) boolean(n node) bool {
	b, ok := n.value.(bool)
	if !ok {
		r.fault(n, "Write true or false.", "must be a boolean, not %s", n.kind())
	}
	return b
}

func (r *reader) integer(n node, lowest, highest int) int {
	number, ok := n.value.(json.Number)
	if !ok {
		r.fault(n, "Write a number without quotation marks.", "must be a number, not %s", n.kind())
		return lowest
	}
	i, err := strconv.Atoi(number.String())
	if err != nil || i < lowest || i > highest {
		r.fault(n, "Write a whole number in that range.", "%s is not between %d and %d", number, lowest, highest)
		return lowest
	}
	return i
}

func (r *reader) weight(n node) thor.Decimal {
	number, ok := n.value.(json.Number)
	if !ok {
		r.fault(n, "Write a number without quotation marks.", "must be a number, not %s", n.kind())
		return thor.Decimal{}
	}
	weight, err := thor.ParseDecimal(number.String())
	rounded := weight.Round(thor.ScaleWeight)
	if err != nil || !rounded.Equal(weight) || weight.Sign() < 0 || weight.Cmp(thor.NewDecimal(1, 0)) > 0 {
		r.fault(n, "Write it as 0.25.", "%s is not a weight from 0 to 1 with at most %d digits after the point", number, thor.ScaleWeight)
		return thor.Decimal{}
	}
	return rounded
}

func (r *reader) clock(n node) clock {
	text, _ := n.value.(string)
	c, ok := parseClock(text)
	if !ok {
		r.fault(n, `Write "09:30", or "D-1 17:00" for the evening before.`, "%s is not a time of day", n.quoted())
	}
	return c
}

// quoted returns a node's text in quotation marks, or what it is instead.
func (n node) quoted() string {
	if text, ok := n.value.(string); ok {
		return strconv.Quote(text)
	}
	return n.kind()
}
