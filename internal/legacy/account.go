package legacy

import (
	"context"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"time"

	"thor"
	"thor/internal/source"
)

// holder is an account as the backend keeps it.
type holder struct {
	source.Account
	pk int
}

// live reports whether the account is a broker's; the others are on paper. The
// backend has the one from its cache, the other from its tables.
func (h holder) live() bool { return h.Balance.DayTradingBuyingPower.Known() }

// number is the broker's number of the account; one on paper has none.
func (h holder) number() *string {
	if !h.live() {
		return nil
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(h.Balance.AccountID)) // it never fails
	number := strconv.FormatUint(10_000_000+uint64(sum.Sum32())%90_000_000, 10)
	return &number
}

func (h holder) is(id string) bool {
	number := h.number()
	return id == h.Balance.AccountID || id == strconv.Itoa(h.pk) || number != nil && id == *number
}

// holders are the accounts the user sees.
func (b *Backend) holders(ctx context.Context) ([]holder, *answer) {
	accounts, err := b.accounts.Accounts(ctx)
	if err != nil {
		failed := detail(http.StatusInternalServerError, "A server error occurred.")
		return nil, &failed
	}
	user := userOf(ctx)
	list := make([]holder, 0, len(accounts))
	for i, a := range accounts {
		if user.Staff || ownerOf(i).ID == user.ID {
			list = append(list, holder{Account: a, pk: i + 1})
		}
	}
	return list, nil
}

// ownerOf is whose the i-th account is.
func ownerOf(i int) User {
	owners := slices.DeleteFunc(Users(), func(u User) bool { return u.Staff })
	return owners[i%len(owners)]
}

// holder is the account a request asks for, or the first.
func (b *Backend) holder(r *http.Request, parameter string) (holder, *answer) {
	list, failed := b.holders(r.Context())
	if failed != nil {
		return holder{}, failed
	}
	id := r.URL.Query().Get(parameter)
	for _, h := range list {
		if id == "" || h.is(id) {
			return h, nil
		}
	}
	if b.Era == EraDev && b.Bugs[BugDefault] && len(list) > 0 {
		return list[0], nil
	}
	missing := detail(http.StatusNotFound, "Account not found")
	return holder{}, &missing
}

// brokerLife is how long the broker's token lives, and brokerGap how long the
// backend takes to notice that it is over.
const (
	brokerLife = 30 * time.Minute
	brokerGap  = time.Minute
)

// expired reports whether the broker's token has expired.
func (b *Backend) expired(h holder) bool {
	now := b.now()
	return b.Bugs[BugExpiredToken] && h.live() && now.Sub(now.Truncate(brokerLife)) >= brokerLife-brokerGap
}

// balance is one account's money.
func (b *Backend) balance(r *http.Request) answer {
	h, refused := b.holder(r, "account_id")
	if refused != nil {
		return *refused
	}
	from, cached := "db", false
	switch {
	case b.Era == EraDev && h.live():
		from = "live"
	case b.Era == EraDev:
		from = "paper"
	case h.live():
		from, cached = "redis", true
	}
	m := h.Balance
	if cached && b.Bugs[BugEmptyCache] {
		m.Cash, m.Equity = thor.Decimal{}, thor.Decimal{}
	}
	if b.expired(h) {
		m.Cash, m.Equity, m.PortfolioValue, m.BuyingPower, m.DayTradingBuyingPower =
			thor.Decimal{}, thor.Decimal{}, thor.Decimal{}, thor.Decimal{}, thor.Decimal{}
	}
	value := func(d thor.Decimal) any { return money(d) }
	if b.Bugs[BugFloats] {
		value = func(d thor.Decimal) any { return float{d} }
	}
	return ok(struct {
		AccountID   string `json:"account_id"`
		NetLiq      any    `json:"net_liquidation"`
		Equity      any    `json:"equity"`
		Cash        any    `json:"cash"`
		BuyingPower any    `json:"buying_power"`
		DayTradeBP  any    `json:"day_trade_bp"`
		Source      string `json:"source"`
		UpdatedAt   string `json:"updated_at"`
	}{
		m.AccountID, value(m.PortfolioValue), value(m.Equity), value(m.Cash), value(m.BuyingPower), value(m.DayTradingBuyingPower),
		from, iso(m.Timestamp, h.live() || !b.Bugs[BugNaiveTimes]),
	})
}

// summary is an account with its money as strings.
type summary struct {
	ID                    any     `json:"id"`
	Broker                string  `json:"broker"`
	BrokerAccountID       string  `json:"broker_account_id"`
	AccountNumber         *string `json:"account_number"`
	DisplayName           string  `json:"display_name"`
	Currency              string  `json:"currency"`
	NetLiq                string  `json:"net_liq"`
	Cash                  string  `json:"cash"`
	StartingBalance       string  `json:"starting_balance"`
	CurrentCash           string  `json:"current_cash"`
	Equity                string  `json:"equity"`
	StockBuyingPower      string  `json:"stock_buying_power"`
	OptionBuyingPower     string  `json:"option_buying_power"`
	DayTradingBuyingPower string  `json:"day_trading_buying_power"`
	OKToTrade             bool    `json:"ok_to_trade"`
}

func (b *Backend) summary(h holder) summary {
	m := h.Balance
	if b.expired(h) {
		m.Cash, m.Equity, m.PortfolioValue, m.BuyingPower, m.DayTradingBuyingPower =
			thor.Decimal{}, thor.Decimal{}, thor.Decimal{}, thor.Decimal{}, thor.Decimal{}
	}
	s := summary{
		ID: h.pk, Broker: "PAPER", BrokerAccountID: m.AccountID, AccountNumber: h.number(), DisplayName: m.AccountID, Currency: m.Currency,
		NetLiq: money(m.PortfolioValue), Cash: money(m.Cash), StartingBalance: money(thor.NewDecimal(100_000, 0)), CurrentCash: money(m.Cash),
		Equity: money(m.Equity), StockBuyingPower: money(m.BuyingPower), OptionBuyingPower: money(m.BuyingPower),
		DayTradingBuyingPower: money(m.DayTradingBuyingPower),
		OKToTrade:             m.PortfolioValue.Sign() > 0 && m.DayTradingBuyingPower.Sign() > 0,
	}
	if h.live() {
		s.Broker = "SCHWAB"
	}
	if b.Era == EraDev {
		s.ID = strconv.Itoa(h.pk)
	}
	return s
}

// account is one account.
func (b *Backend) account(r *http.Request) answer {
	h, refused := b.holder(r, "account_id")
	if refused != nil {
		return *refused
	}
	return ok(b.summary(h))
}

// allAccounts lists the accounts.
func (b *Backend) allAccounts(r *http.Request) answer {
	list, failed := b.holders(r.Context())
	if failed != nil {
		return *failed
	}
	all := make([]summary, len(list))
	for i, h := range list {
		all[i] = b.summary(h)
	}
	if b.Era == EraDev {
		return ok(struct {
			Accounts []summary `json:"accounts"`
		}{all})
	}
	return ok(all)
}
