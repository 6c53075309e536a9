package main

import (
	"fmt"
	"slices"
	"time"

	"thor"
	"thor/internal/app"
	"thor/internal/auth"
)

type tokenCommand struct {
	Create tokenCreate `cmd:"" help:"Make a token and print it."`
	Key    tokenKey    `cmd:"" help:"Make a key pair: one file makes tokens, the other checks them."`
}

type tokenCreate struct {
	Key        string        `name:"auth-key" env:"THOR_AUTH_KEY" help:"The key of the server."`
	KeyFile    string        `name:"auth-key-file" env:"THOR_AUTH_KEY_FILE" placeholder:"FILE" help:"File with that key, instead."`
	PrivateKey string        `name:"auth-private-key" placeholder:"FILE" help:"PEM file with an Ed25519 private key, which counts more; the server has its auth-public-key."`
	Sub        string        `name:"sub" required:"" help:"Who it is for."`
	Accounts   []string      `name:"accounts" help:"The accounts it may see."`
	Features   []string      `name:"features" help:"The features a publisher publishes."`
	Role       []string      `name:"role" default:"viewer" help:"viewer, operator or publisher."`
	TTL        time.Duration `name:"ttl" default:"12h" help:"How long it is valid."`
	File       string        `name:"config" placeholder:"FILE" help:"Configuration file of the server, for its key; thor.toml of this directory is read by itself."`
}

// Run makes a token.
func (c *tokenCreate) Run(m *Main) error {
	p := auth.Principal{Subject: c.Sub, Accounts: c.Accounts, Features: c.Features}
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
	for _, feature := range c.Features {
		if _, err := thor.FeatureNamed(feature); err != nil {
			return usage{thor.Errorf(thor.EINVALID, "--features: %w", err)}
		}
	}
	for _, role := range c.Role {
		if !slices.Contains(auth.Roles(), auth.Role(role)) {
			return usage{thor.Errorf(thor.EINVALID, "--role: %q is not a role; there are viewer, operator and publisher", role)}
		}
		p.Roles = append(p.Roles, auth.Role(role))
	}
	door, err := c.door()
	if err != nil {
		return usage{err}
	}
	token, err := door.NewToken(p, time.Now(), c.TTL)
	if err != nil {
		return err
	}
	if _, err := door.Token(token); err != nil { // the server would say the same
		return usage{thor.Errorf(thor.EINVALID, "no server would take this token: %w", err)}
	}
	fmt.Fprintln(m.Stdout, token)
	return nil
}

// door has the key of the server.
func (c *tokenCreate) door() (*auth.Door, error) {
	settings := app.Config{AuthKey: c.Key, AuthKeyFile: c.KeyFile}
	if c.PrivateKey != "" {
		settings.AuthKey, settings.AuthKeyFile = "", ""
	}
	door, err := settings.Door()
	switch {
	case err != nil:
		return nil, err
	case c.PrivateKey == "" && !door.TakesTokens():
		return nil, thor.Errorf(thor.EINVALID, "a token needs a key").
			WithHint("Set --auth-key, --auth-key-file or --auth-private-key. See: thor token create --help")
	case c.PrivateKey == "":
		return door, nil
	}
	if door.PrivateKey, err = auth.ReadPrivateKey(c.PrivateKey); err != nil {
		return nil, fmt.Errorf("--auth-private-key: %w", err)
	}
	door.PublicKey, err = auth.PublicKey(door.PrivateKey)
	return door, err
}

type tokenKey struct {
	Private string `name:"private" default:"thor.key" placeholder:"FILE" help:"Where the private key goes, for thor token create --auth-private-key."`
	Public  string `name:"public" default:"thor.pub" placeholder:"FILE" help:"Where the public key goes, for the server's --auth-public-key."`
}

// Run makes a key pair.
func (c *tokenKey) Run(m *Main) error {
	if err := auth.NewKeyPair(c.Private, c.Public); err != nil {
		return err
	}
	fmt.Fprintf(m.Stdout, "%s makes tokens: keep it to yourself. %s checks them: thor serve --auth-public-key %s\n", c.Private, c.Public, c.Public)
	return nil
}
