package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"thor"
	"thor/internal/app"
)

type auditCommand struct {
	Show   auditShow   `cmd:"" default:"withargs" help:"Show what was done to all features, by whom and why."`
	Verify auditVerify `cmd:"" help:"Check the record in a data directory, whether a server uses it or not."`
}

// errBroken is an audit that does not hold.
var errBroken = errors.New("the audit does not hold")

type auditShow struct {
	server
	JSON bool `name:"json" help:"Print it as JSON."`
}

// Run prints the audit of a running server.
func (c *auditShow) Run(ctx context.Context, m *Main) error {
	audit, err := c.client().Audit(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := printJSON(m.Stdout, audit); err != nil {
			return err
		}
	} else {
		rows := [][]string{{"ID", "AT", "FEATURE", "ACTION", "FROM", "TO", "REV", "BY", "REASON", "GATE", "BUILD", "HASH"}}
		for _, t := range audit.Entries {
			rows = append(rows, []string{
				fmt.Sprint(t.ID), t.At.Local().Format(time.DateTime), t.Feature, string(t.Action), t.From.String(), t.To.String(),
				fmt.Sprint(t.Rev), t.Actor, t.Reason, t.Gate, t.Build, short(t.Hash),
			})
		}
		printTable(m.Stdout, rows, len(rows[0]))
	}
	return broken(m.Stderr, audit.Faults)
}

type auditVerify struct {
	Data string `name:"data" default:"${data}" env:"THOR_DATA" help:"Data directory."`
}

// Run checks the audit in a data directory.
func (c *auditVerify) Run(ctx context.Context, m *Main) error {
	audit, err := app.ReadAudit(ctx, c.Data)
	if err != nil {
		return err
	}
	if err := broken(m.Stderr, audit.Verify()); err != nil {
		return err
	}
	fmt.Fprintf(m.Stdout, "the audit holds: %s, head %s\n", entries(audit.Head.Count), audit.Head.Hash)
	return nil
}

// broken prints the faults of an audit and is an error when there are any.
func broken(out io.Writer, faults []thor.AuditFault) error {
	for _, fault := range faults {
		fmt.Fprintf(out, "thor: %s\n", fault)
	}
	if len(faults) > 0 {
		return errBroken
	}
	return nil
}

func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// short is the beginning of a hash.
func short(hash string) string { return hash[:min(12, len(hash))] }
