package sim

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestScriptsAreDocumented holds docs/simulator.md to the faults and accounts
// there are, and its example to the parser.
func TestScriptsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, f := range Faults {
		var about []string
		for _, target := range []struct {
			is    targets
			words string
		}{{nouns, "accounts, bars"}, {barsOnly, "bars"}, {anAccount, "an account"}, {aSymbol, "a symbol"}} {
			if f.Targets&target.is != 0 {
				about = append(about, target.words)
			}
		}
		if row := fmt.Sprintf("| `%s` | %s | %s |\n", f.Name, strings.Join(about, ", "), f.Help); !strings.Contains(page, row) {
			t.Errorf("docs/simulator.md has no row\n%s", row)
		}
	}
	for _, s := range Specials() {
		if row := fmt.Sprintf("| `%s` | %s |\n", s.Name, s.Help); !strings.Contains(page, row) {
			t.Errorf("docs/simulator.md has no row\n%s", row)
		}
	}
	for _, name := range Scripts() {
		if !strings.Contains(page, "--sim-script "+name) {
			t.Errorf("docs/simulator.md does not know the script %s", name)
		}
	}
	_, example, _ := strings.Cut(page, "```text\n")
	example, _, _ = strings.Cut(example, "```")
	if s, err := ParseScript("docs/simulator.md", example); err != nil || s.Len() < 5 {
		t.Errorf("the example: %v", err)
	}
}
