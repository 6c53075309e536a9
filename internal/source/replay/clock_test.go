package replay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	t.Parallel()
	bubble := func(name string, test func(t *testing.T, c *Clock, show func(want time.Duration))) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newClock(monday, 60)
				test(t, c, func(want time.Duration) {
					t.Helper()
					if got := c.Now().Sub(monday); got != want {
						t.Errorf("it shows %v, want %v", got, want)
					}
				})
			})
		})
	}
	reach := func(t *testing.T, c *Clock, at time.Duration) {
		t.Helper()
		if err := c.Reach(t.Context(), monday.Add(at)); err != nil {
			t.Error(err)
		}
	}
	bubble("it stands until somebody waits", func(t *testing.T, c *Clock, show func(time.Duration)) {
		time.Sleep(time.Hour)
		show(0)
		go reach(t, c, time.Minute)
		time.Sleep(500 * time.Millisecond)
		show(30 * time.Second)
		time.Sleep(time.Second)
		show(time.Minute)
		time.Sleep(time.Second)
		show(time.Minute) // what is due then is not done yet
	})
	bubble("it catches up after a moment, and not after a pause", func(t *testing.T, c *Clock, show func(time.Duration)) {
		reach(t, c, time.Minute)
		time.Sleep(1500 * time.Millisecond)
		began := time.Now()
		reach(t, c, 2*time.Minute) // half a second ago
		show(2 * time.Minute)
		reach(t, c, 3*time.Minute)
		if took := time.Since(began); took != 500*time.Millisecond {
			t.Errorf("the second minute took %v", took)
		}
		time.Sleep(time.Hour)
		show(3 * time.Minute)
		began = time.Now()
		reach(t, c, 4*time.Minute)
		if took := time.Since(began); took != time.Second {
			t.Errorf("a minute after the pause took %v", took)
		}
	})
	bubble("it does not go back", func(t *testing.T, c *Clock, show func(time.Duration)) {
		reach(t, c, time.Minute)
		reach(t, c, 30*time.Second)
		show(time.Minute)
	})
	bubble("who gives up does not hold it", func(t *testing.T, c *Clock, show func(time.Duration)) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Reach(ctx, monday.Add(time.Hour)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		show(time.Minute)
	})
}
