package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"thor/internal/app"
)

// settings are the flags of the server.
type settings struct {
	Config app.Config `embed:""`
	File   string     `name:"config" placeholder:"FILE" help:"Configuration file; thor.toml of this directory is read by itself."`
}

// complete adds what comes from the environment alone.
func (s *settings) complete() app.Config {
	c := s.Config
	c.Overrides = app.ReadOverrides(os.LookupEnv)
	return c
}

type serveCommand struct{ settings }

// Run runs the server until ctx ends.
func (c *serveCommand) Run(ctx context.Context, m *Main) error {
	config := c.complete()
	if err := config.Validate(); err != nil {
		return usage{err}
	}
	server, err := app.New(ctx, config, newLogger(m.Stderr, config))
	if err != nil {
		return err
	}
	return server.Run(ctx, m.Stdout)
}

func newLogger(w io.Writer, c app.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // Validate knows the levels
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
