package upstream

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"thor"
)

// Mapping says where the backend has what, and how it writes it. It is read from
// a file; docs/integration-guide.md explains each line.
type Mapping struct {
	Auth      Auth              `toml:"auth"`
	Tokens    Tokens            `toml:"tokens"`
	Headers   map[string]string `toml:"headers"` // of every request; $NAME is a variable of the environment
	Who       Endpoint          `toml:"who"`
	Accounts  Accounts          `toml:"accounts"`
	Balance   Endpoint          `toml:"balance"`
	Positions Endpoint          `toml:"positions"`
	Bars      Endpoint          `toml:"bars"`
	Markets   Endpoint          `toml:"markets"`
	Symbols   []Symbol          `toml:"symbols"`
}

// Auth says how to sign in.
type Auth struct {
	Login         string `toml:"login"`          // path; POST {user_field, password_field}
	Refresh       string `toml:"refresh"`        // path; POST {refresh_field}
	UserField     string `toml:"user_field"`     // "" is email
	PasswordField string `toml:"password_field"` // "" is password
	AccessField   string `toml:"access_field"`   // of the answers; "" is access
	RefreshField  string `toml:"refresh_field"`  // of the answer and the question; "" is refresh
	Scheme        string `toml:"scheme"`         // "" is Bearer
}

// Tokens says what the tokens are like that the backend gives its users, so that
// a server with its key takes them.
type Tokens struct {
	Subject string            `toml:"subject"` // the claim that says who it is for; "" is that it gives none
	Require map[string]string `toml:"require"` // claims it must have besides, with their values
	Headers map[string]string `toml:"headers"` // of the question which accounts a token may see; those of every request are ours and not sent
}

// Accounts says which accounts there are.
type Accounts struct {
	Endpoint
	// IDs are those that are read, and no others, each a name or name=theirs; then
	// only the bearers of tokens are asked about.
	IDs []string `toml:"ids"`
}

// Endpoint is one question to the backend.
type Endpoint struct {
	Path    List              `toml:"path"` // with {names} in it; the first that is there is kept
	Also    List              `toml:"also"` // where the backend says the same, and nobody asks here
	Headers map[string]string `toml:"headers"`
	Every   Duration          `toml:"every"`   // how often to ask; 0 is a second
	Timeout Duration          `toml:"timeout"` // for the answer, its pages and a sign-in; 0 is 4 s
	Root    List              `toml:"root"`    // JSON pointers to the value or the list; the first that is there
	Next    string            `toml:"next"`    // JSON pointer to the URL of the next page
	Key     string            `toml:"key"`     // JSON pointer in an element of a list, whose value is there once
	Fields  map[string]Field  `toml:"fields"`
	Zeros   []Zeros           `toml:"zeros"`
}

// Field says where a value of ours comes from.
type Field struct {
	From     List              `toml:"from"`     // JSON pointers; the first that is there
	Type     Type              `toml:"type"`     // "" is text
	Format   string            `toml:"format"`   // of a time
	Map      map[string]string `toml:"map"`      // of an enum: their word to ours
	Const    string            `toml:"const"`    // the value itself, instead of From
	Required bool              `toml:"required"` // missing is an error, not unknown
}

// Zeros is what it means when these values are zero together.
type Zeros struct {
	All     []string `toml:"all"`     // JSON pointers
	Unknown []string `toml:"unknown"` // then these of our fields are unknown
	Fail    bool     `toml:"fail"`    // then the whole answer is no answer
	Why     string   `toml:"why"`
}

// Symbol is an instrument the backend knows.
type Symbol struct {
	ID         string            `toml:"id"`    // canonical: FUT.ES
	Alias      string            `toml:"alias"` // theirs: ES
	Display    string            `toml:"display"`
	Country    string            `toml:"country"`
	Multiplier string            `toml:"multiplier"` // what a point is worth
	Intraday   bool              `toml:"intraday"`   // ask for its bars
	Vars       map[string]string `toml:"vars"`       // more names for paths
}

