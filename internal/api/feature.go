package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"thor"
)

// featureInput is what a request for a feature may say. Which of it counts
// depends on the feature's scope.
type featureInput struct {
	AccountID   string   `query:"account_id" doc:"The account; it may be omitted when there is only one."`
	Symbol      string   `query:"symbol" doc:"The canonical symbol, for instance FUT.ES."`
	Since       string   `query:"since" example:"2026-11-23T14:30:00Z" doc:"Bars from this minute on; without it those of the current session."`
	Limit       int      `query:"limit" minimum:"0" maximum:"10000" doc:"At most so many, the newest; 0 is 1,440."`
	IfNoneMatch []string `header:"If-None-Match"`
	Client      string   `header:"Thor-Client" doc:"The name the client gives itself; it decides about canary."`
}

// featureOutput is the answer; its body is exactly what the store keeps.
type featureOutput struct {
	Status       int
	ContentType  string   `header:"Content-Type"`
	ETag         string   `header:"ETag" doc:"The stream and its version, the same as over WebSocket."`
	CacheControl string   `header:"Cache-Control"`
	Vary         []string `header:"Vary"`
	Age          string   `header:"Age" doc:"Whole seconds since the newest event."`
	Cutover      string   `header:"Cutover" doc:"The stage in effect, this client's data source, and the revision; forced where the stage is, stale where the store cannot be read."`
	Body         []byte
}

const defaultLimit = 1440

// registerFeature adds the path of a feature.
func (a *API) registerFeature(f thor.Feature) {
	op := huma.Operation{
		OperationID: "get-" + strings.ReplaceAll(f.Name, "_", "-"),
		Method:      http.MethodGet,
		Path:        f.Path,
		Summary:     "The feature " + f.Name,
		Tags:        []string{"features"},
		Responses: map[string]*huma.Response{
			"200": {Content: map[string]*huma.MediaType{"application/json": {Schema: a.answerSchema(f), Example: a.example(f)}}},
			"304": {Description: "Not Modified"},
		},
		Errors:      []int{401, 403, 404, 410, 422, 503},
		Middlewares: huma.Middlewares{a.stamped(f)},
	}
	register(a, op, func(ctx context.Context, in *featureInput) (*featureOutput, error) {
		out, err := a.feature(ctx, f, in)
		if err != nil {
			return nil, huma.ErrorWithHeaders(err, http.Header{"Cache-Control": {"no-store"}})
		}
		return out, nil
	})
	a.trimParameters(f)
}

// trimParameters takes off the document what does not count for the feature.
func (a *API) trimParameters(f thor.Feature) {
	item := a.huma.OpenAPI().Paths[f.Path]
	item.Get.Parameters = slices.DeleteFunc(item.Get.Parameters, func(p *huma.Param) bool {
		switch p.Name {
		case "account_id", "symbol":
			return p.Name != f.Scope.Param()
		case "since", "limit":
			return f.Window == 0
		}
		return false
	})
}

// answerSchema describes the body: one value, or a list of values in an object.
func (a *API) answerSchema(f thor.Feature) *huma.Schema {
	registry := a.huma.OpenAPI().Components.Schemas
	value := registry.Schema(reflect.TypeOf(f.Sample.Data), true, "")
	if f.List == "" {
		return value
	}
	s := &huma.Schema{
		Type:       huma.TypeObject,
		Properties: map[string]*huma.Schema{f.List: {Type: huma.TypeArray, Items: value}},
		Required:   []string{f.List},
	}
	if f.Scope == thor.ScopeSymbol {
		s.Properties["symbol"] = &huma.Schema{Type: huma.TypeString}
		s.Required = append(s.Required, "symbol")
	}
	s.PrecomputeMessages()
	return s
}

func (a *API) example(f thor.Feature) any {
	if f.List == "" {
		return f.Sample.Data
	}
	example := map[string]any{f.List: []any{f.Sample.Data}}
	if f.Scope == thor.ScopeSymbol {
		example["symbol"] = f.Sample.Stream.Owner()
	}
	return example
}

