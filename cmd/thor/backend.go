package main

import (
	"context"
	"fmt"

	"thor/internal/app"
)

// simCommand is what there is of the simulator besides the server's source.
type simCommand struct {
	Backend backendCommand `cmd:"" help:"Serve simulated data as the REST backend people have before thor, its faults included."`
	Script  scriptCommand  `cmd:"" help:"Check a script of faults, and print it."`
}

type scriptCommand struct {
	Script string `arg:"" optional:"" default:"rough" help:"A file, or a script that comes with thor: rough."`
}

// Run prints the script.
func (c *scriptCommand) Run(m *Main) error {
	text, err := app.SimScript(c.Script)
	if err != nil {
		return err
	}
	fmt.Fprint(m.Stdout, text)
	return nil
}

type backendCommand struct {
	Config    app.BackendConfig `embed:""`
	LogLevel  string            `name:"log-level" default:"${log_level}" env:"THOR_LOG_LEVEL" help:"debug, info, warn or error."`
	LogFormat string            `name:"log-format" default:"${log_format}" env:"THOR_LOG_FORMAT" help:"text or json."`
}

// Help lists the faults.
func (*backendCommand) Help() string {
	return "The faults it can have, each switched on or off with --bugs:\n\n" + app.BackendBugs()
}

// Run serves until ctx ends.
func (c *backendCommand) Run(ctx context.Context, m *Main) error {
	log := app.Default()
	log.LogLevel, log.LogFormat = c.LogLevel, c.LogFormat
	return app.RunBackend(ctx, c.Config, m.Stdout, newLogger(m.Stderr, log))
}