// Type is how the backend writes a value.
type Type string

// The types.
const (
	TypeDec    Type = "dec" // a number, or a string with a number
	TypeInt    Type = "int"
	TypeString Type = "string"
	TypeBool   Type = "bool"
	TypeTime   Type = "time"
	TypeEnum   Type = "enum"
)

// List is one string or several.
type List []string

// UnmarshalTOML implements [toml.Unmarshaler].
func (l *List) UnmarshalTOML(value any) error {
	switch v := value.(type) {
	case string:
		*l = List{v}
	case []any:
		*l = List{}
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return errors.New("a list holds strings")
			}
			*l = append(*l, text)
		}
	default:
		return errors.New("write a string or a list of strings")
	}
	return nil
}

// Duration is written like 1s.
type Duration time.Duration

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

//go:embed preset/*.toml
var presets embed.FS

// Presets names the mappings that come with thor.
func Presets() []string {
	files, _ := fs.Glob(presets, "preset/*.toml") // the pattern is good
	for i, file := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(file, "preset/"), ".toml")
	}
	return files
}

// Preset returns the text of one of them.
func Preset(name string) ([]byte, error) {
	text, err := presets.ReadFile("preset/" + name + ".toml")
	if err != nil {
		return nil, thor.Errorf(thor.EINVALID, "there is no preset %q", name).WithHint("There is: %s.", strings.Join(Presets(), ", "))
	}
	return text, nil
}

// Parse reads a mapping and reports everything that is wrong with it. File is
// its name for people.
func Parse(file string, text []byte) (*Mapping, error) {
	m := &Mapping{}
	meta, err := toml.NewDecoder(bytes.NewReader(text)).Decode(m)
	if err != nil {
		if parse, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, thor.Errorf(thor.EINVALID, "%s:%d: %s", file, parse.Position.Line, parse.Message)
		}
		return nil, thor.Errorf(thor.EINVALID, "%s: %v", file, err)
	}
	f := faults{file: file}
	for _, key := range meta.Undecoded() {
		f.add(key.String(), "there is no such setting")
	}
	m.check(&f)
	return m, errors.Join(f.list...)
}

// faults collects what is wrong with a mapping.
type faults struct {
	file string
	list []error
}

func (f *faults) add(at, format string, args ...any) {
	f.list = append(f.list, thor.Errorf(thor.EINVALID, "%s: %s: %s", f.file, at, fmt.Sprintf(format, args...)))
}

// slot is one of our fields: what it takes, and what it is without a value of
// theirs.
type slot struct {
	name    string
	takes   []Type
	without string // "" is unknown
}

var (
	takesNumber = []Type{TypeDec, TypeInt}
	takesText   = []Type{TypeString, TypeEnum}
	takesTime   = []Type{TypeTime}
	takesBool   = []Type{TypeBool}
)

// The fields of each endpoint, in the order people see them. An endpoint whose
// list is nil takes any.
var (
	whoSlots     = []slot{{"name", takesText, ""}}
	balanceSlots = []slot{
		{"account_id", takesText, ""},
		{"currency", takesText, ""},
		{"cash", takesNumber, ""},
		{"equity", takesNumber, ""},
		{"portfolio_value", takesNumber, ""},
		{"buying_power", takesNumber, ""},
		{"day_trading_buying_power", takesNumber, ""},
		{"timestamp", takesTime, "when it was read"},
	}
	positionSlots = []slot{
		{"symbol", takesText, ""},
		{"asset_class", takesText, ""},
		{"display", takesText, "theirs, or that of [[symbols]]"},
		{"quantity", takesNumber, ""},
		{"multiplier", takesNumber, "that of [[symbols]], or of the asset class"},
		{"entry_price", takesNumber, ""},
		{"current_price", takesNumber, ""},
		{"market_value", takesNumber, "computed"},
		{"pnl", takesNumber, "computed"},
		{"pnl_percent", takesNumber, "computed"},
		{"day_pnl", takesNumber, ""},
		{"currency", takesText, ""},
	}
	barSlots = []slot{
		{"minute", takesTime, "dated when it changes"},
		{"open", takesNumber, ""},
		{"high", takesNumber, ""},
		{"low", takesNumber, ""},
		{"close", takesNumber, ""},
		{"volume", takesNumber, ""},
		{"vwap", takesNumber, ""},
		{"final", takesBool, "when the next minute comes"},
	}
	marketSlots = []slot{{"key", takesText, ""}, {"name", takesText, ""}, {"status", takesText, ""}}
)

