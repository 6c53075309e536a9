package upstream

import (
	"strings"
	"testing"
	"time"

	"thor"
)

func TestPresets(t *testing.T) {
	t.Parallel()
	for _, name := range Presets() {
		text, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(name, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(m.Symbols) == 0 || m.Balance.every() != time.Second || m.Bars.every() != 2*time.Second {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if _, err := Preset("odin"); err == nil || !strings.Contains(err.Error(), `there is no preset "odin". There is: thor.`) {
		t.Errorf("got %v", err)
	}
}

// TestEveryFaultOfAMappingIsNamed breaks a good mapping in one place after the
// other.
func TestEveryFaultOfAMappingIsNamed(t *testing.T) {
	t.Parallel()
	whole := small + "\n" + strings.Replace(barMapping, "[accounts]\nids = [\"A\"]\n", "", 1)
	if _, err := Parse("test", []byte(whole)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ from, to, words string }{
		{`[accounts]`, `[accounts`, "test:3: "},
		{`[accounts]`, "surprise = 1\n[accounts]", "test: surprise: there is no such setting"},
		{`every = "1ns"`, `often = "1ns"`, "test: balance.often: there is no such setting"},
		{`every = "1ns"`, `every = "soon"`, `test:6: time: invalid duration "soon"`},
		{`every = "1ns"`, `every = "-1s"`, "test: balance.every: a time is not negative"},
		{`ids = ["A"]`, ``, "test: accounts: say which accounts there are: ids, or the path of a list"},
		{`ids = ["A"]`, `ids = ["a b"]`, `test: accounts.ids[0]: "a b" is not an account`},
		{`ids = ["A"]`, `ids = ["A="]`, `test: accounts.ids[0]: "A" is not an account`},
		{`ids = ["A"]`, `ids = ["A", "A=7"]`, `test: accounts.ids[1]: "A" is there twice`},
		{`ids = ["A"]`, `ids = ["5521-8734"]`, `test: accounts.ids[0]: it looks like a broker's number, which must not be in files and logs; give it a name: "main=••••34"`},
		{`ids = ["A"]`, `path = "/accounts"`, "test: accounts.fields: id is missing"},
		{`"/balance/{account}"`, `"balance"`, `test: balance.path: "balance" does not begin with a slash`},
		{`every = "1ns"`, `also = "cash"`, `test: balance.also: "cash" does not begin with a slash`},
		{`"/balance/{account}"`, `"/{symbol}"`, "test: balance.path: nobody knows what {symbol} is; there is account"},
		{`"/balance/{account}"`, `7`, "test:5: write a string or a list of strings"},
		{`"/balance/{account}"`, `["/a", 7]`, "a list holds strings"},
		{`fields.cash = { from = "/cash"`, `fields.money = { from = "/cash"`, "test: balance.fields.money: there is no such field; there is account_id, currency, cash"},
		{`fields.portfolio_value =`, `fields.equity =`, "test: balance.fields: portfolio_value is missing"},
		{`fields.cash = { from = "/cash", type = "dec" }`, `fields.cash = { from = "/cash" }`, `test: balance.fields.cash.type: "string" does not fit; it takes dec or int`},
		{`fields.cash = { from = "/cash", type = "dec" }`, `fields.cash = { type = "dec" }`, "test: balance.fields.cash: write either from, a JSON pointer, or const, a value"},
		{`fields.cash = { from = "/cash", type = "dec" }`, `fields.cash = { const = "a", type = "dec" }`, `test: balance.fields.cash.const: "a" is not a number`},
		{`fields.cash = { from = "/cash"`, `fields.cash = { from = "cash"`, `test: balance: "cash" is not a JSON pointer; write it like /positions`},
		{`format = "rfc3339"`, `format = "german"`, "test: balance.fields.timestamp.format: a time has one of the formats rfc3339, naive-utc, epoch-ms, epoch-s"},
		{`{ const = "USD" }`, `{ const = "USD", type = "enum" }`, "test: balance.fields.currency.map: an enum has a map"},
		{`{ const = "USD" }`, `{ const = "USD", format = "rfc3339" }`, "test: balance.fields.currency.format: a time has one"},
		{`[positions]`, "[[balance.zeros]]\nall = [\"/net\"]\nwhy = \"so\"\n[positions]", "test: balance.zeros[0]: it takes all = [pointers], why, and either fail = true or unknown"},
		{`[positions]`, "[[balance.zeros]]\nall = [\"/net\"]\nwhy = \"so\"\nunknown = [\"equity\"]\n[positions]", `test: balance.zeros[0].unknown: "equity" is not one of the fields`},
		{`id = "FUT.NQ"`, `id = "FUT.ES"`, `test: symbols[1].id: "FUT.ES" is there twice`},
		{`id = "FUT.NQ"`, `id = "NQ"`, `test: symbols[1].id: "NQ" is not a canonical symbol`},
		{`alias = "NQ"`, ``, "test: symbols[1].alias: what does the backend call it?"},
		{"display = \"Nasdaq\"\ncountry = \"USA\"", ``, "test: symbols[1].country: where does it trade?"},
		{`display = "Nasdaq"`, `multiplier = "0"`, `test: symbols[1].multiplier: "0" is not a number above zero`},
		{`path = "/bar/{symbol}"`, ``, "test: bars: there are symbols with intraday, and no path to ask"},
	} {
		broken := strings.Replace(whole, tt.from, tt.to, 1)
		_, err := Parse("test", []byte(broken))
		if broken == whole || err == nil || !strings.Contains(err.Error(), tt.words) || thor.ErrorCode(err) != thor.EINVALID {
			t.Errorf("%s: got %v, want %q", tt.to, err, tt.words)
		}
	}
}

func TestPointers(t *testing.T) {
	t.Parallel()
	tree := map[string]any{"a": []any{"x", map[string]any{"b/c": "y", "d~e": nil}}, "": "empty"}
	for pointer, want := range map[string]any{
		"": tree, "/a/0": "x", "/a/1/b~1c": "y", "/a/1/d~0e": nil, "/": "empty",
	} {
		got, ok := lookup(tree, pointer)
		if _, isMap := want.(map[string]any); !ok || !isMap && got != want {
			t.Errorf("%s: got %v, %v", pointer, got, ok)
		}
	}
	for _, pointer := range []string{"/b", "/a/2", "/a/-1", "/a/x", "/a/0/b", "/a/1/d~0e/f"} {
		if got, ok := lookup(tree, pointer); ok {
			t.Errorf("%s: got %v, and nothing is there", pointer, got)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC)
	for _, tt := range []struct {
		format, text string
		want         time.Time // zero is an error
	}{
		{"rfc3339", "2026-11-23T15:30:00Z", at},
		{"rfc3339", "2026-11-23T16:30:00.000000+01:00", at},
		{"rfc3339", "2026-11-23T15:30:00", time.Time{}},
		{"naive-utc", "2026-11-23T15:30:00.123456", at.Add(123456 * time.Microsecond)},
		{"naive-utc", "2026-11-23 15:30:00", at},
		{"naive-utc", "2026-11-23T10:30:00-05:00", at},
		{"naive-utc", "23.11.2026", time.Time{}},
		{"epoch-s", "1795447800", at},
		{"epoch-s", "1795447800.5", at.Add(time.Second / 2)},
		{"epoch-ms", "1795447800000", at},
		{"epoch-s", "1795447800000", time.Time{}}, // that is in milliseconds
		{"epoch-ms", "1795447800", time.Time{}},
		{"epoch-ms", "99999999999999999999999", time.Time{}},
		{"epoch-s", "now", time.Time{}},
	} {
		got, err := parseTime(tt.text, tt.format)
		if (err == nil) == tt.want.IsZero() || err == nil && !got.Equal(tt.want) {
			t.Errorf("%s as %s: got %v, %v, want %v", tt.text, tt.format, got, err, tt.want)
		}
	}
}
