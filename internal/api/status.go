package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"thor"
	"thor/internal/auth"
	"thor/internal/cutover"
)

// Status is the state of the server: all that `thor status` prints.
type Status struct {
	Version   string          `json:"version"`
	Build     string          `json:"build"`
	Started   time.Time       `json:"started"`
	UptimeMS  int64           `json:"uptime_ms"`
	Source    SourceStatus    `json:"source"`
	Channel   string          `json:"channel"`
	Data      string          `json:"data" doc:"the data directory"`
	Clients   int64           `json:"clients" doc:"WebSocket connections"`
	Heartbeat HeartbeatStatus `json:"heartbeat"`
	Calendars CalendarStatus  `json:"calendars"`
	Features  []FeatureStatus `json:"features"`
	Jobs      []JobStatus     `json:"jobs"`
	Pipeline  PipelineStatus  `json:"pipeline"`
	Troubles  []string        `json:"troubles" doc:"what a person should know of stages, forces, the audit and a replay"`
}

// SourceStatus is where the data comes from.
type SourceStatus struct {
	Name      string    `json:"name"`
	Simulated bool      `json:"simulated"`
	Unproven  bool      `json:"unproven" doc:"it was never run against the real service"`
	Virtual   bool      `json:"virtual" doc:"its clock is not the wall clock"`
	Speed     float64   `json:"speed" doc:"of that clock; 0 once a replay is over"`
	Time      time.Time `json:"time"`

	Replay *ReplayStatus `json:"replay,omitempty" doc:"the recording that is played; absent where none is"`
}

