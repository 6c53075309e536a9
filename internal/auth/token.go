package auth

import (
	"errors"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"thor"
)

// MinKey is the length a key must have at least, in bytes.
const MinKey = 32

// claims are what a token says.
type claims struct {
	jwt.RegisteredClaims
	Accounts []string `json:"accounts,omitempty"`
	Roles    []Role   `json:"roles,omitempty"`
}

// Token returns who a token is for. The error is EUNAUTHORIZED.
func (d *Door) Token(token string) (Principal, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return d.Key, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())
	switch {
	case !d.TakesTokens():
		return Principal{}, thor.Errorf(thor.EUNAUTHORIZED, "no key is configured, so no token can be checked").
			WithHint("Set one with --auth-key or THOR_AUTH_KEY.")
	case errors.Is(err, jwt.ErrTokenExpired):
		return Principal{}, thor.Errorf(thor.EUNAUTHORIZED, "the token has expired").WithHint("Get a new one.")
	case err != nil:
		return Principal{}, thor.Errorf(thor.EUNAUTHORIZED, "the token is not valid: %w", err)
	case c.Subject == "":
		return Principal{}, thor.Errorf(thor.EUNAUTHORIZED, "the token does not say who it is for: it has no sub")
	}
	for _, role := range c.Roles {
		if !slices.Contains(Roles(), role) {
			return Principal{}, thor.Errorf(thor.EUNAUTHORIZED, "the token has the role %q, which does not exist", role).
				WithHint("The roles are viewer, operator and publisher.")
		}
	}
	return Principal{Subject: c.Subject, Accounts: c.Accounts, Roles: c.Roles, Expires: c.ExpiresAt.Time}, nil
}

// NewToken makes a token for a principal, valid for ttl.
func (d *Door) NewToken(p Principal, now time.Time, ttl time.Duration) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject:   p.Subject,
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
		},
		Accounts: p.Accounts,
		Roles:    p.Roles,
	}).SignedString(d.Key)
}
