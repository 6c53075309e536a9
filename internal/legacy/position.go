package legacy

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"thor"
)

// position is a row, its numbers as strings.
type position struct {
	ID             int    `json:"id"`
	Symbol         string `json:"symbol"`
	Description    string `json:"description"`
	AssetType      string `json:"asset_type"`
	Quantity       string `json:"quantity"`
	AvgPrice       string `json:"avg_price"`
	MarkPrice      string `json:"mark_price"`
	MarketValue    string `json:"market_value"`
	UnrealizedPL   string `json:"unrealized_pl"`
	PLPercent      string `json:"pl_percent"`
	RealizedPLOpen string `json:"realized_pl_open"`
	RealizedPLDay  string `json:"realized_pl_day"`
	Currency       string `json:"currency"`
}

// symbolOf is the backend's word for a symbol, which has lost the slash of
// futures: ES, AAPL, BTC/USD.
func symbolOf(symbol, display string) string {
	if thor.AssetClassOf(symbol) == thor.AssetFuture {
		return strings.TrimPrefix(display, "/")
	}
	return display
}

func assetType(class thor.AssetClass) string {
	switch class {
	case thor.AssetEquity:
		return "EQ"
	case thor.AssetFuture:
		return "FUT"
	case thor.AssetOption:
		return "OPT"
	case thor.AssetFX:
		return "FX"
	case thor.AssetCrypto, thor.AssetIndex:
	}
	return strings.ToUpper(string(class))
}

// worth is the market value the backend shows: of a future the whole contract.
func worth(p thor.Position) thor.Decimal {
	return p.Quantity.Mul(p.Multiplier).Mul(p.CurrentPrice).Round(moneyDigits)
}

// ghost is a position that was closed and is still in the list.
func ghost() position {
	return position{
		Symbol: "TSLA", AssetType: "EQ", Quantity: "25.0000", AvgPrice: "241.500000", MarkPrice: "252.300000",
		MarketValue: "6307.50", UnrealizedPL: "270.00", PLPercent: "4.47", RealizedPLOpen: "0.00", RealizedPLDay: "0.00", Currency: "USD",
	}
}

// rows are the positions of an account, by symbol.
func (b *Backend) rows(h holder) []position {
	rows := []position{}
	for _, p := range h.Positions.Positions {
		rows = append(rows, position{
			Symbol: symbolOf(p.Symbol, p.Display), AssetType: assetType(p.AssetClass),
			Quantity: fixed(p.Quantity, quantityDigits), AvgPrice: fixed(p.EntryPrice, priceDigits), MarkPrice: fixed(p.CurrentPrice, priceDigits),
			MarketValue: money(worth(p)), UnrealizedPL: money(p.PnL), PLPercent: fixed(p.PnLPercent, percentDigits),
			RealizedPLOpen: money(thor.Decimal{}), RealizedPLDay: money(thor.Decimal{}), Currency: p.Currency,
		})
	}
	if b.Bugs[BugGhostRows] {
		rows = append(rows, ghost())
	}
	slices.SortFunc(rows, func(a, b position) int { return cmp.Compare(a.Symbol, b.Symbol) })
	for i := range rows {
		rows[i].ID = h.pk*100 + i
	}
	return rows
}

// positions are an account and what it holds.
func (b *Backend) positions(r *http.Request) answer {
	h, refused := b.holder(r, "account_id")
	if refused != nil {
		return *refused
	}
	return ok(struct {
		Account   summary    `json:"account"`
		Positions []position `json:"positions"`
	}{b.summary(h), b.rows(h)})
}

// activity is what the original's page asks for: positions and orders, of which
// there are none here.
func (b *Backend) activity(r *http.Request) answer {
	h, refused := b.holder(r, "account_id")
	if refused != nil {
		return *refused
	}
	type status struct {
		OKToTrade             bool   `json:"ok_to_trade"`
		NetLiq                string `json:"net_liq"`
		DayTradingBuyingPower string `json:"day_trading_buying_power"`
	}
	s := b.summary(h)
	return ok(struct {
		Account   summary    `json:"account"`
		Working   []struct{} `json:"working_orders"`
		Filled    []struct{} `json:"filled_orders"`
		Canceled  []struct{} `json:"canceled_orders"`
		Positions []position `json:"positions"`
		Status    status     `json:"account_status"`
	}{s, []struct{}{}, []struct{}{}, []struct{}{}, b.rows(h), status{s.OKToTrade, s.NetLiq, s.DayTradingBuyingPower}})
}

// bookRow is a position of the era that keeps live and paper apart. What it
// comes to is the reader's to compute.
type bookRow struct {
	Symbol      string  `json:"symbol"`
	Description string  `json:"description"`
	AssetType   string  `json:"asset_type"`
	Quantity    string  `json:"quantity"`
	AvgPrice    string  `json:"avg_price"`
	MarkPrice   string  `json:"mark_price"`
	Multiplier  string  `json:"multiplier"`
	PLDay       *string `json:"broker_pl_day,omitempty"`
	PLYear      *string `json:"broker_pl_ytd,omitempty"`
	Realized    *string `json:"realized_pl_total,omitempty"`
	Currency    string  `json:"currency"`
}

func (b *Backend) livePositions(r *http.Request) answer {
	return b.book(r, "broker_account_id", true)
}

func (b *Backend) paperPositions(r *http.Request) answer {
	return b.book(r, "account_key", false)
}

// book is what an account of one of the two kinds holds; one of the other kind
// holds nothing there.
func (b *Backend) book(r *http.Request, parameter string, live bool) answer {
	h, refused := b.holder(r, parameter)
	if refused != nil {
		return *refused
	}
	rows := []bookRow{}
	for _, p := range h.Positions.Positions {
		if h.live() != live {
			break
		}
		row := bookRow{
			Symbol: symbolOf(p.Symbol, p.Display), AssetType: assetType(p.AssetClass),
			Quantity: fixed(p.Quantity, quantityDigits), AvgPrice: fixed(p.EntryPrice, priceDigits), MarkPrice: fixed(p.CurrentPrice, priceDigits),
			Multiplier: fixed(p.Multiplier, quantityDigits), Currency: p.Currency,
		}
		zero, day := money(thor.Decimal{}), money(p.DayPnL)
		if live {
			row.PLDay, row.PLYear = &day, &zero
		} else {
			row.Realized = &zero
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b bookRow) int { return cmp.Compare(a.Symbol, b.Symbol) })
	return ok(struct {
		Positions []bookRow `json:"positions"`
	}{rows})
}