// feature answers a request.
func (a *API) feature(ctx context.Context, f thor.Feature, in *featureInput) (*featureOutput, error) {
	id, err := a.streamFor(ctx, f, in)
	if err != nil {
		return nil, err
	}
	stamp := stampOf(ctx)
	if stamp.gone != nil {
		return nil, stamp.gone
	}
	part, err := window(f, in)
	if err != nil {
		return nil, err
	}
	read, err := a.latest(ctx, id, part)
	if err != nil {
		return nil, err
	}
	if read.version.Seq == 0 {
		return nil, thor.Errorf(thor.ENOTFOUND, "nothing is known of %s yet", id)
	}
	newest := read
	if len(read.events) == 0 { // of the part that was asked for
		if newest, err = a.latest(ctx, id, thor.Window{Limit: 1}); err != nil {
			return nil, err
		}
	}
	out := &featureOutput{
		Status:       http.StatusOK,
		ContentType:  "application/json",
		ETag:         etag(f, id, read.version, part),
		CacheControl: "private, no-cache",
		Vary:         []string{"Authorization, Cookie, Thor-Client"},
		Age:          strconv.Itoa(age(newest.events)),
		Cutover:      stamp.header.Get("Cutover"),
	}
	if read.stale || newest.stale {
		out.Cutover += ", stale"
	}
	if a.Served != nil {
		a.Served(f.Name, consumer(in.Client))
	}
	if matches(in.IfNoneMatch, out.ETag) {
		out.Status, out.ContentType = http.StatusNotModified, ""
		return out, nil
	}
	out.Body = a.body(f, id, read.events, part)
	return out, nil
}

// streamFor picks the stream a request is about, and lets only those to it who
// may see it.
func (a *API) streamFor(ctx context.Context, f thor.Feature, in *featureInput) (thor.StreamID, error) {
	var owner string
	switch f.Scope {
	case thor.ScopeShared:
	case thor.ScopeSymbol:
		owner = in.Symbol
		if owner == "" {
			return "", thor.Errorf(thor.EINVALID, "the query parameter symbol is missing").WithHint("/api/symbols lists the symbols.")
		}
	case thor.ScopeAccount:
		owner = in.AccountID
		if owner == "" {
			accounts, err := a.accounts(ctx)
			if err != nil {
				return "", err
			}
			if len(accounts) != 1 {
				return "", thor.Errorf(thor.EINVALID, "there are %d accounts for you, so account_id must say which", len(accounts)).
					WithHint("/api/accounts lists them.")
			}
			owner = accounts[0]
		}
		if !principalOf(ctx).MaySee(owner) {
			return "", thor.Errorf(thor.EFORBIDDEN, "there is no account %.64q for you", owner).WithHint("/api/accounts lists yours.")
		}
	}
	id := thor.NewStreamID(f.Name, owner)
	return id, id.Validate()
}

// window is the part of a stream a request asks for.
func window(f thor.Feature, in *featureInput) (thor.Window, error) {
	if f.Window == 0 {
		return thor.Window{}, nil
	}
	w := thor.Window{Limit: cmp.Or(in.Limit, defaultLimit)}
	if in.Since == "" {
		return w, nil
	}
	since, err := time.Parse(time.RFC3339, in.Since)
	if err != nil {
		return w, thor.Errorf(thor.EINVALID, "since: %.64q is not a time", in.Since).WithHint("Write it like 2026-11-23T14:30:00Z.")
	}
	w.From = since.UTC().Format(time.RFC3339)
	return w, nil
}

// body is the data of one value, or a list of data, oldest key first.
func (a *API) body(f thor.Feature, id thor.StreamID, events []thor.Event, part thor.Window) []byte {
	if f.List == "" {
		return events[len(events)-1].Data
	}
	slices.SortFunc(events, func(x, y thor.Event) int { return strings.Compare(x.Key, y.Key) })
	if f.Window > 0 && part.From == "" && len(events) > 0 && a.Oldest != nil {
		oldest := a.Oldest(id, events[len(events)-1].Key)
		events = slices.DeleteFunc(events, func(e thor.Event) bool { return e.Key < oldest })
	}
	body := []byte(`{`)
	if f.Scope == thor.ScopeSymbol {
		body = fmt.Appendf(body, `"symbol":%q,`, id.Owner())
	}
	body = fmt.Appendf(body, `%q:[`, f.List)
	for i, e := range events {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, e.Data...)
	}
	return append(body, `]}`...)
}

// etag names what was read: the stream's version, and for a part of a history
// which part.
func etag(f thor.Feature, id thor.StreamID, v thor.Version, part thor.Window) string {
	tag := v.ETag(id)
	if f.Window == 0 {
		return tag
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%d", part.From, part.Limit))
	return strings.TrimSuffix(tag, `"`) + ";h=" + hex.EncodeToString(sum[:4]) + `"`
}

// matches reports whether an If-None-Match names the tag.
func matches(header []string, tag string) bool {
	for candidate := range strings.SplitSeq(strings.Join(header, ","), ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
			return true
		}
	}
	return false
}

// age is whole seconds since the newest of the events.
func age(events []thor.Event) int {
	var newest time.Time
	for _, e := range events {
		if e.Time.After(newest) {
			newest = e.Time
		}
	}
	if newest.IsZero() {
		return 0
	}
	return max(0, int(time.Since(newest)/time.Second))
}

// consumer sorts those who call REST into those that use our client and the
// others.
func consumer(client string) string {
	if client != "" {
		return "thor"
	}
	return "other"
}
