package thor

import (
	"fmt"
	"strings"
	"time"
)

// AssetClass is the kind of an instrument. It decides how many digits its
// prices and quantities have.
type AssetClass string

// The asset classes.
const (
	AssetEquity AssetClass = "equity"
	AssetFuture AssetClass = "future"
	AssetCrypto AssetClass = "crypto"
	AssetOption AssetClass = "option"
	AssetFX     AssetClass = "fx"
	AssetIndex  AssetClass = "index"
)

// AssetClassOf reads the class off a canonical symbol: EQ.AAPL is an equity,
// FUT.ES a future, CRYPTO.BTC-USD crypto. It is "" for any other prefix.
func AssetClassOf(symbol string) AssetClass {
	prefix, _, _ := strings.Cut(symbol, ".")
	switch prefix {
	case "EQ":
		return AssetEquity
	case "FUT":
		return AssetFuture
	case "CRYPTO":
		return AssetCrypto
	case "OPT":
		return AssetOption
	case "FX":
		return AssetFX
	case "IDX":
		return AssetIndex
	}
	return ""
}

// PriceScale is the number of digits of the class's prices.
func (a AssetClass) PriceScale() int32 {
	if a == AssetFX || a == AssetOption {
		return ScaleFinePrice
	}
	return ScalePrice
}

// QuantityScale is the number of digits of the class's quantities and volumes.
func (a AssetClass) QuantityScale() int32 {
	if a == AssetCrypto {
		return ScaleCoin
	}
	return ScaleQuantity
}

// Position is what an account holds of one symbol. A short position has a
// negative quantity.
type Position struct {
	Symbol     string     `json:"symbol"`  // canonical: EQ.AAPL
	Display    string     `json:"display"` // short: AAPL
	AssetClass AssetClass `json:"asset_class"`
	Quantity   Decimal    `json:"quantity"`
	Multiplier Decimal    `json:"multiplier"` // 50 for ES: one point is worth 50 dollars
	EntryPrice Decimal    `json:"entry_price"`
	// CurrentPrice is the price market_value and pnl are computed with.
	CurrentPrice Decimal `json:"current_price"`
	// MarketValue is quantity × multiplier × current_price for what is paid
	// for, and the open profit for futures, which are not.
	MarketValue Decimal `json:"market_value"`
	PnL         Decimal `json:"pnl"`         // open profit since entry
	PnLPercent  Decimal `json:"pnl_percent"` // of the cost, in percent
	DayPnL      Decimal `json:"day_pnl"`     // since the previous session's close
	Currency    string  `json:"currency"`
}

// PositionTotals are the sums over an account's positions, as the server
// computed them.
type PositionTotals struct {
	MarketValue Decimal `json:"market_value"`
	PnL         Decimal `json:"pnl"`
	DayPnL      Decimal `json:"day_pnl"`
}

// Positions is the whole list of an account's positions at one instant: a
// position that is not in it is closed.
type Positions struct {
	AccountID string         `json:"account_id"`
	Positions []Position     `json:"positions"`
	Totals    PositionTotals `json:"totals"`
	Timestamp time.Time      `json:"timestamp"` // the source's own time
}

// Validate reports everything that is wrong with p.
func (p Positions) Validate() error {
	var f faults
	f.id("account_id", p.AccountID)
	f.instant("timestamp", p.Timestamp)
	seen := map[string]bool{}
	for i, row := range p.Positions {
		at := fmt.Sprintf("positions/%d/", i)
		f.id(at+"symbol", row.Symbol)
		f.text(at+"display", row.Display)
		f.known(at+"quantity", row.Quantity)
		f.known(at+"multiplier", row.Multiplier)
		f.currency(at+"currency", row.Currency)
		if row.AssetClass != AssetClassOf(row.Symbol) || row.AssetClass == "" {
			f.add(at+"asset_class", "%q does not fit the symbol %q", row.AssetClass, row.Symbol)
		}
		if seen[row.Symbol] {
			f.add(at+"symbol", "%q is in the list twice", row.Symbol)
		}
		seen[row.Symbol] = true
	}
	return f.err()
}

// PositionsMessage builds the message that publishes p. Each value is rounded
// half-even to its scale, and the totals are the sums of the rounded rows; a
// total over an unknown value is unknown.
func PositionsMessage(p Positions) Message {
	var lost fitting
	rows := make([]Position, len(p.Positions))
	zero := NewDecimal(0, ScaleMoney)
	p.Totals = PositionTotals{MarketValue: zero, PnL: zero, DayPnL: zero}
	for i, row := range p.Positions {
		lost.round(row.AssetClass.QuantityScale(), &row.Quantity)
		lost.round(ScaleQuantity, &row.Multiplier)
		lost.round(row.AssetClass.PriceScale(), &row.EntryPrice, &row.CurrentPrice)
		lost.round(ScaleMoney, &row.MarketValue, &row.PnL, &row.DayPnL)
		lost.round(ScalePercent, &row.PnLPercent)
		p.Totals.MarketValue = p.Totals.MarketValue.Add(row.MarketValue)
		p.Totals.PnL = p.Totals.PnL.Add(row.PnL)
		p.Totals.DayPnL = p.Totals.DayPnL.Add(row.DayPnL)
		rows[i] = row
	}
	p.Positions = rows
	p.Timestamp = p.Timestamp.UTC()
	return Message{
		Type:   "positions",
		Stream: NewStreamID("positions", p.AccountID),
		Key:    p.AccountID,
		Data:   p,
		Lost:   int(lost),
	}
}

// PositionsMessages builds one message for each account's positions.
func PositionsMessages(positions []Positions) []Message {
	return messages(positions, PositionsMessage)
}

func positionsFeature() Feature {
	return Feature{
		Name:    "positions",
		Type:    "positions",
		Scope:   ScopeAccount,
		Key:     "account_id",
		Path:    "/api/positions",
		Cadence: time.Second,
		Idle:    5 * time.Second,
		Read:    reading(PositionsMessage),
		Sample: PositionsMessage(Positions{
			AccountID: "PAPER-1",
			Positions: []Position{{
				Symbol:       "FUT.ES",
				Display:      "/ES",
				AssetClass:   AssetFuture,
				Quantity:     MustDecimal("2"),
				Multiplier:   MustDecimal("50"),
				EntryPrice:   MustDecimal("6710.25"),
				CurrentPrice: MustDecimal("6718.50"),
				MarketValue:  MustDecimal("825.00"),
				PnL:          MustDecimal("825.00"),
				PnLPercent:   MustDecimal("0.1229"),
				DayPnL:       MustDecimal("-112.50"),
				Currency:     "USD",
			}},
			Timestamp: time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC),
		}),
	}
}
