package calendar

import (
	"fmt"
	"slices"
	"strconv"
)

// special is a date that is not like the others: closed, shortened, or with a
// session of its own.
type special struct {
	at          place
	name        string
	hours       []hours // of an early close or a special session
	provisional bool    // the exchange has not confirmed it yet
}

// dates reads the closed dates, early closes and special sessions.
func (r *reader) dates(o fields, ex *exchange) {
	ex.closed = r.byDate(o, "closed", ex, func(d day, n node) special {
		r.weekday(d, n, "It is closed anyway; remove it.")
		return special{at: n.place, name: r.text(n)}
	})
	ex.special = r.byDate(o, "special", ex, func(_ day, n node) special { return r.special(n, ex) })
	ex.early = r.byDate(o, "early", ex, func(d day, n node) special {
		r.weekday(d, n, "There is no session to shorten; remove it, or list a special session.")
		if other, ok := ex.closed[d]; ok {
			r.fault(n, "Keep one of the two.", "is closed on line %d", other.at.line)
		}
		if other, ok := ex.special[d]; ok {
			r.fault(n, "Give the special session its hours and remove this.", "is a special session on line %d", other.at.line)
		}
		return r.early(n, ex)
	})
}

// byDate reads the field of an object whose names are dates within the covered
// years.
func (r *reader) byDate(o fields, name string, ex *exchange, read func(day, node) special) map[day]special {
	dates := make(map[day]special)
	n, ok := o.get(name)
	if !ok {
		return dates
	}
	for _, m := range r.members(n) {
		d, ok := parseDay(m.name)
		if !ok {
			r.fault(m.node, "Write it as 2026-12-25.", "%q is not a date", m.name)
			continue
		}
		if len(ex.years) > 0 && !slices.Contains(ex.years, d.year()) {
			r.fault(m.node, "Cover its year with all its dates, or remove it.", "is not in %s", span(ex.years))
		}
		dates[d] = read(d, m.node)
	}
	return dates
}

// span is 2027, or 2025 to 2027.
func span(years []int) string {
	first, last := years[0], years[len(years)-1]
	if first == last {
		return strconv.Itoa(first)
	}
	return fmt.Sprintf("%d to %d", first, last)
}

func (r *reader) weekday(d day, n node, hint string) {
	if d.weekend() {
		r.fault(n, hint, "is a %s", d.weekday())
	}
}

func (r *reader) early(n node, ex *exchange) special {
	s := special{at: n.place}
	for _, field := range r.object(n, "close", "name", "provisional?") {
		value := field.node
		switch field.name {
		case "name":
			s.name = r.text(value)
		case "provisional":
			s.provisional = r.boolean(value)
		case "close":
			end := r.clock(value)
			var ok bool
			if s.hours, ok = cut(ex.hours, end); !ok && len(ex.hours) > 0 {
				r.fault(value, "Write when trading ends, before the regular close and not in a break.",
					"%s does not shorten the session from %s to %s", end, ex.hours[0].open, ex.hours[len(ex.hours)-1].close)
			}
		}
	}
	return s
}

func (r *reader) special(n node, ex *exchange) special {
	s := special{at: n.place, hours: ex.hours}
	for _, field := range r.object(n, "name", "hours?", "provisional?") {
		value := field.node
		switch field.name {
		case "name":
			s.name = r.text(value)
		case "provisional":
			s.provisional = r.boolean(value)
		case "hours":
			s.hours = r.hours(value)
		}
	}
	return s
}
