package sim

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestDivide(t *testing.T) {
	t.Parallel()
	t.Run("halves go to the even neighbour", func(t *testing.T) {
		t.Parallel()
		for _, tt := range []struct{ n, d, want int64 }{
			{5, 2, 2},
			{7, 2, 4},
			{-5, 2, -2},
			{-7, 2, -4},
			{1, 2, 0},
			{-1, 2, 0},
			{3, 4, 1},
			{-3, 4, -1},
			{1, 4, 0},
			{6, 3, 2},
			{0, 9, 0},
		} {
			if got := divide(tt.n, tt.d); got != tt.want {
				t.Errorf("divide(%d, %d): got %d, want %d", tt.n, tt.d, got, tt.want)
			}
		}
	})
	t.Run("the quotient is the nearest", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.Int64().Draw(t, "n")
			d := rapid.Int64Range(1, math.MaxInt64).Draw(t, "d")
			product := new(big.Int).Mul(big.NewInt(divide(n, d)), big.NewInt(d))
			off := product.Sub(product, big.NewInt(n))
			if off.Abs(off).Lsh(off, 1).Cmp(big.NewInt(d)) > 0 {
				t.Errorf("divide(%d, %d) = %d is not the nearest", n, d, divide(n, d))
			}
		})
	})
}

func TestRoot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, math.MaxInt64).Draw(t, "n")
		r := big.NewInt(root(n))
		next := new(big.Int).Add(r, big.NewInt(1))
		if r.Mul(r, r).Cmp(big.NewInt(n)) > 0 || next.Mul(next, next).Cmp(big.NewInt(n)) <= 0 {
			t.Errorf("root(%d) = %d", n, root(n))
		}
	})
}

func TestBell(t *testing.T) {
	t.Parallel()
	const n = 200_000
	var sum, squares, farthest float64
	for i := range int64(n) {
		z := float64(bell(hash(1, i))) / bellScale
		sum += z
		squares += z * z
		farthest = max(farthest, math.Abs(z))
	}
	if mean := sum / n; math.Abs(mean) > 0.01 {
		t.Errorf("mean: got %.4f, want 0", mean)
	}
	if deviation := math.Sqrt(squares / n); math.Abs(deviation-1) > 0.01 {
		t.Errorf("standard deviation: got %.4f, want 1", deviation)
	}
	if farthest > 3.47 {
		t.Errorf("farthest: got %.3f, want at most 3.47", farthest)
	}
}
