package sim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"thor"
)

func TestParseScript(t *testing.T) {
	t.Parallel()
	s, err := ParseScript("day.txt", `
# what happens
every 10m                       disconnect                for 20s
every 10m +3m                   hang bars                 for 8s    # a comment
about every 15m                 limit accounts            for 45s
open+20m                        halt EQ.NVDA              for 10m
close-1h30m                     late      by 15m          for 5m
open                            correct FUT.ES by 2m      for 5m
14:45                           missing CRYPTO.BTC-USD    for 5m
14:45:30                        half PAPER-2              for 1m
2026-11-23T15:30:00Z            skew accounts by -40s     for 2m
2026-11-23T16:30:00+01:00       skew by +1h               for 24h
every 1s                        duplicate                 for 1s
`)
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 11 || s.Name() != "day.txt" || !strings.Contains(s.Text(), "a comment") {
		t.Errorf("%d faults of %s", s.Len(), s.Name())
	}
	c := s.faults[6]
	if c.line != 9 || c.fault != FaultMissing || c.target != "CRYPTO.BTC-USD" || c.period != day || c.offset != 14*hour+45*minute || c.lasts != 300 {
		t.Errorf("got %+v", c)
	}
	if c := s.faults[4]; c.bell != "close" || c.offset != -90*minute || c.by != 15*minute {
		t.Errorf("got %+v", c)
	}
	if a, b := s.faults[8], s.faults[9]; a.offset != b.offset || a.by != -40 || b.by != hour {
		t.Errorf("got %+v and %+v", a, b)
	}
	other, err := ParseScript("day.txt", s.Text()+"#")
	if err != nil || other.Identity() == s.Identity() {
		t.Errorf("another text has the identity %s too, %v", s.Identity(), err)
	}
}

func TestWrongScriptsAreRefusedByLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                               "there is no fault in it. Write one like: every 10m disconnect for 20s",
		"# nothing":                                      "there is no fault in it",
		"\n\nsometimes disconnect for 20s":               `s:3: "sometimes" is not a time. Write open+20m, close-5m, 15:30`,
		"every 10m":                                      "s:1: it says when, and not what. The faults are disconnect, hang,",
		"every 10m explode for 20s":                      `s:1: "explode" is not a fault. The faults are`,
		"every disconnect for 20s":                       `every: "disconnect" is not a duration. Write it like 30s, 5m or 1h30m`,
		"every":                                          "every: a duration is missing",
		"every 0s disconnect for 20s":                    "every: 0s is not possible here; whole seconds from 1s to 24h0m0s are",
		"every 1.5s disconnect for 1s":                   "1.5s is not possible here",
		"every 10m +11m disconnect for 20s":              "every 10m0s +…: 11m is not possible here",
		"about every 10m +1m disconnect for 20s":         "takes no +1m0s",
		"about 15:30 disconnect for 20s":                 "about is followed by every",
		"every 10s disconnect for 20s":                   "it lasts 20s and comes again after 10s",
		"25:30 disconnect for 20s":                       `"25:30" is not a time`,
		"2019-01-01T00:00:00Z disconnect for 20s":        "is not a time",
		"openly disconnect for 20s":                      `"openly" is not a time`,
		"open+ disconnect for 20s":                       "open+…: a duration is missing",
		"close-25h disconnect for 20s":                   "close-…: 25h is not possible here",
		"open disconnect":                                "it does not say for how long. Write for and a duration at the end",
		"open disconnect for":                            "for: a duration is missing",
		"open disconnect for ever":                       `for: "ever" is not a duration`,
		"open disconnect for 25h":                        "for: 25h is not possible here",
		"open disconnect for 20s please":                 `"please" is not expected here. A line is: WHEN FAULT [TARGET] [by DURATION] for DURATION`,
		"open disconnect bars please for 20s":            `"please" is not expected here`,
		"open disconnect PAPER-1 for 20s":                `disconnect cannot be about "PAPER-1". Name accounts, bars; or nothing, which is all`,
		"open halt PAPER-1 for 20s":                      `halt cannot be about "PAPER-1". Name a symbol of CRYPTO.BTC-USD`,
		"open halt EQ.GME for 20s":                       `halt cannot be about "EQ.GME"`,
		"open duplicate accounts for 20s":                `duplicate cannot be about "accounts". Name bars; or nothing`,
		"open skew EQ.AAPL by 2m for 20s":                `skew cannot be about "EQ.AAPL". Name accounts, bars, an account such as PAPER-1`,
		"open late for 20s":                              "late does not say by how much. Write by and a duration before for, for instance: late by 2m for 5m",
		"open late by 16m for 20s":                       "by: 16m is not possible here; whole seconds from 1s to 15m0s are",
		"open late by -2m for 20s":                       "by: -2m is not possible here",
		"open halt by 2m for 20s":                        "halt takes no by",
		"open skew by -2h for 20s":                       "by: 2h is not possible here",
		"x\nevery 10m disconnect for 20s\nopen halt for": "s:1: \"x\" is not a time",
		strings.Repeat("open halt for 1m\n", 1001):       "s:1001: a script has at most 1000 faults",
	} {
		_, err := ParseScript("s", text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: got %v, want %q", text, err, want)
		}
	}
	_, err := ParseScript("s", "x\nevery 10m disconnect for 20s\nopen halt for")
	if n := len(strings.Split(err.Error(), "\n")); n != 2 {
		t.Errorf("%d faults are named, want both:\n%v", n, err)
	}
}

func TestOpenScript(t *testing.T) {
	t.Parallel()
	for _, name := range Scripts() {
		if s, err := OpenScript(name); err != nil || s.Len() < 5 {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "mine.txt")
	if err := os.WriteFile(file, []byte("open disconnect for 1m"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := OpenScript(file); err != nil || s.Name() != "mine.txt" {
		t.Errorf("%+v, %v", s, err)
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "no.txt"): "The name thor knows is rough; any other is a file",
		dir:                          "the script cannot be read",
	} {
		if _, err := OpenScript(name); thor.ErrorCode(err) != thor.EINVALID || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}

// FuzzScript reads anything at all: it is a script, whose faults have times that
// can be asked for, or every line that is wrong is named.
func FuzzScript(f *testing.F) {
	for _, name := range Scripts() {
		s, err := OpenScript(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(s.Text())
	}
	f.Add("about every 10m skew accounts by -40s for 2m\nopen halt for")
	f.Add("close-1h30m late EQ.AAPL by 15m for 5m # x")
	sessions := []session{{open: 1000, end: 2000}, {open: 5000, end: 6000}}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScript("s", text)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "s:") {
					t.Errorf("%q does not say where", line)
				}
			}
			return
		}
		for _, c := range s.faults {
			c.sessions = sessions
			for _, at := range []int64{0, 1500, span.from.Unix(), span.to.Unix()} {
				begin, on := c.on(at)
				if on && (begin > at || at >= begin+c.lasts) {
					t.Errorf("line %d is on at %d, from %d for %d", c.line, at, begin, c.lasts)
				}
			}
		}
	})
}
