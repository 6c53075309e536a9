package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"thor/internal/api"
	"thor/internal/auth"
	"thor/internal/hub"
)

// failuresPerSecond is how many wrong tokens an address may send, with a burst
// of twenty.
const failuresPerSecond = 1

// takesTokens reports whether a key is set, in whichever way.
func (c Config) takesTokens() bool {
	return c.AuthKey != "" || c.AuthKeyFile != "" || c.AuthPublicKey != ""
}

// Door makes the door of the settings, without what belongs to a store. The
// faults are those of [Config.Validate].
func (c Config) Door() (*auth.Door, error) {
	d := &auth.Door{Key: []byte(c.AuthKey), Origins: c.AllowOrigin, Claims: c.claims()}
	var errs []error
	fault := func(flag string, err error) {
		if err != nil {
			errs = append(errs, settingFault(flag, "%w", err))
		}
	}
	if c.AuthKeyFile != "" {
		key, err := auth.ReadKey(c.AuthKeyFile)
		if err == nil && c.AuthKey != "" {
			err = errors.New("there is a key already; set one of the two")
		}
		fault("auth-key-file", err)
		d.Key = key
		if err == nil {
			fault("auth-key-file", auth.CheckKey(key))
		}
	} else if c.AuthKey != "" {
		fault("auth-key", auth.CheckKey(d.Key))
	}
	if c.AuthPublicKey != "" {
		var err error
		d.PublicKey, err = auth.ReadPublicKey(c.AuthPublicKey)
		fault("auth-public-key", err)
	}
	set := []string{c.AuthClaimSub, c.AuthClaimAccounts, c.AuthClaimRoles}
	names := d.Claims.Names()
	for i, flag := range []string{"auth-claim-sub", "auth-claim-accounts", "auth-claim-roles"} {
		var err error
		if set[i] != "" {
			err = auth.CheckClaim(set[i])
		}
		if err == nil && names[i] != "" && slices.Contains(names[:i], names[i]) {
			err = fmt.Errorf("two claims have the name %q", names[i])
		}
		fault(flag, err)
	}
	var err error
	d.Proxies, err = auth.ParseProxies(c.TrustedProxy)
	fault("trusted-proxy", err)
	return d, errors.Join(errs...)
}

// claims are the names tokens are read by: those of the settings, and of the
// backend that is read where it gives tokens to its users.
func (c Config) claims() auth.Claims {
	names := auth.Claims{Subject: c.AuthClaimSub, Accounts: c.AuthClaimAccounts, Roles: c.AuthClaimRoles}
	if tokens, ok := c.tokens(); ok {
		names.Subject = cmp.Or(names.Subject, tokens.Subject)
		names.Named, names.Require = true, tokens.Require
	}
	return names
}

// validateAccess returns every fault of the settings that say who comes in.
func (c Config) validateAccess() []error {
	var errs []error
	add := func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			errs = append(errs, joined.Unwrap()...)
		} else if err != nil {
			errs = append(errs, err)
		}
	}
	_, err := c.Door()
	add(err)
	if len(c.TrustedProxy) > 0 && !c.takesTokens() {
		add(settingFault("trusted-proxy", "what comes through a proxy is never the local operator's, so a key is needed; set --auth-key or THOR_AUTH_KEY"))
	}
	switch {
	case c.TLSCert != "" && c.TLSKey != "":
		_, _, err = readCertificate(c.TLSCert, c.TLSKey)
		add(err)
	case c.TLSCert != "":
		add(settingFault("tls-cert", "a certificate needs its key: set --tls-key or THOR_TLS_KEY too"))
	case c.TLSKey != "":
		add(settingFault("tls-key", "a key needs its certificate: set --tls-cert or THOR_TLS_CERT too"))
	}
	limit := func(flag string, value int) {
		if value < 1 {
			add(settingFault(flag, "%d is not a limit; it is at least 1", value))
		}
	}
	limit("max-connections", c.MaxConnections)
	limit("max-connections-per-user", c.MaxConnectionsPerUser)
	limit("max-connections-per-address", c.MaxConnectionsPerAddress)
	rate := func(flag string, value float64) {
		if !(value >= minRate && value <= maxRate) { // nor is it NaN
			add(settingFault(flag, "%v is not a rate; it is at least %v and at most %v", value, minRate, float64(maxRate)))
		}
	}
	rate("connect-rate", c.ConnectRate)
	rate("request-rate", c.RequestRate)
	return errs
}

// Bounds of the rates.
const (
	minRate = 0.1
	maxRate = 100_000
)

// openDoor makes the one door of the server.
func (a *App) openDoor(ctx context.Context) (err error) {
	if a.door, err = a.config.Door(); err != nil {
		return err
	}
	a.openGrants()
	a.door.Failures = &auth.Rates{PerSecond: failuresPerSecond, Burst: 20}
	if a.door.CookieKey, err = a.store.Secret(ctx, "cookie"); err != nil {
		return err
	}
	for _, reason := range hub.Refusals() { // a count that is there before it is needed
		a.metrics.HubRefused.WithLabelValues(reason)
	}
	for _, reason := range api.Refusals() {
		a.metrics.RESTRefused.WithLabelValues(reason)
	}
	return nil
}

func (a *App) hubLimits() hub.Limits {
	return hub.Limits{
		Node: a.config.MaxConnections, Address: a.config.MaxConnectionsPerAddress, User: a.config.MaxConnectionsPerUser,
		Rate: &auth.Rates{PerSecond: a.config.ConnectRate},
	}
}

// accessNotes are what the operator should know of who can reach the server.
func (a *App) accessNotes() []string {
	var notes []string
	open := !isLoopback(hostOf(a.config.Addr))
	switch {
	case !a.config.takesTokens():
		notes = append(notes, "no key: whoever reaches this port from this machine is the operator, also through a reverse proxy or a tunnel that ends here; set --auth-key before there is one")
	case open && a.certificate == nil && len(a.config.TrustedProxy) == 0:
		notes = append(notes, "no TLS: tokens and data can be read on the way; set --tls-cert and --tls-key, or put a reverse proxy in front and set --trusted-proxy")
	}
	if note := a.grantNote(); note != "" {
		notes = append(notes, note)
	}
	if a.certificate != nil {
		if note := a.certificate.note(a.started); note != "" {
			notes = append(notes, note)
		}
	}
	return notes
}

// withCookie gives the browser that loads the page a name.
func (a *App) withCookie(page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Cookie")
		a.door.GiveCookie(w, r)
		page.ServeHTTP(w, r)
	})
}
