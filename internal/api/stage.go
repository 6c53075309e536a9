package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"thor"
	"thor/internal/cutover"
)

// FeatureState is where a feature stands and what comes next.
type FeatureState struct {
	thor.FeatureStage
	Effective  thor.Stage      `json:"effective" doc:"the earlier of stored and forced: what counts"`
	Forced     *cutover.Force  `json:"forced,omitempty" doc:"what forces it back"`
	Frozen     *thor.Freeze    `json:"frozen,omitempty" doc:"who stopped steps forward"`
	Unstored   bool            `json:"unstored,omitempty" doc:"a step is in effect that the store does not have yet"`
	DataSource thor.DataSource `json:"data_source" doc:"what this client renders"`
	Next       string          `json:"next,omitempty" doc:"the next stage"`
	Gate       string          `json:"gate" doc:"what stands before the next stage"`
	About      Description     `json:"about"`
}

// Description says how a feature's data is reached and what it looks like, for
// clients that were built before it.
type Description struct {
	Type      string `json:"type" doc:"of its messages"`
	Path      string `json:"path" doc:"where REST serves it"`
	Param     string `json:"param" doc:"the query parameter that picks one of its streams; empty when it has one"`
	List      string `json:"list" doc:"the member REST wraps its values in; empty when a stream holds one value"`
	Key       string `json:"key" doc:"the member of its data that a newer message must share to replace an older one"`
	Window    int    `json:"window" doc:"more than 0: it keeps a history, of which a snapshot has so many keys at most, and REST pages with since"`
	CadenceMS int64  `json:"cadence_ms" doc:"how often it speaks when nothing changes; 0 is on change only"`
	Private   bool   `json:"private"`
}

func (a *API) describeFeature(f thor.Feature) Description {
	cadence := f.Cadence
	if a.Cadence != nil {
		cadence = a.Cadence(f)
	}
	return Description{
		Type: f.Type, Path: f.Path, Param: f.Scope.Param(), List: f.List, Key: f.Key,
		Window: f.Window, CadenceMS: cadence.Milliseconds(), Private: f.Private(),
	}
}

type (
	featuresOutput struct {
		Body struct {
			Features []FeatureState `json:"features"`
		}
	}
	featureStateOutput struct {
		ETag string `header:"ETag" doc:"The revision, for If-Match of promote."`
		Body FeatureState
	}
	featureStateInput struct {
		Feature string `path:"feature" example:"account_balance"`
		Client  string `header:"Thor-Client"`
	}
	clientHeader struct {
		Client string `header:"Thor-Client"`
	}
	transitionOutput struct {
		Status int
		ETag   string `header:"ETag"`
		Body   transitionBody
	}
	transitionBody struct {
		thor.Transition
		Changed bool   `json:"changed"`
		Durable bool   `json:"durable" doc:"false: in effect on this server, and stored when the store is back"`
		Trouble string `json:"trouble,omitempty" doc:"why it is not stored, and what if the server ends before"`
	}
	freezeInput struct {
		Feature string `path:"feature" example:"account_balance"`
		Body    *struct {
			Reason string `json:"reason,omitempty" maxLength:"500"`
		}
	}
	promoteInput struct {
		Feature string `path:"feature" example:"account_balance"`
		IfMatch string `header:"If-Match" doc:"The revision the decision is based on, in quotes."`
		Body    *struct {
			Reason string `json:"reason,omitempty" maxLength:"500"`
			To     string `json:"to,omitempty" doc:"The stage; without it the next one."`
			Weight int    `json:"weight,omitempty" doc:"Of canary, in percent: 1, 5, 25 or 50."`
		}
	}
	rollbackInput struct {
		Feature string `path:"feature" example:"account_balance"`
		Body    *struct {
			Reason string `json:"reason,omitempty" maxLength:"500"`
			To     string `json:"to,omitempty" doc:"Any earlier stage; without it shadow."`
		}
	}
	historyInput struct {
		Feature string `path:"feature" example:"account_balance"`
		Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	}
	historyOutput struct {
		Body struct {
			History []thor.Transition `json:"history" doc:"newest first"`
		}
	}
)

