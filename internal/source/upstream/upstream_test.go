package upstream

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"thor/internal/calendar"
	"thor/internal/legacy"
	"thor/internal/source"
	"thor/internal/source/sim"
	"thor/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is a Monday on which New York trades.
var noon = time.Date(2026, 11, 23, 17, 0, 30, 0, time.UTC)

var exchanges = sync.OnceValues(func() (*calendar.Calendar, error) { return calendar.New() })

// world is a source over the double of a backend, over the simulator, all of one
// clock.
type world struct {
	*Source
	clock   *sourcetest.Clock
	sim     *sim.Source
	backend *legacy.Backend
	url     string
}

func open(t *testing.T, change func(*legacy.Config), edit ...string) *world {
	t.Helper()
	known, err := exchanges()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{clock: sourcetest.NewClock(noon)}
	w.sim = &sim.Source{Seed: 7, SourceClock: w.clock, Exchanges: known}
	c := legacy.Config{Source: w.sim, Bugs: legacy.AllBugs()}
	if change != nil {
		change(&c)
	}
	if w.backend, err = legacy.New(c); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.backend)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.Source = connect(t, Config{
		URL: server.URL, Mapping: preset(t, edit...), User: legacy.DefaultUser, Password: legacy.DefaultPassword, SourceClock: w.clock,
	})
	return w
}

func connect(t *testing.T, c Config) *Source {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// preset is the preset with some of its text replaced, and asked as often as
// anybody wants.
func preset(t *testing.T, edit ...string) *Mapping {
	t.Helper()
	text, err := Preset("thor")
	if err != nil {
		t.Fatal(err)
	}
	edit = append(edit, `every = "1s"`, `every = "1ns"`, `every = "2s"`, `every = "1ns"`)
	changed := strings.NewReplacer(edit...).Replace(string(text))
	m, err := Parse("preset", []byte(changed))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range m.endpoints() {
		e.Timeout = Duration(time.Minute) // the machine may be busy
	}
	return m
}

func TestLaws(t *testing.T) {
	t.Parallel()
	for _, era := range legacy.Eras() {
		t.Run("era "+string(era), func(t *testing.T) {
			t.Parallel()
			sourcetest.Run(t, func(t *testing.T) source.Source {
				w := open(t, func(c *legacy.Config) { c.Era = era })
				for range 4 { // it has bars when it has seen some change
					if _, err := w.Bars(t.Context(), time.Time{}); err != nil {
						t.Fatal(err)
					}
					w.clock.Advance(40 * time.Second)
				}
				return w.Source
			})
		})
	}
}
