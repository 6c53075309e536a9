// Package metrics holds every metric of the server under the name Prometheus
// sees. It counts what it is told and decides nothing. No symbol, account or
// client is ever a label.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the metrics of one server. Make them with [New].
type Metrics struct {
	registry *prometheus.Registry

	// Jobs.
	JobRuns     *prometheus.CounterVec   // job, result
	JobLate     *prometheus.HistogramVec // job
	JobDuration *prometheus.HistogramVec // job
	JobOverruns *prometheus.CounterVec   // job
	JobFailed   *prometheus.GaugeVec     // job
	JobRunning  *prometheus.GaugeVec     // job

	// Features.
	FeedEvents   *prometheus.CounterVec // feature
	FeedAge      *prometheus.GaugeVec   // feature, data_source
	RESTRequests *prometheus.CounterVec // feature, consumer

	// Who was refused.
	FrontDoor   *prometheus.CounterVec // outcome
	HubRefused  *prometheus.CounterVec // reason
	RESTRefused *prometheus.CounterVec // reason

	// Cutover.
	Stage       *prometheus.GaugeVec   // feature, stage: 1 for the one in effect
	Forced      *prometheus.GaugeVec   // feature
	Unstored    *prometheus.GaugeVec   // feature
	Revision    *prometheus.GaugeVec   // node
	Transitions *prometheus.CounterVec // feature, from, to, actor

	// What clients say of themselves.
	CutoverAcks       *prometheus.CounterVec   // feature
	SwitchSeconds     *prometheus.HistogramVec // feature
	ClientComparisons *prometheus.CounterVec   // feature, result
}

// lateBuckets and durationBuckets are in seconds.
var (
	lateBuckets     = []float64{.0005, .001, .002, .005, .01, .025, .05, .1, .25, 1, 5}
	durationBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// New returns the metrics of a server of that version.
func New(version, build string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		registry:     prometheus.NewRegistry(),
		JobRuns:      counter("job_runs_total", "Runs of a job that ended, by result: ok or failed.", "job", "result"),
		JobLate:      histogram("job_late_seconds", "How long after it was due a run began.", lateBuckets, "job"),
		JobDuration:  histogram("job_duration_seconds", "How long a run took.", durationBuckets, "job"),
		JobOverruns:  counter("job_overruns_total", "How many beats of its interval went by while a job ran.", "job"),
		JobFailed:    gauge("job_last_failure_timestamp_seconds", "When a job failed last; thor status --json has the error.", "job"),
		JobRunning:   gauge("job_running_seconds", "How long a run that has not ended lasts by now; 0 between runs.", "job"),
		FeedEvents:   counter("feed_events_total", "Events published.", "feature"),
		FeedAge:      gauge("feed_age_seconds", "Time since the newest event, by this server's clock.", "feature", "data_source"),
		RESTRequests: counter("rest_requests_total", "Answers of a feature's REST endpoint; the consumer is thor, other, or frontdoor for a path of the backend.", "feature", "consumer"),
		FrontDoor:    counter("frontdoor_requests_total", "Requests that went to the backend behind the server, by outcome: answered, failed, gone, refused or left.", "outcome"),
		HubRefused:   counter("hub_refused_total", "WebSocket connections refused, by reason: node, address, rate, user, failures, token, backend, origin or request.", "reason"),
		RESTRefused:  counter("rest_refused_total", "Requests refused before they were looked at, by reason: rate, failures, token, backend or origin.", "reason"),
		Stage:        gauge("cutover_stage", "1 for the stage in effect for a feature.", "feature", "stage"),
		Forced:       gauge("cutover_forced", "1 while a feature is forced back.", "feature"),
		Unstored:     gauge("cutover_unstored", "1 while a step of a feature is in effect that the store does not have.", "feature"),
		Revision:     gauge("cutover_revision", "How many steps of any feature this node has seen.", "node"),
		Transitions:  counter("cutover_transitions_total", "Transitions since the start; the actor is thor or person.", "feature", "from", "to", "actor"),

		CutoverAcks:       counter("cutover_acks_total", "Revisions that clients say they have followed.", "feature"),
		SwitchSeconds:     histogram("cutover_switch_seconds", "From a transition to the word of a client, connected before, that it has switched.", durationBuckets, "feature"),
		ClientComparisons: counter("parity_client_comparisons_total", "Comparisons that clients report, by result: match, mismatch, ignored or incomparable.", "feature", "result"),
	}
	info := gauge("thor_info", "1; the labels say which build runs.", "version", "build")
	info.WithLabelValues(version, build).Set(1)
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info,
		m.JobRuns, m.JobLate, m.JobDuration, m.JobOverruns, m.JobFailed, m.JobRunning,
		m.FeedEvents, m.FeedAge, m.RESTRequests,
		m.FrontDoor, m.HubRefused, m.RESTRefused,
		m.Stage, m.Forced, m.Unstored, m.Revision, m.Transitions,
		m.CutoverAcks, m.SwitchSeconds, m.ClientComparisons,
	)
	return m
}

// Counter adds a counter whose value is asked for when somebody looks.
func (m *Metrics) Counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// Gauge adds a gauge whose value is asked for when somebody looks.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// ObserveRun counts one run of a job.
func (m *Metrics) ObserveRun(job string, late, duration time.Duration, missed int, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
		m.JobFailed.WithLabelValues(job).SetToCurrentTime()
	}
	m.JobRuns.WithLabelValues(job, result).Inc()
	m.JobRunning.WithLabelValues(job).Set(0)
	m.JobLate.WithLabelValues(job).Observe(late.Seconds())
	m.JobDuration.WithLabelValues(job).Observe(duration.Seconds())
	m.JobOverruns.WithLabelValues(job).Add(float64(missed))
}

// Handler serves the metrics. Before is called first, to bring gauges up to
// date; nil is nothing.
func (m *Metrics) Handler(before func()) http.Handler {
	handler := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before != nil {
			before()
		}
		handler.ServeHTTP(w, r)
	})
}