// Needed are the fields an endpoint must map.
var (
	balanceNeeds  = []string{"currency", "portfolio_value"}
	positionNeeds = []string{"symbol", "asset_class", "quantity", "currency"}
	barNeeds      = []string{"open", "high", "low", "close"}
)

// formats are the ways to write a time.
var formats = []string{"rfc3339", "naive-utc", "epoch-ms", "epoch-s"}

func (m *Mapping) check(f *faults) {
	m.Who.check(f, "who", whoSlots, nil, []string{})
	m.Tokens.check(f)
	accounts := []string{"account"}
	m.Accounts.check(f, "accounts", nil, []string{"id"}, []string{})
	if len(m.Accounts.IDs) == 0 {
		if len(m.Accounts.Path) == 0 {
			f.add("accounts", "say which accounts there are: ids, or the path of a list")
		}
		accounts = append(accounts, slices.Sorted(maps.Keys(m.Accounts.Fields))...)
	}
	named := map[string]bool{}
	for i, text := range m.Accounts.IDs {
		at, a := fmt.Sprintf("accounts.ids[%d]", i), givenAccount(text)
		switch {
		case looksLikeNumber(a.id):
			f.add(at, "it looks like a broker's number, which must not be in files and logs; give it a name: %q", "main="+Mask(a.id))
		case !thor.ValidID(a.id) || a.vars["account"] == "":
			f.add(at, "%q is not an account: 1 to 64 of A-Z a-z 0-9 . _ -, and where the backend calls it something else, =theirs", a.id)
		case named[a.id]:
			f.add(at, "%q is there twice", a.id)
		}
		named[a.id] = true
	}
	m.Balance.check(f, "balance", balanceSlots, balanceNeeds, accounts)
	m.Positions.check(f, "positions", positionSlots, positionNeeds, accounts)
	m.Markets.check(f, "markets", marketSlots, nil, []string{})
	intraday := false
	names := []string{"symbol"}
	seen := map[string]bool{}
	for i, s := range m.Symbols {
		s.check(f, fmt.Sprintf("symbols[%d]", i))
		if seen[s.ID] {
			f.add(fmt.Sprintf("symbols[%d].id", i), "%q is there twice", s.ID)
		}
		seen[s.ID] = true
		if s.Intraday && !intraday {
			names = append(names, slices.Sorted(maps.Keys(s.Vars))...)
		}
		intraday = intraday || s.Intraday
	}
	m.Bars.check(f, "bars", barSlots, barNeeds, names)
	if intraday && len(m.Bars.Path) == 0 {
		f.add("bars", "there are symbols with intraday, and no path to ask")
	}
}

func (t Tokens) check(f *faults) {
	if t.Subject == "" && len(t.Require)+len(t.Headers) > 0 {
		f.add("tokens.subject", "which claim says who a token is for?")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Require)) {
		if name == "" || t.Require[name] == "" {
			f.add("tokens.require", "write claims with the values they must have: { token_type = \"access\" }")
		}
	}
}

func (s Symbol) check(f *faults, at string) {
	if !thor.ValidID(s.ID) || thor.AssetClassOf(s.ID) == "" {
		f.add(at+".id", "%q is not a canonical symbol; write it like FUT.ES, EQ.AAPL or CRYPTO.BTC-USD", s.ID)
	}
	if s.Alias == "" {
		f.add(at+".alias", "what does the backend call it?")
	}
	if s.Multiplier != "" {
		if d, err := thor.ParseDecimal(s.Multiplier); err != nil || d.Sign() <= 0 {
			f.add(at+".multiplier", "%q is not a number above zero", s.Multiplier)
		}
	}
	if s.Intraday && s.Country == "" {
		f.add(at+".country", "where does it trade? Global, where it trades everywhere")
	}
}

