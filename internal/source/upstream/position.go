package upstream

import (
	"context"
	"fmt"
	"strings"

	"thor"
)

// positions asks for what one account holds. Without a list there is an error,
// never an empty list.
func (s *Source) positions(ctx context.Context, a account) (thor.Positions, error) {
	items, err := s.client.list(ctx, s.positionsQuestion(a))
	if err != nil {
		return thor.Positions{}, err
	}
	return s.positionsFrom(a, items)
}

func (s *Source) positionsQuestion(a account) question {
	return question{op: "positions of " + Mask(a.id), endpoint: &s.mapping.Positions, vars: a.vars}
}

func (s *Source) positionsFrom(a account, items []any) (thor.Positions, error) {
	e, f := &s.mapping.Positions, s.positionsQuestion(a).fault()
	p := thor.Positions{AccountID: a.id, Positions: make([]thor.Position, 0, len(items)), Timestamp: s.now()}
	seen := map[string]bool{}
	for i, item := range items {
		key := e.keyOf(item, i)
		r, err := e.read(item)
		if err != nil {
			return thor.Positions{}, f.bad("%s: %w", key, err)
		}
		held, err := s.position(r)
		if err != nil {
			return thor.Positions{}, f.bad("%s: %w", key, err)
		}
		if seen[held.Symbol] {
			return thor.Positions{}, f.bad("%s: %s is there twice", key, held.Symbol)
		}
		seen[held.Symbol] = true
		p.Positions = append(p.Positions, held)
	}
	if err := p.Validate(); err != nil { // here it can be said who sent it
		return thor.Positions{}, f.bad("%w", err)
	}
	return p, nil
}

// keyOf names an element of a list for people.
func (e *Endpoint) keyOf(item any, i int) string {
	if raw, found := lookup(item, e.Key); e.Key != "" && found {
		if text, ok := asText(raw); ok {
			return "row " + shorten(scrub(text), 40)
		}
	}
	return fmt.Sprintf("row %d", i)
}

// position is one row. What the backend does not say and what follows from what
// it does say is computed, exactly.
func (s *Source) position(r row) (thor.Position, error) {
	class := thor.AssetClass(r["asset_class"].text)
	symbol, known := s.symbol(class, r["symbol"].text)
	p := thor.Position{
		Symbol: symbol.ID, Display: symbol.Display, AssetClass: class, Currency: r["currency"].text,
		Quantity: r["quantity"].dec, Multiplier: r["multiplier"].dec,
		EntryPrice: r["entry_price"].dec, CurrentPrice: r["current_price"].dec,
		MarketValue: r["market_value"].dec, PnL: r["pnl"].dec, PnLPercent: r["pnl_percent"].dec, DayPnL: r["day_pnl"].dec,
	}
	if d := r["display"]; d.known {
		p.Display = d.text
	}
	switch {
	case thor.AssetClassOf(p.Symbol) != class || class == "":
		return p, fmt.Errorf("%q is not an asset class of ours: equity, future, option, fx, crypto or index", class)
	case !thor.ValidID(p.Symbol):
		return p, fmt.Errorf("the symbol %q would be %q, which is no id: add [[symbols]] with alias = %q and an id", r["symbol"].text, p.Symbol, r["symbol"].text)
	case !p.Quantity.Known():
		return p, fmt.Errorf("%s has no number", r["quantity"].pointer)
	}
	if !p.Multiplier.Known() {
		if p.Multiplier = multiplier(symbol, class); !p.Multiplier.Known() {
			if known {
				return p, fmt.Errorf("nobody says what a point of %s is worth: add multiplier to its [[symbols]]", p.Symbol)
			}
			return p, fmt.Errorf("nobody says what a point of %s is worth: add [[symbols]] with id, alias and multiplier", p.Symbol)
		}
	}
	complete(&p)
	return p, nil
}

// complete computes what follows from quantity and prices, where the backend
// does not say it.
func complete(p *thor.Position) {
	size := p.Quantity.Mul(p.Multiplier)
	cost := size.Mul(p.EntryPrice).Round(thor.ScaleMoney)
	worth := size.Mul(p.CurrentPrice).Round(thor.ScaleMoney)
	if !p.PnL.Known() {
		p.PnL = worth.Sub(cost)
	}
	if !p.PnLPercent.Known() {
		p.PnLPercent = p.PnL.Mul(thor.NewDecimal(100, 0)).Div(cost.Abs(), thor.ScalePercent)
	}
	if p.AssetClass == thor.AssetFuture { // nobody pays for a future; it is worth its profit
		p.MarketValue = p.PnL
	} else if !p.MarketValue.Known() {
		p.MarketValue = worth
	}
}

// multiplier is what a point of an instrument is worth where the backend does
// not say. Of a future only a table knows it.
func multiplier(s Symbol, class thor.AssetClass) thor.Decimal {
	if s.Multiplier != "" {
		return thor.MustDecimal(s.Multiplier) // it was checked
	}
	switch class {
	case thor.AssetFuture:
		return thor.Decimal{}
	case thor.AssetOption:
		return thor.NewDecimal(100, 0)
	case thor.AssetEquity, thor.AssetCrypto, thor.AssetFX, thor.AssetIndex:
	}
	return thor.NewDecimal(1, 0)
}

// prefixes are the first parts of canonical symbols.
var prefixes = map[thor.AssetClass]string{
	thor.AssetEquity: "EQ.", thor.AssetFuture: "FUT.", thor.AssetCrypto: "CRYPTO.",
	thor.AssetOption: "OPT.", thor.AssetFX: "FX.", thor.AssetIndex: "IDX.",
}

// symbol is the instrument with that name of theirs: one of the mapping's, or
// else one made of the name, which is then not known. Two classes may use the
// same name: ES is a future and a stock.
func (s *Source) symbol(class thor.AssetClass, theirs string) (symbol Symbol, known bool) {
	for _, listed := range s.mapping.Symbols {
		if listed.Alias == theirs && thor.AssetClassOf(listed.ID) == class {
			symbol, known = listed, true
			break
		}
	}
	if symbol.ID == "" {
		symbol.ID = prefixes[class] + canonical(class, theirs)
	}
	if symbol.Display == "" {
		symbol.Display = displayOf(class, theirs)
	}
	return symbol, known
}

// canonical is a name without what ids do not have.
func canonical(class thor.AssetClass, theirs string) string {
	switch class {
	case thor.AssetFuture:
		return strings.TrimLeft(theirs, "/")
	case thor.AssetIndex:
		return strings.TrimPrefix(theirs, "$")
	case thor.AssetOption:
		return strings.ReplaceAll(theirs, " ", "")
	case thor.AssetFX, thor.AssetCrypto:
		return strings.ReplaceAll(theirs, "/", "-")
	case thor.AssetEquity:
	}
	return strings.ReplaceAll(theirs, "/", ".")
}

func displayOf(class thor.AssetClass, theirs string) string {
	if class == thor.AssetFuture {
		return "/" + strings.TrimLeft(theirs, "/")
	}
	return theirs
}
