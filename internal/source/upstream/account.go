package upstream

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"thor"
	"thor/internal/source"
)

// account is one account of the backend, with what paths may say of it.
type account struct {
	id   string
	vars map[string]string
}

// names reports whether that is one of the account's names.
func (a account) names(id string) bool {
	for _, v := range a.vars {
		if v == id {
			return true
		}
	}
	return false
}

// confidential are those of its names that stay between us and the backend: all
// that look like a broker's number, and what it says is one.
func (a account) confidential() []string {
	var names []string
	for name, v := range a.vars {
		if v != a.id && (name == "number" || looksLikeNumber(v)) {
			names = append(names, v)
		}
	}
	return names
}

// labelDigits is how much of a number people are shown, who know it.
const labelDigits = 4

// Label is the end of the broker's number of an account, as statements have it;
// "" where there is none, or where it would be half of it.
func (s *Source) Label(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		if number := []rune(a.vars["number"]); a.id == id && len(number) > 2*labelDigits-2 {
			return "…" + string(number[len(number)-labelDigits:])
		}
	}
	return ""
}

// newAccount is the account that is id here and theirs at the backend.
func newAccount(id, theirs string) account {
	return account{id, map[string]string{"account": theirs}}
}

// givenAccount is one of the mapping's ids: a name, or name=theirs.
func givenAccount(text string) account {
	id, theirs, split := strings.Cut(text, "=")
	if !split {
		theirs = id
	}
	return newAccount(id, theirs)
}

// accountID is what an account is called here: in streams, files, tokens and
// logs. It is the backend's id of it, and never the broker's number, which
// belongs in none of them: where the one is the other it is the backend's key.
func accountID(e *Endpoint, r row) (string, error) {
	id, number, key := r["id"], r["number"], r["pk"]
	_, mapped := e.Fields["number"]
	bare := number.known && id.text == number.text || !mapped && looksLikeNumber(id.text)
	switch {
	case !bare && !thor.ValidID(id.text):
		return "", fmt.Errorf("%s is not an id: 1 to 64 of A-Z a-z 0-9 . _ -", id.pointer)
	case !bare:
		return id.text, nil
	case key.known && key.text != id.text && thor.ValidID("account-"+key.text):
		return "account-" + key.text, nil
	case mapped:
		return "", fmt.Errorf("%s is the broker's number of the account, which must not be in files and logs: map fields.pk to a key of the backend's own", id.pointer)
	}
	return "", fmt.Errorf("%s looks like a broker's number, which must not be in files and logs: map fields.number to that number and fields.pk to a key of the backend's own", id.pointer)
}

// numberDigits is how many digits a broker's number has at least; a key of a
// table is shorter.
const numberDigits = 6

// looksLikeNumber reports whether a text is as long as a broker's number and has
// nothing but digits and dashes.
func looksLikeNumber(text string) bool {
	digits := strings.ReplaceAll(text, "-", "")
	return len(digits) >= numberDigits && strings.Trim(digits, "0123456789") == ""
}

// list returns the accounts. While the backend cannot be reached it is the list
// there was.
func (s *Source) list(ctx context.Context) ([]account, error) {
	if ids := s.mapping.Accounts.IDs; len(ids) > 0 {
		list := make([]account, len(ids))
		for i, id := range ids {
			list[i] = givenAccount(id)
			s.client.veil.keep(list[i].confidential()...)
		}
		return list, nil
	}
	s.mu.Lock()
	known, at := s.accounts, s.listed
	s.mu.Unlock()
	if !at.IsZero() && time.Since(at) < s.mapping.Accounts.every() {
		return known, nil
	}
	list, err := s.askAccounts(ctx)
	if err != nil {
		if kind := source.KindOf(err); known != nil && (kind == source.Transient || kind == source.RateLimited) {
			return known, nil // whoever asks for an account hears of it
		}
		return nil, err
	}
	s.mu.Lock()
	s.accounts, s.listed = list, time.Now()
	s.mu.Unlock()
	return list, nil
}

func (s *Source) askAccounts(ctx context.Context) ([]account, error) {
	items, err := s.client.list(ctx, s.accountsQuestion())
	if err != nil {
		return nil, err
	}
	return s.accountsFrom(items)
}

func (s *Source) accountsQuestion() question {
	return question{op: "accounts", endpoint: &s.mapping.Accounts.Endpoint}
}