var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

func (e *Endpoint) check(f *faults, at string, slots []slot, needs, names []string) {
	for _, path := range e.Also {
		if !strings.HasPrefix(path, "/") {
			f.add(at+".also", "%q does not begin with a slash", path)
		}
	}
	if len(e.Path) == 0 {
		return
	}
	for _, path := range e.Path {
		if !strings.HasPrefix(path, "/") {
			f.add(at+".path", "%q does not begin with a slash", path)
		}
		for _, name := range placeholder.FindAllStringSubmatch(path, -1) {
			if !slices.Contains(names, name[1]) {
				f.add(at+".path", "nobody knows what %s is; there is %s", name[0], strings.Join(names, ", "))
			}
		}
	}
	if e.Every < 0 || e.Timeout < 0 {
		f.add(at+".every", "a time is not negative")
	}
	pointers := slices.Concat(e.Root, List{e.Next, e.Key})
	for _, name := range slices.Sorted(maps.Keys(e.Fields)) {
		field := e.Fields[name]
		pointers = append(pointers, field.From...)
		i := slices.IndexFunc(slots, func(s slot) bool { return s.name == name })
		switch {
		case slots == nil:
			field.check(f, at+".fields."+name, takesText)
		case i < 0:
			var known []string
			for _, s := range slots {
				known = append(known, s.name)
			}
			f.add(at+".fields."+name, "there is no such field; there is %s", strings.Join(known, ", "))
		default:
			field.check(f, at+".fields."+name, slots[i].takes)
		}
	}
	for _, name := range needs {
		if _, ok := e.Fields[name]; !ok {
			f.add(at+".fields", "%s is missing", name)
		}
	}
	for i, z := range e.Zeros {
		pointers = append(pointers, z.All...)
		z.check(f, fmt.Sprintf("%s.zeros[%d]", at, i), e.Fields)
	}
	for _, p := range pointers {
		if p != "" && !strings.HasPrefix(p, "/") {
			f.add(at, "%q is not a JSON pointer; write it like /positions", p)
		}
	}
}

func (z Zeros) check(f *faults, at string, fields map[string]Field) {
	if len(z.All) == 0 || z.Why == "" || z.Fail != (len(z.Unknown) == 0) {
		f.add(at, "it takes all = [pointers], why, and either fail = true or unknown = [fields]")
	}
	for _, name := range z.Unknown {
		if _, ok := fields[name]; !ok {
			f.add(at+".unknown", "%q is not one of the fields", name)
		}
	}
}

func (d Field) check(f *faults, at string, takes []Type) {
	if (len(d.From) == 0) == (d.Const == "") {
		f.add(at, "write either from, a JSON pointer, or const, a value")
	}
	kind := d.kind()
	if !slices.Contains(takes, kind) {
		var words []string
		for _, t := range takes {
			words = append(words, string(t))
		}
		f.add(at+".type", "%q does not fit; it takes %s", kind, strings.Join(words, " or "))
	}
	if (kind == TypeTime) != slices.Contains(formats, d.Format) {
		f.add(at+".format", "a time has one of the formats %s, and nothing else has", strings.Join(formats, ", "))
	}
	if (kind == TypeEnum) != (len(d.Map) > 0) {
		f.add(at+".map", "an enum has a map from their words to ours, and nothing else has")
	}
	if d.Const != "" && (kind == TypeDec || kind == TypeInt) {
		if _, err := thor.ParseDecimal(d.Const); err != nil {
			f.add(at+".const", "%q is not a number", d.Const)
		}
	}
}

func (d Field) kind() Type { return cmp.Or(d.Type, TypeString) }
