package thor_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"thor"
)

func TestParseDecimal(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"50000.00", "50000.00"},
		{"50000", "50000"},
		{"-0.10", "-0.10"},
		{"+1.5", "1.5"},
		{"0", "0"},
		{"1e3", "1000"},
		{"1.5e-3", "0.0015"},
		{".5", "0.5"},
		{"0.000000001", "0.000000001"},
	}
	for _, tt := range tests {
		d, err := thor.ParseDecimal(tt.text)
		if err != nil || d.String() != tt.want {
			t.Errorf("%q: got %s, %v; want %s", tt.text, d, err, tt.want)
		}
	}
	for _, text := range []string{"", "abc", "1,5", "1.5.2", "NaN", "Inf", "--1", "0x10", " 1", "1e19", "1e-70", "1e999999999", strings.Repeat("9", 65)} {
		if d, err := thor.ParseDecimal(text); thor.ErrorCode(err) != thor.EINVALID {
			t.Errorf("%q was read as %s: %v", text, d, err)
		}
	}
}

func TestRoundIsHalfEven(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text  string
		scale int32
		want  string
	}{
		{"50000", 2, "50000.00"},
		{"2.345", 2, "2.34"},
		{"2.355", 2, "2.36"},
		{"2.3450001", 2, "2.35"},
		{"-2.345", 2, "-2.34"},
		{"-2.355", 2, "-2.36"},
		{"0.5", 0, "0"},
		{"1.5", 0, "2"},
		{"-0.004", 2, "0.00"},
		{"174.28999999", 4, "174.2900"},
	}
	for _, tt := range tests {
		if got := thor.MustDecimal(tt.text).Round(tt.scale).String(); got != tt.want {
			t.Errorf("%s to %d digits: %s, want %s", tt.text, tt.scale, got, tt.want)
		}
	}
}

func TestDivIsHalfEven(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a, b  string
		scale int32
		want  string
	}{
		{"1", "8", 2, "0.12"}, // 0.125
		{"3", "8", 2, "0.38"}, // 0.375
		{"-1", "8", 2, "-0.12"},
		{"3", "-8", 2, "-0.38"},
		{"1", "3", 4, "0.3333"},
		{"2", "3", 4, "0.6667"},
		{"5", "2", 0, "2"},
		{"7", "2", 0, "4"},
		{"0", "7", 2, "0.00"},
	}
	for _, tt := range tests {
		if got := thor.MustDecimal(tt.a).Div(thor.MustDecimal(tt.b), tt.scale).String(); got != tt.want {
			t.Errorf("%s ÷ %s to %d digits: %s, want %s", tt.a, tt.b, tt.scale, got, tt.want)
		}
	}
}

func TestUnknownIsNeverZero(t *testing.T) {
	t.Parallel()
	var unknown thor.Decimal
	one := thor.MustDecimal("1.00")
	data, err := json.Marshal(map[string]thor.Decimal{"x": unknown})
	if err != nil || string(data) != `{"x":null}` {
		t.Errorf("encoded as %s, %v", data, err)
	}
	for name, got := range map[string]thor.Decimal{
		"unknown + 1": unknown.Add(one), "1 − unknown": one.Sub(unknown), "unknown × 1": unknown.Mul(one),
		"1 ÷ unknown": one.Div(unknown, 2), "1 ÷ 0": one.Div(thor.NewDecimal(0, 0), 2), "unknown, rounded": unknown.Round(2),
	} {
		if got.Known() {
			t.Errorf("%s is %s, want unknown", name, got)
		}
	}
	if unknown.Equal(thor.NewDecimal(0, 2)) || unknown.String() != "—" {
		t.Errorf("unknown looks like zero: %s", unknown)
	}
	for _, text := range []string{`null`, `""`} {
		d := one
		if err := json.Unmarshal([]byte(text), &d); err != nil || d.Known() {
			t.Errorf("%s was read as %s, %v", text, d, err)
		}
	}
}

func TestDecimalJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{`50000.00`: `50000.00`, `"50000.00"`: `50000.00`, `1e2`: `100`, `-0.5`: `-0.5`} {
		var d thor.Decimal
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if data, err := json.Marshal(d); err != nil || string(data) != want {
			t.Errorf("%s became %s, %v; want %s", text, data, err, want)
		}
	}
	for _, text := range []string{`true`, `{}`, `[]`, `"x"`, `"1`} {
		var d thor.Decimal
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s was read as %s", text, d)
		}
	}
}

func TestArithmeticIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Custom(func(t *rapid.T) thor.Decimal {
			return thor.NewDecimal(rapid.Int64().Draw(t, "units"), rapid.Int32Range(0, 9).Draw(t, "scale"))
		})
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		same := func(what string, got thor.Decimal, want *big.Rat) {
			if r, ok := new(big.Rat).SetString(got.String()); !ok || r.Cmp(want) != 0 {
				t.Fatalf("%s %s %s is %s, want %s", a, what, b, got, want.RatString())
			}
		}
		ra, _ := new(big.Rat).SetString(a.String())
		rb, _ := new(big.Rat).SetString(b.String())
		same("+", a.Add(b), new(big.Rat).Add(ra, rb))
		same("-", a.Sub(b), new(big.Rat).Sub(ra, rb))
		same("×", a.Mul(b), new(big.Rat).Mul(ra, rb))
		if a.Cmp(b) != ra.Cmp(rb) || a.Sign() != ra.Sign() {
			t.Fatalf("%s compared with %s: %d", a, b, a.Cmp(b))
		}
		scale := rapid.Int32Range(0, 6).Draw(t, "result scale")
		if rb.Sign() != 0 {
			same("÷", a.Div(b, scale), roundHalfEven(new(big.Rat).Quo(ra, rb), scale))
		}
		same("rounded, not", a.Round(scale), roundHalfEven(ra, scale))
	})
}

// roundHalfEven is the rule, spelled out in another way.
func roundHalfEven(r *big.Rat, scale int32) *big.Rat {
	unit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))
	scaled := new(big.Rat).Mul(r, unit)
	floor := new(big.Int).Div(scaled.Num(), scaled.Denom()) // Euclidean: towards minus infinity for a positive divisor
	rest := new(big.Rat).Sub(scaled, new(big.Rat).SetInt(floor))
	switch rest.Cmp(big.NewRat(1, 2)) {
	case 1:
		floor.Add(floor, big.NewInt(1))
	case 0:
		floor.Add(floor, new(big.Int).Abs(new(big.Int).Rem(floor, big.NewInt(2))))
	}
	return new(big.Rat).Quo(new(big.Rat).SetInt(floor), unit)
}

// FuzzDecimal holds that no text makes the reader panic or stall, and that what
// is read is written as something that reads the same.
func FuzzDecimal(f *testing.F) {
	for _, seed := range []string{"50000.00", "-1e18", "1e-18", "9999999999999999999999", "0.0000000001", "1e999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := thor.ParseDecimal(text)
		if err != nil {
			return
		}
		again, err := thor.ParseDecimal(d.Round(9).String())
		if err != nil && len(d.Round(9).String()) <= 64 {
			t.Fatalf("%q was read as %s, which cannot be read: %v", text, d, err)
		}
		if err == nil && !again.Equal(d.Round(9)) {
			t.Fatalf("%q: %s became %s", text, d.Round(9), again)
		}
	})
}
