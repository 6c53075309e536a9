package calendar

import (
	"regexp"
	"slices"
	"time"

	"thor"
)

// The years a file may cover, and how many at most.
const (
	firstYear = 2000
	lastYear  = 2099
	maxYears  = 20
)

var micPattern = regexp.MustCompile(`^[A-Z0-9]{4}$`)

// parse reads and checks a file: an exchange without its sessions and tables, or
// an amendment to one. Its error names the line of everything that is wrong.
func parse(f file) (*exchange, *amendment, error) {
	root, err := scan(f.name, f.data)
	if err != nil {
		return nil, nil, err
	}
	var r reader
	if members, ok := root.value.([]member); ok {
		if _, amends := fields(members).get("amends"); amends {
			a := r.amendment(root)
			return nil, a, r.faults.err()
		}
	}
	ex := r.exchange(root)
	return ex, nil, r.faults.err()
}

// mic reads the code of an exchange.
func (r *reader) mic(n node) string {
	mic, _ := n.value.(string)
	if !micPattern.MatchString(mic) {
		r.fault(n, "Write the ISO 10383 MIC, such as XNYS.", "%s is not a MIC", n.quoted())
	}
	return mic
}

func (r *reader) exchange(n node) *exchange {
	o := r.object(n, "exchange", "timezone", "years", "hours", "markets", "closed",
		"about?", "hours_timezone?", "provisional_years?", "early?", "special?")
	ex := &exchange{at: n.place}
	if about, ok := o.get("about"); ok {
		r.about(about)
	}
	if mic, ok := o.get("exchange"); ok {
		ex.mic = r.mic(mic)
	}
	if zone, ok := o.get("timezone"); ok {
		ex.loc = r.zone(zone)
	}
	ex.hoursLoc = ex.loc
	if zone, ok := o.get("hours_timezone"); ok {
		ex.hoursLoc = r.zone(zone)
	}
	if years, ok := o.get("years"); ok {
		ex.years = r.years(years)
	}
	if years, ok := o.get("provisional_years"); ok {
		ex.provisional = r.provisional(years, ex.years)
	}
	if hours, ok := o.get("hours"); ok {
		ex.hours, ex.hoursAt = r.hours(hours), hours.place
	}
	if markets, ok := o.get("markets"); ok {
		ex.markets = r.markets(markets, ex)
	}
	r.dates(o, ex)
	return ex
}

// zone reads the name of a time zone; it is UTC after a fault.
func (r *reader) zone(n node) *time.Location {
	name, _ := n.value.(string)
	loc, err := time.LoadLocation(name)
	if err != nil || name == "" || name == "Local" {
		r.fault(n, "Write an IANA name, such as America/New_York.", "%s is not a time zone", n.quoted())
		return time.UTC
	}
	return loc
}

// years reads the covered years; there are none after a fault.
func (r *reader) years(n node) []int {
	before := len(r.faults)
	var years []int
	for _, item := range r.list(n) {
		year := r.integer(item, firstYear, lastYear)
		if len(years) > 0 && len(r.faults) == before && year != years[len(years)-1]+1 {
			r.fault(item, "List the years one after the other, without a gap.", "%d does not follow %d", year, years[len(years)-1])
		}
		years = append(years, year)
	}
	if len(years) > maxYears {
		r.fault(n, "Leave out the oldest.", "these are more than %d years", maxYears)
	}
	if len(r.faults) > before {
		return nil
	}
	return years
}

func (r *reader) provisional(n node, covered []int) []int {
	var years []int
	for _, item := range r.list(n) {
		year := r.integer(item, firstYear, lastYear)
		switch {
		case slices.Contains(years, year):
			r.fault(item, "Keep one of the two.", "%d is listed already", year)
		case len(covered) > 0 && !slices.Contains(covered, year):
			r.fault(item, "List it under years too, or remove it.", "%d is not a covered year", year)
		}
		years = append(years, year)
	}
	return years
}

// hours reads the parts of a day's trading; there are none after a fault.
func (r *reader) hours(n node) []hours {
	before := len(r.faults)
	var parts []hours
	for _, item := range r.list(n) {
		var h hours
		o := r.object(item, "open", "close")
		if opens, ok := o.get("open"); ok {
			h.open = r.clock(opens)
		}
		if closes, ok := o.get("close"); ok {
			h.close = r.clock(closes)
		}
		if len(r.faults) > before {
			return nil
		}
		if h.close <= h.open {
			r.fault(item, `An opening on the evening before is written "D-1 17:00".`, "the close %s is not after the opening %s", h.close, h.open)
		}
		if len(parts) > 0 && h.open <= parts[len(parts)-1].close {
			r.fault(item, "Put the parts in order, with a break between them.", "the opening %s is not after the close %s before it", h.open, parts[len(parts)-1].close)
		}
		parts = append(parts, h)
	}
	if len(r.faults) > before {
		return nil
	}
	if first, last := parts[0].open, parts[len(parts)-1].close; last-first > minutesPerDay {
		r.fault(n, "Move the opening or the close.", "%s to %s is longer than a day", first, last)
		return nil
	}
	return parts
}

func (r *reader) markets(n node, ex *exchange) []*market {
	var markets []*market
	for _, item := range r.list(n) {
		o := r.object(item, "id", "name", "country", "weight", "order",
			"hours?", "preopen_minutes?", "post_minutes?", "maintenance_minutes?")
		m := &market{exchange: ex, at: item.place}
		for _, field := range o {
			r.market(m, field.name, field.node)
		}
		if ex.loc != nil {
			m.fixed.Timezone = ex.loc.String()
		}
		for _, other := range markets {
			if m.fixed.MarketID == other.fixed.MarketID {
				r.fault(item, "Give each market an id of its own.", "the market %q is on line %d already", m.fixed.MarketID, other.at.line)
			}
		}
		markets = append(markets, m)
	}
	return markets
}

// market reads one field of a market.
func (r *reader) market(m *market, name string, value node) {
	switch name {
	case "id":
		if m.fixed.MarketID, _ = value.value.(string); !thor.ValidID(m.fixed.MarketID) {
			r.fault(value, "Write the exchange's MIC, with a suffix for a market of its own: XNYS.PRE.", "%s is not an id", value.quoted())
		}
	case "name":
		m.fixed.Market = r.text(value)
	case "country":
		m.fixed.Country = r.text(value)
	case "weight":
		m.fixed.Weight = r.weight(value)
	case "order":
		m.order = r.integer(value, 0, 1_000_000)
	case "hours":
		m.hours = r.hours(value)
	case "preopen_minutes":
		m.preopen = clock(r.integer(value, 0, minutesPerDay))
	case "post_minutes":
		m.post = clock(r.integer(value, 0, minutesPerDay))
	case "maintenance_minutes":
		m.maintenance = clock(r.integer(value, 0, minutesPerDay))
	}
}
