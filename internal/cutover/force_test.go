package cutover

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
)

func TestParseForce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text, want string
		faults           []string
	}{
		{"nothing", " \n\n# a word\n", "none", nil},
		{"one", "positions:shadow", "positions:shadow", nil},
		{"several, between commas", "positions:shadow, intraday:off,", "intraday:off,positions:shadow", nil},
		{"several, on lines, as Windows writes them", "\ufeffpositions : shadow # since 3 o'clock\r\n\r\nintraday:off\r\n", "intraday:off,positions:shadow", nil},
		{"the earlier of two", "positions:off\npositions:live", "positions:off", nil},
		{"a feature that is none", "x:off,intraday:off", "intraday:off", []string{`line 1: there is no feature "x"`}},
		{"a stage that is none", "intraday:off\npositions:paused", "intraday:off", []string{`line 2: "paused" is not a stage`}},
		{"no stage", "positions", "none", []string{`line 1: "positions" is not FEATURE:STAGE`}},
		{"two faults", "positions\nx:off", "none", []string{"line 1", "line 2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stages, faults := ParseForce(tt.text)
			if got := list(merge(nil, stages, "")); got != tt.want {
				t.Errorf("forces %s, want %s", got, tt.want)
			}
			if len(faults) != len(tt.faults) {
				t.Fatalf("faults %v, want %q", faults, tt.faults)
			}
			for i, fault := range faults {
				if !strings.Contains(fault.Error(), tt.faults[i]) {
					t.Errorf("fault %v, want one that says %q", fault, tt.faults[i])
				}
			}
		})
	}
}

func TestForceOfTheEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config()
	c.Force = "positions:nowhere, x:off"
	if _, _, err := Open(t.Context(), c); thor.ErrorCode(err) != thor.EINVALID ||
		!strings.Contains(err.Error(), `THOR_FORCE: "nowhere" is not a stage`) || !strings.Contains(err.Error(), `THOR_FORCE: there is no feature "x"`) {
		t.Errorf("a bad entry: %v", err)
	}
	c.Force = "positions:off, intraday:live"
	_, notes, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"positions is forced to off by THOR_FORCE; its stored stage is shadow",
		"THOR_FORCE: intraday:live has no effect, for intraday is in shadow: a force goes toward REST alone",
	}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if told := w.told(); len(told) != 1 || told[0].Feature != feature || told[0].Stage != thor.StageOff || !told[0].Forced {
		t.Errorf("told %+v", told)
	}
}

// TestForceFile follows the file through everything that happens to it.
func TestForceFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		k := w.open(t, nil)
		bring(t, k, thor.StageLive)
		go k.Run(t.Context())     //nolint:errcheck // it has no error
		time.Sleep(lookEvery / 4) // never at the moment it looks
		then := func(what, effective string, notices ...string) {
			t.Helper()
			time.Sleep(time.Second) // within which clients are to have it
			if got := fmt.Sprint(stateOf(t, k).Effective.Stage); got != effective {
				t.Errorf("%s: %s is in effect, want %s", what, got, effective)
			}
			got := []string{}
			for _, n := range w.told() {
				got = append(got, fmt.Sprintf("%s %s %v", n.Feature, n.Stage, n.Forced))
			}
			if diff := cmp.Diff(append([]string{}, notices...), got); diff != "" {
				t.Errorf("%s: told (-want +got):\n%s", what, diff)
			}
		}
		then("no file", "live")
		w.force(t, "positions:shadow\n")
		then("a force", "shadow", "positions shadow true")
		since := stateOf(t, k).Forced.Since
		w.force(t, "positions:shadow # still\n")
		then("the same", "shadow")
		if now := stateOf(t, k).Forced.Since; now != since {
			t.Errorf("since %v, want %v: it is the same force", now, since)
		}
		w.force(t, "positions:shadwo\nintraday:off\n")
		then("a bad entry beside a good one", "shadow", "intraday off true")
		if n := w.log.count("shadwo"); n != 1 {
			t.Errorf("the fault was logged %d times, want once", n)
		}
		if words := strings.Join(k.Troubles(), "\n"); !strings.Contains(words, `line 1: "shadwo" is not a stage`) || !strings.Contains(words, "positions:shadow stands as before") {
			t.Errorf("troubles %s", words)
		}
		if err := os.Remove(w.forceFile()); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(w.forceFile(), 0o700); err != nil {
			t.Fatal(err)
		}
		then("what cannot be read", "shadow")
		w.unforce(t)
		then("removed", "live", "positions live false", "intraday shadow false")
		if words := k.Troubles(); len(words) != 0 {
			t.Errorf("troubles at the end: %q", words)
		}
		w.force(t, strings.Repeat("#", maxForceFile+1))
		then("too much", "live")
		if words := k.Troubles(); len(words) != 1 || !strings.Contains(words[0], "more than 65536 bytes") {
			t.Errorf("troubles %q", words)
		}
	})
}

// TestAFileThatIsBeingWritten is emptied first, as a shell does it.
func TestAFileThatIsBeingWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.force(t, "positions:off")
		k := w.open(t, nil)
		w.told()
		w.force(t, "")
		go func() {
			time.Sleep(settleFor / 2)
			w.force(t, "positions:off # again")
		}()
		k.look(t.Context())
		if s := stateOf(t, k); s.Effective.Stage != thor.StageOff {
			t.Errorf("it was lifted for a moment: %+v", s)
		}
		w.force(t, "")
		k.look(t.Context())
		if s := stateOf(t, k); s.Effective.Stage != thor.StageShadow {
			t.Errorf("an empty file forces: %+v", s)
		}
	})
}

// TestADirectoryThatIsGone is a disk that was taken away: nobody removed the file.
func TestADirectoryThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	path := dir + "/data/force"
	if err := os.Mkdir(dir+"/data", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("positions:off"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := w.open(t, func(c *Config) { c.ForceFile = path })
	if err := os.RemoveAll(dir + "/data"); err != nil {
		t.Fatal(err)
	}
	k.look(t.Context())
	if s := stateOf(t, k); s.Effective.Stage != thor.StageOff || !strings.Contains(fmt.Sprint(k.Troubles()), "cannot be read") {
		t.Errorf("state %+v, troubles %q", s, k.Troubles())
	}
}
