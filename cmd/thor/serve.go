package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"thor/internal/app"
)

// settings are the flags of the server.
type settings struct {
	Config app.Config `embed:""`
	File   string     `name:"config" placeholder:"FILE" help:"Configuration file; thor.toml of this directory is read by itself."`
}

// complete adds what comes from the environment alone. A virtual clock has data
// of its own, unless somebody says where: yesterday's run of it is another time.
// So has a script, whose data is not that of a day without it.
func (s *settings) complete(k *kong.Context, file *fileSettings) app.Config {
	c := s.Config
	c.Overrides = app.ReadOverrides(os.Environ())
	c.Force = os.Getenv(app.ForceVariable)
	from := origins(k, file)
	if (c.Virtual() || c.SimScript != "") && from["data"] == byDefault {
		c.Data = ""
	}
	if c.Upstream != "" && from["source"] == byDefault {
		c.Source = "upstream"
	}
	if c.Replay != "" && from["source"] == byDefault {
		c.Source = "replay"
	}
	return c
}

type serveCommand struct{ settings }

// Run runs the server until ctx ends.
func (c *serveCommand) Run(ctx context.Context, m *Main, file *fileSettings, k *kong.Context) error {
	if err := c.validate(k, file); err != nil {
		return err
	}
	config := c.complete(k, file)
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
