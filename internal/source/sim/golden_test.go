package sim

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden notices when the generator changes: then everything ever said
// about an instant changes with it.
func TestGolden(t *testing.T) {
	t.Parallel()
	const file = "testdata/golden.json"
	type golden struct {
		Prices   map[string]map[string]string `json:"prices"`
		Bars     []json.RawMessage            `json:"bars"`
		Accounts []json.RawMessage            `json:"accounts"`
	}
	got := golden{Prices: map[string]map[string]string{}}
	s := at(open)
	s.Special = []string{"all"}
	for _, one := range loaded(t, 1).series {
		prices := map[string]string{}
		for _, now := range []time.Time{span.from, open, night, weekend, lastHour, afterwards} {
			prices[now.Format(time.RFC3339)] = price(one.price(one.index(now.Unix()), now.Unix())).String()
		}
		got.Prices[one.symbol] = prices
	}
	bars, err := s.Bars(t.Context(), open.Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range encode(t, thor.IntradayBarMessages(bars)) {
		got.Bars = append(got.Bars, json.RawMessage(text))
	}
	accounts, err := s.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		for _, text := range encode(t, []thor.Message{thor.AccountBalanceMessage(a.Balance), thor.PositionsMessage(a.Positions)}) {
			got.Accounts = append(got.Accounts, json.RawMessage(text))
		}
	}
	text, err := json.MarshalIndent(got, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("the generator changed; -update if it was meant to (-want +got)\n%s", diff)
	}
}
