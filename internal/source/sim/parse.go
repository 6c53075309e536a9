package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"thor"
)

// Bounds of a script.
const (
	maxLasts = 24 * time.Hour
	// maxBehind is how much later than its minute a bar may come: so far back do
	// jobs look.
	maxBehind = 15 * time.Minute
	maxSkew   = time.Hour
	maxCues   = 1000
)

// ParseScript reads a script: a fault on each line,
//
//	WHEN FAULT [TARGET] [by DURATION] for DURATION
//
// docs/simulator.md has the words. The error names every line that is wrong, and
// what to write instead.
func ParseScript(name, text string) (*Script, error) {
	s := &Script{name: name, text: text}
	var errs []error
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		c, err := parseCue(words)
		c.line = n
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s:%d: %w", name, n, err))
		case len(s.faults) == maxCues:
			return nil, errors.Join(append(errs, thor.Errorf(thor.EINVALID, "%s:%d: a script has at most %d faults", name, n, maxCues))...)
		default:
			s.faults = append(s.faults, c)
		}
	}
	if len(errs) == 0 && len(s.faults) == 0 {
		errs = append(errs, thor.Errorf(thor.EINVALID, "%s: there is no fault in it", name).
			WithHint("Write one like: every 10m disconnect for 20s"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// words are what is left of a line.
type words []string

// take returns the next word, "" at the end of the line.
func (w *words) take() string {
	if len(*w) == 0 {
		return ""
	}
	word := (*w)[0]
	*w = (*w)[1:]
	return word
}

// is takes the next word if it is that one.
func (w *words) is(word string) bool {
	if len(*w) == 0 || (*w)[0] != word {
		return false
	}
	w.take()
	return true
}

func parseCue(w words) (cue, error) {
	var c cue
	if err := c.parseWhen(&w); err != nil {
		return c, err
	}
	word := w.take()
	info, ok := faultNamed(word)
	if !ok {
		var names []string
		for _, f := range Faults {
			names = append(names, string(f.Name))
		}
		if word == "" {
			return c, thor.Errorf(thor.EINVALID, "it says when, and not what").WithHint("The faults are %s.", strings.Join(names, ", "))
		}
		return c, thor.Errorf(thor.EINVALID, "%q is not a fault", word).WithHint("The faults are %s.", strings.Join(names, ", "))
	}
	c.fault = info.Name
	if len(w) > 0 && w[0] != "by" && w[0] != "for" {
		c.target = w.take()
		if err := info.takes(c.target); err != nil {
			return c, err
		}
	}
	if err := c.parseBy(&w, info); err != nil {
		return c, err
	}
	if !w.is("for") {
		if len(w) > 0 {
			return c, unexpected(w[0])
		}
		return c, thor.Errorf(thor.EINVALID, "it does not say for how long").WithHint("Write for and a duration at the end, for instance: for 30s")
	}
	lasts, err := duration(w.take(), time.Second, maxLasts)
	if err != nil {
		return c, fmt.Errorf("for: %w", err)
	}
	if len(w) > 0 {
		return c, unexpected(w[0])
	}
	c.lasts = int64(lasts / time.Second)
	if c.period > 0 && c.lasts > c.period {
		return c, thor.Errorf(thor.EINVALID, "it lasts %v and comes again after %v", lasts, time.Duration(c.period)*time.Second).
			WithHint("Let it last shorter, or come less often.")
	}
	return c, nil
}

func unexpected(word string) error {
	return thor.Errorf(thor.EINVALID, "%q is not expected here", word).
		WithHint("A line is: WHEN FAULT [TARGET] [by DURATION] for DURATION")
}

// parseWhen reads the time at the beginning of a line.
func (c *cue) parseWhen(w *words) error {
	about := w.is("about")
	if about && (len(*w) == 0 || (*w)[0] != "every") {
		return thor.Errorf(thor.EINVALID, "about is followed by every, for instance: about every 10m")
	}
	first := w.take()
	if first == "every" {
		period, err := duration(w.take(), time.Second, maxLasts)
		if err != nil {
			return fmt.Errorf("every: %w", err)
		}
		c.period, c.about = int64(period/time.Second), about
		if len(*w) > 0 && strings.HasPrefix((*w)[0], "+") {
			offset, err := duration(w.take()[1:], 0, period)
			if err != nil {
				return fmt.Errorf("every %v +…: %w", period, err)
			}
			if about {
				return thor.Errorf(thor.EINVALID, "about every %v is once in each, and takes no +%v", period, offset)
			}
			c.offset = int64(offset / time.Second)
		}
		return nil
	}
	for _, bell := range []string{"open", "close"} {
		sign, ok := strings.CutPrefix(first, bell)
		if !ok {
			continue
		}
		c.bell = bell
		if sign == "" {
			return nil
		}
		if sign[0] != '+' && sign[0] != '-' {
			break
		}
		offset, err := duration(sign[1:], 0, maxLasts)
		if err != nil {
			return fmt.Errorf("%s%c…: %w", bell, sign[0], err)
		}
		if c.offset = int64(offset / time.Second); sign[0] == '-' {
			c.offset = -c.offset
		}
		return nil
	}
	for _, layout := range []string{"15:04", time.TimeOnly} {
		if t, err := time.Parse(layout, first); err == nil {
			c.period, c.offset = day, int64(t.Hour()*hour+t.Minute()*minute+t.Second())
			return nil
		}
	}
	if t, err := time.Parse(time.RFC3339, first); err == nil && Covers(t) == nil {
		c.offset = t.Unix()
		return nil
	}
	return thor.Errorf(thor.EINVALID, "%q is not a time", first).
		WithHint("Write open+20m, close-5m, 15:30 (UTC, every day), 2026-11-23T15:30:00Z, every 10m, every 10m +2m, or about every 10m.")
}

// parseBy reads how much later or off something is.
func (c *cue) parseBy(w *words, info FaultInfo) error {
	by := w.is("by")
	switch {
	case info.By && !by:
		return thor.Errorf(thor.EINVALID, "%s does not say by how much", info.Name).
			WithHint("Write by and a duration before for, for instance: %s by 2m for 5m", info.Name)
	case by && !info.By:
		return thor.Errorf(thor.EINVALID, "%s takes no by", info.Name)
	case !by:
		return nil
	}
	word, most := w.take(), maxBehind
	behind := false
	if info.Name == FaultSkew {
		most = maxSkew
		word, behind = strings.CutPrefix(word, "-")
		word = strings.TrimPrefix(word, "+")
	}
	much, err := duration(word, time.Second, most)
	if err != nil {
		return fmt.Errorf("by: %w", err)
	}
	if c.by = int64(much / time.Second); behind {
		c.by = -c.by
	}
	return nil
}

// duration reads a duration of whole seconds within bounds.
func duration(word string, least, most time.Duration) (time.Duration, error) {
	if word == "" {
		return 0, thor.Errorf(thor.EINVALID, "a duration is missing, for instance 30s, 5m or 1h30m")
	}
	d, err := time.ParseDuration(word)
	if err != nil {
		return 0, thor.Errorf(thor.EINVALID, "%q is not a duration", word).WithHint("Write it like 30s, 5m or 1h30m.")
	}
	if d < least || d > most || d%time.Second != 0 {
		return 0, thor.Errorf(thor.EINVALID, "%s is not possible here; whole seconds from %v to %v are", word, least, most)
	}
	return d, nil
}

// takes reports whether the fault can be about that.
func (f FaultInfo) takes(target string) error {
	can := f.Targets
	symbol := slices.ContainsFunc(catalogue(), func(i instrument) bool { return i.symbol == target })
	switch {
	case target == "accounts" && can&nouns != 0, target == "bars" && can&(nouns|barsOnly) != 0, symbol && can&aSymbol != 0:
		return nil
	case strings.HasPrefix(target, accountPrefix) && can&anAccount != 0:
		return nil // whether there is one is known when the accounts are
	}
	var words []string
	if can&nouns != 0 {
		words = append(words, "accounts", "bars")
	}
	if can&barsOnly != 0 {
		words = append(words, "bars")
	}
	if can&anAccount != 0 {
		words = append(words, "an account such as PAPER-1")
	}
	if can&aSymbol != 0 {
		var symbols []string
		for _, i := range catalogue() {
			symbols = append(symbols, i.symbol)
		}
		words = append(words, "a symbol of "+strings.Join(symbols, ", "))
	}
	return thor.Errorf(thor.EINVALID, "%s cannot be about %q", f.Name, target).
		WithHint("Name %s; or nothing, which is all.", strings.Join(words, ", "))
}
