// Package api is REST: the features, their stages, status and health. It
// answers with the bytes the store keeps, the same that go out over WebSocket,
// and with RFC 9457 problems where it cannot.
//
// It decides nothing: stages move in the cutover package, and who may ask for
// what is the door's and the principal's affair.
package api

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"thor"
	"thor/internal/auth"
	"thor/internal/cutover"
)

// reader is what the answers are read from.
type reader interface {
	Latest(ctx context.Context, id thor.StreamID, w thor.Window) (thor.Version, []thor.Event, error)
	Streams(ctx context.Context) ([]thor.StreamID, error)
}

// controller moves the stages.
type controller interface {
	State(feature string) (cutover.State, error)
	Promote(ctx context.Context, p cutover.Promotion) (thor.Transition, error)
	Rollback(ctx context.Context, feature string, to thor.Stage, actor, reason string) (cutover.Outcome, error)
	Freeze(ctx context.Context, feature, actor, reason string) (cutover.Outcome, error)
	Unfreeze(ctx context.Context, feature, actor, reason string) (cutover.Outcome, error)
	History(ctx context.Context, feature string, limit int) ([]thor.Transition, error)
	DataSource(feature, client string) thor.DataSource
}

// Config is what the API is made of.
type Config struct {
	Version string
	Store   reader
	Memory  memory // answers when the store does not; nil is none
	Stages  controller
	// Audit reads the audit of all features.
	Audit func(ctx context.Context) (thor.Audit, error)
	Door  *auth.Door
	// Status is what /api/status answers.
	Status func(ctx context.Context) Status
	// Cadence is how often a feature speaks when nothing changes; nil is its own.
	Cadence func(thor.Feature) time.Duration
	// Label is how people call an account besides its id, or ""; nil is for none.
	Label func(account string) string
	// Oldest gives the oldest key of a stream that belongs to the current
	// session, whose newest key is given.
	Oldest func(id thor.StreamID, newest string) string
	// Publish stores and sends the messages of a publisher outside, and returns
	// the version of each.
	Publish func(ctx context.Context, msgs ...thor.Message) ([]thor.Version, error)
	// Publishers are those who do.
	Publishers *Publishers
	// Checks are what readiness looks at.
	Checks []Check
	// Requests bounds how often a caller asks; nil is no bound.
	Requests *auth.Rates
	// Refused counts the requests that were refused, by reason; nil is nobody.
	Refused func(reason string)
	// Served sees every answer of a feature; nil is nobody.
	Served func(feature, consumer string)
	// Consumers counts those who ask REST for features; nil is nobody.
	Consumers *Consumers
	// Elsewhere serves what this server does not, as it came; nil is nobody.
	Elsewhere http.Handler
	// Mount are further handlers by pattern of [http.ServeMux]: the WebSocket,
	// the page, the metrics.
	Mount  map[string]http.Handler
	Logger *slog.Logger // nil discards
}

// API holds the routes.
type API struct {
	Config
	huma    huma.API
	mux     *http.ServeMux
	answers answers
}

// New returns the handler of everything the server serves.
func New(c Config) *API {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	a := &API{Config: c, mux: http.NewServeMux()}
	a.huma = humago.New(a.mux, describe(c.Version))
	for _, f := range thor.Features {
		a.registerFeature(f)
	}
	a.registerStages()
	a.registerAudit()
	a.registerConsumers()
	a.registerOwned()
	a.registerTickets()
	a.registerPublish()
	a.registerStatus()
	a.registerHealth()
	for pattern, handler := range c.Mount {
		a.mux.Handle(pattern, handler)
	}
	return a
}

// describe is the head of the OpenAPI document. Pages that load their script
// from elsewhere are off, as is what would add to the bodies.
func describe(version string) huma.Config {
	useProblems()
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.RegisterTypeAlias(reflect.TypeFor[thor.Decimal](), reflect.TypeFor[decimalSchema]())
	registry.RegisterTypeAlias(reflect.TypeFor[thor.Stage](), reflect.TypeFor[stageSchema]())
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "thor",
				Version:     version,
				Description: "Trading data over REST. The same data, byte for byte, is pushed over the WebSocket at /ws/.",
			},
			Components: &huma.Components{Schemas: registry, SecuritySchemes: map[string]*huma.SecurityScheme{
				bearerScheme: {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "Where the server has a key."},
			}},
		},
		OpenAPIPath:   "/api/openapi",
		Formats:       map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat: "application/json",
	}
}

// bearerScheme is the name of how tokens are sent.
const bearerScheme = "token"

var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		data, err := json.Marshal(v)
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	},
	Unmarshal: json.Unmarshal,
}

// decimalSchema describes [thor.Decimal].
type decimalSchema struct{}

// Schema implements [huma.SchemaProvider].
func (decimalSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Nullable: true, Description: "An exact decimal with a fixed number of digits; null is unknown."}
}

// stageSchema describes [thor.Stage].
type stageSchema struct{}

// Schema implements [huma.SchemaProvider].
func (stageSchema) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, stage := range thor.Stages() {
		s.Enum = append(s.Enum, stage.String())
	}
	return s
}

// OpenAPI returns the description of the API as JSON.
func (a *API) OpenAPI() ([]byte, error) { return json.MarshalIndent(a.huma.OpenAPI(), "", "  ") }

// Check is one thing readiness depends on.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

// useProblems makes huma speak in our problems. The library has one variable
// for a whole process.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return newProblem(status, message, errs...)
	}
})

// checkTimeout bounds one look at the parts of the server.
const checkTimeout = 2 * time.Second
