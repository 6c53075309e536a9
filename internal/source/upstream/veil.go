package upstream

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"thor"
	"thor/internal/source"
)

// veil hides what must not be in a log: what was sent to the backend in
// confidence, and the numbers of accounts. A backend may answer with any of it,
// and the words of its answers are in errors.
type veil struct {
	mu     sync.Mutex // guards what follows
	fixed  []string   // as long as the source lives
	passed []string   // tokens, the newest last
}

// Bounds of a veil.
const (
	maxPassed   = 16
	secretRunes = 4 // a shorter one is in half of all words
	veiled      = "•••"
	maxWords    = 600 // runes of what an error says
	maxErrors   = 5   // of one question for several accounts or symbols
)

// keep adds what is secret as long as the source lives.
func (v *veil) keep(texts ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, text := range texts {
		if len(text) >= secretRunes && !slices.Contains(v.fixed, text) {
			v.fixed = append(v.fixed, text)
		}
	}
	slices.SortFunc(v.fixed, func(a, b string) int { return len(b) - len(a) }) // one may be within another
}

// pass adds tokens, which are replaced by others in time.
func (v *veil) pass(texts ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, text := range texts {
		if len(text) >= secretRunes && !slices.Contains(v.passed, text) {
			v.passed = append(v.passed, text)
		}
	}
	if extra := len(v.passed) - maxPassed; extra > 0 {
		v.passed = slices.Delete(v.passed, 0, extra)
	}
}

// hide takes every secret out of a text.
func (v *veil) hide(text string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, secret := range slices.Concat(v.passed, v.fixed) {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			text = hideCut(strings.ReplaceAll(text, form, veiled), form)
		}
	}
	return text
}

// hideCut takes the beginning of a secret out of a text that was cut within it.
func hideCut(text, secret string) string {
	parts := strings.Split(text, "…")
	for i, part := range parts[:len(parts)-1] {
		for n := min(len(secret), len(part)); n >= secretRunes; n-- {
			if strings.HasSuffix(part, secret[:n]) {
				parts[i] = part[:len(part)-n] + veiled
				break
			}
		}
	}
	return strings.Join(parts, "…")
}

// words is a text for people: without secrets, and not endless.
func (v *veil) words(text string) string { return shorten(v.hide(text), maxWords) }

// cover takes every secret out of an error, and bounds it.
func (v *veil) cover(err error) error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, inner := range joined.Unwrap() {
			all = append(all, v.cover(inner))
		}
		if more := len(all) - maxErrors; more > 0 {
			all = append(all[:maxErrors:maxErrors], fmt.Errorf("and %d more", more))
		}
		return errors.Join(all...)
	}
	e, ok := errors.AsType[*source.Error](err)
	if !ok {
		return v.coverWords(err)
	}
	covered := *e
	covered.Op, covered.Err = v.words(e.Op), v.coverWords(e.Err)
	return &covered
}

// coverWords takes every secret out of an error of ours; another has no words of
// the backend.
func (v *veil) coverWords(err error) error {
	words, ok := errors.AsType[*thor.Error](err)
	if !ok {
		return err
	}
	return &thor.Error{Code: words.Code, Message: v.words(words.Message), Hint: words.Hint}
}

var (
	// A token has many characters of these and a digit among them.
	run = regexp.MustCompile(`[A-Za-z0-9_+=-]{20,}`)
	// An account number has many digits.
	digits = regexp.MustCompile(`\b[0-9]{4}-?[0-9]{4,}\b`)
)

// scrub takes out of foreign words whatever looks like a token or a number of an
// account, before they are cut: nobody would know half of one.
func scrub(text string) string {
	text = run.ReplaceAllStringFunc(text, func(word string) string {
		if !strings.ContainsAny(word, "0123456789") {
			return word
		}
		return veiled
	})
	return digits.ReplaceAllString(text, veiled)
}
