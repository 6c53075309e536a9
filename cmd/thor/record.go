package main

import (
	"context"

	"github.com/alecthomas/kong"

	"thor/internal/app"
)

type recordCommand struct {
	File   string           `arg:"" help:"The file to write; it must not be there yet."`
	Config app.RecordConfig `embed:""`
	Path   string           `name:"config" placeholder:"FILE" help:"Configuration file; thor.toml of this directory is read by itself."`
}

// Help says what a recording is for.
func (*recordCommand) Help() string {
	return `Reads a source as the server does, and writes every answer and every failure to
a file instead of publishing it. It opens no port and has no data directory. Every
ten seconds it says how far it is; Ctrl-C ends it, and it says what is in the file.

    thor record day.thor                                    the simulator, as time goes by
    thor record day.thor --upstream http://localhost:8001   your backend
    thor record day.thor --sim-start 2026-11-23T14:25:00Z --sim-speed 60 --for 30m
    thor serve --replay day.thor --speed 60                 plays it, a minute a second

Accounts get other names in the file, made with a key that is kept nowhere; tokens
and passwords are not in it. What happens to a file that was cut or edited is in
docs/recording.md.`
}

// Run records until ctx ends or the time is up.
func (c *recordCommand) Run(ctx context.Context, m *Main, file *fileSettings, k *kong.Context) error {
	if c.Config.Upstream != "" && origins(k, file)["source"] == byDefault {
		c.Config.Source = "upstream"
	}
	return app.Record(ctx, c.Config, c.File, newLogger(m.Stderr, c.Config.Settings()), m.Stdout, m.Stderr)
}
