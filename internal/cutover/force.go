package cutover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"thor"
)

// ForceVariable is the environment variable that forces features at the start.
const ForceVariable = "THOR_FORCE"

// byFile is who forces when the file says so.
const byFile = "the file force"

// How the force file is looked at.
const (
	lookEvery = 500 * time.Millisecond // so that clients have it within a second
	// settleFor is how long a file that says less than before is given: whoever
	// writes it may have emptied it first.
	settleFor    = 50 * time.Millisecond
	maxForceFile = 64 << 10
)

// ParseForce reads what THOR_FORCE or the force file says: feature:stage, one or
// several, between commas or on lines of their own; what follows a # on a line
// is a comment. Where a feature is named twice the earlier stage counts. The
// entries that can be read are returned beside the faults of the others.
func ParseForce(text string) (map[string]thor.Stage, []error) {
	forces := map[string]thor.Stage{}
	var faults []error
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		line, _, _ = strings.Cut(line, "#")
		for entry := range strings.SplitSeq(line, ",") {
			entry = strings.TrimSpace(entry)
			if entry == "" {
				continue
			}
			feature, stage, err := parseEntry(entry)
			if err != nil {
				faults = append(faults, fmt.Errorf("line %d: %w", number, err))
				continue
			}
			if before, twice := forces[feature]; !twice || stage < before {
				forces[feature] = stage
			}
		}
	}
	return forces, faults
}

func parseEntry(entry string) (feature string, stage thor.Stage, err error) {
	feature, name, ok := strings.Cut(entry, ":")
	if !ok {
		return "", 0, thor.Errorf(thor.EINVALID, "%.100q is not FEATURE:STAGE", entry).WithHint("Write it like positions:shadow.")
	}
	f, err := thor.FeatureNamed(strings.TrimSpace(feature))
	if err != nil {
		return "", 0, err
	}
	stage, err = thor.ParseStage(strings.TrimSpace(name))
	return f.Name, stage, err
}

// CheckForce returns every fault of a value of THOR_FORCE.
func CheckForce(value string) error {
	_, faults := ParseForce(value)
	errs := make([]error, len(faults))
	for i, fault := range faults {
		_, words, _ := strings.Cut(fault.Error(), ": ") // a variable has one line
		errs[i] = thor.Errorf(thor.EINVALID, "%s: %s", ForceVariable, words)
	}
	return errors.Join(errs...)
}

// force reads THOR_FORCE.
func (k *Controller) force() error {
	if err := CheckForce(k.Force); err != nil {
		return err
	}
	stages, _ := ParseForce(k.Force)
	k.environment = merge(nil, stages, ForceVariable)
	return nil
}

// merge makes forces of stages; one that says what it said before stands since
// then.
func merge(before map[string]Force, stages map[string]thor.Stage, by string) map[string]Force {
	after := map[string]Force{}
	for feature, stage := range stages {
		after[feature] = Force{Stage: stage, By: by, Since: time.Now().UTC().Truncate(time.Millisecond)}
		if old, ok := before[feature]; ok && old.Stage == stage {
			after[feature] = old
		}
	}
	return after
}

// look reads the force file. What it forced before is lifted by a file that is
// gone, or that can be read and has no fault, and says so: never by one that
// cannot be understood.
func (k *Controller) look(ctx context.Context) {
	if k.ForceFile == "" {
		return
	}
	k.mu.RLock()
	before := k.file
	k.mu.RUnlock()
	stages, faults, exists := readForce(k.ForceFile)
	if exists && lifts(before, stages) {
		timer := time.NewTimer(settleFor)
		defer timer.Stop()
		select {
		case <-timer.C:
			stages, faults, _ = readForce(k.ForceFile)
		case <-ctx.Done():
			return
		}
	}
	kept := map[string]Force{}
	if len(faults) > 0 {
		for feature, f := range before {
			if _, named := stages[feature]; !named {
				stages[feature], kept[feature] = f.Stage, f
			}
		}
	}
	after := merge(before, stages, byFile)
	var words []string
	for _, fault := range faults {
		words = append(words, byFile+": "+fault.Error())
	}
	if len(kept) > 0 {
		words = append(words, fmt.Sprintf("%s: %s stands as before, for a file with a fault lifts nothing", byFile, list(kept)))
	}
	k.mu.Lock()
	news := !slices.Equal(words, k.fileFaults)
	k.file, k.fileFaults = after, words
	k.mu.Unlock()
	if news {
		for _, fault := range words {
			k.Logger.ErrorContext(ctx, "force file", slog.String("file", k.ForceFile), slog.String("fault", fault))
		}
	}
	if !maps.Equal(before, after) {
		k.Logger.WarnContext(ctx, "force file", slog.String("file", k.ForceFile), slog.String("forces", list(after)))
	}
}

// lifts reports whether a file says less than before.
func lifts(before map[string]Force, stages map[string]thor.Stage) bool {
	for feature, f := range before {
		if now, ok := stages[feature]; !ok || now > f.Stage {
			return true
		}
	}
	return false
}

func list(forces map[string]Force) string {
	words := make([]string, 0, len(forces))
	for _, feature := range slices.Sorted(maps.Keys(forces)) {
		words = append(words, feature+":"+forces[feature].Stage.String())
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ",")
}

// readForce reads the file. A directory that has gone, as one on a disk that was
// taken away, is a fault: the file was not removed from it.
func readForce(path string) (stages map[string]thor.Stage, faults []error, exists bool) {
	text, err := readBounded(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(path)); err == nil {
			return map[string]thor.Stage{}, nil, false
		}
	}
	if err != nil {
		return map[string]thor.Stage{}, []error{fmt.Errorf("it cannot be read: %w", err)}, true
	}
	stages, faults = ParseForce(text)
	return stages, faults, true
}

func readBounded(path string) (string, error) {
	file, err := os.Open(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return "", err
	}
	defer file.Close() //nolint:errcheck // it was read
	data, err := io.ReadAll(io.LimitReader(file, maxForceFile+1))
	switch {
	case err != nil:
		return "", err
	case len(data) > maxForceFile:
		return "", fmt.Errorf("it has more than %d bytes", maxForceFile)
	case bytes.IndexByte(data, 0) >= 0:
		return "", errors.New("it is not text")
	}
	return string(data), nil
}
