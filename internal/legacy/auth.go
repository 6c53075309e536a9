package legacy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// How long the original's tokens live.
const (
	accessLife  = 5 * time.Hour
	refreshLife = 7 * 24 * time.Hour
	userID      = 1
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
	if *form.Email != b.User || *form.Password != b.Password {
		return detail(http.StatusUnauthorized, "No active account found with the given credentials")
	}
	return ok(struct {
		Refresh string `json:"refresh"`
		Access  string `json:"access"`
	}{b.token("refresh", refreshLife), b.token("access", accessLife)})
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
	if err := b.check(*form.Refresh, "refresh"); err != nil {
		return answer{http.StatusUnauthorized, struct {
			Detail string `json:"detail"`
			Code   string `json:"code"`
		}{"Token is invalid or expired", "token_not_valid"}}
	}
	return ok(struct {
		Access string `json:"access"`
	}{b.token("access", accessLife)})
}

// profile says who is signed in.
func (b *Backend) profile(*http.Request) answer {
	name, _, _ := strings.Cut(b.User, "@")
	return ok(struct {
		ID         int    `json:"id"`
		Username   string `json:"username"`
		Email      string `json:"email"`
		FirstName  string `json:"first_name"`
		LastName   string `json:"last_name"`
		IsStaff    bool   `json:"is_staff"`
		IsApproved bool   `json:"is_approved"`
	}{ID: userID, Username: name, Email: b.User, IsApproved: true})
}

// token makes a token. Those of one second are the same.
func (b *Backend) token(kind string, life time.Duration) string {
	now := b.now().Unix()
	id := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, now))
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"token_type": kind, "iat": now, "exp": now + int64(life/time.Second), "jti": hex.EncodeToString(id[:16]), "user_id": userID,
	}).SignedString(b.key)
	if err != nil {
		panic("legacy: a token cannot be signed: " + err.Error()) // the key is ours
	}
	return signed
}

// check reports why a token is not a valid one of that kind.
func (b *Backend) check(token, kind string) error {
	parsed, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return b.key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(b.now))
	if err != nil {
		return err
	}
	if claims, ok := parsed.Claims.(jwt.MapClaims); !ok || claims["token_type"] != kind {
		return errors.New("Token has wrong type") //nolint:staticcheck // the original's words
	}
	return nil
}

// authenticate looks at the request's token. Without one, what is not private
// may be read.
func (b *Backend) authenticate(r *http.Request, private bool) (refused answer, ok bool) {
	header := r.Header.Get("Authorization")
	token, bearer := strings.CutPrefix(header, "Bearer ")
	if !bearer {
		if private {
			return detail(http.StatusUnauthorized, "Authentication credentials were not provided."), false
		}
		return answer{}, true
	}
	err := b.check(token, "access")
	if err == nil {
		return answer{}, true
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
	return answer{http.StatusUnauthorized, struct {
		Detail   string    `json:"detail"`
		Code     string    `json:"code"`
		Messages []message `json:"messages"`
	}{"Given token not valid for any token type", "token_not_valid", []message{{"AccessToken", "access", words}}}}, false
}
