package upstream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"thor"
	"thor/internal/source"
)

// Report is what a look at every endpoint has found. It names no account whole.
type Report struct {
	URL       string    `json:"url"`
	Who       string    `json:"who,omitempty"` // as the backend calls us
	Simulated bool      `json:"simulated"`     // the backend says that its data is made up
	SkewMS    *int64    `json:"clock_ahead_ms,omitempty"`
	Endpoints []Checked `json:"endpoints"`
}

// Checked is what one endpoint answered, for one account or symbol.
type Checked struct {
	Endpoint string         `json:"endpoint"`
	Path     string         `json:"path"`
	Of       string         `json:"of,omitempty"`
	Problem  string         `json:"problem,omitempty"`
	Note     string         `json:"note,omitempty"`
	Fields   []CheckedField `json:"fields,omitempty"`
}

// CheckedField is a value of theirs, of ours, or of both.
type CheckedField struct {
	Theirs string `json:"theirs,omitempty"`
	Ours   string `json:"ours,omitempty"`
	Value  string `json:"value,omitempty"`
	Note   string `json:"note,omitempty"`
	Wrong  bool   `json:"wrong,omitempty"`
}

// Faults counts what must be put right.
func (r Report) Faults() int {
	n := 0
	for _, e := range r.Endpoints {
		if e.Problem != "" {
			n++
			continue
		}
		for _, f := range e.Fields {
			if f.Wrong {
				n++
				break
			}
		}
	}
	return n
}

// Folded are the endpoints, those that say the same of several accounts or
// symbols taken together.
func (r Report) Folded() []Checked {
	var list []Checked
	var first *Checked // of those that say the same
	more := 0
	for i, e := range r.Endpoints {
		same := first != nil && e.Problem != "" && len(e.Fields) == 0 &&
			first.Endpoint == e.Endpoint && first.Problem == e.Problem && first.Note == e.Note && len(first.Fields) == 0
		if !same {
			list, first, more = append(list, e), &r.Endpoints[i], 0
			continue
		}
		more++
		list[len(list)-1].Of = fmt.Sprintf("%s and %d more", first.Of, more)
	}
	return list
}

// Check asks every endpoint once, for every account and symbol, and says what is
// missing, unused or of the wrong type. It shows the fields of the first of
// each, and of the others what is wrong.
func (s *Source) Check(ctx context.Context) Report {
	r := Report{URL: s.client.base.String()}
	m := s.mapping
	if len(m.Who.Path) > 0 {
		c := checking{s, Checked{Endpoint: "who", Path: m.Who.Path[0]}, nil}
		if body, ok := c.ask(ctx, question{op: "who", endpoint: &m.Who}); ok {
			if row, err := m.Who.readRoot(body); err == nil {
				r.Who = s.client.veil.words(row["name"].text)
			}
			c.object(body, &m.Who, whoSlots)
		}
		r.Endpoints = append(r.Endpoints, c.Checked)
	}
	accounts := s.checkAccounts(ctx, &r)
	shown := false
	for _, of := range []struct {
		name     string
		endpoint *Endpoint
		check    func(context.Context, account) Checked
	}{{"balance", &m.Balance, s.checkBalance}, {"positions", &m.Positions, s.checkPositions}} {
		if len(of.endpoint.Path) == 0 {
			continue
		}
		shown = false
		for _, a := range accounts {
			r.add(of.check(ctx, a), &shown)
		}
		if len(accounts) == 0 {
			r.Endpoints = append(r.Endpoints, Checked{Endpoint: of.name, Path: of.endpoint.Path[0], Note: "not asked: no account is known"})
		}
	}
	shown = false
	for _, t := range s.tapes {
		r.add(s.checkBar(ctx, t.symbol), &shown)
	}
	if len(m.Markets.Path) > 0 {
		c := checking{s, Checked{Endpoint: "markets", Path: m.Markets.Path[0]}, nil}
		if items, ok := c.list(ctx, question{op: "markets", endpoint: &m.Markets}); ok {
			c.rows(items, &m.Markets, marketSlots)
			c.Note = fmt.Sprintf("%d rows; thor takes the states of markets from its own calendar", len(items))
		}
		r.Endpoints = append(r.Endpoints, c.Checked)
	}
	if ahead, ok := s.Skew(); ok {
		ms := ahead.Milliseconds()
		r.SkewMS = &ms
	}
	r.Simulated = s.Caps().Simulated
	return r
}

// add adds an endpoint; once the fields of one were shown, those of the next are
// left out but for what is wrong.
func (r *Report) add(c Checked, shown *bool) {
	if *shown {
		c.Fields = slices.DeleteFunc(c.Fields, func(f CheckedField) bool { return !f.Wrong })
	}
	*shown = *shown || len(c.Fields) > 0
	r.Endpoints = append(r.Endpoints, c)
}

