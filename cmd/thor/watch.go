package main

import (
	"context"
	"encoding/json"
	"fmt"

	"thor"
	"thor/internal/client"
)

type watchCommand struct {
	Feature string `arg:"" optional:"" help:"Only this feature: account_balance, positions, intraday or global_market."`
	server
}

// Run prints what comes over a real connection until it ends.
func (c *watchCommand) Run(ctx context.Context, m *Main) error {
	if c.Feature != "" {
		if _, err := thor.FeatureNamed(c.Feature); err != nil {
			return usage{err}
		}
	}
	return c.client().Watch(ctx, func(msg client.Message) error {
		if msg.Type == "hello" {
			return c.greet(m, msg)
		}
		if msg.Stream == "" || c.Feature != "" && msg.Stream.Feature() != c.Feature || isPast(msg) {
			return nil
		}
		_, err := fmt.Fprintf(m.Stdout, "[WS] %s: %s\n", msg.Type, msg.Data)
		return err
	})
}

// greet says where the data comes from, above it.
func (c *watchCommand) greet(m *Main, hello client.Message) error {
	var data struct {
		Source struct {
			Name      string `json:"name"`
			Simulated bool   `json:"simulated"`
		} `json:"source"`
	}
	if err := json.Unmarshal(hello.Data, &data); err != nil {
		return err
	}
	if data.Source.Simulated {
		fmt.Fprintf(m.Stderr, "thor: the data of source %s is SIMULATED\n", data.Source.Name)
	}
	return nil
}

// isPast reports whether a message is of the history a snapshot begins with: of
// bars only the newest is news.
func isPast(msg client.Message) bool {
	f, err := thor.FeatureNamed(msg.Stream.Feature())
	return err == nil && f.Window > 0 && msg.Snapshot && msg.At == 0
}
