package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"thor/internal/api"
)

type statusCommand struct {
	server
	JSON bool `name:"json" help:"Print it as JSON."`
}

// Run prints the state of the server.
func (c *statusCommand) Run(ctx context.Context, m *Main) error {
	s, err := c.client().Status(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(m.Stdout, s)
	}
	return printStatus(m.Stdout, s)
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

func printStatus(out io.Writer, s api.Status) error {
	words := []string{"thor " + s.Version, "source " + s.Source.Name}
	if r := s.Source.Replay; r != nil {
		words[1] += " of " + r.Of
	}
	if s.Source.Simulated {
		words[1] += " SIMULATED"
	}
	if s.Source.Unproven {
		words[1] += " (never run against the real service)"
	}
	words = append(words, "up "+duration(time.Duration(s.UptimeMS)*time.Millisecond), count(s.Clients, "client"))
	beat := "heartbeat " + duration(time.Duration(s.Heartbeat.IntervalMS)*time.Millisecond)
	if late := s.Heartbeat.LateP99MS; late != nil {
		beat += fmt.Sprintf(" (late p99 %.0f ms)", *late)
	}
	fmt.Fprintln(out, strings.Join(append(words, beat, "channel "+s.Channel), " · "))
	if s.Source.Virtual {
		fmt.Fprintf(out, "virtual clock %s, speed %v\n", s.Source.Time.Format(time.RFC3339), s.Source.Speed)
	}
	if r := s.Source.Replay; r != nil {
		fmt.Fprintf(out, "REPLAY of a recording of %s, from %s to %s\n", r.Of, r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	}

	rows := [][]string{{"FEATURE", "STAGE", "DATA SOURCE", "LAST", "MSG/MIN", "REST/MIN"}}
	for _, f := range s.Features {
		last := "—"
		if f.LastMS != nil {
			last = age(time.Duration(*f.LastMS) * time.Millisecond)
		}
		stage := f.Effective.String()
		if f.Forced != nil {
			stage += ", forced: " + f.Forced.By
		}
		if f.Frozen != nil {
			stage += ", frozen"
		}
		rows = append(rows, []string{
			f.Feature, stage, f.DataSource, last, fmt.Sprint(f.MessagesPerMinute), fmt.Sprint(f.RESTPerMinute),
		})
	}
	printTable(out, rows, 3)
	printCalendars(out, s.Calendars)
	for _, f := range s.Features {
		if f.Forced != nil {
			fmt.Fprintf(out, "%s is forced to %s by %s since %s; its stored stage is %s\n",
				f.Feature, f.Forced.Stage, f.Forced.By, f.Forced.Since.Local().Format(time.DateTime), f.Stage)
		}
		if f.Frozen != nil {
			fmt.Fprintf(out, "%s is frozen by %s since %s%s; it ends with: thor cutover unfreeze %s\n",
				f.Feature, f.Frozen.By, f.Frozen.Since.Local().Format(time.DateTime), because(f.Frozen.Reason), f.Feature)
		}
	}
	for _, trouble := range s.Troubles {
		fmt.Fprintln(out, trouble)
	}
	printConsumers(out, s.Features)
	for _, j := range s.Jobs {
		switch {
		case j.Trouble != "":
			fmt.Fprintf(out, "job %s %s\n", j.Job, j.Trouble)
		case j.Outside:
			fmt.Fprintf(out, "job %s outside, by %s: %s, the last %s ago\n",
				j.Job, j.By, count(j.Messages, "message"), age(time.Duration(*j.LastMS)*time.Millisecond))
		}
	}
	return nil
}

// printConsumers says how many still ask REST, where somebody does.
func printConsumers(out io.Writer, features []api.FeatureStatus) {
	var words []string
	for _, f := range features {
		if f.RESTConsumers > 0 {
			words = append(words, fmt.Sprintf("%s by %d", f.Feature, f.RESTConsumers))
		}
	}
	if len(words) > 0 {
		fmt.Fprintf(out, "REST in the last hour: %s; thor consumers lists them\n", strings.Join(words, ", "))
	}
}

// printCalendars says which override files are in force, and what is wrong.
func printCalendars(out io.Writer, c api.CalendarStatus) {
	if c.Folder != "" {
		files := strings.Join(c.Files, ", ")
		if files == "" {
			files = "no file"
		}
		fmt.Fprintf(out, "calendars of %s in force since %s: %s\n", c.Folder, c.Since.Format(time.RFC3339), files)
	}
	if c.Trouble != "" {
		fmt.Fprintln(out, "calendars in trouble; those in force stay until it is repaired:")
		for line := range strings.SplitSeq(c.Trouble, "\n") {
			fmt.Fprintln(out, "  "+line)
		}
	}
	for _, e := range c.Ending {
		fmt.Fprintf(out, "the calendar of %s ends at %s: publish the next year in an amendment\n", e.Exchange, e.At.Format(time.RFC3339))
	}
}

// printTable prints rows with their columns under each other: the first left
// columns flush left, the others right.
func printTable(out io.Writer, rows [][]string, left int) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], width(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-width(cell))
			if i > 0 {
				line.WriteString("  ")
			}
			if i < left {
				line.WriteString(cell + pad)
			} else {
				line.WriteString(pad + cell)
			}
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

// width is how many columns a terminal gives a text: two to the characters of
// East Asia, none to a mark that stands on the letter before.
func width(text string) int {
	columns := 0
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Mn, r):
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul), r >= '！' && r <= '｠':
			columns += 2
		default:
			columns++
		}
	}
	return columns
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + reason + ")"
}

func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// duration is 4m12s, or 3 s below a minute.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

// age is 0.4 s, 42 s, 12 m, 3 h or 2 d.
func age(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d m", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours())/24)
}
