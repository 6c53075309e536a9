package auth_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"thor/internal/auth"
)

func TestRates(t *testing.T) {
	t.Parallel()
	run := func(name string, test func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, test)
		})
	}
	run("a burst, then so many a second, each for itself", func(t *testing.T) {
		r := &auth.Rates{PerSecond: 2}
		for i := range 20 { // ten seconds' worth
			if _, ok := r.Take("ada"); !ok {
				t.Fatalf("the %d. was refused", i+1)
			}
		}
		wait, ok := r.Take("ada")
		if ok || wait != 500*time.Millisecond {
			t.Errorf("after the burst: %v, wait %v", ok, wait)
		}
		if _, ok := r.Take("bob"); !ok {
			t.Error("bob pays for ada")
		}
		time.Sleep(wait)
		if _, ok := r.Take("ada"); !ok {
			t.Error("whoever waited as told was refused")
		}
		if _, ok := r.Take("ada"); ok {
			t.Error("refused tries brought something")
		}
	})
	run("no limit", func(t *testing.T) {
		var none *auth.Rates
		for range 1000 {
			if _, ok := none.Take("ada"); !ok {
				t.Fatal("refused by none")
			}
			if _, ok := (&auth.Rates{}).Take("ada"); !ok {
				t.Fatal("refused by the zero value")
			}
		}
	})
	run("memory is bounded, and who is there keeps what they owe while there is room", func(t *testing.T) {
		r := &auth.Rates{PerSecond: 1, Burst: 1}
		for i := range 19_999 {
			r.Take(fmt.Sprint(i))
		}
		time.Sleep(2 * time.Second) // all of them have paid
		r.Take("ada")
		for i := range 10 {
			r.Take(fmt.Sprint("new ", i))
		}
		if _, ok := r.Take("ada"); ok {
			t.Error("ada was forgotten, and others had nothing to remember")
		}
		for i := range 100_000 {
			r.Take(fmt.Sprint("flood ", i))
		}
		if n := r.Len(); n > 20_000 {
			t.Errorf("%d are remembered", n)
		}
	})
}
