package legacy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// How long the original's tokens live.
const (
	accessLife  = 5 * time.Hour
	refreshLife = 7 * 24 * time.Hour
	maxForm     = 1 << 16
)

// login answers {email, password} with {refresh, access}.
func (b *Backend) login(r *http.Request) answer {
	var form struct{ Email, Password *string }
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxForm)).Decode(&form); err != nil {
		return detail(http.StatusBadRequest, "JSON parse error - "+err.Error())
	}
	missing := map[string][]string{}
	for field, value := range map[string]*string{"email": form.Email, "password": form.Password} {
		if value == nil {
			missing[field] = []string{"This field is required."}
		}
	}
	if len(missing) > 0 {
		return answer{http.StatusBadRequest, missing}
	}
	user, known := userWho(func(u User) bool { return u.Email == *form.Email && u.Password == *form.Password })
	if !known {
		return detail(http.StatusUnauthorized, "No active account found with the given credentials")
	}
	return ok(struct {
		Refresh string `json:"refresh"`
		Access  string `json:"access"`
	}{b.token(user, "refresh", refreshLife), b.token(user, "access", accessLife)})
}

// refresh answers {refresh} with {access}; the refresh token stays as it is.
func (b *Backend) refresh(r *http.Request) answer {
	var form struct{ Refresh *string }
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxForm)).Decode(&form); err != nil {
		return detail(http.StatusBadRequest, "JSON parse error - "+err.Error())
	}
	if form.Refresh == nil {
		return answer{http.StatusBadRequest, map[string][]string{"refresh": {"This field is required."}}}
	}
	user, err := b.check(*form.Refresh, "refresh")
	if err != nil {
		return answer{http.StatusUnauthorized, struct {
			Detail string `json:"detail"`
			Code   string `json:"code"`
		}{"Token is invalid or expired", "token_not_valid"}}
	}
	return ok(struct {
		Access string `json:"access"`
	}{b.token(user, "access", accessLife)})
}

// profile says who is signed in.
func (*Backend) profile(r *http.Request) answer {
	user := userOf(r.Context())
	name, _, _ := strings.Cut(user.Email, "@")
	return ok(struct {
		ID         int    `json:"id"`
		Username   string `json:"username"`
		Email      string `json:"email"`
		FirstName  string `json:"first_name"`
		LastName   string `json:"last_name"`
		IsStaff    bool   `json:"is_staff"`
		IsApproved bool   `json:"is_approved"`
	}{ID: user.ID, Username: name, Email: user.Email, IsStaff: user.Staff, IsApproved: true})
}

type userKey struct{}

// userOf is who sent a request to what is private.
func userOf(ctx context.Context) User {
	user, _ := ctx.Value(userKey{}).(User)
	return user
}

func userWho(is func(User) bool) (User, bool) {
	users := Users()
	if i := slices.IndexFunc(users, is); i >= 0 {
		return users[i], true
	}
	return User{}, false
}

// token makes a token. Those of one user and second are the same.
func (b *Backend) token(user User, kind string, life time.Duration) string {
	now := b.Tokens.Now().Unix()
	id := sha256.Sum256(fmt.Appendf(nil, "%d %s %d", user.ID, kind, now))
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"token_type": kind, "iat": now, "exp": now + int64(life/time.Second), "jti": hex.EncodeToString(id[:16]), "user_id": user.ID,
	}).SignedString([]byte(SigningKey))
	if err != nil {
		panic("legacy: a token cannot be signed: " + err.Error()) // the key is ours
	}
	return signed
}

// errNoUser is a valid token of somebody who is not there.
var errNoUser = errors.New("user not found")

// check reports whose token it is, or why it is not a valid one of that kind.
func (b *Backend) check(token, kind string) (User, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return []byte(SigningKey), nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(b.Tokens.Now))
	if err != nil {
		return User{}, err
	}
	if claims["token_type"] != kind {
		return User{}, errors.New("Token has wrong type") //nolint:staticcheck // the original's words
	}
	user, known := userWho(func(u User) bool { return claims["user_id"] == float64(u.ID) })
	if !known {
		return User{}, errNoUser
	}
	return user, nil
}

// authenticate looks at the request's token. Without one, what is not private
// may be read.
func (b *Backend) authenticate(r *http.Request, private bool) (user User, refused answer, ok bool) {
	header := r.Header.Get("Authorization")
	token, bearer := strings.CutPrefix(header, "Bearer ")
	if !bearer {
		if private {
			return User{}, detail(http.StatusUnauthorized, "Authentication credentials were not provided."), false
		}
		return User{}, answer{}, true
	}
	user, err := b.check(token, "access")
	if err == nil {
		return user, answer{}, true
	}
	if errors.Is(err, errNoUser) {
		return User{}, answer{http.StatusUnauthorized, struct {
			Detail string `json:"detail"`
			Code   string `json:"code"`
		}{"User not found", "user_not_found"}}, false
	}
	words := "Token is invalid"
	if errors.Is(err, jwt.ErrTokenExpired) {
		words = "Token is expired"
	}
	type message struct {
		Class   string `json:"token_class"`
		Type    string `json:"token_type"`
		Message string `json:"message"`
	}
	return User{}, answer{http.StatusUnauthorized, struct {
		Detail   string    `json:"detail"`
		Code     string    `json:"code"`
		Messages []message `json:"messages"`
	}{"Given token not valid for any token type", "token_not_valid", []message{{"AccessToken", "access", words}}}}, false
}
