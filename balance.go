package thor

import "time"

// AccountBalance is the money of one account at one instant, as its source
// reports it. A value the source does not know is unknown, never zero.
//
// The identity equity = cash + Σ market_value of the account's [Positions]
// holds exactly on the simulator.
type AccountBalance struct {
	AccountID      string  `json:"account_id"`
	Currency       string  `json:"currency"`        // ISO 4217
	Cash           Decimal `json:"cash"`            // negative on margin
	Equity         Decimal `json:"equity"`          // cash and what the positions are worth
	PortfolioValue Decimal `json:"portfolio_value"` // the source's own word for the account's net value
	BuyingPower    Decimal `json:"buying_power"`
	// DayTradingBuyingPower is absent where the account has none, as a cash
	// account.
	DayTradingBuyingPower Decimal   `json:"day_trading_buying_power,omitzero"`
	Source                string    `json:"source"`
	Timestamp             time.Time `json:"timestamp"` // the source's own time
}

// Validate reports everything that is wrong with b.
func (b AccountBalance) Validate() error {
	var f faults
	f.id("account_id", b.AccountID)
	f.currency("currency", b.Currency)
	f.text("source", b.Source)
	f.instant("timestamp", b.Timestamp)
	return f.err()
}

// AccountBalanceMessage builds the message that publishes b, its values rounded
// half-even to cents.
func AccountBalanceMessage(b AccountBalance) Message {
	var lost fitting
	lost.round(ScaleMoney, &b.Cash, &b.Equity, &b.PortfolioValue, &b.BuyingPower, &b.DayTradingBuyingPower)
	b.Timestamp = b.Timestamp.UTC()
	return Message{
		Type:   "account_balance",
		Stream: NewStreamID("account_balance", b.AccountID),
		Key:    b.AccountID,
		Data:   b,
		Lost:   int(lost),
	}
}

// AccountBalanceMessages builds one message for each balance.
func AccountBalanceMessages(balances []AccountBalance) []Message {
	return messages(balances, AccountBalanceMessage)
}

func accountBalanceFeature() Feature {
	return Feature{
		Name:    "account_balance",
		Type:    "account_balance",
		Scope:   ScopeAccount,
		Key:     "account_id",
		Path:    "/api/account/balance",
		Cadence: time.Second,
		Idle:    5 * time.Second,
		Read:    reading(AccountBalanceMessage),
		Sample: AccountBalanceMessage(AccountBalance{
			AccountID:             "PAPER-1",
			Currency:              "USD",
			Cash:                  MustDecimal("41250.10"),
			Equity:                MustDecimal("104811.42"),
			PortfolioValue:        MustDecimal("104811.42"),
			BuyingPower:           MustDecimal("146061.52"),
			DayTradingBuyingPower: MustDecimal("292123.04"),
			Source:                "sim",
			Timestamp:             time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC),
		}),
	}
}
