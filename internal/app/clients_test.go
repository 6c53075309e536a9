package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"thor/internal/hub"
)

func TestWhatClientsSay(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	stage := a.stages.Stages()[0]
	ack := hub.Ack{
		Feature: stage.Feature, Rev: stage.Rev,
		Connected: stage.Since.Add(-time.Minute), Arrived: stage.Since.Add(300 * time.Millisecond),
	}
	late, other := ack, ack
	late.Connected = stage.Since.Add(time.Second) // it was not there when it happened
	other.Rev++
	for _, said := range []hub.Ack{ack, late, other} {
		a.acked(said)
	}
	a.reported(hub.Report{Feature: stage.Feature, Matched: 7, Mismatched: 1, Ignored: 2, Incomparable: 3})

	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:5000", "localhost"
	answer := httptest.NewRecorder()
	a.api.ServeHTTP(answer, r)
	label := `{feature="` + stage.Feature + `"`
	for _, want := range []string{
		`cutover_acks_total` + label + `} 3`,
		`cutover_switch_seconds_count` + label + `} 1`,
		`cutover_switch_seconds_sum` + label + `} 0.3`,
		`parity_client_comparisons_total` + label + `,result="match"} 7`,
		`parity_client_comparisons_total` + label + `,result="mismatch"} 1`,
		`parity_client_comparisons_total` + label + `,result="ignored"} 2`,
		`parity_client_comparisons_total` + label + `,result="incomparable"} 3`,
	} {
		if !strings.Contains(answer.Body.String(), want+"\n") {
			t.Errorf("/metrics has no line %s", want)
		}
	}
}
