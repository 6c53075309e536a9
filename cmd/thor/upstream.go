package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"thor"
	"thor/internal/app"
)

type upstreamCommand struct {
	Check  upstreamCheck  `cmd:"" help:"Ask each endpoint of a backend once, and show field by field what thor makes of it."`
	Preset upstreamPreset `cmd:"" help:"Print a mapping that comes with thor, to begin one of your own with."`
}

type upstreamPreset struct {
	Name string `arg:"" default:"thor" help:"Which: thor."`
}

// Run prints a mapping.
func (c *upstreamPreset) Run(m *Main) error {
	text, err := app.UpstreamPreset(c.Name)
	if err != nil {
		return err
	}
	_, err = m.Stdout.Write(text)
	return err
}

type upstreamCheck struct {
	settings
	JSON bool `name:"json" help:"Print it as JSON."`
}

// Run asks and prints. It fails when something must be put right.
func (c *upstreamCheck) Run(ctx context.Context, m *Main, file *fileSettings, k *kong.Context) error {
	if err := c.validate(k, file); err != nil {
		return err
	}
	report, err := app.CheckUpstream(ctx, c.complete(k, file))
	if err != nil {
		return err
	}
	n := report.Faults()
	if c.JSON {
		if err := printJSON(m.Stdout, report); err != nil {
			return err
		}
	} else {
		fmt.Fprint(m.Stdout, report.URL)
		if report.Who != "" {
			fmt.Fprintf(m.Stdout, " · signed in as %s", report.Who)
		}
		if report.Simulated {
			fmt.Fprint(m.Stdout, " · SIMULATED")
		}
		printSkew(m, report.SkewMS)
		fmt.Fprintln(m.Stdout)
		for _, e := range report.Folded() {
			fmt.Fprintf(m.Stdout, "\n%s %s\n", strings.TrimSpace(e.Endpoint+" "+e.Of), "GET "+e.Path)
			for _, line := range []string{e.Problem, e.Note} {
				if line != "" {
					fmt.Fprintf(m.Stdout, "  %s\n", line)
				}
			}
			rows := [][]string{}
			for _, f := range e.Fields {
				note := f.Note
				if f.Wrong {
					note = "WRONG: " + note
				}
				rows = append(rows, []string{"  " + cmp.Or(f.Theirs, "—"), cmp.Or(f.Ours, "—"), f.Value, note})
			}
			if len(rows) > 0 {
				printTable(m.Stdout, append([][]string{{"  THEIRS", "OURS", "VALUE", ""}}, rows...), 4)
			}
		}
		fmt.Fprintln(m.Stdout)
	}
	if n > 0 {
		return thor.Errorf(thor.EUNAVAILABLE, "%d of %s must be put right", n, count(int64(len(report.Endpoints)), "answer"))
	}
	if !c.JSON {
		fmt.Fprintln(m.Stdout, "all that is asked for is there")
	}
	return nil
}

func printSkew(m *Main, ms *int64) {
	if ms == nil {
		return
	}
	// The clock of an answer shows whole seconds.
	switch seconds := (*ms + 500*sign(*ms)) / 1000; {
	case seconds == 0:
		fmt.Fprint(m.Stdout, " · its clock is right to a second")
	case seconds > 0:
		fmt.Fprintf(m.Stdout, " · its clock is %d s ahead", seconds)
	default:
		fmt.Fprintf(m.Stdout, " · its clock is %d s behind", -seconds)
	}
}

// sampleWidth is how much of a sample is shown.
const sampleWidth = 300

func cut(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width]) + "…"
	}
	return text
}

func sign(n int64) int64 {
	if n < 0 {
		return -1
	}
	return 1
}

type sourceCommand struct {
	Check sourceCheck `cmd:"" help:"Ask a source for everything once, and say what it can and cannot do."`
}

type sourceCheck struct {
	settings
	Name string `arg:"" optional:"" help:"sim, upstream or none; without it that of the settings."`
	JSON bool   `name:"json" help:"Print it as JSON."`
}

// Run asks and prints. It fails when something does not work.
func (c *sourceCheck) Run(ctx context.Context, m *Main, file *fileSettings, k *kong.Context) error {
	if err := c.validate(k, file); err != nil {
		return err
	}
	report, err := app.CheckSource(ctx, c.complete(k, file), c.Name)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(m.Stdout, report); err != nil {
			return err
		}
		return report.Trouble()
	}
	words := "source " + report.Source
	if report.Simulated {
		words += " SIMULATED"
	}
	if report.Unproven {
		words += " (never run against the real service)"
	}
	switch {
	case !report.Reachable:
		words += " · cannot be reached"
	case report.SkewMS != nil:
		words += " · reachable"
	}
	if report.Who != "" {
		words += " · signed in as " + report.Who
	}
	fmt.Fprint(m.Stdout, words)
	printSkew(m, report.SkewMS)
	fmt.Fprintln(m.Stdout)
	if report.Problem != "" {
		fmt.Fprintf(m.Stdout, "%s\n", report.Problem)
	}
	for _, s := range report.Samples {
		fmt.Fprintf(m.Stdout, "\n%s: %d", s.Feature, s.Count)
		if s.Note != "" {
			fmt.Fprintf(m.Stdout, ", %s", s.Note)
		}
		fmt.Fprintln(m.Stdout)
		if s.Problem != "" {
			fmt.Fprintf(m.Stdout, "  %s\n", s.Problem)
		}
		if len(s.Data) > 0 {
			fmt.Fprintf(m.Stdout, "  %s\n", cut(string(s.Data), sampleWidth))
		}
	}
	for _, list := range []struct {
		title string
		lines []string
	}{{"it can", report.Can}, {"it cannot", report.Cannot}} {
		fmt.Fprintf(m.Stdout, "\n%s\n", list.title)
		for _, line := range list.lines {
			fmt.Fprintf(m.Stdout, "  %s\n", line)
		}
	}
	return report.Trouble()
}
