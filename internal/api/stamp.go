package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"thor"
)

// Stamp adds to header what every answer of a feature carries, whoever gives it:
// REST of this server, or a backend behind it. Client is who asks, for canary;
// "" is nobody known. The error is the answer instead: the feature's REST has
// been retired.
//
// Cutover tells a client that only polls where the feature stands. It is a
// dictionary (RFC 8941), whose members without a value are true; forced is that
// the stage is.
func (a *API) Stamp(feature, client string, header http.Header) error {
	state, err := a.Stages.State(feature)
	if err != nil {
		return err
	}
	now := state.Effective
	cutover := fmt.Sprintf("stage=%s, data_source=%s, rev=%d", now.Stage, a.Stages.DataSource(feature, client), now.Rev)
	if state.Forced != nil {
		cutover += ", forced"
	}
	header.Set("Cutover", cutover)
	if now.Stage == thor.StageComplete {
		return thor.Errorf(thor.EGONE, "%s is complete: its REST endpoint has been retired", feature).
			WithHint("It is pushed over the WebSocket at /ws/.")
	}
	return nil
}

type stampKey struct{}

// stamp is what an answer of a feature carries.
type stamp struct {
	header http.Header
	gone   error // the answer instead
}

// stamped counts who asks for a feature and stamps the answer, an error's too.
func (a *API) stamped(f thor.Feature) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		client := ctx.Header("Thor-Client")
		if a.Consumers != nil {
			a.Consumers.Count(Consumer{
				Feature: f.Name, Via: ViaREST, UserAgent: ctx.Header("User-Agent"),
				Principal: principalOf(ctx.Context()).Subject, Thor: client != "",
			})
		}
		s := stamp{header: http.Header{}}
		s.gone = a.Stamp(f.Name, identityOf(ctx.Context(), client), s.header)
		for name, values := range s.header {
			for _, value := range values {
				ctx.AppendHeader(name, value)
			}
		}
		next(huma.WithValue(ctx, stampKey{}, s))
	}
}

func stampOf(ctx context.Context) stamp {
	s, ok := ctx.Value(stampKey{}).(stamp)
	if !ok {
		panic("api: an answer of a feature without a stamp") // stamped puts one there
	}
	return s
}
