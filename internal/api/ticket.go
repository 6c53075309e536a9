package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"thor/internal/auth"
)

type ticketOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		Ticket      string `json:"ticket" doc:"for /ws/?ticket=…, once"`
		ExpiresInMS int64  `json:"expires_in_ms"`
	}
}

// registerTickets adds what gives tickets: a browser cannot send a header with a
// WebSocket, and a token must not be in a URL.
func (a *API) registerTickets() {
	register(a, huma.Operation{
		OperationID: "create-ticket", Method: http.MethodPost, Path: "/api/ticket",
		Summary:     "A one-time ticket for the WebSocket",
		Description: "Instead of a token, which must not be in a URL: connect to /ws/?ticket=… within 30 seconds. It lets its bearer in once, as the token it was made with would, and until that token expires.",
		Tags:        []string{"access"}, Errors: []int{401, 409},
	}, func(ctx context.Context, _ *struct{}) (*ticketOutput, error) {
		ticket, err := a.Door.NewTicket(principalOf(ctx))
		if err != nil {
			return nil, withRetry(err)
		}
		out := &ticketOutput{CacheControl: "no-store"}
		out.Body.Ticket, out.Body.ExpiresInMS = ticket, auth.TicketTTL.Milliseconds()
		return out, nil
	})
}
