package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"thor"
)

// Audit is what was done to all features, and whether that can be trusted.
type Audit struct {
	Entries []thor.Transition `json:"entries" doc:"newest first"`
	Head    thor.AuditHead    `json:"head" doc:"how many there are in all, and the hash of the last"`
	Faults  []thor.AuditFault `json:"faults" doc:"where the chain of hashes does not hold; empty when it does"`
}

type auditInput struct {
	Limit int `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"At most so many entries; the chain is looked at as a whole."`
}

// registerAudit adds the audit of all features.
func (a *API) registerAudit() {
	register(a, huma.Operation{
		OperationID: "get-audit", Method: http.MethodGet, Path: "/api/audit",
		Summary: "What was done to the features, and whether the record holds", Tags: []string{"cutover"}, Errors: []int{401, 422, 503},
	}, func(ctx context.Context, in *auditInput) (*struct{ Body Audit }, error) {
		all, err := within(ctx, checkTimeout, a.Audit)
		if err != nil {
			return nil, away(err)
		}
		out := &struct{ Body Audit }{Audit{Head: all.Head, Faults: append([]thor.AuditFault{}, all.Verify()...)}}
		entries := all.Entries[max(0, len(all.Entries)-in.Limit):]
		slices.Reverse(entries)
		out.Body.Entries = append([]thor.Transition{}, entries...)
		return out, nil
	})
}
