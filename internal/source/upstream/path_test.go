package upstream

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFeaturePaths holds which paths of the system thor came from belong to a
// feature: what its versions serve.
func TestFeaturePaths(t *testing.T) {
	t.Parallel()
	text, err := Preset("thor")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse("thor", text)
	if err != nil {
		t.Fatal(err)
	}
	want := []FeaturePath{
		{"account_balance", "/api/accounts/balance/?account_id={account}"},
		{"account_balance", "/api/actandpos/accounts/balance"},
		{"positions", "/api/actandpos/positions?account_id={account}"},
		{"positions", "/api/actandpos/{book}/positions?{bookkey}={account}"},
		{"intraday", "/api/session/?market={market}&future={symbol}"},
		{"intraday", "/api/session?market={market}&future={symbol}"},
		{"global_market", "/api/global-markets/markets/"},
		{"global_market", "/api/global-markets/"},
		{"global_market", "/api/worldclock/"},
		{"global_market", "/api/world-markets/"},
	}
	if diff := cmp.Diff(want, m.FeaturePaths()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
