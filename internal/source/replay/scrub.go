package replay

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// scrubber takes account numbers and secrets out of what is recorded. An account
// keeps one name within a recording; the key it is made with is nowhere else, so
// that nobody can find a number by trying all there are.
type scrubber struct {
	key     []byte
	secrets *regexp.Regexp // nil is none

	mu      sync.Mutex // guards what follows
	names   map[string]string
	pattern *regexp.Regexp    // finds every account known so far; nil while there is none
	quick   *strings.Replacer // changes a text in lower case that has one of them
}

func newScrubber(secrets []string) *scrubber {
	s := &scrubber{key: make([]byte, 32), names: map[string]string{}}
	_, _ = rand.Read(s.key) // it never fails
	secrets = slices.DeleteFunc(slices.Clone(secrets), func(secret string) bool { return len(secret) < minSecret })
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for i, secret := range secrets {
		if secrets[i] = regexp.QuoteMeta(secret); len(secret) < longSecret {
			secrets[i] = `\b` + secrets[i] + `\b`
		}
	}
	if len(secrets) > 0 {
		s.secrets = regexp.MustCompile(strings.Join(secrets, "|"))
	}
	return s
}

const (
	minSecret  = 3 // what is shorter is found in every sentence
	longSecret = 8 // what is shorter is looked for as a word, a user's name for instance
	removed    = "•••"
)

// account returns the name of an account in the recording, and knows the account
// from now on. Upper and lower case are one account, for a search is for both.
func (s *scrubber) account(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	folded := strings.ToLower(id)
	if name := s.names[folded]; name != "" || id == "" {
		return name
	}
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(folded))
	s.names[folded] = "ACCT-" + hex.EncodeToString(h.Sum(nil))[:16]
	s.learn()
	return s.names[folded]
}

// wholeWord is the length from which on a number is also looked for within a
// word: what is shorter, or no number, would be found where it is not meant.
const wholeWord = 5

// learn makes the pattern of all accounts, the longest first, for one may begin
// like another. The names they have in the recording come before them: a short
// number may be in one by chance. The caller holds mu.
func (s *scrubber) learn() {
	ids := slices.Collect(maps.Keys(s.names))
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(a, b))
	})
	patterns := []string{`ACCT-[0-9a-f]{16}`}
	var pairs []string
	for _, id := range ids {
		pairs = append(pairs, id, "")
		quoted := regexp.QuoteMeta(id)
		if len(id) < wholeWord || !strings.ContainsAny(id, digits) {
			quoted = `\b` + quoted + `\b`
		}
		patterns = append(patterns, quoted)
	}
	s.pattern = regexp.MustCompile(`(?i)` + strings.Join(patterns, "|"))
	s.quick = strings.NewReplacer(pairs...)
}

const digits = "0123456789"

// found reports whether there may be something to take out of a text.
func (s *scrubber) found(text string) bool {
	if s.secrets != nil && s.secrets.MatchString(text) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lower := strings.ToLower(text)
	return s.quick != nil && s.quick.Replace(lower) != lower
}

// text takes accounts and secrets that are known out of a text.
func (s *scrubber) text(text string) string {
	if s.secrets != nil {
		text = s.secrets.ReplaceAllLiteralString(text, removed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pattern == nil {
		return text
	}
	return s.pattern.ReplaceAllStringFunc(text, func(id string) string { return cmp.Or(s.names[strings.ToLower(id)], id) })
}

var (
	word = regexp.MustCompile(`[A-Za-z0-9][A-Za-z0-9._~+=-]*`)
	// harmless are words with digits that are neither a number of an account nor
	// a token: counts, ports and statuses, durations, dates and times, and the
	// names accounts have in a recording.
	harmless = regexp.MustCompile(`^(\d{1,4}|\d{1,6}\.\d{1,6}|(\d{1,4}(\.\d{1,9})?(h|m|s|ms|us|ns))+|\d{4}-\d\d-\d\d(T\d\d)?|\d\d(\.\d{1,9})?Z|ACCT-[0-9a-f]{16})\.?$`)
)

// longest is how long a word without a digit may be.
const longest = 24

// words takes out of the words of a failure what is known, and whatever might
// be the number of an account nobody has seen yet, or a token: a word with
// digits that is nothing harmless, and a word too long for one.
func (s *scrubber) words(text string) string {
	return word.ReplaceAllStringFunc(s.text(text), func(w string) string {
		if len(w) <= longest && !strings.ContainsAny(w, digits) || harmless.MatchString(w) {
			return w
		}
		return removed
	})
}

// json takes what is known out of every string of a JSON text; names of members
// stay as they are.
func (s *scrubber) json(text []byte) []byte {
	if !s.found(string(text)) {
		return text
	}
	var out bytes.Buffer
	rest := text
	for {
		start := bytes.IndexByte(rest, '"')
		if start < 0 {
			break
		}
		end := start + 1
		for end < len(rest) && rest[end] != '"' {
			if rest[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end+1, len(rest))
		out.Write(rest[:start])
		out.Write(s.literal(rest[start:end], end < len(rest) && rest[end] == ':'))
		rest = rest[end:]
	}
	out.Write(rest)
	return out.Bytes()
}

// literal scrubs one string of a JSON text.
func (s *scrubber) literal(quoted []byte, isName bool) []byte {
	var value string
	if isName || json.Unmarshal(quoted, &value) != nil {
		return quoted
	}
	clean := s.text(value)
	if clean == value {
		return quoted
	}
	scrubbed, err := json.Marshal(clean)
	if err != nil {
		return []byte(`""`)
	}
	return scrubbed
}
