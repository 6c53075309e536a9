package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"thor"
	"thor/internal/auth"
)

// Bounds of a call.
const (
	maxPublish  = 1 << 20 // bytes of a body
	maxMessages = 10_000  // in one call
	maxFaults   = 100     // named in one answer
	publishWait = 30 * time.Second
)

type (
	publishInput struct {
		Client         string `header:"Thor-Client" maxLength:"128" doc:"Tells several publishers with one token apart."`
		IdempotencyKey string `header:"Idempotency-Key" maxLength:"128" doc:"A call with the key of an earlier one gets the answer of that one and does nothing."`
		RawBody        []byte
	}
	publishOutput struct {
		Status int
		Body   json.RawMessage
	}
	// published is the answer to one message.
	published struct {
		Accepted int           `json:"accepted" doc:"how many messages were taken"`
		Stream   thor.StreamID `json:"stream,omitempty" doc:"of the one message"`
		Seq      uint64        `json:"seq,omitempty" doc:"its number; that of the event that said it before, where it says nothing new"`
		Events   []place       `json:"events,omitempty" doc:"for a list of messages: where each is, in the order they came"`
	}
	place struct {
		Stream thor.StreamID `json:"stream"`
		Seq    uint64        `json:"seq"`
	}
	// outsideMessage is a message of a publisher outside.
	outsideMessage struct {
		Type string          `json:"type" doc:"for instance intraday_bar"`
		Data json.RawMessage `json:"data" doc:"the payload, as clients get it; numbers may be strings"`
	}
)

// registerPublish adds the door for jobs outside of this process.
func (a *API) registerPublish() {
	registry := a.huma.OpenAPI().Components.Schemas
	message := registry.Schema(reflect.TypeFor[outsideMessage](), true, "OutsideMessage")
	register(a, huma.Operation{
		OperationID: "publish", Method: http.MethodPost, Path: "/api/publish", DefaultStatus: http.StatusAccepted,
		Summary:     "Publish a message, or a list of them",
		Description: "What a job inside does with Broadcast: the messages are validated, what says nothing new is dropped, the rest is stored, numbered and sent. All or none of a list is taken.",
		Tags:        []string{"publish"}, Errors: []int{401, 403, 409, 413, 415, 422, 503}, MaxBodyBytes: maxPublish,
		SkipValidateBody: true, // its own words are better: they name the message and the member
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {
			Schema: &huma.Schema{OneOf: []*huma.Schema{message, {Type: huma.TypeArray, Items: message}}},
		}}},
		Responses: map[string]*huma.Response{"202": {
			Description: "The messages are stored.",
			Content: map[string]*huma.MediaType{"application/json": {
				Schema: registry.Schema(reflect.TypeFor[published](), true, "Published"),
			}},
		}},
	}, a.publish)
}

