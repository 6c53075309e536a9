package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"thor"
	"thor/internal/auth"
	"thor/internal/source/upstream"
)

// tokens says what the tokens are like that the backend gives its users; false
// is that none is read that gives any.
func (c Config) tokens() (upstream.Tokens, bool) {
	if c.Upstream == "" || !c.takesTokens() {
		return upstream.Tokens{}, false
	}
	m, err := c.mapping()
	if err != nil { // Validate says so
		return upstream.Tokens{}, false
	}
	return m.Tokens, m.Tokens.Subject != ""
}

// openGrants has the backend asked which accounts the bearers of its tokens may
// see.
func (a *App) openGrants() {
	if _, ok := a.config.tokens(); !ok || a.backend == nil || !a.backend.ListsAccounts() {
		return
	}
	asks := &asks{backend: a.backend, logger: a.logger}
	a.door.Grants = &auth.Grants{Ask: asks.ask}
}

// asks asks a backend with the tokens of its users. The log is told when it does
// not answer, and when it does again, not each time.
type asks struct {
	backend *upstream.Source
	logger  *slog.Logger
	away    atomic.Bool
}

func (a *asks) ask(ctx context.Context, token string) ([]string, error) {
	accounts, err := a.backend.AccountsOf(ctx, token)
	switch {
	case err == nil || thor.ErrorCode(err) == thor.EUNAUTHORIZED:
		if a.away.Swap(false) {
			a.logger.InfoContext(ctx, "the backend says again which accounts its users may see")
		}
	case errors.Is(ctx.Err(), context.Canceled): // the server is stopping
	default:
		if !a.away.Swap(true) {
			a.logger.WarnContext(ctx, "the backend does not say which accounts its users may see; who is not known already is refused until it does", slog.Any("error", err))
		}
	}
	return accounts, err
}

// runGrants asks until ctx ends, where there is somebody to ask.
func (a *App) runGrants(ctx context.Context) error {
	if a.door.Grants == nil {
		return nil
	}
	return a.door.Grants.Run(ctx)
}

// grantNote says whose tokens are taken, and who says what they may see.
func (a *App) grantNote() string {
	tokens, ok := a.config.tokens()
	if !ok {
		return ""
	}
	names := a.door.Claims.Names()
	subject, accounts := names[0], names[1]
	rules := []string{subject + " says who it is"}
	for _, name := range slices.Sorted(maps.Keys(tokens.Require)) {
		rules = append(rules, fmt.Sprintf("%s must be %s", name, tokens.Require[name]))
	}
	words := fmt.Sprintf("the backend's own tokens are taken: %s; ", strings.Join(rules, ", "))
	switch {
	case a.door.Grants != nil && accounts != "":
		return words + fmt.Sprintf("their accounts are those in %s, or else those the backend lists for them", accounts)
	case a.door.Grants != nil:
		return words + "their accounts are those the backend lists for them"
	case accounts != "":
		return words + "their accounts are those in " + accounts
	}
	return words + "they see no account, for the mapping has no list to ask for: give [accounts] a path, or set --auth-claim-accounts"
}
