package auth

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"

	"thor"
)

// featuresClaim lists what a publisher publishes.
const featuresClaim = "features"

// Bounds of a token.
const (
	maxToken   = 16 << 10 // bytes
	maxSubject = 128      // bytes of who it is for
)

// issuer marks the tokens thor makes itself, by their claim iss. They have our
// own names on every server, whatever others call things there, and are taken at
// their word.
const issuer = "urn:thor"

// Claims are the names under which the tokens of others say who somebody is. ""
// is our own name.
type Claims struct {
	Subject  string // sub
	Accounts string // accounts
	Roles    string // roles
	// Named is that Accounts and Roles are read under the names given here alone:
	// "" is no claim. A backend that makes tokens without a thought of us may mean
	// something else by our names.
	Named bool
	// Require are claims a token must have besides, with their values. A list
	// must have the value in it.
	Require map[string]string
}

func (c Claims) complete() Claims {
	c.Subject = cmp.Or(c.Subject, "sub")
	if !c.Named {
		c.Accounts, c.Roles = cmp.Or(c.Accounts, "accounts"), cmp.Or(c.Roles, "roles")
	}
	return c
}

// Names are the names in effect of subject, accounts and roles; "" is none.
func (c Claims) Names() []string {
	c = c.complete()
	return []string{c.Subject, c.Accounts, c.Roles}
}

// check refuses a token that lacks what is required.
func (c Claims) check(said jwt.MapClaims) error {
	for _, name := range slices.Sorted(maps.Keys(c.Require)) {
		if values, _ := words(said[name]); !slices.Contains(values, c.Require[name]) {
			return thor.Errorf(thor.EUNAUTHORIZED, "the token is not valid: its %s must be %s", name, c.Require[name]).
				WithHint("A token of another kind, as one to get a new one with, lets nobody in.")
		}
	}
	return nil
}

// CheckClaim refuses what is no name for a claim of ours, or means something
// else in every token.
func CheckClaim(name string) error {
	switch {
	case name == "" || strings.TrimSpace(name) != name:
		return thor.Errorf(thor.EINVALID, "%q is not the name of a claim", name)
	case slices.Contains([]string{"exp", "nbf", "iat", "iss", "aud", "jti"}, name):
		return thor.Errorf(thor.EINVALID, "%q means something else in every token", name)
	case name == featuresClaim:
		return thor.Errorf(thor.EINVALID, "%q says what a publisher publishes", name)
	}
	return nil
}

// errGuess marks a token or ticket that this server, or whoever makes its
// tokens, never gave away. One that was given and has expired is not marked.
var errGuess = errors.New("it was not given by this server")

func guess(format string, args ...any) *thor.Error {
	err := thor.Errorf(thor.EUNAUTHORIZED, format, args...)
	err.Err = errGuess
	return err
}

// count counts a wrong token or ticket against the address it came from. When
// there are too many the error becomes ETOOMANY; a right one is let in all the
// same, for the address may be many people's. One that has expired or is missing
// does not count: whoever polls with it must hear that it needs a new one.
func (d *Door) count(address netip.Addr, err error) error {
	if !errors.Is(err, errGuess) {
		return err
	}
	if wait, ok := d.Failures.Take(Neighbourhood(address)); !ok {
		return TooMany(wait, "too many wrong tokens have come from your address")
	}
	return err
}

// TokenFrom is Token, and counts a wrong one against the address. Which accounts
// the bearer of a backend's token may see is not in it yet: [Door.Granted] asks.
func (d *Door) TokenFrom(address netip.Addr, token string) (Principal, error) {
	p, err := d.Token(token)
	return p, d.count(address, err)
}

// verifier is a key and the one algorithm it is for. What a token says of its
// algorithm chooses nothing: it must be the key's.
type verifier struct {
	method jwt.SigningMethod
	key    any
}

func (d *Door) verifiers() []verifier {
	var list []verifier
	if len(d.Key) > 0 {
		list = append(list, verifier{jwt.SigningMethodHS256, d.Key})
	}
	switch key := d.PublicKey.(type) {
	case ed25519.PublicKey:
		list = append(list, verifier{jwt.SigningMethodEdDSA, key})
	case *rsa.PublicKey:
		list = append(list, verifier{jwt.SigningMethodRS256, key})
	}
	return list
}

// Token returns who a token is for. The error is EUNAUTHORIZED and never has
// any of the token in it. A principal with a Grant has no accounts yet.
func (d *Door) Token(token string) (Principal, error) {
	if !d.TakesTokens() {
		return Principal{}, thor.Errorf(thor.EUNAUTHORIZED, "no key is configured, so no token can be checked").
			WithHint("Set one with --auth-key or THOR_AUTH_KEY.")
	}
	if len(token) > maxToken {
		return Principal{}, guess("the token is not valid: it is longer than %d bytes", maxToken)
	}
	var err error
	for _, v := range d.verifiers() {
		said := jwt.MapClaims{}
		_, err = jwt.ParseWithClaims(token, said, func(*jwt.Token) (any, error) { return v.key, nil },
			jwt.WithValidMethods([]string{v.method.Alg()}), jwt.WithExpirationRequired(), jwt.WithJSONNumber())
		if err == nil {
			return d.principal(token, said)
		}
		if !errors.Is(err, jwt.ErrTokenSignatureInvalid) && !errors.Is(err, jwt.ErrTokenUnverifiable) {
			break // it is signed with this key, or no token at all
		}
	}
	return Principal{}, refusal(err)
}

