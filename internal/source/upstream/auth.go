package upstream

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"thor"
	"thor/internal/source"
)

// signIn keeps a valid token. One request at a time renews it, the others wait
// for that one.
type signIn struct {
	Auth

	client         *client
	user, password string
	fixed          string // a token that is sent as it is

	turn chan struct{} // held by who signs in

	mu      sync.Mutex // guards what follows
	access  string
	refresh string
	refused error // why a person is needed
	until   time.Time
}

func (s *signIn) scheme() string { return cmp.Or(s.Scheme, "Bearer") }

// canSignIn reports whether there is somebody to sign in, and where.
func (s *signIn) canSignIn() bool { return s.fixed == "" && s.user != "" && s.Login != "" }

// token returns the token to send; "" when there is none and nobody to sign in.
// While a person is needed it is that error.
func (s *signIn) token(ctx context.Context, op string) (string, error) {
	s.mu.Lock()
	access, refused, until := s.access, s.refused, s.until
	s.mu.Unlock()
	switch {
	case refused != nil && time.Now().Before(until):
		return "", s.needed(op, until, refused)
	case access != "" || !s.canSignIn():
		return access, nil
	}
	if err := s.renew(ctx, op, "", nil); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.access, nil
}

// renew gets another token than the one that was refused.
func (s *signIn) renew(ctx context.Context, op, old string, why error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return fault{op: op, asked: "POST " + s.Login}.broken(ctx, s.client.base.Host, ctx.Err())
	}
	s.mu.Lock()
	access, refresh, refused, until := s.access, s.refresh, s.refused, s.until
	s.mu.Unlock()
	switch {
	case refused != nil && time.Now().Before(until):
		return s.needed(op, until, refused)
	case access != old: // somebody else has renewed it
		return nil
	case !s.canSignIn():
		return s.refuse(op, "", why)
	}
	if refresh != "" && s.Refresh != "" {
		field := cmp.Or(s.RefreshField, "refresh")
		answer, err := s.post(ctx, op, s.Refresh, map[string]string{field: refresh})
		if err == nil {
			return s.keep(op, s.Refresh, answer)
		}
		if kind := source.KindOf(err); kind != source.AuthExpired && kind != source.NotSupported {
			return err // a broken network says nothing of the token
		}
	}
	answer, err := s.post(ctx, op, s.Login, map[string]string{
		cmp.Or(s.UserField, "email"): s.user, cmp.Or(s.PasswordField, "password"): s.password,
	})
	switch source.KindOf(err) {
	case "":
		return s.keep(op, s.Login, answer)
	case source.AuthExpired, source.NotSupported, source.Forbidden:
		return s.refuse(op, "the sign-in was refused", err)
	default:
		return err
	}
}

func (s *signIn) post(ctx context.Context, op, path string, form map[string]string) (map[string]any, error) {
	f := fault{op: op, asked: "POST " + path}
	data, err := json.Marshal(form)
	if err != nil {
		return nil, f.bad("%v", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.client.base.String()+path, bytes.NewReader(data))
	if err != nil {
		return nil, f.bad("that is not a URL: %v", err)
	}
	for header, v := range s.client.headers {
		r.Header.Set(header, v)
	}
	r.Header.Set("Content-Type", "application/json")
	got, err := s.client.send(r, f)
	if err != nil {
		return nil, err
	}
	if got.status != http.StatusCreated { // some make a token rather than give one
		if err := s.client.status(f, got); err != nil {
			s.client.obey(err)
			return nil, err
		}
	}
	body, err := parse(f, got)
	if err != nil {
		return nil, err
	}
	object, ok := body.(map[string]any)
	if !ok {
		return nil, f.bad("the answer is %s, not an object", describe(body))
	}
	return object, nil
}

// keep takes the tokens of an answer. One without a refresh token keeps the old.
func (s *signIn) keep(op, path string, answer map[string]any) error {
	field := cmp.Or(s.AccessField, "access")
	access, _ := answer[field].(string)
	if access == "" {
		return fault{op: op, asked: "POST " + path}.bad("the answer has no token at /%s", field)
	}
	refresh, _ := answer[cmp.Or(s.RefreshField, "refresh")].(string)
	s.client.veil.pass(access, refresh)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access, s.refresh, s.refused = access, cmp.Or(refresh, s.refresh), nil
	return nil
}

// refuse notes that a person is needed. For a while nobody asks again: a
// backend may lock a user out.
func (s *signIn) refuse(op, words string, err error) error {
	if e, ok := errors.AsType[*source.Error](err); ok {
		err = e.Err // its words, not its name twice
	}
	if words != "" {
		err = fmt.Errorf("%s: %w", words, err)
	}
	s.mu.Lock()
	s.refused, s.until = err, time.Now().Add(refusedWait)
	until := s.until
	if s.fixed == "" {
		s.access, s.refresh = "", ""
	}
	s.mu.Unlock()
	return s.needed(op, until, err)
}

// needed is the error that asks for a person.
func (s *signIn) needed(op string, until time.Time, why error) error {
	do := "Set THOR_UPSTREAM_USER and THOR_UPSTREAM_PASSWORD, or THOR_UPSTREAM_TOKEN, and start again."
	switch {
	case s.fixed != "":
		do = "Set THOR_UPSTREAM_TOKEN to a valid token and start again; with THOR_UPSTREAM_USER and THOR_UPSTREAM_PASSWORD thor signs in by itself."
	case s.user != "":
		do = "Check THOR_UPSTREAM_USER and THOR_UPSTREAM_PASSWORD. thor tries once a minute."
	}
	return &source.Error{
		Kind: source.AuthRequired, Source: name, Op: op, Status: http.StatusUnauthorized, RetryAt: until,
		Err: thor.Errorf(thor.EUNAUTHORIZED, "%w", why).WithHint("%s", do),
	}
}