// registerStages adds what reads and moves the stages.
func (a *API) registerStages() {
	tags := []string{"cutover"}
	register(a, huma.Operation{
		OperationID: "list-features", Method: http.MethodGet, Path: "/api/features",
		Summary: "Where every feature stands", Tags: tags, Errors: []int{401},
	}, func(ctx context.Context, in *clientHeader) (*featuresOutput, error) {
		out := &featuresOutput{}
		for _, f := range thor.Features {
			state, err := a.state(ctx, f.Name, in.Client)
			if err != nil {
				return nil, err
			}
			out.Body.Features = append(out.Body.Features, state)
		}
		return out, nil
	})
	register(a, huma.Operation{
		OperationID: "get-feature", Method: http.MethodGet, Path: "/api/features/{feature}",
		Summary: "Where a feature stands", Tags: tags, Errors: []int{401, 404},
	}, func(ctx context.Context, in *featureStateInput) (*featureStateOutput, error) {
		state, err := a.state(ctx, in.Feature, in.Client)
		return &featureStateOutput{ETag: revTag(state.Rev), Body: state}, err
	})
	register(a, huma.Operation{
		OperationID: "promote-feature", Method: http.MethodPost, Path: "/api/features/{feature}/promote",
		Summary: "Move a feature one step forward", Tags: tags, Errors: []int{400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 503},
	}, a.promote)
	register(a, huma.Operation{
		OperationID: "rollback-feature", Method: http.MethodPost, Path: "/api/features/{feature}/rollback",
		Summary: "Move a feature back, any distance", Tags: tags, Errors: []int{400, 401, 403, 404, 413, 415, 422},
	}, a.rollback)
	register(a, huma.Operation{
		OperationID: "freeze-feature", Method: http.MethodPost, Path: "/api/features/{feature}/freeze",
		Summary: "Stop steps forward", Tags: tags, Errors: []int{400, 401, 403, 404, 413, 415, 422},
	}, func(ctx context.Context, in *freezeInput) (*transitionOutput, error) {
		return a.freeze(ctx, in, a.Stages.Freeze)
	})
	register(a, huma.Operation{
		OperationID: "unfreeze-feature", Method: http.MethodPost, Path: "/api/features/{feature}/unfreeze",
		Summary: "Allow steps forward again", Tags: tags, Errors: []int{400, 401, 403, 404, 413, 415, 422},
	}, func(ctx context.Context, in *freezeInput) (*transitionOutput, error) {
		return a.freeze(ctx, in, a.Stages.Unfreeze)
	})
	for _, verb := range []string{"rollback", "freeze", "unfreeze"} {
		responses := a.huma.OpenAPI().Paths["/api/features/{feature}/"+verb].Post.Responses
		responses["202"] = &huma.Response{Description: "In effect on this server, and not stored: the store is away", Content: responses["200"].Content}
	}
	register(a, huma.Operation{
		OperationID: "get-feature-history", Method: http.MethodGet, Path: "/api/features/{feature}/history",
		Summary: "The transitions of a feature", Tags: tags, Errors: []int{401, 404},
	}, func(ctx context.Context, in *historyInput) (*historyOutput, error) {
		history, err := a.Stages.History(ctx, in.Feature, in.Limit)
		out := &historyOutput{}
		out.Body.History = append([]thor.Transition{}, history...)
		return out, err
	})
}

// state is where a feature stands, for the caller.
func (a *API) state(ctx context.Context, feature, client string) (FeatureState, error) {
	state, err := a.Stages.State(feature)
	if err != nil {
		return FeatureState{}, err
	}
	f, err := thor.FeatureNamed(feature)
	if err != nil {
		return FeatureState{}, err
	}
	s := FeatureState{
		FeatureStage: state.Stored, Effective: state.Effective.Stage, Forced: state.Forced, Unstored: state.Unstored,
		DataSource: a.Stages.DataSource(feature, identityOf(ctx, client)), Gate: cutover.NoGate, About: a.describeFeature(f),
	}
	if state.Effective.Frozen() {
		s.Frozen = &state.Effective.Freeze
	}
	if state.Stored.Stage < thor.StageComplete {
		s.Next = (state.Stored.Stage + 1).String()
	}
	return s, nil
}

