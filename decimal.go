package thor

import (
	"strings"

	"github.com/shopspring/decimal"
)

// Scales of the wire: how many digits a number of each kind has after the
// point. They are declared here once; payloads round to them at the source's
// edge.
const (
	ScaleMoney     = 2
	ScalePrice     = 4 // equities, futures, crypto
	ScaleFinePrice = 6 // FX and options
	ScaleQuantity  = 4
	ScaleCoin      = 9 // quantities of crypto
	ScalePercent   = 4
	ScaleWeight    = 2
)

// Limits on the text of a number, so that no input can make the server
// compute with a million digits.
const (
	maxDecimalText     = 64
	maxDecimalExponent = 18
)

// Decimal is an exact decimal number together with the scale it is written
// with, or it is unknown. The zero value is unknown and encodes as null, so a
// field that nobody set is never read as 0. Arithmetic with an unknown operand
// is unknown.
//
// Compare with [Decimal.Cmp] or [Decimal.Equal], never with ==.
type Decimal struct {
	d     decimal.Decimal
	scale int32
	known bool
}

// NewDecimal returns units × 10^-scale: NewDecimal(12345, 2) is 123.45.
func NewDecimal(units int64, scale int32) Decimal {
	return Decimal{d: decimal.New(units, -scale), scale: scale, known: true}
}

// ParseDecimal reads a decimal number. Its scale is the number of digits
// written after the point; an exponent of up to 18 either way is understood.
func ParseDecimal(text string) (Decimal, error) {
	if len(text) > maxDecimalText {
		return Decimal{}, Errorf(EINVALID, "a number of %d characters, at most %d are read", len(text), maxDecimalText)
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return Decimal{}, Errorf(EINVALID, "%q is not a decimal number", text)
	}
	exp := d.Exponent()
	if exp > maxDecimalExponent || exp < -maxDecimalText {
		return Decimal{}, Errorf(EINVALID, "the exponent of %q is out of range", text)
	}
	return Decimal{d: d, scale: max(0, -exp), known: true}, nil
}

// MustDecimal is ParseDecimal for constants in tests and tables; it panics on
// an error.
func MustDecimal(text string) Decimal {
	d, err := ParseDecimal(text)
	if err != nil {
		panic(err)
	}
	return d
}

// Known reports whether d is a number.
func (d Decimal) Known() bool { return d.known }

// Scale is the number of digits d is written with after the point.
func (d Decimal) Scale() int32 { return d.scale }

// Round returns d rounded half-even to the given scale.
func (d Decimal) Round(scale int32) Decimal {
	if !d.known {
		return d
	}
	return Decimal{d: d.d.RoundBank(scale), scale: scale, known: true}
}

// Add returns d + e.
func (d Decimal) Add(e Decimal) Decimal {
	return d.with(e, max(d.scale, e.scale), decimal.Decimal.Add)
}

// Sub returns d − e.
func (d Decimal) Sub(e Decimal) Decimal {
	return d.with(e, max(d.scale, e.scale), decimal.Decimal.Sub)
}

// Mul returns d × e, exactly: the scales add up.
func (d Decimal) Mul(e Decimal) Decimal {
	return d.with(e, d.scale+e.scale, decimal.Decimal.Mul)
}

func (d Decimal) with(e Decimal, scale int32, op func(a, b decimal.Decimal) decimal.Decimal) Decimal {
	if !d.known || !e.known {
		return Decimal{}
	}
	return Decimal{d: op(d.d, e.d), scale: scale, known: true}
}

// Div returns d ÷ e rounded half-even to the given scale, or unknown when e is
// zero: a quotient that does not exist is not a number.
func (d Decimal) Div(e Decimal, scale int32) Decimal {
	if !d.known || !e.known || e.d.Sign() == 0 {
		return Decimal{}
	}
	quotient, rest := d.d.QuoRem(e.d, scale)
	step := decimal.New(1, -scale)
	if d.d.Sign()*e.d.Sign() < 0 {
		step = step.Neg()
	}
	switch rest.Abs().Mul(decimal.NewFromInt(2)).Cmp(e.d.Abs().Mul(step.Abs())) {
	case 1:
		quotient = quotient.Add(step)
	case 0:
		if quotient.Shift(scale).BigInt().Bit(0) == 1 {
			quotient = quotient.Add(step)
		}
	}
	return Decimal{d: quotient, scale: scale, known: true}
}

// Neg returns −d.
func (d Decimal) Neg() Decimal {
	d.d = d.d.Neg()
	return d
}

// Abs returns the absolute value of d.
func (d Decimal) Abs() Decimal {
	d.d = d.d.Abs()
	return d
}

// Sign is −1, 0 or 1; it is 0 when d is unknown.
func (d Decimal) Sign() int {
	if !d.known {
		return 0
	}
	return d.d.Sign()
}

// Cmp compares as numbers, whatever the scales: −1 when d < e, 0 when equal, 1
// when d > e. Unknown sorts before every number.
func (d Decimal) Cmp(e Decimal) int {
	switch {
	case d.known && e.known:
		return d.d.Cmp(e.d)
	case d.known:
		return 1
	case e.known:
		return -1
	}
	return 0
}

// Equal reports whether d and e are the same number or both unknown.
func (d Decimal) Equal(e Decimal) bool { return d.Cmp(e) == 0 }

// String writes the number with its scale, or "—" when it is unknown.
func (d Decimal) String() string {
	if !d.known {
		return "—"
	}
	return d.d.StringFixed(d.scale)
}

// MarshalJSON writes a JSON number with exactly the digits of the scale, or
// null.
func (d Decimal) MarshalJSON() ([]byte, error) {
	if !d.known {
		return []byte("null"), nil
	}
	return []byte(d.d.StringFixed(d.scale)), nil
}

// UnmarshalJSON reads a JSON number or a string with a number. Null and the
// empty string are unknown.
func (d *Decimal) UnmarshalJSON(data []byte) error {
	text := string(data)
	if s, ok := strings.CutPrefix(text, `"`); ok {
		text = strings.TrimSuffix(s, `"`)
	}
	if text == "null" || text == "" {
		*d = Decimal{}
		return nil
	}
	parsed, err := ParseDecimal(text)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// fit rounds d to the scale its field declares and reports whether digits were
// lost on the way.
func (d *Decimal) fit(scale int32) (lost bool) {
	rounded := d.Round(scale)
	lost = !rounded.Equal(*d)
	*d = rounded
	return lost
}

// fitting counts the values that had more digits than their field's scale.
type fitting int

func (f *fitting) round(scale int32, values ...*Decimal) {
	for _, v := range values {
		if v.fit(scale) {
			*f++
		}
	}
}
