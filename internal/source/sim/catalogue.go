package sim

import "thor"

// The exchanges whose hours the simulator keeps.
const (
	newYork = "XNYS"
	chicago = "CMES"
)

// Quantities are counted in the smallest unit: shares and contracts are whole,
// coins have nine digits.
const coin = 1_000_000_000

// instrument is one symbol of the simulated broker. Prices are in cents,
// returns in millionths: 100 is one basis point.
type instrument struct {
	symbol     string
	display    string
	country    string
	mic        string // its exchange; "" trades at any hour, and a session is a UTC day
	tick       int64  // smallest step of the price, in cents
	multiplier int64
	base       int64  // the price it stays around, in cents
	follows    int64  // how much it moves with its market, in thousandths
	wobble     int64  // standard deviation of what a mean minute's return has of its own
	gap        int64  // the same of the time between two sessions
	volume     int64  // mean of a second, in units
	quiet      uint64 // one minute in so many is without a trade, at night one in an eighth; 0 is none
}

// indexFund is the equity that is the market.
const indexFund = "EQ.SPY"

// What a mean minute's return of a market has, in millionths.
const (
	stocksMove = 400
	coinsMove  = 600
)

// catalogue lists the instruments ordered by symbol.
func catalogue() []instrument {
	equity := func(symbol string, base, follows, wobble, gap, volume int64) instrument {
		return instrument{
			symbol: "EQ." + symbol, display: symbol, country: "USA", mic: newYork,
			tick: 1, multiplier: 1, base: base, volume: volume, follows: follows, wobble: wobble, gap: gap,
		}
	}
	future := func(symbol string, multiplier, tick, base, follows, wobble, volume int64, quiet uint64) instrument {
		return instrument{
			symbol: "FUT." + symbol, display: "/" + symbol, country: "USA", mic: chicago,
			tick: tick, multiplier: multiplier, base: base, volume: volume,
			follows: follows, wobble: wobble, gap: wobble, quiet: quiet,
		}
	}
	crypto := func(symbol string, base, follows, wobble, volume int64) instrument {
		return instrument{
			symbol: "CRYPTO." + symbol + "-USD", display: symbol + "/USD", country: "Global",
			tick: 1, multiplier: 1, base: base, follows: follows, wobble: wobble, volume: volume,
		}
	}
	return []instrument{
		crypto("BTC", 92_000_00, 1000, 350, coin/4),
		crypto("ETH", 3_100_00, 1100, 500, 4*coin),
		equity("AAPL", 275_00, 1100, 430, 6000, 2100),
		equity("MSFT", 505_00, 1000, 340, 5200, 900),
		equity("NVDA", 188_00, 1500, 450, 7500, 7600),
		equity("SPY", 672_00, 1000, 30, 0, 3200),
		future("CL", 1000, 1, 62_00, 200, 450, 5, 240),
		future("ES", 50, 25, 6725_00, 1000, 20, 16, 0),
		future("GC", 100, 10, 4150_00, 0, 340, 3, 180),
		future("NQ", 20, 25, 25_050_00, 1150, 120, 7, 0),
	}
}

// unit is how many of the smallest units make one share, contract or coin.
func (i *instrument) unit() int64 {
	if i.class() == thor.AssetCrypto {
		return coin
	}
	return 1
}

func (i *instrument) class() thor.AssetClass { return thor.AssetClassOf(i.symbol) }

// paidFor reports whether a buyer pays the whole price. Of a future only the
// profit is ever paid.
func (i *instrument) paidFor() bool { return i.class() != thor.AssetFuture }

// worth is quantity × multiplier × price in cents, rounded half-even.
func (i *instrument) worth(quantity, price int64) int64 {
	return divide(quantity*i.multiplier*price, i.unit())
}

// quantity is a number of units as a decimal, with the digits of a quantity.
func (i *instrument) quantity(units int64) thor.Decimal {
	if i.unit() == coin {
		return thor.NewDecimal(units, thor.ScaleCoin)
	}
	return thor.NewDecimal(units*10_000, thor.ScaleQuantity)
}

// price is a number of cents as a decimal, with the digits of a price.
func price(cents int64) thor.Decimal { return thor.NewDecimal(cents*100, thor.ScalePrice) }

// money is a number of cents as a decimal.
func money(cents int64) thor.Decimal { return thor.NewDecimal(cents, thor.ScaleMoney) }
