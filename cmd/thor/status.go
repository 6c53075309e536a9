package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

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
	if s.Source.Simulated {
		words[1] += " SIMULATED"
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

	rows := [][]string{{"FEATURE", "STAGE", "DATA SOURCE", "LAST", "MSG/MIN", "REST/MIN"}}
	for _, f := range s.Features {
		last := "—"
		if f.LastMS != nil {
			last = age(time.Duration(*f.LastMS) * time.Millisecond)
		}
		rows = append(rows, []string{
			f.Feature, f.Stage.String(), f.DataSource, last, fmt.Sprint(f.MessagesPerMinute), fmt.Sprint(f.RESTPerMinute),
		})
	}
	printTable(out, rows, 3)
	for _, j := range s.Jobs {
		if j.Trouble != "" {
			fmt.Fprintf(out, "job %s %s\n", j.Job, j.Trouble)
		}
	}
	return nil
}

// printTable prints rows with their columns under each other: the first left
// columns flush left, the others right.
func printTable(out io.Writer, rows [][]string, left int) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-len([]rune(cell)))
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
