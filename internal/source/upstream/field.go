package upstream

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"thor"
)

// value is a field as it was read: unknown, or of its type.
type value struct {
	pointer string // where it was, or should have been
	known   bool
	missing bool // nothing is there, not even null
	text    string
	dec     thor.Decimal
	time    time.Time
	flag    bool
}

// read reads the field from a JSON value. The error names the pointer and what
// is there instead.
func (d Field) read(node any) (value, error) {
	if d.Const != "" {
		return d.convert(value{pointer: "const"}, d.Const)
	}
	raw, pointer, found := first(node, d.From)
	v := value{pointer: pointer, missing: !found}
	if !found || raw == nil || raw == "" {
		if d.Required {
			return v, fmt.Errorf("%s %s, and the mapping requires it", pointer, absence(raw, found))
		}
		return v, nil
	}
	return d.convert(v, raw)
}

func absence(raw any, found bool) string {
	switch {
	case !found:
		return "is missing"
	case raw == nil:
		return "is null"
	}
	return "is empty"
}

func (d Field) convert(v value, raw any) (value, error) {
	wrong := func(want string) (value, error) {
		return v, fmt.Errorf("%s is %s, not %s", v.pointer, describe(raw), want)
	}
	text, isText := asText(raw)
	v.known, v.text = true, text
	var err error
	switch d.kind() {
	case TypeDec, TypeInt:
		if v.dec, err = thor.ParseDecimal(text); err != nil || !isText {
			v.known = false
			return wrong("a number")
		}
		if d.Type == TypeInt && !v.dec.Round(0).Equal(v.dec) {
			v.known = false
			return wrong("a whole number")
		}
	case TypeString:
		if !isText {
			return wrong("text")
		}
	case TypeBool:
		flag, ok := raw.(bool)
		if !ok {
			return wrong("true or false")
		}
		v.flag, v.text = flag, fmt.Sprint(flag)
	case TypeTime:
		if v.time, err = parseTime(text, d.Format); err != nil || !isText {
			v.known = false
			return v, fmt.Errorf("%s is %s, not a time: %w", v.pointer, describe(raw), err)
		}
	case TypeEnum:
		ours, ok := d.Map[text]
		if !ok || !isText {
			words := make([]string, 0, len(d.Map))
			for word := range d.Map {
				words = append(words, word)
			}
			slices.Sort(words)
			return wrong("one of the map's: " + strings.Join(words, ", "))
		}
		v.text = ours
	}
	return v, nil
}

// asText is a string or the digits of a number.
func asText(raw any) (string, bool) {
	switch v := raw.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// describe is a JSON value in a few words, for an error.
func describe(raw any) string {
	switch v := raw.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return fmt.Sprintf("%q", shorten(scrub(v), 60))
	}
	return shorten(fmt.Sprint(raw), 60)
}

// shorten cuts what is too long for a line.
func shorten(text string, limit int) string {
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return text
}

// naive is how Python writes a time without an offset.
const naive = "2006-01-02T15:04:05"

// The years a time may be in; beyond them a unit was mistaken for another.
const (
	firstYear = 2000
	lastYear  = 2100
)

// parseTime reads a time of one of the formats. Naive-utc takes an offset where
// there is one.
func parseTime(text, format string) (t time.Time, err error) {
	switch format {
	case "rfc3339", "naive-utc":
		text = strings.Replace(text, " ", "T", 1)
		if t, err = time.Parse(time.RFC3339, text); err != nil {
			if t, err = time.Parse(naive, text); err != nil {
				return t, fmt.Errorf("want one like 2026-11-23T15:30:00Z")
			}
			if format == "rfc3339" {
				return t, fmt.Errorf("it has no offset; the format naive-utc takes it for UTC")
			}
		}
	default:
		seconds, err := thor.ParseDecimal(text)
		if err != nil {
			return t, err
		}
		if format == "epoch-ms" {
			seconds = seconds.Mul(thor.NewDecimal(1, 3))
		}
		nanos, err := json.Number(seconds.Mul(thor.NewDecimal(1_000_000_000, 0)).Round(0).String()).Int64()
		if err != nil {
			return t, fmt.Errorf("it is out of range")
		}
		t = time.Unix(0, nanos)
	}
	if t = t.UTC(); t.Year() < firstYear || t.Year() > lastYear {
		return t, fmt.Errorf("that would be the year %d", t.Year())
	}
	return t, nil
}

// row is one object with its fields read.
type row map[string]value

// read reads all fields of an endpoint from an object. It reports every field
// that is wrong.
func (e *Endpoint) read(node any) (row, error) {
	if _, ok := node.(map[string]any); !ok {
		return nil, fmt.Errorf("it is %s, not an object", describe(node))
	}
	r, wrong := row{}, []string{}
	for name, field := range e.Fields {
		v, err := field.read(node)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", name, err))
		}
		r[name] = v
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return nil, fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return r, e.doubt(node, r)
}

// doubt applies the rules for values that are zero together.
func (e *Endpoint) doubt(node any, r row) error {
	for _, z := range e.Zeros {
		if !z.apply(node) {
			continue
		}
		if z.Fail {
			return fmt.Errorf("%s are all zero: %s", strings.Join(z.All, ", "), z.Why)
		}
		for _, name := range z.Unknown {
			r[name] = value{pointer: r[name].pointer}
		}
	}
	return nil
}

// apply reports whether none of the values is anything but zero, and one is. One
// that is not there is no reason to believe the others.
func (z Zeros) apply(node any) bool {
	zero := false
	for _, pointer := range z.All {
		raw, found := lookup(node, pointer)
		if !found || raw == nil || raw == "" {
			continue
		}
		text, _ := asText(raw)
		if d, err := thor.ParseDecimal(text); err != nil || d.Sign() != 0 {
			return false
		}
		zero = true
	}
	return zero
}

// root finds the value an answer is about.
func (e *Endpoint) root(body any) (any, error) {
	node, pointer, found := first(body, e.roots())
	if !found {
		return nil, fmt.Errorf("%s is missing", rootName(pointer))
	}
	return node, nil
}
