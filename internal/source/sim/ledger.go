package sim

import (
	"context"
	"slices"
	"sync"
)

const (
	slot     = 600   // seconds; there is at most one fill in each
	slots    = 144   // in a day
	day      = 86400 // seconds
	fillRate = 3     // one slot in so many has a fill
)

// ledger is an account with its books. What happens in a slot is a function of
// its seed, the slot and the book before it, so books are replayed in order;
// those of every midnight are kept, and any instant is at most a day's replay
// away from one of them.
type ledger struct {
	account
	seed   uint64
	series []*series // of the holdings, in their order

	mu    sync.Mutex // guards books
	books []book     // by day, each as its day begins
}

// book is an account's cash and what it holds, in the order of its holdings.
type book struct {
	cash      int64 // cents
	positions []position
}

// position is what a book has of one symbol. Its cost is carried exactly: it is
// what was paid, for futures what was agreed, less the part of what was sold.
type position struct {
	quantity int64 // units; negative when short
	cost     int64 // cents, of the quantity's sign

	session int   // index of the session of the last fill
	carried int64 // units when that session began
	paid    int64 // cents paid in that session, less what was received
}

// newLedgers returns the ledgers of accounts.
func newLedgers(seed uint64, accounts []account, all []*series) []*ledger {
	var ledgers []*ledger
	for _, a := range accounts {
		l := &ledger{account: a, seed: digestOf(seed, a.id)[0]}
		for _, h := range a.holdings {
			i := slices.IndexFunc(all, func(s *series) bool { return s.symbol == h.symbol })
			l.series = append(l.series, all[i])
		}
		ledgers = append(ledgers, l)
	}
	return ledgers
}

// bookAt returns the book as it is at that instant, with the fills of that very
// second.
func (l *ledger) bookAt(ctx context.Context, at int64) (book, error) {
	today := int((at - span.from.Unix()) / day)
	b, err := l.morning(ctx, today)
	if err != nil {
		return book{}, err
	}
	l.replay(&b, today, at)
	return b, nil
}

// morning returns a copy of the book at the beginning of a day.
func (l *ledger) morning(ctx context.Context, today int) (book, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.books) == 0 {
		l.books = append(l.books, l.open())
	}
	for len(l.books) <= today {
		if err := ctx.Err(); err != nil {
			return book{}, err
		}
		yesterday := len(l.books) - 1
		b := l.books[yesterday].clone()
		l.replay(&b, yesterday, span.from.Unix()+int64(len(l.books))*day-1)
		l.books = append(l.books, b)
	}
	return l.books[today].clone(), nil
}

func (b book) clone() book {
	b.positions = slices.Clone(b.positions)
	return b
}

// open is the book at the very beginning: the deposit, and the first purchases
// at the prices of that instant.
func (l *ledger) open() book {
	b := book{cash: l.deposit, positions: make([]position, len(l.holdings))}
	at := span.from.Unix()
	for i, s := range l.series {
		index := s.index(at)
		b.positions[i].session = index
		b.fill(i, s, index, l.holdings[i].start, s.price(index, at))
	}
	return b
}

// replay applies the fills of a day up to and including the instant until.
func (l *ledger) replay(b *book, today int, until int64) {
	for n := int64(today) * slots; n < int64(today+1)*slots; n++ {
		chance := stream(hash(l.seed, n))
		begin := span.from.Unix() + n*slot
		if begin > until {
			return
		}
		if chance.below(fillRate) > 0 {
			continue
		}
		at := begin + chance.below(slot)
		if at > until {
			return
		}
		l.trade(b, &chance, at)
	}
}

// trade lets chance buy or sell something at that instant.
func (l *ledger) trade(b *book, chance *stream, at int64) {
	var trading [8]int // places of the holdings that trade now
	open := trading[:0]
	for i, s := range l.series {
		if s.trades(s.index(at), at) {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return
	}
	i := open[chance.below(int64(len(open)))]
	s := l.series[i]
	index := s.index(at)
	price := s.price(index, at)
	b.fill(i, s, index, l.decide(b, chance, i, price), price)
}

// decide returns how many units of the holding at place i to buy, or for a
// negative number to sell. It draws the quantity to the middle of its bounds.
func (l *ledger) decide(b *book, chance *stream, i int, price int64) int64 {
	const leaning, full = 8, 5 // it leans most when a fifth of the deposit is gone or gained

	s, h, held := l.series[i], &l.holdings[i], b.positions[i].quantity
	if h.low == h.high {
		return 0 // it is kept
	}
	size := h.lot * (1 + chance.below(h.lots))
	invested := l.invested(b)
	// Who has lost buys what is cheap, who has won buys what is dear: prices
	// come back to their base, so this keeps an account near its deposit for
	// years, whatever its seed.
	dear := (price - s.base) * 1000 / s.base
	lean := within((l.deposit-invested)*leaning*full/l.deposit, leaning)
	buys := chance.below(1000) < (h.high-held)*1000/(h.high-h.low)-lean*dear

	buy, sell := min(size, h.high-held), max(-size, h.low-held)
	switch {
	case !s.paidFor() && invested < l.deposit/2:
		return -held // no more risk
	case !buys, s.paidFor() && s.worth(buy, price) > b.cash-l.reserve:
		return sell
	}
	return buy
}

// invested is cash and what was paid for what is held.
func (l *ledger) invested(b *book) int64 {
	sum := b.cash
	for i := range b.positions {
		if l.series[i].paidFor() {
			sum += b.positions[i].cost
		}
	}
	return sum
}

// fill books a purchase, or for a negative quantity a sale.
func (b *book) fill(i int, s *series, index int, quantity, price int64) {
	if quantity == 0 {
		return
	}
	p := &b.positions[i]
	if p.session != index {
		p.session, p.carried, p.paid = index, p.quantity, 0
	}
	amount := s.worth(quantity, price)
	closed := p.closed(quantity)
	var realised int64
	if closed != 0 {
		realised = s.worth(closed, price) - divide(p.cost*abs(closed), abs(p.quantity))
	}
	if s.paidFor() {
		b.cash -= amount
	} else {
		b.cash += realised
	}
	p.quantity += quantity
	p.cost += amount + realised
	p.paid += amount
}

// closed returns how much of the position a trade of that quantity closes, with
// the position's sign.
func (p *position) closed(quantity int64) int64 {
	switch {
	case p.quantity > 0 && quantity < 0:
		return min(p.quantity, -quantity)
	case p.quantity < 0 && quantity > 0:
		return max(p.quantity, -quantity)
	}
	return 0
}

func abs(n int64) int64 { return max(n, -n) }
