package main

import (
	"fmt"
	"slices"
	"time"

	"thor"
	"thor/internal/auth"
)

type tokenCommand struct {
	Create tokenCreate `cmd:"" help:"Make a token and print it."`
}

type tokenCreate struct {
	Key      string        `name:"auth-key" env:"THOR_AUTH_KEY" required:"" help:"The key of the server."`
	Sub      string        `name:"sub" required:"" help:"Who it is for."`
	Accounts []string      `name:"accounts" help:"The accounts it may see."`
	Role     []string      `name:"role" default:"viewer" help:"viewer, operator or publisher."`
	TTL      time.Duration `name:"ttl" default:"12h" help:"How long it is valid."`
	File     string        `name:"config" placeholder:"FILE" help:"Configuration file of the server, for its key; thor.toml of this directory is read by itself."`
}

// Run makes a token.
func (c *tokenCreate) Run(m *Main) error {
	p := auth.Principal{Subject: c.Sub, Accounts: c.Accounts}
	if c.Sub == "" {
		return usage{thor.Errorf(thor.EINVALID, "--sub: say who the token is for")}
	}
	if c.TTL <= 0 {
		return usage{thor.Errorf(thor.EINVALID, "--ttl: %v is over before it begins", c.TTL)}
	}
	for _, account := range c.Accounts {
		if !thor.ValidID(account) {
			return usage{thor.Errorf(thor.EINVALID, "--accounts: %q is not an account: 1 to 64 of A-Z a-z 0-9 . _ -", account)}
		}
	}
	for _, role := range c.Role {
		if !slices.Contains(auth.Roles(), auth.Role(role)) {
			return usage{thor.Errorf(thor.EINVALID, "--role: %q is not a role; there are viewer, operator and publisher", role)}
		}
		p.Roles = append(p.Roles, auth.Role(role))
	}
	if len(c.Key) < auth.MinKey {
		return usage{thor.Errorf(thor.EINVALID, "--auth-key: the key has %d characters, it needs at least %d", len(c.Key), auth.MinKey)}
	}
	door := auth.Door{Key: []byte(c.Key)}
	token, err := door.NewToken(p, time.Now(), c.TTL)
	if err != nil {
		return err
	}
	fmt.Fprintln(m.Stdout, token)
	return nil
}
