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
	clock *sourcetest.Clock // nil stands still
	sim   *sim.Source
	url   string
}

func open(t *testing.T, change func(*legacy.Config), edit ...string) *world {
	t.Helper()
	known, err := exchanges()
	if err != nil {
		t.Fatal(err)
	}
	clock := sourcetest.NewClock(noon)
	w := &world{clock: clock, sim: &sim.Source{Seed: 7, SourceClock: clock, Exchanges: known}}
	return w.open(t, change, edit)
}

// still is a world whose clock stands still, with a simulator that many tests
// share: making one takes a while.
func still(t *testing.T, at time.Time, change func(*legacy.Config), edit ...string) *world {
	t.Helper()
	known, err := exchanges()
	if err != nil {
		t.Fatal(err)
	}
	shared, _ := simulators.LoadOrStore(at, &sim.Source{Seed: 7, SourceClock: sourcetest.NewClock(at), Exchanges: known})
	w := &world{sim: shared.(*sim.Source)} //nolint:errcheck // nothing else is in it
	return w.open(t, change, edit)
}

var simulators sync.Map // by the time their clocks show

func (w *world) open(t *testing.T, change func(*legacy.Config), edit []string) *world {
	t.Helper()
	c := legacy.Config{Source: w.sim, Bugs: legacy.AllBugs()}
	if change != nil {
		change(&c)
	}
	backend, err := legacy.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(backend)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.Source = connect(t, Config{
		URL: server.URL, Mapping: preset(t, edit...), User: legacy.DefaultUser, Password: legacy.DefaultPassword, SourceClock: w.sim.SourceClock,
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
	sourcetest.Run(t, func(t *testing.T) source.Source {
		w := open(t, nil)
		for range 4 { // it has bars when it has seen some change
			if _, err := w.Bars(t.Context(), time.Time{}); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(40 * time.Second)
		}
		return w.Source
	})
}
