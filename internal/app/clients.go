package app

import (
	"thor/internal/hub"
)

// acked counts a client's word that it has switched, and measures from the
// transition to the word's arrival. A client that came after the transition says
// nothing about how fast one is.
func (a *App) acked(ack hub.Ack) {
	a.metrics.CutoverAcks.WithLabelValues(ack.Feature).Inc()
	for _, s := range a.stages.Stages() {
		if s.Feature == ack.Feature && s.Rev == ack.Rev && ack.Connected.Before(s.Since) {
			a.metrics.SwitchSeconds.WithLabelValues(ack.Feature).Observe(ack.Arrived.Sub(s.Since).Seconds())
		}
	}
}

// reported counts what a client has compared. It is one client's word.
func (a *App) reported(r hub.Report) {
	for result, n := range map[string]uint64{
		"match": r.Matched, "mismatch": r.Mismatched, "ignored": r.Ignored, "incomparable": r.Incomparable,
	} {
		a.metrics.ClientComparisons.WithLabelValues(r.Feature, result).Add(float64(n))
	}
}