func (s *Source) accountsFrom(items []any) ([]account, error) {
	e, f := &s.mapping.Accounts.Endpoint, s.accountsQuestion().fault()
	list, seen := make([]account, 0, len(items)), map[string]bool{}
	for i, item := range items {
		r, err := e.read(item)
		if err != nil {
			return nil, f.bad("account %d: %w", i, err)
		}
		id, err := accountID(e, r)
		if err != nil {
			return nil, f.bad("account %d: %w", i, err)
		}
		a := newAccount(id, r["id"].text)
		for name, v := range r {
			if v.known {
				a.vars[name] = v.text
			}
		}
		switch {
		case seen[a.id]:
			return nil, f.bad("account %d has the id of another", i)
		}
		seen[a.id] = true
		s.client.veil.keep(a.confidential()...)
		list = append(list, a)
	}
	if len(list) == 0 {
		return nil, f.hint(source.NotSupported, 0, "Does this user have accounts?", "there is no account")
	}
	return list, nil
}

// AccountsOf asks with the token of one of the backend's users which accounts it
// lists for them, and returns what the source calls these. The error is
// EUNAUTHORIZED when the backend does not take the token; any other says nothing
// of it. No account is no error.
func (s *Source) AccountsOf(ctx context.Context, token string) ([]string, error) {
	q := s.accountsQuestion()
	q.op, q.as = "accounts of a token", token
	items, err := s.client.list(ctx, q)
	if err != nil || len(items) == 0 {
		return nil, s.outward(ctx, err)
	}
	list, err := s.accountsFrom(items)
	if err != nil {
		return nil, s.outward(ctx, err)
	}
	var ids []string
	for _, a := range list {
		ids = append(ids, s.called(a)...)
	}
	return ids, nil
}

// called is what the source calls an account of a list: by the names it was
// given, where accounts were given. One that is not read has no name then, for
// what the backend calls it may be the name of another here.
func (s *Source) called(a account) []string {
	if len(s.mapping.Accounts.IDs) == 0 {
		return []string{a.id}
	}
	var ids []string
	for _, text := range s.mapping.Accounts.IDs {
		if given := givenAccount(text); a.names(given.vars["account"]) {
			ids = append(ids, given.id)
		}
	}
	return ids
}

// ListsAccounts reports whether there is a list of accounts to ask for.
func (s *Source) ListsAccounts() bool { return len(s.mapping.Accounts.Path) > 0 }

// balance asks for the balance of one account.
func (s *Source) balance(ctx context.Context, a account) (thor.AccountBalance, error) {
	body, err := s.client.ask(ctx, s.balanceQuestion(a))
	if err != nil {
		return thor.AccountBalance{}, err
	}
	return s.balanceFrom(a, body)
}

func (s *Source) balanceQuestion(a account) question {
	return question{op: "balance of " + Mask(a.id), endpoint: &s.mapping.Balance, vars: a.vars}
}

func (s *Source) balanceFrom(a account, body any) (thor.AccountBalance, error) {
	f := s.balanceQuestion(a).fault()
	r, err := s.mapping.Balance.readRoot(body)
	if err != nil {
		return thor.AccountBalance{}, f.bad("%w", err)
	}
	if id := r["account_id"]; id.known && !a.names(id.text) {
		return thor.AccountBalance{}, f.bad("%s is another account than was asked for", id.pointer)
	}
	b := thor.AccountBalance{
		AccountID: a.id, Currency: r["currency"].text, Source: name, Timestamp: s.reading(r["timestamp"].time),
		Cash: r["cash"].dec, Equity: r["equity"].dec, PortfolioValue: r["portfolio_value"].dec,
		BuyingPower: r["buying_power"].dec, DayTradingBuyingPower: r["day_trading_buying_power"].dec,
	}
	if !b.Cash.Known() && !b.Equity.Known() && !b.PortfolioValue.Known() && !b.BuyingPower.Known() {
		return thor.AccountBalance{}, f.bad("no amount is in it")
	}
	if err := b.Validate(); err != nil { // here it can be said who sent it
		return thor.AccountBalance{}, f.bad("%w", err)
	}
	return b, nil
}

// readRoot reads the object an answer is about.
func (e *Endpoint) readRoot(body any) (row, error) {
	node, err := e.root(body)
	if err != nil {
		return nil, err
	}
	return e.read(node)
}

// symbolVars are what paths may say of a symbol.
func (s Symbol) symbolVars() map[string]string {
	vars := maps.Clone(s.Vars)
	if vars == nil {
		vars = map[string]string{}
	}
	vars["symbol"] = s.Alias
	return vars
}
