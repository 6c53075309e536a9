package source_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"thor"
	"thor/internal/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// slow is a source that takes a second to answer.
type slow struct {
	asked atomic.Int64
	err   error
	hang  bool
}

func (s *slow) Accounts(ctx context.Context) ([]source.Account, error) {
	s.asked.Add(1)
	if s.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(time.Second)
	return []source.Account{{Balance: thor.AccountBalance{AccountID: "A"}, Positions: thor.Positions{AccountID: "A"}}}, s.err
}

// deaf is a source that does not hear its deadline.
type deaf struct {
	asked   atomic.Int64
	release chan struct{}
}

func (d *deaf) Accounts(context.Context) ([]source.Account, error) {
	d.asked.Add(1)
	<-d.release
	return []source.Account{{Balance: thor.AccountBalance{AccountID: "A"}}}, nil
}

type panics struct{}

func (panics) Accounts(context.Context) ([]source.Account, error) { panic("boom") }

func TestSharedAccounts(t *testing.T) {
	t.Parallel()
	bubble := func(name string, test func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, test)
		})
	}
	ask := func(t *testing.T, s *source.SharedAccounts) {
		t.Helper()
		if accounts, err := s.Accounts(t.Context()); err != nil || len(accounts) != 1 {
			t.Errorf("got %v, %v", accounts, err)
		}
	}
	bubble("those who ask together and shortly after share one answer", func(t *testing.T) {
		origin := &slow{}
		s := &source.SharedAccounts{Source: origin, MaxAge: 500 * time.Millisecond}
		go ask(t, s)
		ask(t, s)
		synctest.Wait()
		ask(t, s)
		if n := origin.asked.Load(); n != 1 {
			t.Errorf("the source was asked %d times, want once", n)
		}
		time.Sleep(600 * time.Millisecond)
		ask(t, s)
		if n := origin.asked.Load(); n != 2 {
			t.Errorf("the source was asked %d times, want again", n)
		}
	})
	bubble("a failure is not kept, and what came with it is passed on", func(t *testing.T) {
		origin := &slow{err: errors.New("half of them")}
		s := &source.SharedAccounts{Source: origin, MaxAge: time.Hour}
		for range 2 {
			if accounts, err := s.Accounts(t.Context()); err == nil || len(accounts) != 1 {
				t.Errorf("got %v, %v", accounts, err)
			}
			if balances, err := s.Balances(t.Context()); err == nil || len(balances) != 1 || balances[0].AccountID != "A" {
				t.Errorf("balances: got %v, %v", balances, err)
			}
			if positions, err := s.Positions(t.Context()); err == nil || len(positions) != 1 || positions[0].AccountID != "A" {
				t.Errorf("positions: got %v, %v", positions, err)
			}
		}
		if n := origin.asked.Load(); n != 6 {
			t.Errorf("the source was asked %d times, want every time", n)
		}
	})
	bubble("one who gives up does not fail the others", func(t *testing.T) {
		s := &source.SharedAccounts{Source: &slow{}, MaxAge: time.Hour}
		impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		gaveUp := make(chan error, 1)
		go func() {
			_, err := s.Accounts(impatient)
			gaveUp <- err
		}()
		synctest.Wait()
		ask(t, s)
		if err := <-gaveUp; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the impatient got %v", err)
		}
	})
	bubble("what a deaf source says after its deadline is given to nobody", func(t *testing.T) {
		origin := &deaf{release: make(chan struct{})}
		s := &source.SharedAccounts{Source: origin, MaxAge: time.Hour, Timeout: 3 * time.Second}
		for range 2 { // while it hangs those who ask give up, and it is not asked twice
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if _, err := s.Accounts(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			cancel()
		}
		time.AfterFunc(time.Hour, func() { close(origin.release) })
		if accounts, err := s.Accounts(t.Context()); accounts != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an hour late it said %v, %v", accounts, err)
		}
		ask(t, s)
		if n := origin.asked.Load(); n != 2 {
			t.Errorf("the source was asked %d times, want twice", n)
		}
	})
	bubble("a panic of the source is an error of who asks, with its stack", func(t *testing.T) {
		s := &source.SharedAccounts{Source: panics{}, MaxAge: time.Hour}
		for range 2 {
			_, err := s.Accounts(t.Context())
			p, ok := errors.AsType[*source.Panic](err)
			if !ok || p.Error() != "panic: boom" || !strings.Contains(p.Stack(), "share_test.go") {
				t.Errorf("got %v", err)
			}
		}
	})
	bubble("a source that hangs is given up, and asked again", func(t *testing.T) {
		origin := &slow{hang: true}
		s := &source.SharedAccounts{Source: origin, MaxAge: time.Hour, Timeout: 3 * time.Second}
		for range 2 {
			if _, err := s.Accounts(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		}
		if n := origin.asked.Load(); n != 2 {
			t.Errorf("the source was asked %d times, want twice", n)
		}
	})
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	limited := &source.Error{Kind: source.RateLimited, Source: "alpaca", Op: "positions", Status: 429, RetryAt: time.Unix(1, 0), Err: errors.New("slow down")}
	for err, want := range map[error]source.Kind{
		nil:                       "",
		errors.New("unknown"):     source.Transient,
		limited:                   source.RateLimited,
		errors.Join(limited, nil): source.RateLimited,
	} {
		if got := source.KindOf(err); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
	if want := "alpaca: positions: rate_limited (status 429): slow down"; limited.Error() != want || !limited.NotBefore().Equal(time.Unix(1, 0)) {
		t.Errorf("got %q", limited)
	}
}

func TestVirtualClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Date(2026, 3, 2, 14, 25, 0, 0, time.FixedZone("", 3600))
		c := source.NewVirtualClock(start, 60)
		time.Sleep(10 * time.Second)
		if got, want := c.Now(), start.UTC().Add(10*time.Minute); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("after ten seconds at 60 it shows %v, want %v", got, want)
		}
		if !c.Virtual() || c.Speed() != 60 || (source.WallClock{}).Virtual() {
			t.Error("a virtual clock is virtual, the wall clock is not")
		}
	})
}
