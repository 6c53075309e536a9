package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/alecthomas/kong"

	"thor"
	"thor/internal/app"
)

// defaults hands the defaults of the settings to the parser, so that they are
// written in one place.
func defaults() kong.Vars {
	vars := kong.Vars{}
	eachSetting(app.Default(), func(name string, value reflect.Value) {
		vars[strings.ReplaceAll(name, "-", "_")] = text(value)
	})
	return vars
}

// eachSetting calls f for every setting, in order.
func eachSetting(c app.Config, f func(name string, value reflect.Value)) {
	v := reflect.ValueOf(c)
	for _, field := range reflect.VisibleFields(v.Type()) {
		if name := field.Tag.Get("name"); name != "" {
			f(name, v.FieldByIndex(field.Index))
		}
	}
}

// text writes a setting as a flag takes it.
func text(value reflect.Value) string {
	switch v := value.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		return v.String()
	default:
		return fmt.Sprint(v)
	}
}

const defaultFile = "thor.toml"

// secretSettings are those whose values are shown to nobody; the others name
// files.
var secretSettings = []string{"auth-key", "upstream-password", "upstream-token"}

// fileSettings are the settings of a configuration file. They count less than
// the environment and the flags.
type fileSettings struct {
	path   string // "" when there is no file
	values map[string]any
}

var _ kong.Resolver = (*fileSettings)(nil)

// configFile reads the file the arguments name, or thor.toml if there is one,
// for the commands that have settings.
func configFile(args []string) (*fileSettings, error) {
	if len(args) == 0 || !slices.Contains([]string{"serve", "record", "config", "token", "markets", "upstream", "source"}, args[0]) || slices.Contains(args, "--help") || slices.Contains(args, "-h") {
		return &fileSettings{}, nil
	}
	path, named := defaultFile, false
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--config="); ok {
			path, named = value, true
		} else if arg == "--config" && i+1 < len(args) {
			path, named = args[i+1], true
		}
	}
	file := &fileSettings{path: path}
	_, err := toml.DecodeFile(path, &file.values)
	switch {
	case errors.Is(err, os.ErrNotExist) && !named:
		return &fileSettings{}, nil
	case errors.Is(err, os.ErrNotExist):
		return nil, usage{thor.Errorf(thor.EINVALID, "there is no configuration file %s", path)}
	case err != nil:
		if parse, ok := errors.AsType[toml.ParseError](err); ok {
			message := parse.Message
			if slices.Contains(secretSettings, parse.LastKey) { // the message may have the value in it
				message = "the value of " + parse.LastKey + " cannot be read; write it in quotes"
			}
			return nil, usage{thor.Errorf(thor.EINVALID, "%s:%d: %s", path, parse.Position.Line, message)}
		}
		return nil, usage{thor.Errorf(thor.EINVALID, "the configuration file cannot be read: %w", err)}
	}
	return file, file.check()
}

// check refuses a setting that does not exist.
func (f *fileSettings) check() error {
	var known []string
	eachSetting(app.Config{}, func(name string, _ reflect.Value) { known = append(known, name) })
	var errs []error
	for name := range f.values {
		if !slices.Contains(known, name) {
			errs = append(errs, thor.Errorf(thor.EINVALID, "%s: there is no setting %q", f.path, name).
				WithHint("The settings are %s.", strings.Join(known, ", ")))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return usage{errors.Join(errs...)}
}

// Validate implements [kong.Resolver].
func (f *fileSettings) Validate(*kong.Application) error { return nil }

// Resolve implements [kong.Resolver].
func (f *fileSettings) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	value, ok := f.values[flag.Name]
	if !ok || inEnvironment(flag) {
		return nil, nil //nolint:nilnil // how a resolver says that it has nothing
	}
	switch v := value.(type) {
	case string, int64, float64, bool:
		return fmt.Sprint(v), nil
	case time.Time:
		return v.Format(time.RFC3339), nil
	case []any:
		words := make([]string, len(v))
		for i, word := range v {
			words[i] = fmt.Sprint(word)
		}
		return strings.Join(words, ","), nil
	}
	return nil, errors.New("a value of the wrong kind")
}

func inEnvironment(flag *kong.Flag) bool {
	return slices.ContainsFunc(flag.Envs, func(name string) bool {
		_, ok := os.LookupEnv(name)
		return ok
	})
}

type configCommand struct {
	Show  configShow  `cmd:"" help:"Print every setting and where it comes from."`
	Check configCheck `cmd:"" help:"Report everything that is wrong with the configuration."`
}

type configShow struct{ settings }

// Run prints the settings.
func (c *configShow) Run(m *Main, file *fileSettings, k *kong.Context) error {
	w := tabwriter.NewWriter(m.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tFROM\tVARIABLE")
	origins := origins(k, file)
	t := reflect.TypeFor[app.Config]()
	eachSetting(c.complete(k, file), func(name string, value reflect.Value) {
		shown := text(value)
		if slices.Contains(secretSettings, name) && shown != "" {
			shown = "(set)"
		}
		if name == "data" && shown == "" {
			shown = "(temporary)"
		}
		field, _ := t.FieldByNameFunc(func(f string) bool {
			field, _ := t.FieldByName(f)
			return field.Tag.Get("name") == name
		})
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, shown, origins[name], field.Tag.Get("env"))
	})
	switches := c.complete(k, file).Overrides
	for _, variable := range slices.Sorted(maps.Keys(switches)) {
		fmt.Fprintf(w, "\t%s\tenvironment\t%s\n", switches[variable], variable)
	}
	if force := c.complete(k, file).Force; force != "" {
		fmt.Fprintf(w, "\t%s\tenvironment\t%s\n", force, app.ForceVariable)
	}
	return w.Flush()
}

// Where a setting comes from, besides a file and a flag.
const (
	byDefault     = "default" // nobody has set it
	byEnvironment = "environment"
)

// origins says where each setting comes from.
func origins(k *kong.Context, file *fileSettings) map[string]string {
	from := map[string]string{}
	for _, flag := range k.Flags() {
		switch {
		case inEnvironment(flag):
			from[flag.Name] = byEnvironment
		case file.values[flag.Name] != nil:
			from[flag.Name] = file.path
		default:
			from[flag.Name] = byDefault
		}
	}
	for _, p := range k.Path {
		if p.Flag != nil && !p.Resolved {
			from[p.Flag.Name] = "flag"
		}
	}
	return from
}

// validate checks the settings, and says of each fault where it was set.
func (s *settings) validate(k *kong.Context, file *fileSettings) error {
	err := s.complete(k, file).Validate()
	if err == nil {
		return nil
	}
	faults := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		faults = joined.Unwrap()
	}
	from, where := origins(k, file), map[string]string{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[app.Config]()) {
		name := field.Tag.Get("name")
		switch {
		case name == "":
		case from[name] == byEnvironment:
			where[name] = field.Tag.Get("env")
		case from[name] == file.path:
			where[name] = file.path + ": " + name
		}
	}
	for i, fault := range faults {
		e, ok := errors.AsType[*thor.Error](fault)
		if !ok || where[e.Path] == "" {
			continue
		}
		set := *e
		set.Message = where[e.Path] + strings.TrimPrefix(e.Message, "--"+e.Path)
		faults[i] = &set
	}
	return usage{errors.Join(faults...)}
}

type configCheck struct{ settings }

// Run checks the settings.
func (c *configCheck) Run(m *Main, file *fileSettings, k *kong.Context) error {
	if err := c.validate(k, file); err != nil {
		return err
	}
	fmt.Fprintln(m.Stdout, "the configuration is good")
	return nil
}
