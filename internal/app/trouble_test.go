package app

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"thor"
	"thor/internal/api"
	"thor/internal/auth"
	"thor/internal/heartbeat"
	"thor/internal/source"
)

func TestWhyNothingComes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC)
	worked, later := now.Add(-time.Minute), now.Add(30*time.Second)
	words := thor.Errorf(thor.EUNAVAILABLE, "GET /balance: nobody listens at localhost:1").WithHint("Is the backend running?")
	failing := func(err error) heartbeat.Status {
		return heartbeat.Status{
			Interval: time.Second, Timeout: 5 * time.Second, Runs: 9, Failures: 2, LastError: err.Error(), Err: err, WorkedAt: worked, Began: now,
		}
	}
	of := func(kind source.Kind, retry time.Time) error {
		return &source.Error{Kind: kind, Source: "upstream", Op: "balance of PAPER-1", RetryAt: retry, Err: words}
	}
	const said = "balance of PAPER-1: GET /balance: nobody listens at localhost:1. Is the backend running?"
	for name, tt := range map[string]struct {
		status heartbeat.Status
		want   *api.FeatureTrouble
	}{
		"all is well":            {heartbeat.Status{Interval: time.Second, Timeout: 5 * time.Second, Runs: 9, WorkedAt: worked, Began: now}, nil},
		"a failure that is over": {heartbeat.Status{Interval: time.Second, Timeout: 5 * time.Second, Runs: 9, WorkedAt: worked, Began: now, Err: words, LastError: "x"}, nil},
		"it has just begun":      {heartbeat.Status{Interval: time.Second, Timeout: 5 * time.Second, Running: true, Began: now}, nil},
		"the source is away":     {failing(of(source.Transient, time.Time{})), &api.FeatureTrouble{Kind: "transient", Since: &worked, Words: said}},
		"it wants to be left alone": {
			failing(of(source.RateLimited, later)), &api.FeatureTrouble{Kind: "rate_limited", Since: &worked, Until: &later, Words: said},
		},
		"it was to be left alone":    {failing(of(source.RateLimited, worked)), &api.FeatureTrouble{Kind: "rate_limited", Since: &worked, Words: said}},
		"beside a fault of our own":  {failing(errors.Join(errors.New("x"), of(source.BadData, time.Time{}))), &api.FeatureTrouble{Kind: "bad_data", Since: &worked, Words: said}},
		"a fault of our own":         {failing(errors.New("the disk is full")), &api.FeatureTrouble{Kind: "server", Since: &worked, Words: "the disk is full"}},
		"it ends at its deadline":    {failing(fmt.Errorf("not done within 5s: %w", context.DeadlineExceeded)), &api.FeatureTrouble{Kind: "hung", Since: &worked, Words: "not done within 5s: context deadline exceeded"}},
		"a source without words":     {failing(&source.Error{Kind: source.EndOfData, Source: "replay", Op: "bars"}), &api.FeatureTrouble{Kind: "end_of_data", Since: &worked, Words: "bars"}},
		"it is deaf to its deadline": {heartbeat.Status{Timeout: 5 * time.Second, Running: true, Began: now.Add(-time.Minute)}, &api.FeatureTrouble{Kind: "hung", Words: "has run for 1m0s and does not stop at its deadline of 5s"}},
		"it does not run": {
			heartbeat.Status{Interval: time.Second, Timeout: 5 * time.Second, Runs: 9, WorkedAt: worked, Began: now.Add(-time.Minute)},
			&api.FeatureTrouble{Kind: "late", Since: &worked, Words: "has not run for 1m0s"},
		},
	} {
		if diff := cmp.Diff(tt.want, jobTrouble(tt.status, now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestTheReasonIsForOperators holds who is told what when a source fails: that
// nothing new comes everybody, why the operators, and nobody at all the public.
func TestTheReasonIsForOperators(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		key := strings.Repeat("k", 32)
		r := newRigWith(t, data, monday, nil, func(c *Config) { c.AuthKey = key })
		time.Sleep(3 * time.Second)
		r.src.set(func(context.Context) (float64, error) {
			return 0, &source.Error{Kind: source.Transient, Source: "sim", Op: "balance of PAPER-2", Err: errors.New("nobody listens at backend:1")}
		})
		time.Sleep(10 * time.Second)
		ask := func(path string, role auth.Role) string {
			request := httptest.NewRequest("GET", "http://localhost"+path, nil)
			if role != "" {
				token, err := r.door.NewToken(auth.Principal{Subject: "ada", Accounts: []string{"PAPER-1"}, Roles: []auth.Role{role}}, time.Now(), time.Hour)
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Authorization", "Bearer "+token)
			}
			answer := httptest.NewRecorder()
			r.api.ServeHTTP(answer, request)
			return answer.Body.String()
		}
		trouble := `"trouble":{"kind":"transient","since":"2026-11-23T15:00:0`
		const reason, account = "nobody listens", "PAPER-2"
		if got := ask("/api/status", auth.Operator); !strings.Contains(got, trouble) || !strings.Contains(got, `"words":"balance of PAPER-2: nobody listens at backend:1"`) {
			t.Errorf("an operator is told %s", got)
		}
		if got := ask("/api/status", auth.Viewer); !strings.Contains(got, trouble) || strings.Contains(got, reason) || strings.Contains(got, account) {
			t.Errorf("a viewer is told %s", got)
		}
		if got := ask("/readyz", ""); !strings.Contains(got, "times in a row: transient") || strings.Contains(got, reason) || strings.Contains(got, account) {
			t.Errorf("everybody is told %s", got)
		}
		r.src.set(nil)
		time.Sleep(32 * time.Second)
		if got := ask("/api/status", auth.Operator); strings.Contains(got, `"trouble"`) {
			t.Errorf("it works again: %s", got)
		}
	})
}

// TestReadinessNamesNoAccount holds what those without a token are told of a job
// that fails.
func TestReadinessNamesNoAccount(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 15, 30, 0, 0, time.UTC)
	_, invalid := thor.Message{Type: "positions", Stream: "positions:PAPER-1"}.Encode()
	away := &source.Error{Kind: source.Transient, Source: "upstream", Op: "balance of PAPER-1", Err: errors.New("no")}
	for want, err := range map[string]error{
		"job positions has failed: transient":                                       away,
		"job positions has failed: what it says is not valid; thor status says why": invalid,
		"job positions has failed: the disk is full":                                thor.Errorf(thor.EUNAVAILABLE, "the disk is full"),
		"job positions has failed: not done within 5s: it takes a day":              errors.New("not done within 5s: it takes a day"),
	} {
		status := heartbeat.Status{
			Job: "positions", Interval: time.Second, Timeout: 5 * time.Second, Runs: 9, Failures: 1, LastError: err.Error(), Err: err, WorkedAt: now, Began: now,
		}
		if got := jobsWork([]heartbeat.Status{status}, now); got == nil || got.Error() != want {
			t.Errorf("got %v, want %q", got, want)
		}
	}
}
