package sim

import (
	"slices"
	"strconv"
	"strings"

	"thor"
	"thor/internal/source"
)

// accountPrefix is how the ids of accounts begin.
const accountPrefix = "PAPER-"

// account is a paper account: what it began with, and within which bounds it
// trades.
type account struct {
	id       string
	deposit  int64 // cents, before the first purchases
	margin   bool  // it may owe money, and has day-trading buying power
	reserve  int64 // cents; it buys nothing that would leave less cash
	holdings []holding
}

// holding is how much an account has of one symbol, in units: at the start, and
// the bounds it stays within. It is drawn to the middle of them.
type holding struct {
	symbol           string
	start, low, high int64
	lot              int64 // the smallest trade
	lots             int64 // the largest trade, in lots
}

// accounts lists so many paper accounts, their holdings by symbol. The first two
// are what they are; each further one is like one of them with other money, and
// trades in its own way. An account does not depend on how many there are.
func accounts(count int) []account {
	first := firstAccounts()
	var all []account
	for n := range count {
		a := first[n%len(first)]
		if n >= len(first) {
			a = a.like(n)
		}
		all = append(all, a)
	}
	return all
}

// like returns the account at place n: so many times as large as a, and with
// some cash more, so that no two begin alike.
func (a account) like(n int) account {
	const sizes, more = 4, 100_00 // cents

	times := int64(1 + n/2%sizes)
	b := account{
		id:      accountPrefix + strconv.Itoa(n+1),
		deposit: a.deposit*times + int64(n)*more,
		margin:  a.margin,
		reserve: a.reserve * times,
	}
	for _, h := range a.holdings {
		h.start, h.low, h.high, h.lots = h.start*times, h.low*times, h.high*times, h.lots*times
		b.holdings = append(b.holdings, h)
	}
	return b
}

func firstAccounts() []account {
	return []account{
		{
			id: "PAPER-1", deposit: 100_000_00, margin: true, reserve: 10_000_00,
			holdings: []holding{
				{"CRYPTO.BTC-USD", coin / 100 * 15, 0, coin / 100 * 30, coin / 80, 3},
				{"EQ.AAPL", 60, 0, 120, 5, 3},
				{"EQ.NVDA", 40, 0, 80, 10, 3},
				{"EQ.SPY", 20, 0, 40, 5, 2},
				{"FUT.CL", -1, -2, 2, 1, 1},
				{"FUT.ES", 1, -1, 1, 1, 1},
			},
		},
		{
			id: "PAPER-2", deposit: 50_000_00, reserve: 1_000_00,
			holdings: []holding{
				{"CRYPTO.ETH-USD", coin / 10 * 25, 0, coin / 10 * 50, coin / 10, 5},
				{"EQ.MSFT", 20, 0, 40, 5, 2},
				{"EQ.NVDA", 30, 0, 60, 10, 2},
				{"EQ.SPY", 15, 0, 30, 5, 2},
			},
		},
	}
}

// SpecialAccount is a kind of account that the ordinary ones are not.
type SpecialAccount struct {
	Name string
	Help string
	account
}

// Specials lists the special accounts; PAPER- and the name in capitals is the id.
func Specials() []SpecialAccount {
	return []SpecialAccount{
		{"margin", "owes its broker money: cash is negative", account{
			deposit: 50_000_00, margin: true, reserve: -60_000_00,
			holdings: []holding{
				{"EQ.MSFT", 90, 80, 100, 1, 2},
				{"EQ.SPY", 70, 60, 80, 1, 2},
			},
		}},
		{"short", "has sold what it does not have: quantities and market values are negative", account{
			deposit: 80_000_00, margin: true,
			holdings: []holding{
				{"EQ.AAPL", -60, -80, -40, 5, 2},
				{"EQ.NVDA", -80, -120, -40, 5, 2},
				{"EQ.SPY", 30, 0, 60, 5, 2},
			},
		}},
		{"empty", "has money and holds nothing", account{deposit: 25_000_00}},
		{"zero", "has nothing at all: every number is 0.00 because it is", account{}},
		{"large", "has numbers of many digits: hundreds of billions, and a billionth of a coin", account{
			deposit: 987_654_321_098_76, margin: true,
			holdings: []holding{
				{"CRYPTO.BTC-USD", 1, 1, 1, 1, 1},
				{"CRYPTO.ETH-USD", 1_234_567_891_234, 1_000_000_000_000, 1_500_000_000_000, 1_234_567, 9},
				{"EQ.SPY", 4_321_987, 4_000_000, 4_600_000, 1, 999},
			},
		}},
	}
}

