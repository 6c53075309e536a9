package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/calendar"
	"thor/internal/source"
	"thor/internal/source/sourcetest"
)

// newPace returns a pace at a time of the source, with an account that holds
// each of the symbols alone.
func newPace(t *testing.T, clock source.Clock, speed float64) *pace {
	t.Helper()
	days, err := calendar.New()
	if err != nil {
		t.Fatal(err)
	}
	a := &App{clock: source.NewVirtualClock(time.Now(), speed)}
	return &pace{days: func() *calendar.Calendar { return days }, clock: clock, wall: a.wall, held: map[string][]string{
		"STOCKS": {"EQ.AAPL", "EQ.SPY"}, "MIXED": {"EQ.AAPL", "FUT.ES"}, "COINS": {"EQ.AAPL", "CRYPTO.BTC-USD"}, "CASH": {},
	}}
}

// TestWhoTrades holds which streams are idle at which instants, and when they
// are woken.
func TestWhoTrades(t *testing.T) {
	t.Parallel()
	const never = ""
	for _, tt := range []struct {
		at     string
		stream thor.StreamID
		opens  string // "" while it trades
	}{
		{"2026-11-20T20:59:59Z", "intraday:EQ.AAPL", never},
		{"2026-11-20T21:00:00Z", "intraday:EQ.AAPL", "2026-11-23T14:30:00Z"}, // Friday, the close
		{"2026-11-23T14:29:59Z", "intraday:EQ.AAPL", "2026-11-23T14:30:00Z"},
		{"2026-11-23T14:30:00Z", "intraday:EQ.AAPL", never},
		{"2026-11-25T22:00:00Z", "intraday:EQ.AAPL", "2026-11-27T14:30:00Z"}, // Thanksgiving
		{"2026-11-27T18:00:00Z", "intraday:EQ.AAPL", "2026-11-30T14:30:00Z"}, // an early close
		{"2026-11-20T22:00:00Z", "intraday:FUT.ES", "2026-11-22T23:00:00Z"},  // Sunday evening
		{"2026-11-23T22:30:00Z", "intraday:FUT.ES", "2026-11-23T23:00:00Z"},  // the daily break
		{"2026-11-21T12:00:00Z", "intraday:CRYPTO.BTC-USD", never},
		{"2026-11-21T12:00:00Z", "intraday:FX.EUR-USD", never},
		{"2026-11-21T12:00:00Z", "positions:STOCKS", "2026-11-23T14:30:00Z"},
		{"2026-11-21T12:00:00Z", "positions:MIXED", "2026-11-22T23:00:00Z"},
		{"2026-11-23T12:00:00Z", "account_balance:MIXED", never},
		{"2026-11-21T12:00:00Z", "account_balance:COINS", never},
		{"2026-11-21T12:00:00Z", "account_balance:CASH", never}, // it may buy coins
		{"2026-11-21T12:00:00Z", "account_balance:UNKNOWN", never},
		{"2040-06-02T12:00:00Z", "intraday:EQ.AAPL", never}, // the calendar does not know
	} {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		p := newPace(t, sourcetest.NewClock(at), 1)
		trades, opens := p.trades(tt.stream, at)
		got := ""
		if !trades {
			got = opens.UTC().Format(time.RFC3339)
		}
		if got != tt.opens {
			t.Errorf("%s at %s opens %q, want %q", tt.stream, tt.at, got, tt.opens)
		}
	}
}

