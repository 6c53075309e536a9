package replay

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"thor"
	"thor/internal/source"
	"thor/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var monday = time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)

// Numbers, a name and tokens that must not be found in a recording.
const (
	number   = "U7731905"
	other    = "DU12" // a short one
	unread   = "9930-4471"
	password = "correct-horse"
	token    = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.dGhpc2lzbm90YXNpZ25hdHVyZQ"
)

// desk is a source that can do everything and says what it is told to.
type desk struct {
	clock *sourcetest.Clock

	mu    sync.Mutex // guards what follows
	caps  source.Caps
	err   error
	panic bool
}

func newDesk() *desk {
	return &desk{clock: sourcetest.NewClock(monday.Add(30 * time.Second)), caps: source.Caps{Simulated: true}}
}

func (d *desk) Name() string        { return "desk" }
func (d *desk) Clock() source.Clock { return d.clock }
func (d *desk) Close() error        { return nil }

func (d *desk) Caps() source.Caps {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.caps
}

// say sets what comes beside every answer.
func (d *desk) say(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *desk) trouble(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.panic {
		panic("the desk is on fire")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.err
}

func (d *desk) Accounts(ctx context.Context) ([]source.Account, error) {
	var all []source.Account
	now := d.clock.Now()
	for i, id := range []string{number, other} {
		cash := thor.NewDecimal(now.Unix()%100_000+int64(i), 2)
		all = append(all, source.Account{
			Balance: thor.AccountBalance{
				AccountID: id, Currency: "USD", Cash: cash, Equity: cash.Add(thor.MustDecimal("10.00")), PortfolioValue: thor.MustDecimal("174.28999999"),
				BuyingPower: thor.Decimal{}, Source: "desk", Timestamp: now,
			},
			Positions: thor.Positions{AccountID: id, Timestamp: now, Positions: []thor.Position{{
				Symbol: "EQ.AAPL", Display: "AAPL in " + strings.ToLower(id), AssetClass: thor.AssetEquity, Quantity: thor.MustDecimal("1"),
				Multiplier: thor.MustDecimal("1"), MarketValue: thor.MustDecimal("10.00"), PnL: thor.MustDecimal("1.5"), DayPnL: thor.MustDecimal("0"), Currency: "USD",
			}}},
		})
	}
	return all, d.trouble(ctx)
}

func (d *desk) Bars(ctx context.Context, since time.Time) ([]thor.Bar, error) {
	var bars []thor.Bar
	now, one := d.clock.Now(), thor.MustDecimal("101.50")
	for at := monday.Add(-5 * time.Minute); !at.After(now); at = at.Add(time.Minute) {
		b := thor.Bar{
			Symbol: "EQ.AAPL", Display: "AAPL", Country: "USA", TimestampMinute: at, Timestamp: now,
			Open: one, High: one, Low: one, Close: one, Volume: thor.NewDecimal(at.Unix()%1000, 0), VWAP: one,
		}
		if end := at.Add(time.Minute); !end.After(now) {
			b.Final, b.Timestamp = true, end
		}
		if !at.Before(since) {
			bars = append(bars, b)
		}
	}
	return bars, d.trouble(ctx)
}

func (d *desk) Markets(ctx context.Context) ([]thor.MarketStatus, error) {
	return []thor.MarketStatus{{
		MarketID: "XNYS", Market: "New York", Country: "USA", Timezone: "America/New_York", Status: thor.MarketOpen, Trading: true,
		Weight: thor.MustDecimal("0.25"), Timestamp: d.clock.Now(),
	}}, d.trouble(ctx)
}

// apart is a desk that is asked for balances and positions apart.
type apart struct{ *desk }

func (apart) Accounts() {} // not what a source of accounts has

func (a apart) Balances(ctx context.Context) ([]thor.AccountBalance, error) {
	accounts, err := a.desk.Accounts(ctx)
	var all []thor.AccountBalance
	for _, one := range accounts {
		all = append(all, one.Balance)
	}
	return all, err
}

func (a apart) Positions(ctx context.Context) ([]thor.Positions, error) {
	accounts, err := a.desk.Accounts(ctx)
	var all []thor.Positions
	for _, one := range accounts {
		all = append(all, one.Positions)
	}
	return all, err
}

// startRecording returns a recorder of a source, and where it writes.
func startRecording(tb testing.TB, s source.Source) (r *Recorder, path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "day.thor")
	w, err := Create(path, Describe(s, time.Second, "0.0.0"))
	if err != nil {
		tb.Fatal(err)
	}
	r = NewRecorder(s, w, []string{password, "ada"})
	tb.Cleanup(func() { closeIt(tb, r) })
	return r, path
}

