package calendar_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestTheMarketsAreDocumented holds docs/protocol.md to the data files, in their
// order.
func TestTheMarketsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for _, s := range setup(t).Statuses(time.Time{}) {
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", s.MarketID, s.Market, s.Country, s.Weight)
	}
	if !strings.Contains(string(page), "|---|---|---|---|\n"+rows.String()+"\n") {
		t.Errorf("docs/protocol.md does not have the table\n%s", rows.String())
	}
}
