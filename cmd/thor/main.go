// Command thor is the server and everything to work with it from a terminal.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"thor"
	"thor/internal/app"
	"thor/internal/client"
)

// Exit codes. docs/operations.md explains them.
const (
	exitOK       = 0
	exitFailed   = 1 // it was tried and did not work
	exitUsage    = 2 // the command line or the configuration is wrong
	exitConflict = 5 // the stage does not allow it, or somebody changed it first
	exitBroken   = 6 // the audit does not hold
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	ignoreEmpty()
	m := Main{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(m.Run(ctx, os.Args[1:]))
}

// ignoreEmpty makes a variable that is set to nothing count as not set, as those
// who write compose files and units expect.
func ignoreEmpty() {
	for _, entry := range os.Environ() {
		if name, value, _ := strings.Cut(entry, "="); value == "" && strings.HasPrefix(name, "THOR_") {
			_ = os.Unsetenv(name) // it is set, so its name is valid
		}
	}
}

// Main is the program with the world it runs in.
type Main struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// commands is the command line.
type commands struct {
	Serve     serveCommand     `cmd:"" help:"Run the server."`
	Record    recordCommand    `cmd:"" help:"Write down what a source says, to play it again."`
	Status    statusCommand    `cmd:"" help:"Show the state of a running server."`
	Watch     watchCommand     `cmd:"" help:"Print what a running server pushes."`
	Markets   marketsCommand   `cmd:"" help:"Show what the markets of the world do. Needs no server."`
	Cutover   cutoverCommand   `cmd:"" help:"Show and move the stages of the features."`
	Audit     auditCommand     `cmd:"" help:"Show what was done to the features, and check the record."`
	Consumers consumersCommand `cmd:"" help:"Show who asks REST for the features, at thor and at its front door."`
	Token     tokenCommand     `cmd:"" help:"Make tokens."`
	Config    configCommand    `cmd:"" help:"Show and check the configuration."`
	Sim       simCommand       `cmd:"" help:"What the simulator can do besides."`
	Source    sourceCommand    `cmd:"" help:"Look at where data comes from."`
	Upstream  upstreamCommand  `cmd:"" help:"Look at the REST backend that is read."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

// Run executes a command line and returns the exit code.
func (m *Main) Run(ctx context.Context, args []string) int {
	file, err := configFile(args)
	if err != nil {
		return m.fail(err)
	}
	cli := commands{}
	exited := -1
	parser, err := kong.New(&cli,
		kong.Name("thor"),
		kong.Description("Trading data over WebSocket, and the way there from REST."),
		kong.UsageOnError(),
		kong.Writers(m.Stdout, m.Stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		defaults(),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(m, file),
		kong.Resolvers(file),
	)
	if err != nil {
		panic(err) // the command line is ours
	}
	switch {
	case len(args) == 0:
		args = []string{"--help"}
	case args[0] == "--version": // as many programs have it
		args[0] = "version"
	}
	command, err := parser.Parse(args)
	if exited >= 0 { // help was asked for
		return exited
	}
	if err != nil {
		return m.fail(usageError(err, file))
	}
	if err := command.Run(); err != nil && !errors.Is(err, context.Canceled) {
		return m.fail(err)
	}
	return exitOK
}

// usage is an error in the command line or the configuration.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// usageError puts the parser's error into a line that says where help is, or
// which file has the wrong value.
func usageError(err error, file *fileSettings) error {
	help := "thor --help"
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		if flag, _, ok := strings.Cut(err.Error(), ":"); ok && file.values[strings.TrimPrefix(flag, "--")] != nil &&
			origins(parse.Context, file)[strings.TrimPrefix(flag, "--")] == file.path {
			return usage{thor.Errorf(thor.EINVALID, "%s: %s", file.path, err.Error())}
		}
		path, _, _ := strings.Cut(parse.Context.Command(), " <") // what follows are arguments
		if path != "" {
			help = "thor " + path + " --help"
		}
	}
	return usage{thor.Errorf(thor.EINVALID, "%s", plain(err.Error())).WithHint("See: %s", help)}
}

// plain takes the parser's own words out of its messages.
func plain(message string) string {
	if flag, _, ok := strings.Cut(message, `: expected string value but got "EOL"`); ok {
		return flag + " needs a value"
	}
	return envar.ReplaceAllString(message, " (from $1)")
}

var envar = regexp.MustCompile(` \(from envar ([A-Z_]+)="[^"]*"\)`)

// fail prints an error, each fault on a line of its own, and returns the exit
// code.
func (m *Main) fail(err error) int {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintf(m.Stderr, "thor: %s\n", line)
	}
	if _, ok := errors.AsType[usage](err); ok {
		return exitUsage
	}
	if errors.Is(err, errBroken) {
		return exitBroken
	}
	switch thor.ErrorCode(err) {
	case thor.EINVALID:
		return exitUsage
	case thor.ECONFLICT, thor.ESTALE:
		return exitConflict
	default:
		return exitFailed
	}
}

// server is how commands find a running server.
type server struct {
	URL   string `name:"url" env:"THOR_URL" default:"http://localhost:8000" help:"The server."`
	Token string `name:"token" env:"THOR_TOKEN" help:"Token, where the server has a key."`
	CA    string `name:"ca" env:"THOR_CA" placeholder:"FILE" help:"PEM file with the authority of the server's certificate, besides those of this machine."`
}

func (s *server) client() *client.Client {
	return &client.Client{URL: s.URL, Token: s.Token, CA: s.CA, Agent: "thor/" + app.Version}
}

type versionCommand struct{}

// Run prints the version.
func (*versionCommand) Run(m *Main) error {
	fmt.Fprintf(m.Stdout, "thor %s (%s)\n", app.Version, app.Build())
	return nil
}