func closeIt(tb testing.TB, c io.Closer) {
	tb.Helper()
	if err := c.Close(); err != nil {
		tb.Error(err)
	}
}

// askAll asks a source for everything once.
func askAll(ctx context.Context, s source.Source) error {
	can := source.AbilitiesOf(s)
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	if can.Accounts != nil {
		_, err := can.Accounts.Accounts(ctx)
		note(err)
	}
	if can.Balances != nil {
		_, err := can.Balances.Balances(ctx)
		note(err)
	}
	if can.Positions != nil {
		_, err := can.Positions.Positions(ctx)
		note(err)
	}
	if can.Bars != nil {
		_, err := can.Bars.Bars(ctx, time.Time{})
		note(err)
	}
	if can.Markets != nil {
		_, err := can.Markets.Markets(ctx)
		note(err)
	}
	return errors.Join(errs...)
}

// hard are the troubles of a desk, words and all that should not be in them.
func hard() []error {
	return []error{
		nil,
		&source.Error{
			Kind: source.RateLimited, Source: "desk", Op: "positions of " + unread, Status: 429, RetryAt: monday.Add(10 * time.Minute),
			Err: fmt.Errorf("too often for %s, signed in as ada with %s", strings.ToLower(number), token),
		},
		errors.Join(
			&source.Error{Kind: source.Forbidden, Source: "desk", Op: "balance", Status: 403, Err: errors.New("account " + unread + " is not yours")},
			fmt.Errorf("ask %s again: %w", other, &source.Error{Kind: source.BadData, Source: "desk", Op: "bars"}),
		),
		errors.New("Authorization: Bearer " + token + " of " + password + " at localhost:8001 after 2.5s on 2026-11-23T15:00:07Z"),
		nil,
	}
}

// recordSome records a few minutes with troubles, and returns the file.
func recordSome(tb testing.TB) string {
	tb.Helper()
	d := newDesk()
	r, path := startRecording(tb, d)
	for _, trouble := range hard() {
		d.say(trouble)
		if err := askAll(tb.Context(), r); (err == nil) != (trouble == nil) {
			tb.Fatal(err)
		}
		d.clock.Advance(61 * time.Second)
	}
	closeIt(tb, r)
	return path
}

// lines returns the lines of a recording, uncompressed.
func lines(tb testing.TB, path string) []string {
	tb.Helper()
	zipped, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		tb.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.SplitAfter(strings.TrimSuffix(string(text), "\n")+"\n", "\n")[:strings.Count(string(text), "\n")]
}

// write writes a file and returns its path.
func write(tb testing.TB, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "other.thor")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// play returns everything a recording says, as text.
func play(tb testing.TB, path string, cutToo bool) ([]string, error) {
	tb.Helper()
	rec, err := Open(path, cutToo)
	if err != nil {
		return nil, err
	}
	s, err := New(rec, 3600)
	if err != nil {
		tb.Fatal(err)
	}
	defer closeIt(tb, s)
	var said []string
	for {
		at, more := s.Next()
		if !more {
			return said, nil
		}
		s.clock.mu.Lock()
		s.clock.low, s.clock.high = at, at // nobody waits here
		s.clock.mu.Unlock()
		about, err := s.Take(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		for _, noun := range about {
			said = append(said, fmt.Sprintf("%s %s %+v", at.Format(time.RFC3339Nano), noun, s.said[noun]))
		}
	}
}