// special returns the special accounts of those names, in the order of the list;
// "all" is all of them.
func special(names []string) ([]account, error) {
	var chosen []account
	known := []string{"all"}
	for _, s := range Specials() {
		if known = append(known, s.Name); slices.Contains(names, s.Name) || slices.Contains(names, "all") {
			s.id = accountPrefix + strings.ToUpper(s.Name)
			chosen = append(chosen, s.account)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, thor.Errorf(thor.EINVALID, "%q is not a kind of account; there are %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// CheckSpecial reports whether there are special accounts of those names.
func CheckSpecial(names []string) error {
	_, err := special(names)
	return err
}

// statement is the account as its book and the prices of that instant make it.
// Every row is rounded to cents before it is summed, so that equity is exactly
// cash and what the rows are worth.
func (l *ledger) statement(b book, at int64) source.Account {
	var rows []thor.Position
	var worth, tied, profit, day int64 // cents; tied is what is bound by positions, long and short
	for i := range b.positions {
		p, s := &b.positions[i], l.series[i]
		if p.quantity == 0 {
			continue
		}
		index := s.index(at)
		mark := p.mark(s, index, s.price(index, at))
		rows = append(rows, p.row(s, mark))
		worth += mark.value
		profit += mark.profit
		day += mark.day
		if s.paidFor() {
			tied += abs(mark.value)
		}
	}
	equity := b.cash + worth
	balance := thor.AccountBalance{
		AccountID:      l.id,
		Currency:       "USD",
		Cash:           money(b.cash),
		Equity:         money(equity),
		PortfolioValue: money(equity),
		BuyingPower:    money(max(0, b.cash)),
		Source:         name,
		Timestamp:      instant(at),
	}
	if l.margin {
		balance.BuyingPower = money(max(0, 2*equity-tied))
		balance.DayTradingBuyingPower = money(max(0, 4*equity-tied))
	}
	return source.Account{
		Balance: balance,
		Positions: thor.Positions{
			AccountID: l.id,
			Positions: rows,
			Totals:    thor.PositionTotals{MarketValue: money(worth), PnL: money(profit), DayPnL: money(day)},
			Timestamp: instant(at),
		},
	}
}

// mark is what a position comes to at a price, in cents.
type mark struct {
	price, value, profit, day int64
}

// mark values p at the price of an instant for which [series.index] returned
// index.
func (p *position) mark(s *series, index int, price int64) mark {
	// A position that was not traded in this session was carried into it whole.
	carried, paid := p.quantity, int64(0)
	if p.session == index {
		carried, paid = p.carried, p.paid
	}
	worth := s.worth(p.quantity, price)
	m := mark{price: price, value: worth, profit: worth - p.cost}
	if !s.paidFor() {
		m.value = m.profit
	}
	m.day = divide((p.quantity*price-carried*s.close(index-1))*s.multiplier-paid*s.unit(), s.unit())
	return m
}

// row is p as a payload.
func (p *position) row(s *series, m mark) thor.Position {
	cost := money(p.cost)
	each := s.quantity(p.quantity * s.multiplier)
	var entry thor.Decimal // unknown when less than a cent was paid
	if p.cost != 0 {
		entry = cost.Div(each, thor.ScalePrice)
	}
	return thor.Position{
		Symbol:       s.symbol,
		Display:      s.display,
		AssetClass:   s.class(),
		Quantity:     s.quantity(p.quantity),
		Multiplier:   thor.NewDecimal(s.multiplier*10_000, thor.ScaleQuantity),
		EntryPrice:   entry,
		CurrentPrice: price(m.price),
		MarketValue:  money(m.value),
		PnL:          money(m.profit),
		PnLPercent:   money(m.profit*100).Div(cost.Abs(), thor.ScalePercent),
		DayPnL:       money(m.day),
		Currency:     "USD",
	}
}