func (s *Source) checkAccounts(ctx context.Context, r *Report) []account {
	e := &s.mapping.Accounts.Endpoint
	if len(s.mapping.Accounts.IDs) > 0 {
		list, _ := s.list(ctx) // they are given
		return list
	}
	c := checking{s, Checked{Endpoint: "accounts", Path: e.Path[0]}, nil}
	defer func() { r.Endpoints = append(r.Endpoints, c.Checked) }()
	items, ok := c.list(ctx, s.accountsQuestion())
	if !ok {
		return nil
	}
	list, err := s.accountsFrom(items)
	if err != nil {
		c.fail(err)
	}
	for _, a := range list {
		c.secret = append(c.secret, s.secrets(a)...)
	}
	slots := []slot{}
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		slots = append(slots, slot{name: name, takes: takesText})
	}
	c.rows(items, e, slots)
	c.Note = fmt.Sprintf("%d rows", len(items))
	return list
}

func (s *Source) checkBalance(ctx context.Context, a account) Checked {
	e := &s.mapping.Balance
	c := checking{s, Checked{Endpoint: "balance", Path: e.Path[0], Of: Mask(a.id)}, s.secrets(a)}
	if body, ok := c.ask(ctx, s.balanceQuestion(a)); ok {
		if _, err := s.balanceFrom(a, body); err != nil {
			c.fail(err)
		}
		c.object(body, e, balanceSlots)
	}
	return c.Checked
}

func (s *Source) checkPositions(ctx context.Context, a account) Checked {
	e := &s.mapping.Positions
	c := checking{s, Checked{Endpoint: "positions", Path: e.Path[0], Of: Mask(a.id)}, s.secrets(a)}
	if items, ok := c.list(ctx, s.positionsQuestion(a)); ok {
		if _, err := s.positionsFrom(a, items); err != nil {
			c.fail(err)
		}
		c.rows(items, e, positionSlots)
		c.Note = fmt.Sprintf("%d rows", len(items))
	}
	return c.Checked
}

func (s *Source) checkBar(ctx context.Context, symbol Symbol) Checked {
	e := &s.mapping.Bars
	c := checking{s, Checked{Endpoint: "bars", Path: e.Path[0], Of: symbol.ID}, nil}
	body, ok := c.ask(ctx, s.barQuestion(symbol))
	if !ok {
		return c.Checked
	}
	bar, err := s.barFrom(symbol, body, s.now())
	switch {
	case err != nil:
		c.fail(err)
	case bar.Symbol == "":
		c.Note = "the backend has no bar of it"
		return c.Checked
	case len(e.Fields["minute"].From) == 0:
		c.Note = "without a time: it is dated when it changes, and may be a minute off"
	}
	c.object(body, e, barSlots)
	return c.Checked
}

// checking is one endpoint being looked at.
type checking struct {
	s *Source
	Checked
	secret []string // what is not shown whole
}

// ask asks, and notes why there is no answer and which path gave one.
func (c *checking) ask(ctx context.Context, q question) (any, bool) {
	body, path, err := c.s.client.askPath(ctx, q)
	c.Path = path
	if err != nil {
		c.fail(err)
	}
	return body, err == nil
}

func (c *checking) list(ctx context.Context, q question) ([]any, bool) {
	items, err := c.s.client.list(ctx, q)
	c.Path = c.s.client.keptPath(q.endpoint)
	if err != nil {
		c.fail(err)
	}
	return items, err == nil
}

// fail notes a problem in its own words.
func (c *checking) fail(err error) {
	if e, ok := errors.AsType[*source.Error](err); ok {
		words := e.Err
		if hinted, ok := errors.AsType[*thor.Error](words); ok && e.Kind == source.BadData {
			c.Problem = shorten(c.masked(hinted.Message), maxWords) // the hint would lead here
			return
		}
		err = words
	}
	c.Problem = shorten(c.masked(err.Error()), maxWords)
}

func (c *checking) object(body any, e *Endpoint, slots []slot) {
	if node, err := e.root(body); err == nil {
		c.fields(node, e, slots)
	}
}

func (c *checking) rows(items []any, e *Endpoint, slots []slot) {
	if len(items) > 0 {
		c.fields(items[0], e, slots)
	}
}

// fields compares one object with the mapping: first our fields, then what of
// theirs nobody uses.
func (c *checking) fields(node any, e *Endpoint, slots []slot) {
	used := map[string]bool{e.Key: true}
	for _, z := range e.Zeros {
		for _, pointer := range z.All {
			used[pointer] = true
		}
	}
	doubted := e.doubted(node)
	for _, slot := range slots {
		field, mapped := e.Fields[slot.name]
		for _, pointer := range field.From {
			used[pointer] = true
		}
		f := CheckedField{Ours: slot.name, Note: "not mapped: " + slot.absent()}
		if mapped {
			f = c.field(node, slot, field)
		}
		if why := doubted[slot.name]; why != "" {
			f.Note = "unknown: " + why
		}
		c.Fields = append(c.Fields, f)
	}
	for _, leaf := range leaves(node, "") {
		if !used[leaf.pointer] {
			c.Fields = append(c.Fields, CheckedField{Theirs: leaf.pointer, Value: c.show(leaf.pointer, leaf.value), Note: "unused"})
		}
	}
}

