package frontdoor

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Path is a path of the backend where a feature is read.
type Path struct {
	Feature string
	// Template is the path, with or without a slash at the end: both are meant.
	// {names} in it stand for anything but a slash. Behind a question mark are
	// values the query must have, where the same path serves other things too;
	// those that are {names} need not be there.
	Template string
}

// placeholder is a name in a template.
var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// pattern is a template that can be compared with requests.
type pattern struct {
	path     *regexp.Regexp
	query    url.Values
	names    int // in the path
	features []string
}

// compile makes the patterns of paths, the most particular first. A template
// that several features have is one.
func compile(paths []Path) []pattern {
	var patterns []pattern
	for _, p := range paths {
		made := parse(p.Template)
		i := slices.IndexFunc(patterns, func(other pattern) bool {
			return other.path.String() == made.path.String() && other.query.Encode() == made.query.Encode()
		})
		if i < 0 {
			patterns, i = append(patterns, made), len(patterns)
		}
		if !slices.Contains(patterns[i].features, p.Feature) {
			patterns[i].features = append(patterns[i].features, p.Feature)
		}
	}
	slices.SortStableFunc(patterns, func(a, b pattern) int {
		return cmp.Or(cmp.Compare(a.names, b.names), cmp.Compare(len(b.query), len(a.query)))
	})
	return patterns
}

func parse(template string) pattern {
	path, query, _ := strings.Cut(template, "?")
	path = strings.TrimRight(path, "/")
	var expression strings.Builder
	expression.WriteString("^")
	rest := path
	for _, at := range placeholder.FindAllStringIndex(path, -1) {
		begun := len(path) - len(rest)
		expression.WriteString(regexp.QuoteMeta(path[begun:at[0]]) + "[^/]+")
		rest = path[at[1]:]
	}
	expression.WriteString(regexp.QuoteMeta(rest) + "/*$")
	p := pattern{
		path: regexp.MustCompile(expression.String()), query: url.Values{},
		names: len(placeholder.FindAllString(path, -1)),
	}
	said, _ := url.ParseQuery(query) // what cannot be read asks for nothing
	for name, values := range said {
		if !placeholder.MatchString(name) && !placeholder.MatchString(values[0]) {
			p.query[name] = values[:1]
		}
	}
	return p
}

// matches compares a URL. The query is parsed where it counts alone.
func (p pattern) matches(u *url.URL) bool {
	if !p.path.MatchString(u.Path) {
		return false
	}
	if len(p.query) == 0 {
		return true
	}
	said := u.Query()
	for name, values := range p.query {
		if said.Get(name) != values[0] {
			return false
		}
	}
	return true
}

// FeaturesOf are the features a request reads, of which a path mostly has one.
// What writes there is nobody's: a form sent to a path is no reason to keep the
// path, and is not gone with it.
func (d *Door) FeaturesOf(r *http.Request) []string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil
	}
	for _, p := range d.patterns {
		if p.matches(r.URL) {
			return p.features
		}
	}
	return nil
}