func (a *API) publish(ctx context.Context, in *publishInput) (*publishOutput, error) {
	p := principalOf(ctx)
	if !p.May(auth.Publisher) {
		return nil, thor.Errorf(thor.EFORBIDDEN, "publishing needs the role publisher").
			WithHint("Ask for a token with that role and the features it publishes.")
	}
	name := p.Subject
	if in.Client != "" {
		name += "/" + in.Client
	}
	answer, known, err := a.answers.find(name, in.IdempotencyKey, in.RawBody)
	if err != nil || known {
		return &publishOutput{Status: http.StatusAccepted, Body: answer}, err
	}
	msgs, list, err := readMessages(in.RawBody)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, m := range msgs {
		counts[m.Stream.Feature()]++
	}
	features := slices.Sorted(maps.Keys(counts))
	for _, feature := range features {
		if !p.MayPublish(feature) {
			return nil, thor.Errorf(thor.EFORBIDDEN, "the token is not for publishing %s", feature).
				WithHint("Its claim features lists what it is for.")
		}
	}
	if err := a.Publishers.claim(name, features, time.Now()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	versions, err := a.Publish(ctx, msgs...)
	a.Publishers.note(counts, time.Now(), err)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(answerTo(msgs, versions, list))
	if err != nil {
		return nil, err
	}
	a.answers.keep(name, in.IdempotencyKey, in.RawBody, body)
	return &publishOutput{Status: http.StatusAccepted, Body: body}, nil
}

func answerTo(msgs []thor.Message, versions []thor.Version, list bool) published {
	if !list {
		return published{Accepted: 1, Stream: msgs[0].Stream, Seq: versions[0].Seq}
	}
	out := published{Accepted: len(msgs)}
	for i, m := range msgs {
		out.Events = append(out.Events, place{m.Stream, versions[i].Seq})
	}
	return out
}

// readMessages reads a message or a list of them. The error names everything
// that is wrong, by path.
func readMessages(body []byte) (msgs []thor.Message, list bool, err error) {
	body = bytes.TrimSpace(body)
	items := []json.RawMessage{body}
	if list = len(body) > 0 && body[0] == '['; list {
		if err := json.Unmarshal(body, &items); err != nil {
			return nil, list, thor.Errorf(thor.EINVALID, "the body is not JSON: %w", err)
		}
	}
	if len(items) == 0 || len(items) > maxMessages {
		return nil, list, thor.Errorf(thor.EINVALID, "%d messages in one call; it takes 1 to %d", len(items), maxMessages)
	}
	var faults []*thor.Error
	for i, item := range items {
		m, err := readMessage(item)
		prefix := ""
		if list {
			prefix = strconv.Itoa(i) + "/"
		}
		for _, fault := range leaves(err) {
			named := *fault
			named.Path = prefix + fault.Path
			faults = append(faults, &named)
		}
		msgs = append(msgs, m)
	}
	if len(faults) > 0 {
		return nil, list, faultsProblem(faults)
	}
	return msgs, list, nil
}

func readMessage(item json.RawMessage) (thor.Message, error) {
	var m outsideMessage
	d := json.NewDecoder(bytes.NewReader(item))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return thor.Message{}, thor.Errorf(thor.EINVALID, `%w; a message is {"type":…,"data":{…}}`, err)
	}
	if d.More() {
		return thor.Message{}, thor.Errorf(thor.EINVALID, "something follows the message; several go into a list")
	}
	if len(m.Data) == 0 {
		return thor.Message{}, thor.Errorf(thor.EINVALID, `the data is missing; a message is {"type":…,"data":{…}}`)
	}
	f, err := thor.FeatureOfType(m.Type)
	if e, ok := errors.AsType[*thor.Error](err); ok {
		e.Path = "type"
		return thor.Message{}, e
	}
	msg, err := f.Read(m.Data)
	if err == nil {
		_, err = msg.Encode()
	}
	var errs []error
	for _, fault := range leaves(err) {
		named := *fault
		named.Path = strings.TrimSuffix("data/"+fault.Path, "/")
		errs = append(errs, &named)
	}
	return msg, errors.Join(errs...)
}

// leaves are the single errors an error is made of.
func leaves(err error) []*thor.Error {
	switch e := err.(type) { //nolint:errorlint // it takes the tree apart itself
	case nil:
		return nil
	case *thor.Error:
		return []*thor.Error{e}
	case interface{ Unwrap() []error }:
		var all []*thor.Error
		for _, inner := range e.Unwrap() {
			all = append(all, leaves(inner)...)
		}
		return all
	case interface{ Unwrap() error }:
		return leaves(e.Unwrap())
	}
	return []*thor.Error{thor.Errorf(thor.EINTERNAL, "%w", err)}
}

// faultsProblem is one answer for many faults.
func faultsProblem(faults []*thor.Error) *Problem {
	noun := "faults"
	if len(faults) == 1 {
		noun = "fault"
	}
	p := newProblem(http.StatusUnprocessableEntity, fmt.Sprintf("%d %s; nothing was taken", len(faults), noun))
	p.Hint = faults[0].Hint
	for _, f := range faults[:min(len(faults), maxFaults)] {
		message := f.Message
		if i := strings.LastIndex(f.Path, "data/"); i >= 0 {
			message = strings.TrimPrefix(message, f.Path[i+len("data/"):]+": ")
		}
		p.Errors = append(p.Errors, ProblemDetail{Path: f.Path, Message: message})
	}
	return p
}

// answers remembers what was answered to calls with an Idempotency-Key.
type answers struct {
	mu    sync.Mutex // guards what follows
	known map[string]answered
	order []string
}

type answered struct {
	body [sha256.Size]byte // of the call
	says json.RawMessage
}

// maxAnswers is how many answers are remembered.
const maxAnswers = 1000

// find returns the answer to an earlier call. The error is EINVALID when that
// call said something else.
func (a *answers) find(name, key string, body []byte) (json.RawMessage, bool, error) {
	if key == "" {
		return nil, false, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.known[name+"\n"+key]
	if ok && known.body != sha256.Sum256(body) {
		return nil, false, thor.Errorf(thor.EINVALID, "Idempotency-Key %q was used for another body", key).
			WithHint("Use a key of its own for each call, and the same one only to repeat it.")
	}
	return known.says, ok, nil
}

func (a *answers) keep(name, key string, body []byte, says json.RawMessage) {
	if key == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil {
		a.known = map[string]answered{}
	}
	id := name + "\n" + key
	if _, ok := a.known[id]; !ok {
		a.order = append(a.order, id)
	}
	a.known[id] = answered{sha256.Sum256(body), says}
	if len(a.order) > maxAnswers {
		delete(a.known, a.order[0])
		a.order = slices.Delete(a.order, 0, 1)
	}
}