// refusal says why the library does not take a token, in our words.
func refusal(err error) error {
	switch {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return guess("the token is not valid: it is not a JWT")
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return guess("the token is not valid: it is not signed with the key of this server")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return thor.Errorf(thor.EUNAUTHORIZED, "the token is not valid: it does not say when it expires (exp)")
	case errors.Is(err, jwt.ErrTokenExpired):
		return thor.Errorf(thor.EUNAUTHORIZED, "the token has expired").WithHint("Get a new one.")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return thor.Errorf(thor.EUNAUTHORIZED, "the token is not valid yet (nbf)").WithHint("Do the clocks agree?")
	}
	return thor.Errorf(thor.EUNAUTHORIZED, "the token is not valid: exp, nbf or iat is not a time")
}

// principal reads the claims of a token that is valid. Roles we do not know are
// a backend's own and do not count; a token without one of ours is a viewer's.
func (d *Door) principal(token string, said jwt.MapClaims) (Principal, error) {
	names, own := Claims{}.complete(), said["iss"] == issuer
	if !own {
		names = d.Claims.complete()
		if err := names.check(said); err != nil {
			return Principal{}, err
		}
	}
	delete(said, "") // the name of no claim
	subject, ok := word(said[names.Subject])
	if !ok || len(subject) > maxSubject || strings.ContainsFunc(subject, unicode.IsControl) {
		return Principal{}, thor.Errorf(thor.EUNAUTHORIZED,
			"the token does not say who it is for: %s must be a string or a whole number, of at most %d characters", names.Subject, maxSubject)
	}
	accounts, ok := words(said[names.Accounts])
	if !ok {
		return Principal{}, notWords(names.Accounts)
	}
	roles, ok := words(said[names.Roles])
	if !ok {
		return Principal{}, notWords(names.Roles)
	}
	expires, err := said.GetExpirationTime()
	if err != nil || expires == nil { // the parser has looked at it
		return Principal{}, thor.Errorf(thor.EUNAUTHORIZED, "the token is not valid: exp is not a time")
	}
	p := Principal{Subject: subject, Expires: expires.Time}
	if !own && d.Grants != nil && said[names.Accounts] == nil {
		p.Grant = newGrant(token)
	}
	for _, account := range accounts {
		if thor.ValidID(account) {
			p.Accounts = append(p.Accounts, account)
		}
	}
	for _, role := range roles {
		if slices.Contains(Roles(), Role(role)) && !slices.Contains(p.Roles, Role(role)) {
			p.Roles = append(p.Roles, Role(role))
		}
	}
	// Tokens that others make may mean something else by it, so what is no
	// feature gives nothing and refuses nothing.
	features, _ := words(said[featuresClaim])
	for _, feature := range features {
		if slices.Contains(thor.FeatureNames(), feature) {
			p.Features = append(p.Features, feature)
		}
	}
	if len(p.Roles) == 0 {
		p.Roles = []Role{Viewer}
	}
	return p, nil
}

func notWords(name string) error {
	return thor.Errorf(thor.EUNAUTHORIZED, "the token is not valid: %s must be a string or a list of strings", name)
}

// word reads a claim that is a string or a whole number.
func word(claim any) (string, bool) {
	switch v := claim.(type) {
	case string:
		return v, v != ""
	case json.Number:
		_, err := v.Int64()
		return v.String(), err == nil
	}
	return "", false
}

// words reads a claim that is a word, a list of them, or not there.
func words(claim any) ([]string, bool) {
	list, ok := claim.([]any)
	switch {
	case claim == nil:
		return nil, true
	case !ok:
		list = []any{claim}
	}
	var read []string
	for _, item := range list {
		w, ok := word(item)
		if !ok {
			return nil, false
		}
		read = append(read, w)
	}
	return read, true
}

// NewToken makes a token for a principal, valid for ttl. Every server with the
// key takes it, whatever names it has for the claims of others.
func (d *Door) NewToken(p Principal, now time.Time, ttl time.Duration) (string, error) {
	names := Claims{}.complete()
	said := jwt.MapClaims{"iss": issuer, names.Subject: p.Subject, "iat": now.Unix(), "exp": now.Add(ttl).Unix()}
	if len(p.Accounts) > 0 {
		said[names.Accounts] = p.Accounts
	}
	if len(p.Features) > 0 {
		said[featuresClaim] = p.Features
	}
	if len(p.Roles) > 0 {
		said[names.Roles] = p.Roles
	}
	if len(d.PrivateKey) > 0 {
		return jwt.NewWithClaims(jwt.SigningMethodEdDSA, said).SignedString(d.PrivateKey)
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, said).SignedString(d.Key)
}
