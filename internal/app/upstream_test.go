package app

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"thor"
	"thor/internal/calendar"
	"thor/internal/legacy"
	"thor/internal/source"
	"thor/internal/source/sim"
)

// backend starts a double of a backend.
func backend(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(double(t))
	t.Cleanup(server.Close)
	return server.URL
}

// double is a double of a backend.
func double(t *testing.T) *legacy.Backend {
	t.Helper()
	known, err := calendar.New()
	if err != nil {
		t.Fatal(err)
	}
	bugs := legacy.AllBugs()
	delete(bugs, legacy.BugExpiredToken) // it comes and goes with the clock
	b, err := legacy.New(legacy.Config{Source: &sim.Source{Seed: 1, Exchanges: known}, Bugs: bugs})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func reading(url string) func(*Config) {
	return func(c *Config) {
		c.Source, c.Upstream = "upstream", url
		c.UpstreamUser, c.UpstreamPassword = legacy.DefaultUser, legacy.DefaultPassword
	}
}

// TestAServerSaysWhatItReads holds what the first lines and the status say of a
// backend: that it was reached, that its data is made up, that nobody has run
// this against the real one.
func TestAServerSaysWhatItReads(t *testing.T) {
	t.Parallel()
	url := backend(t)
	a := openApp(t, t.TempDir(), reading(url))
	t.Cleanup(func() { closeApp(t, a) })
	var out strings.Builder
	a.announce(&out)
	for _, want := range []string{
		"source upstream SIMULATED (never run against the real service)", "reading " + url + ", signed in as " + legacy.DefaultUser,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &out)
		}
	}
	s := a.Status(t.Context())
	if s.Source.Name != "upstream" || !s.Source.Simulated || !s.Source.Unproven || s.Source.Virtual {
		t.Errorf("status %+v", s.Source)
	}
	// The markets are thor's, the rest the backend's.
	from, err := a.abilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := from.Markets.(*markets); !ok || from.Balances != a.source.(source.BalanceSource) || from.Accounts != nil { //nolint:errcheck // it is one
		t.Errorf("abilities %+v", from)
	}
	if _, ok := from.Positions.(*heldPositions); !ok {
		t.Errorf("nobody notes what the accounts hold: %T", from.Positions)
	}
}

// TestASlowQuestionIsASlowCadence holds that clients are told how often a feature
// can speak whose backend is asked seldom.
func TestASlowQuestionIsASlowCadence(t *testing.T) {
	t.Parallel()
	preset, err := UpstreamPreset("thor")
	if err != nil {
		t.Fatal(err)
	}
	head, positions, _ := strings.Cut(string(preset), "[positions]")
	file := filepath.Join(t.TempDir(), "upstream.toml")
	text := head + "[positions]" + strings.Replace(positions, `every = "1s"`, `every = "15s"`, 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := openApp(t, t.TempDir(), func(c *Config) {
		reading("http://localhost:1")(c)
		c.UpstreamConfig = file
	})
	t.Cleanup(func() { closeApp(t, a) })
	a.pace.hold("A", []thor.Position{{Symbol: "CRYPTO.BTC-USD"}})
	for id, want := range map[thor.StreamID]time.Duration{
		"account_balance:A": time.Second, "positions:A": 15 * time.Second, "intraday:CRYPTO.BTC-USD": 2 * time.Second, "global_market": 0,
	} {
		f, err := thor.FeatureNamed(id.Feature())
		if err != nil {
			t.Fatal(err)
		}
		if told, done, described := a.pace.told(id), a.pace.done(id), a.pace.cadence(f); told != want || done != want || described != want {
			t.Errorf("%s: told %v, done %v, described as %v, want %v", id, told, done, described, want)
		}
	}
}

// TestAServerStartsWithoutItsBackend holds that a backend that is away keeps no
// server from starting.
func TestAServerStartsWithoutItsBackend(t *testing.T) {
	t.Parallel()
	a := openApp(t, t.TempDir(), reading("http://localhost:1"))
	t.Cleanup(func() { closeApp(t, a) })
	if !slices.ContainsFunc(a.notes, func(note string) bool {
		return strings.HasPrefix(note, "the backend does not answer yet: ") && strings.Contains(note, "nobody listens at localhost:1")
	}) {
		t.Errorf("notes %q", a.notes)
	}
}

// TestAChecksFindings looks at the same backend through the checks.
func TestAChecksFindings(t *testing.T) {
	t.Parallel()
	c := Default()
	reading(backend(t))(&c)
	report, err := CheckUpstream(t.Context(), c)
	if err != nil || report.Faults() != 0 || !report.Simulated || report.Who != legacy.DefaultUser || report.SkewMS == nil {
		t.Errorf("%+v, %v", report, err)
	}
	for _, name := range []string{"sim", "upstream"} {
		r, err := CheckSource(t.Context(), c, name)
		if err != nil || !r.Reachable || !r.Simulated || r.Unproven != (name == "upstream") || len(r.Can) != 4 || len(r.Cannot) == 0 || len(r.Samples) != 4 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		if err := r.Trouble(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, s := range r.Samples {
			if strings.Contains(string(s.Data), "PAPER-") {
				t.Errorf("%s: the account is not masked: %s", name, s.Data)
			}
		}
	}
}
