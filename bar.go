package thor

import "time"

// Bar is one minute of trading in one symbol. Until Final is set it is still
// being formed and each version replaces the one before; a final bar is never
// dropped on the way. A minute without a trade has no bar.
type Bar struct {
	Symbol          string    `json:"symbol"`           // canonical: FUT.ES
	Display         string    `json:"display"`          // short: /ES
	Country         string    `json:"country"`          // where it trades; "Global" where it trades everywhere
	TimestampMinute time.Time `json:"timestamp_minute"` // the start of the minute
	Open            Decimal   `json:"open"`
	High            Decimal   `json:"high"`
	Low             Decimal   `json:"low"`
	Close           Decimal   `json:"close"`
	Volume          Decimal   `json:"volume"` // of this minute
	VWAP            Decimal   `json:"vwap"`   // volume-weighted average price of this minute
	Final           bool      `json:"final"`
	Timestamp       time.Time `json:"timestamp"` // the source's own time; of a final bar, when it was complete
}

// Validate reports everything that is wrong with b.
func (b Bar) Validate() error {
	var f faults
	f.id("symbol", b.Symbol)
	f.text("display", b.Display)
	f.text("country", b.Country)
	f.instant("timestamp", b.Timestamp)
	if b.TimestampMinute.IsZero() || !b.TimestampMinute.Truncate(time.Minute).Equal(b.TimestampMinute) {
		f.add("timestamp_minute", "must be the start of a minute")
	}
	f.known("open", b.Open)
	f.known("high", b.High)
	f.known("low", b.Low)
	f.known("close", b.Close)
	if len(f) == 0 && (b.Low.Cmp(b.Open) > 0 || b.Low.Cmp(b.Close) > 0 || b.High.Cmp(b.Open) < 0 || b.High.Cmp(b.Close) < 0) {
		f.add("high", "open %s and close %s must lie between low %s and high %s", b.Open, b.Close, b.Low, b.High)
	}
	if b.Volume.Sign() < 0 {
		f.add("volume", "%s is negative", b.Volume)
	}
	return f.err()
}

// IntradayBarMessage builds the message that publishes b, its values rounded
// half-even to the scales of the symbol's asset class.
func IntradayBarMessage(b Bar) Message {
	var lost fitting
	class := AssetClassOf(b.Symbol)
	lost.round(class.PriceScale(), &b.Open, &b.High, &b.Low, &b.Close, &b.VWAP)
	lost.round(class.QuantityScale(), &b.Volume)
	b.TimestampMinute = b.TimestampMinute.UTC()
	b.Timestamp = b.Timestamp.UTC()
	return Message{
		Type:   "intraday_bar",
		Stream: NewStreamID("intraday", b.Symbol),
		Key:    b.TimestampMinute.Format(time.RFC3339),
		Final:  b.Final,
		Data:   b,
		Lost:   int(lost),
	}
}

// IntradayBarMessages builds one message for each bar.
func IntradayBarMessages(bars []Bar) []Message {
	return messages(bars, IntradayBarMessage)
}

func intradayFeature() Feature {
	return Feature{
		Name:    "intraday",
		Type:    "intraday_bar",
		Scope:   ScopeSymbol,
		Key:     "timestamp_minute",
		Path:    "/api/intraday/bars",
		List:    "bars",
		Window:  1440,
		Cadence: time.Second,
		Idle:    5 * time.Second,

		FinalPolicy: PolicySequence,

		Read: reading(IntradayBarMessage),
		Sample: IntradayBarMessage(Bar{
			Symbol:          "FUT.ES",
			Display:         "/ES",
			Country:         "USA",
			TimestampMinute: time.Date(2026, 11, 23, 15, 29, 0, 0, time.UTC),
			Open:            MustDecimal("6716.25"),
			High:            MustDecimal("6719.00"),
			Low:             MustDecimal("6715.75"),
			Close:           MustDecimal("6718.50"),
			Volume:          MustDecimal("1834"),
			VWAP:            MustDecimal("6717.4381"),
			Final:           true,
			Timestamp:       time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC),
		}),
	}
}