// TestACadenceIsNeverToldFasterThanItIsDone walks second by second over a close
// and an opening, with an announcement every five seconds.
func TestACadenceIsNeverToldFasterThanItIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const stream = thor.StreamID("positions:STOCKS")
		clock := sourcetest.NewClock(time.Date(2026, 11, 20, 20, 59, 50, 0, time.UTC))
		p := newPace(t, clock, 1)
		f, err := thor.FeatureNamed("positions")
		if err != nil {
			t.Fatal(err)
		}
		type line struct {
			second          int
			done, told, job time.Duration
			opens           string
			announced       time.Duration
		}
		var told []line
		walk := func(from, to int) {
			for second := from; second <= to; second++ {
				var announced time.Duration
				if second%5 == 0 {
					announced = p.announce()[stream]
				}
				l := line{second: second, done: p.done(stream), told: p.told(stream), job: p.interval(f, time.Second), announced: announced}
				if at := p.opening("positions"); !at.IsZero() {
					l.opens = at.Format("Mon 15:04")
				}
				if l.done > l.told {
					t.Errorf("second %d: it speaks every %v and says every %v", second, l.done, l.told)
				}
				if n := len(told); n == 0 || told[n-1].done != l.done || told[n-1].told != l.told || told[n-1].opens != l.opens {
					told = append(told, l)
				} else if announced != 0 {
					t.Errorf("second %d: %v was announced, and nothing changed", second, announced)
				}
				time.Sleep(time.Second)
				clock.Advance(time.Second)
			}
		}
		walk(0, 30)
		clock.Set(time.Date(2026, 11, 23, 14, 29, 51, 0, time.UTC))
		walk(31, 60)
		const s = time.Second
		want := []line{
			{second: 0, done: s, told: s, job: s},
			{second: 10, done: s, told: 5 * s, job: s, opens: "Mon 14:30", announced: 5 * s}, // closed: told at once
			{second: 13, done: 5 * s, told: 5 * s, job: 5 * s, opens: "Mon 14:30"},
			{second: 40, done: s, told: 5 * s, job: s}, // open: done at once
			{second: 45, done: s, told: s, job: s, announced: s},
		}
		if diff := cmp.Diff(want, told, cmp.AllowUnexported(line{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestAFastClockHasOneCadence holds that nothing is announced where neither
// cadence can be any shorter.
func TestAFastClockHasOneCadence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := sourcetest.NewClock(time.Date(2026, 11, 23, 20, 59, 0, 0, time.UTC))
		p := newPace(t, clock, 390)
		for range 4 {
			if p.done("intraday:EQ.AAPL") != fastest || p.told("intraday:EQ.AAPL") != fastest || len(p.announce()) > 0 {
				t.Error("a cadence has changed")
			}
			clock.Advance(time.Minute)
			time.Sleep(10 * time.Second)
		}
	})
}

// book is a source that answers the same in either way.
type book []thor.Positions

func (b book) Positions(context.Context) ([]thor.Positions, error) { return b, nil }

func (b book) Accounts(context.Context) ([]source.Account, error) {
	var accounts []source.Account
	for _, p := range b {
		accounts = append(accounts, source.Account{Balance: thor.AccountBalance{AccountID: p.AccountID}, Positions: p})
	}
	return accounts, nil
}

func TestWhatAccountsHoldIsLearnedFromEitherKindOfSource(t *testing.T) {
	t.Parallel()
	closed := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) // a Saturday
	from := book{{AccountID: "A-1", Positions: []thor.Position{{Symbol: "EQ.AAPL"}}}}
	for name, read := range map[string]func(*pace) error{
		"whole": func(p *pace) error {
			_, err := (&heldAccounts{from, p}).Accounts(t.Context())
			return err
		},
		"apart": func(p *pace) error {
			_, err := (&heldPositions{from, p}).Positions(t.Context())
			return err
		},
	} {
		p := newPace(t, source.NewVirtualClock(closed, 1), 1)
		if trades, _ := p.trades("account_balance:A-1", closed); !trades {
			t.Errorf("%s: idle before anybody knows what it holds", name)
		}
		if err := read(p); err != nil {
			t.Fatal(err)
		}
		if trades, _ := p.trades("account_balance:A-1", closed); trades {
			t.Errorf("%s: not idle, and it holds %v", name, p.held["A-1"])
		}
	}
}
