package calendar

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The fields of an amendment that change something.
const (
	fieldClosed    = "closed"
	fieldEarly     = "early"
	fieldSpecial   = "special"
	fieldRegular   = "regular"
	fieldPublished = "published"
)

// amendment is a file that says what changes at an exchange and nothing else.
// It is read in two steps: what its dates mean depends on the exchange.
type amendment struct {
	reader
	fields fields
	mic    string
	at     place // of the MIC
}

// amendment reads the frame of an amendment.
func (r *reader) amendment(n node) *amendment {
	a := &amendment{fields: r.object(n, "amends", "about?",
		fieldClosed+"?", fieldEarly+"?", fieldSpecial+"?", fieldRegular+"?", fieldPublished+"?")}
	changes := 0
	for _, field := range a.fields {
		switch field.name {
		case "amends":
			a.mic, a.at = r.mic(field.node), field.place
		case "about":
			r.about(field.node)
		default:
			changes += len(r.members(field.node))
		}
	}
	if changes == 0 && len(r.faults) == 0 {
		r.fault(n, "Give it dates under closed, early, special, regular or published, or remove the file.", "the amendment changes nothing")
	}
	return a
}

// amend changes the exchanges as the amendments say: first the years that have
// been published, then single dates.
func amend(exchanges map[string]*exchange, amendments []*amendment) error {
	of := make(map[string][]*amendment)
	for _, a := range amendments {
		if exchanges[a.mic] == nil {
			a.faults.add(a.at, "The exchanges are "+strings.Join(slices.Sorted(maps.Keys(exchanges)), ", ")+".", "there is no exchange %s", a.mic)
			continue
		}
		of[a.mic] = append(of[a.mic], a)
	}
	for mic, own := range of {
		ex, claims := exchanges[mic], make(map[day]claim)
		ex.publish(own)
		for _, a := range own {
			a.dates(ex, claims)
		}
	}
	errs := make([]error, len(amendments))
	for i, a := range amendments {
		errs[i] = a.faults.err()
	}
	return errors.Join(errs...)
}

// publication is the whole list of a year.
type publication struct {
	node
	by   *amendment
	year int
}

// publish puts the lists of years in the place of what was known of them. A
// list of the year after the covered ones covers it.
func (ex *exchange) publish(amendments []*amendment) {
	var all []publication
	for _, a := range amendments {
		n, _ := a.fields.get(fieldPublished)
		if n.value == nil {
			continue
		}
		for _, m := range a.members(n) {
			year, err := strconv.Atoi(m.name)
			if err != nil || year < firstYear || year > lastYear {
				a.fault(m.node, `Write it as "2027".`, "%q is not a year", m.name)
				continue
			}
			all = append(all, publication{node: m.node, by: a, year: year})
		}
	}
	slices.SortStableFunc(all, func(p, q publication) int { return cmp.Compare(p.year, q.year) })
	lists := make(map[int]place)
	for _, p := range all {
		first, last := ex.years[0], ex.years[len(ex.years)-1]
		other, twice := lists[p.year]
		switch {
		case twice:
			p.by.fault(p.node, "Keep one of the two.", "the year is published on line %d of %s already", other.line, other.file)
			continue
		case p.year < first || p.year > last+1:
			p.by.fault(p.node, "Publish the years one after the other, without a gap.", "%d does not follow %d, which the calendar covers from %d on", p.year, last, first)
			continue
		case p.year == last+1:
			ex.years = append(ex.years, p.year)
		}
		lists[p.year] = p.place
		ex.replace(p.by.list(p, ex), p.year)
	}
}

// list reads the dates of a year into an exchange that has no others.
func (a *amendment) list(p publication, ex *exchange) *exchange {
	year := &exchange{years: []int{p.year}, hours: ex.hours}
	a.reader.dates(a.object(p.node, fieldClosed, fieldEarly+"?", fieldSpecial+"?"), year)
	return year
}

// replace takes the dates of a year from another exchange.
func (ex *exchange) replace(from *exchange, year int) {
	of := func(d day, _ special) bool { return d.year() == year }
	for _, dates := range []struct{ to, from map[day]special }{
		{ex.closed, from.closed}, {ex.early, from.early}, {ex.special, from.special},
	} {
		maps.DeleteFunc(dates.to, of)
		maps.Copy(dates.to, dates.from)
	}
	ex.provisional = slices.DeleteFunc(ex.provisional, func(y int) bool { return y == year })
}

// claim is a date an amendment speaks of.
type claim struct {
	place
	field string
}

// dates reads the single dates and changes the exchange.
func (a *amendment) dates(ex *exchange, claims map[day]claim) {
	before := len(a.faults)
	closed := a.byDate(a.fields, fieldClosed, ex, func(d day, n node) special {
		if _, session := ex.special[d]; !session {
			a.weekday(d, n, "It is closed anyway; remove it.")
		}
		return special{at: n.place, name: a.text(n)}
	})
	session := a.byDate(a.fields, fieldSpecial, ex, func(_ day, n node) special { return a.special(n, ex) })
	regular := a.byDate(a.fields, fieldRegular, ex, func(d day, n node) special {
		a.weekday(d, n, "There is no regular session on a weekend; list it under special.")
		return special{at: n.place, name: a.text(n)}
	})
	early := a.byDate(a.fields, fieldEarly, ex, func(d day, n node) special {
		a.weekday(d, n, "There is no session to shorten; list it under special.")
		_, claimed := claims[d]
		if other, ok := ex.special[d]; ok && !claimed {
			a.fault(n, "Give the session its new hours under special.", "has a session of its own, %s", other.name)
		} else if other, ok := ex.closed[d]; ok && !claimed {
			a.fault(n, "If there is a session after all, give its hours under special.", "is closed, %s", other.name)
		}
		return a.early(n, ex)
	})
	a.claim(claims, fieldClosed, closed)
	a.claim(claims, fieldSpecial, session)
	a.claim(claims, fieldEarly, early)
	a.claim(claims, fieldRegular, regular)
	if len(a.faults) > before {
		return
	}
	for _, dates := range []map[day]special{closed, session, early, regular} {
		for d := range dates {
			delete(ex.early, d)
			delete(ex.special, d)
		}
	}
	for d := range regular {
		delete(ex.closed, d)
	}
	for d, s := range closed {
		if !d.weekend() {
			ex.closed[d] = s
		}
	}
	maps.Copy(ex.special, session)
	maps.Copy(ex.early, early)
}

// claim refuses a date that an amendment speaks of already. A session on a date
// that is closed too is one thing: the rest of the day is a holiday.
func (a *amendment) claim(claims map[day]claim, field string, dates map[day]special) {
	for _, d := range slices.Sorted(maps.Keys(dates)) {
		own := claim{place: dates[d].at, field: field}
		other, claimed := claims[d]
		if claimed && (other.file != own.file || other.field != fieldClosed || field != fieldSpecial) {
			a.faults.add(own.place, "Keep one of the two.", "%s is amended on line %d of %s already", d, other.line, other.file)
			continue
		}
		claims[d] = own
	}
}