// ReplayStatus is a recording that is played.
type ReplayStatus struct {
	Of   string    `json:"of" doc:"the source that was recorded"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	Over bool      `json:"over" doc:"it was played to its end: the last values stay"`
}

// CalendarStatus is where the calendars of the exchanges come from, besides the
// binary, and what is wrong with them.
type CalendarStatus struct {
	Folder  string         `json:"folder,omitempty" doc:"of overrides"`
	Files   []string       `json:"files" doc:"of the folder, that are in force"`
	Since   time.Time      `json:"since" doc:"when they came into force"`
	Trouble string         `json:"trouble,omitempty" doc:"why the folder as it is now is not in force"`
	Ending  []EndingStatus `json:"ending" doc:"exchanges whose calendar ends within 60 days"`
}

// EndingStatus is an instant from which on nothing is known of an exchange.
type EndingStatus struct {
	Exchange string    `json:"exchange"`
	At       time.Time `json:"at"`
}

// HeartbeatStatus is how punctual the jobs are.
type HeartbeatStatus struct {
	IntervalMS int64    `json:"interval_ms"`
	LateP99MS  *float64 `json:"late_p99_ms" doc:"how late jobs began, 99th percentile of the newest runs"`
}

// FeatureStatus is one line of the table.
type FeatureStatus struct {
	Feature           string         `json:"feature"`
	Stage             thor.Stage     `json:"stage" doc:"as stored"`
	Effective         thor.Stage     `json:"effective" doc:"the earlier of stored and forced: what counts"`
	Weight            int            `json:"weight" doc:"of the stage in effect"`
	Rev               uint64         `json:"rev"`
	Forced            *cutover.Force `json:"forced,omitempty" doc:"what forces it back"`
	Frozen            *thor.Freeze   `json:"frozen,omitempty" doc:"who stopped steps forward"`
	Unstored          bool           `json:"unstored,omitempty" doc:"a step of it is in effect that the store does not have yet"`
	DataSource        string         `json:"data_source" doc:"as people read it: REST (Shadow)"`
	LastMS            *int64         `json:"last_ms" doc:"since the newest event; null before the first"`
	MessagesPerMinute int64          `json:"messages_per_minute"`
	RESTPerMinute     int64          `json:"rest_per_minute" doc:"at this server and at its front door"`
	RESTConsumers     int64          `json:"rest_consumers" doc:"how many have asked REST for it within the last hour; /api/consumers lists them"`

	Trouble *FeatureTrouble `json:"trouble,omitempty" doc:"why nothing new comes of it; absent while all is well"`
}

// FeatureTrouble is why nothing new comes of a feature, for those who look at
// its last values.
type FeatureTrouble struct {
	Kind  TroubleKind `json:"kind" doc:"what a source's failure means; or hung: a question to it does not end; late: it is not asked; server: the server cannot take what came; outside: nobody publishes"`
	Since *time.Time  `json:"since,omitempty" doc:"when it worked last; absent when it has not since the start"`
	Until *time.Time  `json:"until,omitempty" doc:"the source is not asked again before"`
	Words string      `json:"words,omitempty" doc:"what was asked, what came and what to do; for operators alone"`
}

// TroubleKind is the kind of a source's failure, or one of the kinds below.
type TroubleKind string

// The kinds that are not a source's.
const (
	TroubleHung    TroubleKind = "hung"
	TroubleLate    TroubleKind = "late"
	TroubleServer  TroubleKind = "server"
	TroubleOutside TroubleKind = "outside"
)

// withheld is the status without the words of failures, which may name accounts
// and machines: for those who are not to do anything about them.
func (s Status) withheld() Status {
	const told = "the reason is for operators"
	s.Features, s.Jobs = slices.Clone(s.Features), slices.Clone(s.Jobs)
	for i := range s.Features {
		if t := s.Features[i].Trouble; t != nil {
			silent := *t
			silent.Words = ""
			s.Features[i].Trouble = &silent
		}
	}
	for i := range s.Jobs {
		if j := &s.Jobs[i]; j.LastError != "" {
			j.Trouble = strings.ReplaceAll(j.Trouble, j.LastError, told)
			j.LastError = told
		}
	}
	return s
}

// JobStatus is the state of one job.
type JobStatus struct {
	Job        string  `json:"job"`
	IntervalMS int64   `json:"interval_ms"`
	Running    bool    `json:"running"`
	Runs       int64   `json:"runs"`
	Failed     int64   `json:"failed"`
	Failures   int     `json:"failures" doc:"in a row, up to now"`
	Overruns   int64   `json:"overruns" doc:"how often it was due while it still ran"`
	LateMS     float64 `json:"late_ms"`
	DurationMS float64 `json:"duration_ms"`
	Trouble    string  `json:"trouble,omitempty" doc:"why it does not do what it should"`
	LastError  string  `json:"last_error,omitempty"`
	FailedAt   *string `json:"failed_at,omitempty"`

	Outside  bool   `json:"outside,omitempty" doc:"it runs outside of the server and publishes by POST /api/publish"`
	By       string `json:"by,omitempty" doc:"who publishes"`
	Messages int64  `json:"messages,omitempty" doc:"it has published"`
	LastMS   *int64 `json:"last_ms,omitempty" doc:"since it published last"`
}

// PipelineStatus counts messages since the start.
type PipelineStatus struct {
	Received   int64 `json:"received"`
	Invalid    int64 `json:"invalid"`
	Unchanged  int64 `json:"unchanged"`
	Stored     int64 `json:"stored"`
	Published  int64 `json:"published"`
	LostDigits int64 `json:"lost_digits" doc:"values with more digits than the scale of their field"`
}

func (a *API) registerStatus() {
	register(a, huma.Operation{
		OperationID: "get-status", Method: http.MethodGet, Path: "/api/status",
		Summary: "The state of the server", Tags: []string{"operation"}, Errors: []int{401},
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body Status }, error) {
		s := a.Status(ctx)
		if !principalOf(ctx).May(auth.Operator) {
			s = s.withheld()
		}
		return &struct{ Body Status }{s}, nil
	})
}

// Health is the answer of /healthz and /readyz.
type Health struct {
	OK     bool              `json:"ok"`
	Checks map[string]string `json:"checks,omitempty" doc:"ok, or what is wrong"`
}

// registerHealth adds /healthz, which says that the process answers, and
// /readyz, which says whether its parts work.
func (a *API) registerHealth() {
	tags := []string{"operation"}
	register(a, huma.Operation{
		OperationID: "get-health", Method: http.MethodGet, Path: "/healthz", Summary: "Whether the process answers", Tags: tags,
	}, func(context.Context, *struct{}) (*healthOutput, error) {
		return newHealthOutput(Health{OK: true}), nil
	})
	ready := huma.Operation{
		OperationID: "get-readiness", Method: http.MethodGet, Path: "/readyz", Summary: "Whether its parts work", Tags: tags,
	}
	register(a, ready, func(ctx context.Context, _ *struct{}) (*healthOutput, error) {
		return newHealthOutput(a.ready(ctx)), nil
	})
	responses := a.huma.OpenAPI().Paths[ready.Path].Get.Responses
	responses["503"] = &huma.Response{Description: "A part does not work", Content: responses["200"].Content}
	a.huma.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "get-metrics", Method: http.MethodGet, Path: "/metrics", Summary: "The metrics, for Prometheus", Tags: tags,
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"text/plain": {}}}},
	})
}

type healthOutput struct {
	Status       int
	CacheControl string `header:"Cache-Control"`
	Body         Health
}

func newHealthOutput(h Health) *healthOutput {
	out := &healthOutput{Status: http.StatusOK, CacheControl: "no-store", Body: h}
	if !h.OK {
		out.Status = http.StatusServiceUnavailable
	}
	return out
}

func (a *API) ready(ctx context.Context) Health {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	h := Health{OK: true, Checks: map[string]string{}}
	for _, check := range a.Checks {
		h.Checks[check.Name] = "ok"
		_, err := within(ctx, checkTimeout, func(ctx context.Context) (struct{}, error) { return struct{}{}, check.Run(ctx) })
		if err != nil {
			h.OK = false
			h.Checks[check.Name] = err.Error()
		}
	}
	return h
}
