package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"thor"
	"thor/internal/client"
)

type cutoverCommand struct {
	Show     cutoverShow     `cmd:"" default:"1" help:"Show where every feature stands."`
	Promote  cutoverPromote  `cmd:"" help:"Move a feature one step forward."`
	Rollback cutoverRollback `cmd:"" help:"Move a feature back, at once and from any stage."`
	Freeze   cutoverFreeze   `cmd:"" help:"Stop steps forward of a feature; a rollback still works."`
	Unfreeze cutoverUnfreeze `cmd:"" help:"Allow steps forward again."`
	History  cutoverHistory  `cmd:"" help:"Show what was done to a feature, by whom and why."`
}

type cutoverShow struct{ server }

// Run prints where the features stand.
func (c *cutoverShow) Run(ctx context.Context, m *Main) error {
	features, err := c.client().Features(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"FEATURE", "STAGE", "SINCE", "REASON", "NEXT", "GATE", "REV"}}
	for _, f := range features {
		stage := f.Stage.String()
		if f.Stage == thor.StageCanary {
			stage += fmt.Sprintf(" %d %%", f.Weight)
		}
		if f.Forced != nil {
			stage = fmt.Sprintf("%s (stored: %s), forced: %s", f.Effective, stage, f.Forced.By)
		}
		if f.Frozen != nil {
			f.Gate = "frozen by " + f.Frozen.By
		}
		rows = append(rows, []string{
			f.Feature, stage, f.Since.Local().Format(time.DateTime), f.Reason, f.Next, f.Gate, fmt.Sprint(f.Rev),
		})
	}
	printTable(m.Stdout, rows, 6)
	return nil
}

type cutoverPromote struct {
	server
	Feature string `arg:"" help:"The feature."`
	To      string `name:"to" placeholder:"STAGE" help:"The stage; without it the next one."`
	Weight  int    `name:"weight" placeholder:"PERCENT" help:"Of canary: 1, 5, 25 or 50 percent of the clients."`
	Reason  string `name:"reason" help:"Why, for the audit."`
}

// Run promotes a feature.
func (c *cutoverPromote) Run(ctx context.Context, m *Main) error {
	server := c.client()
	now, err := server.Feature(ctx, c.Feature)
	if err != nil {
		return err
	}
	step, err := server.Promote(ctx, c.Feature, now.Rev, client.Move{To: c.To, Weight: c.Weight, Reason: c.Reason})
	if err != nil {
		return err
	}
	m.printStep(step)
	return nil
}

type cutoverRollback struct {
	server
	Feature string `arg:"" help:"The feature."`
	To      string `name:"to" placeholder:"STAGE" help:"Any earlier stage; without it shadow. off stops publishing too."`
	Reason  string `name:"reason" help:"Why, for the audit."`
}

// Run rolls a feature back.
func (c *cutoverRollback) Run(ctx context.Context, m *Main) error {
	step, err := c.client().Rollback(ctx, c.Feature, client.Move{To: c.To, Reason: c.Reason})
	if err != nil {
		return err
	}
	m.printStep(step)
	return nil
}

type cutoverFreeze struct {
	server
	Feature string `arg:"" help:"The feature."`
	Reason  string `name:"reason" help:"Why, for the audit and for who wants to move it."`
}

// Run freezes a feature.
func (c *cutoverFreeze) Run(ctx context.Context, m *Main) error {
	step, err := c.client().Freeze(ctx, c.Feature, c.Reason)
	if err != nil {
		return err
	}
	if !step.Changed {
		step.Action = thor.ActionFreeze
	}
	m.printStep(step)
	return nil
}

type cutoverUnfreeze struct {
	server
	Feature string `arg:"" help:"The feature."`
	Reason  string `name:"reason" help:"Why, for the audit."`
}

// Run ends the freeze of a feature.
func (c *cutoverUnfreeze) Run(ctx context.Context, m *Main) error {
	step, err := c.client().Unfreeze(ctx, c.Feature, c.Reason)
	if err != nil {
		return err
	}
	if !step.Changed {
		step.Action = thor.ActionUnfreeze
	}
	m.printStep(step)
	return nil
}

// printStep says what a step did, and warns when the store does not have it.
func (m *Main) printStep(s client.Step) {
	printStep(m.Stdout, s)
	if !s.Durable {
		fmt.Fprintf(m.Stderr, "thor: warning: it is not stored: %s\n", s.Trouble)
	}
}

func printStep(out io.Writer, s client.Step) {
	frozen := map[thor.Action]string{thor.ActionFreeze: "frozen", thor.ActionUnfreeze: "not frozen"}[s.Action]
	switch {
	case !s.Changed && frozen != "":
		fmt.Fprintf(out, "%s is %s already: nothing was changed\n", s.Feature, frozen)
	case !s.Changed:
		fmt.Fprintf(out, "%s is in %s already: nothing was changed\n", s.Feature, s.To)
	case frozen != "" && !s.Durable:
		fmt.Fprintf(out, "%s: %s\n", s.Feature, map[thor.Action]string{
			thor.ActionFreeze: "frozen on this server", thor.ActionUnfreeze: "frozen until it is stored",
		}[s.Action])
	case frozen != "":
		fmt.Fprintf(out, "%s: %s, revision %d\n", s.Feature, frozen, s.Rev)
	case !s.Durable:
		fmt.Fprintf(out, "%s: %s → %s, in effect on this server\n", s.Feature, s.From, s.To)
	case s.Action == thor.ActionPromote:
		weight := ""
		if s.To == thor.StageCanary {
			weight = fmt.Sprintf(" at %d %%", s.Weight)
		}
		fmt.Fprintf(out, "%s: %s → %s%s, revision %d (%s)\n", s.Feature, s.From, s.To, weight, s.Rev, s.Gate)
		to := ""
		if s.From < thor.StageShadow {
			to = " --to " + s.From.String()
		}
		fmt.Fprintf(out, "back: thor cutover rollback %s%s\n", s.Feature, to)
	default:
		fmt.Fprintf(out, "%s: %s → %s, revision %d\n", s.Feature, s.From, s.To, s.Rev)
	}
}

type cutoverHistory struct {
	server
	Feature string `arg:"" help:"The feature."`
	JSON    bool   `name:"json" help:"Print it as JSON."`
}

// Run prints the transitions of a feature.
func (c *cutoverHistory) Run(ctx context.Context, m *Main) error {
	history, err := c.client().History(ctx, c.Feature)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(m.Stdout, history)
	}
	rows := [][]string{{"AT", "ACTION", "FROM", "TO", "REV", "BY", "REASON", "GATE"}}
	for _, t := range history {
		rows = append(rows, []string{
			t.At.Local().Format(time.DateTime), string(t.Action), t.From.String(), t.To.String(),
			fmt.Sprint(t.Rev), t.Actor, t.Reason, t.Gate,
		})
	}
	printTable(m.Stdout, rows, len(rows[0]))
	return nil
}
