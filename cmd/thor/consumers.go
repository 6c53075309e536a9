package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"thor/internal/api"
)

type consumersCommand struct {
	server
	JSON bool `name:"json" help:"Print it as JSON."`
}

// Run prints who asks REST for the features.
func (c *consumersCommand) Run(ctx context.Context, m *Main) error {
	census, err := c.client().Consumers(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(m.Stdout, census)
	}
	rows := [][]string{{"FEATURE", "PATHS", "WHO", "USER AGENT", "REQUESTS", "FIRST", "LAST"}}
	for _, one := range census.Consumers {
		paths := "thor's"
		if one.Via == api.ViaFrontDoor {
			paths = "the backend's"
		}
		agent := cmp.Or(one.UserAgent, "—")
		if one.Thor {
			agent += " (thor client)"
		}
		rows = append(rows, []string{
			one.Feature, paths, one.Principal, agent, fmt.Sprint(one.Requests),
			one.First.Local().Format(time.DateTime), one.Last.Local().Format(time.DateTime),
		})
	}
	printTable(m.Stdout, rows, 4)
	fmt.Fprintf(m.Stdout, "counted since %s\n", census.Since.Local().Format(time.DateTime))
	if census.Forgotten > 0 {
		fmt.Fprintf(m.Stdout, "%d more made room for others\n", census.Forgotten)
	}
	return nil
}
