package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"thor"
)

type (
	accountsOutput struct {
		Body struct {
			Accounts []accountEntry `json:"accounts"`
		}
	}
	accountEntry struct {
		AccountID string `json:"account_id"`
		Label     string `json:"label,omitempty" doc:"the end of the broker's number of it, for people: …1234"`
	}
	symbolsOutput struct {
		Body struct {
			Symbols []symbolEntry `json:"symbols"`
		}
	}
	symbolEntry struct {
		Symbol  string `json:"symbol" doc:"canonical: FUT.ES"`
		Display string `json:"display" doc:"short: /ES"`
		Country string `json:"country"`
	}
)

// registerOwned adds what says which accounts and symbols there are for the
// caller.
func (a *API) registerOwned() {
	register(a, huma.Operation{
		OperationID: "list-accounts", Method: http.MethodGet, Path: "/api/accounts",
		Summary: "The accounts there are for you", Tags: []string{"features"}, Errors: []int{401},
	}, func(ctx context.Context, _ *struct{}) (*accountsOutput, error) {
		ids, err := a.accounts(ctx)
		if err != nil {
			return nil, err
		}
		out := &accountsOutput{}
		out.Body.Accounts = []accountEntry{}
		for _, id := range ids {
			out.Body.Accounts = append(out.Body.Accounts, accountEntry{AccountID: id, Label: a.label(id)})
		}
		return out, nil
	})
	register(a, huma.Operation{
		OperationID: "list-symbols", Method: http.MethodGet, Path: "/api/symbols",
		Summary: "The symbols there are", Tags: []string{"features"}, Errors: []int{401},
	}, func(ctx context.Context, _ *struct{}) (*symbolsOutput, error) {
		return a.symbols(ctx)
	})
}

func (a *API) label(account string) string {
	if a.Label == nil {
		return ""
	}
	return a.Label(account)
}

// accounts lists the accounts the caller may see, sorted. An account exists
// once something of it was stored.
func (a *API) accounts(ctx context.Context) ([]string, error) {
	ids, err := a.streams(ctx)
	if err != nil {
		return nil, err
	}
	p, seen := principalOf(ctx), map[string]bool{}
	var accounts []string
	for _, id := range ids { // sorted, so the owners of one feature are too
		f, err := thor.FeatureNamed(id.Feature())
		if err != nil || f.Scope != thor.ScopeAccount || seen[id.Owner()] || !p.MaySee(id.Owner()) {
			continue
		}
		seen[id.Owner()] = true
		accounts = append(accounts, id.Owner())
	}
	return accounts, nil
}

func (a *API) symbols(ctx context.Context) (*symbolsOutput, error) {
	ids, err := a.streams(ctx)
	if err != nil {
		return nil, err
	}
	out := &symbolsOutput{}
	out.Body.Symbols = []symbolEntry{}
	for _, id := range ids {
		f, err := thor.FeatureNamed(id.Feature())
		if err != nil || f.Scope != thor.ScopeSymbol {
			continue
		}
		read, err := a.latest(ctx, id, thor.Window{Limit: 1})
		if err != nil {
			return nil, err
		}
		entry := symbolEntry{Symbol: id.Owner(), Display: id.Owner()}
		if len(read.events) == 1 {
			if err := json.Unmarshal(read.events[0].Data, &entry); err != nil {
				return nil, err
			}
		}
		out.Body.Symbols = append(out.Body.Symbols, entry)
	}
	return out, nil
}
