package sim

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"thor"
)

// Fault is something a script makes go wrong.
type Fault string

// The faults.
const (
	FaultDisconnect Fault = "disconnect"
	FaultHang       Fault = "hang"
	FaultLimit      Fault = "limit"
	FaultExpire     Fault = "expire"

	FaultHalf      Fault = "half"
	FaultBad       Fault = "bad"
	FaultSkew      Fault = "skew"
	FaultDuplicate Fault = "duplicate"
	FaultDisorder  Fault = "disorder"

	FaultHalt    Fault = "halt"
	FaultMissing Fault = "missing"
	FaultLate    Fault = "late"
	FaultCorrect Fault = "correct"
)

// FaultInfo is a fault with what it does and what it takes.
type FaultInfo struct {
	Name    Fault
	Targets targets // what may be named in the script; naming nothing is all
	By      bool    // it takes "by" and a duration
	Help    string
}

// targets is a set of the kinds of things a fault can be about.
type targets uint8

const (
	nouns    targets = 1 << iota // accounts or bars
	barsOnly                     // bars
	anAccount
	aSymbol
)

// Faults lists the faults.
var Faults = []FaultInfo{
	{FaultDisconnect, nouns, false, "the connection is broken: a transient error"},
	{FaultHang, nouns, false, "no answer until the deadline of who asks, or until it is over"},
	{FaultLimit, nouns, false, "asked too often: a rate limit that says to come back when it is over"},
	{FaultExpire, nouns, false, "the login has expired: said once, then a person must log in, which they do when it is over"},
	{FaultHalf, nouns | anAccount | aSymbol, false, "half an answer: every second account and symbol, or the one that is named, cannot be read; the error comes with the rest"},
	{FaultBad, nouns | anAccount | aSymbol, false, "values that cannot be, with the error that says so"},
	{FaultSkew, nouns | anAccount, true, "the timestamps of accounts and of forming bars are ahead, or with a minus behind"},
	{FaultDuplicate, barsOnly, false, "every bar is in the answer twice"},
	{FaultDisorder, barsOnly, false, "the bars of an answer are in no order"},
	{FaultHalt, aSymbol, false, "the symbol is halted: whole minutes without bars and fills at a price that stands, and then the price there would have been"},
	{FaultMissing, aSymbol, false, "the bars of these minutes never come; prices and accounts go on"},
	{FaultLate, aSymbol, true, "the bars of these minutes come so much after their end, with nothing before"},
	{FaultCorrect, aSymbol, true, "the bars of these minutes come once more so much after their end, with more volume and another high and low"},
}

func faultNamed(name string) (FaultInfo, bool) {
	i := slices.IndexFunc(Faults, func(f FaultInfo) bool { return string(f.Name) == name })
	if i < 0 {
		return FaultInfo{}, false
	}
	return Faults[i], true
}

// Script is a list of faults, each with when it happens, to what, and for how
// long. Which seconds "about" means depends on the simulator's seed; all else is
// in the script, so the same script and seed do the same at the same instants.
// The zero value has no faults. It does not change once it is made.
type Script struct {
	name   string
	text   string
	faults []cue
}

// Name is the file's, or that of a script that comes with thor.
func (s *Script) Name() string { return s.name }

// Len is how many faults it has; each may happen many times.
func (s *Script) Len() int { return len(s.faults) }

// Text is the script as it is written.
func (s *Script) Text() string { return s.text }

// Identity is the name, and a word that is another for another text.
func (s *Script) Identity() string {
	return fmt.Sprintf("%s (%06x)", s.name, digestOf(0, s.text)[0]>>40)
}

//go:embed scripts/*.txt
var scripts embed.FS

// Scripts names the scripts that come with thor.
func Scripts() []string {
	files, err := fs.Glob(scripts, "scripts/*.txt")
	if err != nil {
		panic(err) // the pattern is ours
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(path.Base(file), ".txt")
	}
	return files
}

const maxScript = 1 << 20 // bytes

// OpenScript reads a script that comes with thor, by its name, or a file.
func OpenScript(name string) (*Script, error) {
	if slices.Contains(Scripts(), name) {
		text, err := scripts.ReadFile("scripts/" + name + ".txt")
		if err != nil {
			return nil, err
		}
		return ParseScript(name, string(text))
	}
	text, err := os.ReadFile(name) //nolint:gosec // the operator says which
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, thor.Errorf(thor.EINVALID, "there is no script %q, neither as a file nor by that name", name).
			WithHint("The name thor knows is %s; any other is a file.", strings.Join(Scripts(), ", "))
	case err != nil:
		return nil, thor.Errorf(thor.EINVALID, "the script cannot be read: %w", err)
	case len(text) > maxScript:
		return nil, thor.Errorf(thor.EINVALID, "the script %s has %d bytes, at most %d are read", name, len(text), maxScript)
	}
	return ParseScript(path.Base(strings.ReplaceAll(name, `\`, "/")), string(text))
}
