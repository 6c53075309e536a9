// Package replay records what a source says and plays it again.
//
// A [Recorder] stands before any source and writes every answer to a file, with
// its time, and every failure with its kind. A [Source] plays such a file: it
// gives the answers of then, in the order of then, on a clock that never passes
// an answer that nobody has taken yet. So what comes of a recording does not
// depend on how fast it is played.
//
// The file is JSON, a line for each answer, compressed. Each line carries a hash
// of itself and of all before it, so that a file that was cut or edited is known
// by the number of the line. It holds no account number and no token: accounts
// get names that are made with a key nobody keeps. docs/recording.md describes
// the format.
//
// The package does not schedule: who asks the source that is recorded, and what
// becomes of an answer that is played, is the caller's.
package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"thor"
	"thor/internal/source"
)

// Format is the format this package writes, and the newest it reads.
const Format = 1

// What a source can be asked for.
const (
	Accounts  = "accounts"
	Balances  = "balances"
	Positions = "positions"
	Bars      = "bars"
	Markets   = "markets"
)

// Other kinds of lines.
const (
	kindCaps = "caps" // what the source is like has turned out to be different
	kindEnd  = "end"  // the last line
)

// Header is the first line of a recording.
type Header struct {
	Format    int           `json:"format"`
	ID        string        `json:"id"`   // of this recording, made up
	Thor      string        `json:"thor"` // the version that wrote it
	Source    string        `json:"source"`
	Simulated bool          `json:"simulated"`
	Unproven  bool          `json:"unproven"`
	Virtual   bool          `json:"virtual"` // the source's clock was not the wall clock
	Speed     float64       `json:"speed"`   // of that clock
	Every     time.Duration `json:"every_ns"`
	Asked     []string      `json:"asked"` // for what the source can be asked
	From      time.Time     `json:"from"`

	// Paced is how often the source asked somebody else for a feature, where that
	// was less often than it was asked.
	Paced map[string]time.Duration `json:"paced_ns,omitempty"`
}

// Features are those there is data for.
func (h Header) Features() []string {
	var features []string
	for _, f := range []struct {
		name  string
		nouns []string
	}{
		{"account_balance", []string{Accounts, Balances}},
		{"positions", []string{Accounts, Positions}},
		{"intraday", []string{Bars}},
		{"global_market", []string{Markets}},
	} {
		if slices.ContainsFunc(f.nouns, func(noun string) bool { return slices.Contains(h.Asked, noun) }) {
			features = append(features, f.name)
		}
	}
	return features
}

// line is one line after the first, without its hash.
type line struct {
	At   time.Time       `json:"t"` // of the source's clock, when the answer had come
	Kind string          `json:"k"`
	Seq  uint64          `json:"s"`            // from 1, without a hole
	Took int64           `json:"ms,omitempty"` // of wall time, from the question to the answer
	Data json.RawMessage `json:"d"`
}

// End is what the last line says of the whole.
type End struct {
	To       time.Time `json:"to"`
	Answers  int       `json:"answers"`
	Errors   int       `json:"errors"` // of the answers, those that came with an error
	Symbols  []string  `json:"symbols"`
	Accounts []string  `json:"accounts"` // as the recording calls them
}

// answer is the data of a line: what was answered, and what went wrong.
type answer struct {
	Since     time.Time             `json:"since,omitzero"` // what bars were asked for
	Accounts  []account             `json:"accounts,omitempty"`
	Balances  []thor.AccountBalance `json:"balances,omitempty"`
	Positions []thor.Positions      `json:"positions,omitempty"`
	Bars      []thor.Bar            `json:"bars,omitempty"`
	Markets   []thor.MarketStatus   `json:"markets,omitempty"`
	Errors    []failure             `json:"errors,omitempty"`
	Partial   bool                  `json:"partial,omitempty"` // the errors are a [source.Partial]
}

type account struct {
	Balance   thor.AccountBalance `json:"balance"`
	Positions thor.Positions      `json:"positions"`
}

// failure is a [source.Error] as a line has it.
type failure struct {
	Kind    source.Kind `json:"kind"`
	Source  string      `json:"source"`
	Op      string      `json:"op"`
	Status  int         `json:"status,omitempty"`
	RetryAt time.Time   `json:"retry_at,omitzero"`
	Words   string      `json:"words,omitempty"`
}

// hashMember stands before the hash of a line, which is its last member.
const (
	hashMember = `,"h":"`
	hashDigits = 16
	hashTail   = len(hashMember) + hashDigits + len(`"}`)
)

// chain returns the hash of a line, which is made of the line and of the hash of
// the line before it.
func chain(before string, body []byte) string {
	h := sha256.New()
	h.Write([]byte(before))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))[:hashDigits]
}

// seal returns a JSON object with its hash, and the hash.
func seal(before string, object []byte) (sealed []byte, hash string) {
	body := object[:len(object)-1] // without the brace
	hash = chain(before, body)
	return append(append(append(append(make([]byte, 0, len(object)+hashTail), body...), hashMember...), hash...), `"}`...), hash
}

// unseal takes a line apart; false when it has no hash at its end.
func unseal(text []byte) (body []byte, hash string, ok bool) {
	if len(text) < hashTail {
		return nil, "", false
	}
	body, tail := text[:len(text)-hashTail], string(text[len(text)-hashTail:])
	hash, ok = strings.CutPrefix(tail, hashMember)
	if !ok || !strings.HasSuffix(hash, `"}`) {
		return nil, "", false
	}
	return body, hash[:hashDigits], true
}