func revTag(rev uint64) string { return `"` + strconv.FormatUint(rev, 10) + `"` }

func (a *API) promote(ctx context.Context, in *promoteInput) (*transitionOutput, error) {
	p, err := requireOperator(ctx)
	if err != nil {
		return nil, err
	}
	rev, err := parseRev(in.IfMatch)
	if err != nil {
		return nil, err
	}
	promotion := cutover.Promotion{Feature: in.Feature, Rev: rev, Any: true, Actor: p.Subject}
	if in.Body != nil {
		promotion.Reason, promotion.Weight = in.Body.Reason, in.Body.Weight
		if in.Body.To != "" {
			promotion.Any = false
			if promotion.To, err = thor.ParseStage(in.Body.To); err != nil {
				return nil, err
			}
		}
	}
	step, err := a.Stages.Promote(ctx, promotion)
	if err != nil {
		return nil, err
	}
	return a.moved(cutover.Outcome{Transition: step, Changed: true, Durable: true}), nil
}

// moved is the answer to a step: 202 when the store does not have it.
func (a *API) moved(o cutover.Outcome) *transitionOutput {
	out := &transitionOutput{Status: http.StatusOK, ETag: revTag(o.Rev), Body: transitionBody{o.Transition, o.Changed, o.Durable, o.Trouble}}
	if !o.Durable {
		out.Status = http.StatusAccepted
	}
	return out
}

// parseRev reads the revision a promotion is based on.
func parseRev(ifMatch string) (uint64, error) {
	const hint = `GET /api/features/{feature} has the revision; send it as If-Match: "12".`
	if ifMatch == "" {
		return 0, thor.Errorf(thor.EPRECONDITION, "a promotion must say which revision it is based on").WithHint(hint)
	}
	rev, err := strconv.ParseUint(strings.Trim(ifMatch, `"`), 10, 64)
	if err != nil {
		return 0, thor.Errorf(thor.EINVALID, "If-Match %.64q is not a revision", ifMatch).WithHint(hint)
	}
	return rev, nil
}

func (a *API) rollback(ctx context.Context, in *rollbackInput) (*transitionOutput, error) {
	p, err := requireOperator(ctx)
	if err != nil {
		return nil, err
	}
	to, reason := thor.StageShadow, ""
	if in.Body != nil {
		reason = in.Body.Reason
		if in.Body.To != "" {
			if to, err = thor.ParseStage(in.Body.To); err != nil {
				return nil, err
			}
		}
	}
	o, err := a.Stages.Rollback(ctx, in.Feature, to, p.Subject, reason)
	if err != nil {
		return nil, err
	}
	return a.moved(a.withLast(ctx, o)), nil
}

// withLast makes the answer to a step that changed nothing the step that brought
// the feature there, where it can be read.
func (a *API) withLast(ctx context.Context, o cutover.Outcome) cutover.Outcome {
	if o.Changed || !o.Durable {
		return o
	}
	last, err := within(ctx, readWait, func(ctx context.Context) ([]thor.Transition, error) {
		return a.Stages.History(ctx, o.Feature, 1)
	})
	if err == nil && len(last) == 1 {
		o.Transition = last[0]
	}
	return o
}

func (a *API) freeze(
	ctx context.Context, in *freezeInput, act func(ctx context.Context, feature, actor, reason string) (cutover.Outcome, error),
) (*transitionOutput, error) {
	p, err := requireOperator(ctx)
	if err != nil {
		return nil, err
	}
	reason := ""
	if in.Body != nil {
		reason = in.Body.Reason
	}
	o, err := act(ctx, in.Feature, p.Subject, reason)
	if err != nil {
		return nil, err
	}
	return a.moved(a.withLast(ctx, o)), nil
}