// absent says what the field is without a value of theirs.
func (s slot) absent() string { return cmp.Or(s.without, "unknown") }

func (c *checking) field(node any, ours slot, field Field) CheckedField {
	v, err := field.read(node)
	f := CheckedField{Theirs: v.pointer, Ours: ours.name}
	if field.Const != "" {
		f.Theirs, f.Value, f.Note = "", field.Const, "constant"
		return f
	}
	if raw, found := lookup(node, v.pointer); found {
		f.Value = c.show(v.pointer, raw)
	}
	switch {
	case err != nil:
		f.Note, f.Wrong = strings.TrimPrefix(err.Error(), v.pointer+" "), true
	case v.missing:
		f.Note = "missing: " + ours.absent()
	case !v.known:
		f.Note = "empty: " + ours.absent()
	case field.kind() == TypeEnum:
		f.Note = "→ " + v.text
	case field.kind() == TypeTime:
		f.Note = "→ " + v.time.Format("2006-01-02T15:04:05.999Z")
	}
	return f
}

// doubted are the fields that are unknown because of zeros, each with why.
func (e *Endpoint) doubted(node any) map[string]string {
	why := map[string]string{}
	for _, z := range e.Zeros {
		if z.apply(node) {
			for _, name := range z.Unknown {
				why[name] = z.Why
			}
		}
	}
	return why
}

// leaf is a value that is no object, and where it is.
type leaf struct {
	pointer string
	value   any
}

// leaves are the leaves of objects, by name; a list is one.
func leaves(node any, at string) []leaf {
	object, ok := node.(map[string]any)
	if !ok || len(object) == 0 {
		return []leaf{{at, node}}
	}
	var all []leaf
	for _, name := range slices.Sorted(maps.Keys(object)) {
		token := strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
		all = append(all, leaves(object[name], at+"/"+token)...)
	}
	return all
}

const shownLength = 40

// show is a value in one line, account numbers masked.
func (c *checking) show(pointer string, raw any) string {
	text, isText := asText(raw)
	if !isText {
		data, err := json.Marshal(raw)
		if err != nil {
			return describe(raw)
		}
		return shorten(c.masked(string(data)), shownLength)
	}
	if isText && strings.Contains(strings.ToLower(pointer), "account") {
		return Mask(text)
	}
	return shorten(c.masked(text), shownLength)
}

// masked hides the names of accounts in a text.
func (c *checking) masked(text string) string {
	text = c.s.client.veil.hide(text)
	for _, secret := range c.secret {
		if len(secret) >= 4 { // a shorter one is no number, and would hide half of the text
			text = strings.ReplaceAll(text, secret, Mask(secret))
		}
	}
	return text
}

// secrets are the names of the account, the longest first. What a map has made
// of a word is the mapping's own.
func (s *Source) secrets(a account) []string {
	names := []string{a.id}
	for name, v := range a.vars {
		if s.mapping.Accounts.Fields[name].kind() != TypeEnum {
			names = append(names, v)
		}
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Compare(len(y), len(x)) })
	return slices.Compact(names)
}

// Mask hides a name but for its end.
func Mask(text string) string {
	const shown = 2
	if runes := []rune(text); len(runes) > 2*shown {
		return "••••" + string(runes[len(runes)-shown:])
	}
	return "••••"
}

// Has reports whether the mapping has a feature.
func (s *Source) Has(feature string) bool {
	switch feature {
	case "account_balance":
		return len(s.mapping.Balance.Path) > 0
	case "positions":
		return len(s.mapping.Positions.Path) > 0
	case "intraday":
		return len(s.tapes) > 0
	}
	return false
}

// Limits says in words what the source cannot do.
func (s *Source) Limits() []string {
	limits := []string{"be told of changes: they arrive with the next question"}
	for _, feature := range thor.FeatureNames() {
		if f, err := thor.FeatureNamed(feature); err == nil && f.Scope != thor.ScopeShared && !s.Has(feature) {
			limits = append(limits, "deliver "+feature+": the mapping has none")
		}
	}
	if s.Has("intraday") {
		limits = append(limits, "deliver bars from before its start")
		if len(s.mapping.Bars.Fields["minute"].From) == 0 {
			limits = append(limits, "tell the time of a bar: it is dated when it changes, and may be a minute off")
		}
	}
	return limits
}

// Who asks the backend who we are; "" when the mapping does not say where.
func (s *Source) Who(ctx context.Context) (string, error) {
	if len(s.mapping.Who.Path) == 0 {
		return "", nil
	}
	q := question{op: "who", endpoint: &s.mapping.Who}
	body, err := s.client.ask(ctx, q)
	if err != nil {
		return "", s.outward(ctx, err)
	}
	r, err := s.mapping.Who.readRoot(body)
	if err != nil {
		return "", s.outward(ctx, q.fault().bad("%w", err))
	}
	return s.client.veil.words(r["name"].text), nil
}
