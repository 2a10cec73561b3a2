// Package metrics holds every metric of the sidecar, in one constructor. Names
// and labels never carry a UUID, an address or a pod's name, so that the number
// of series does not grow with restarts.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
)

// Metrics counts what happens. Its methods may be called concurrently.
type Metrics struct {
	leaderChanges   prometheus.Counter
	releases        *prometheus.CounterVec
	releaseDuration prometheus.Histogram
	phases          *prometheus.HistogramVec
	requests        *prometheus.CounterVec
	watchRestarts   prometheus.Counter
	unboundDeaths   prometheus.Counter
	checks          *prometheus.CounterVec
	events          *prometheus.CounterVec
	stateUp         prometheus.Gauge
	stuck           prometheus.Counter
	elections       *prometheus.CounterVec
	discovery
}

// buckets resolve from 1 ms (a release) to 60 s (a lease that ran out).
var buckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60}

// New registers every metric with reg. Gauges are read from snapshot and verdict
// at scrape time, so they cannot differ from what the sidecar acts on. It panics if a name
// is taken: two of these need two registries.
func New(reg prometheus.Registerer, version string, snapshot func() *leader.Snapshot, verdict func() pulse.Verdict) *Metrics {
	m := &Metrics{
		leaderChanges: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flink_ha_leader_changes_total",
			Help: "Grants of the lock seen since the start, apart from the one that stood then.",
		}),
		releases: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flink_ha_releases_total",
			Help: "Locks of dead JobManagers, by how it ended (freed, superseded, vacated, expired, damped, paused, refuted, retired, forbidden, waiting, unreadable) and by proof of death (process, kubelet).",
		}, []string{"outcome", "proof"}),
		releaseDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "flink_ha_release_duration_seconds",
			Help:    "From a JobManager's death being noticed to its lock being freed.",
			Buckets: buckets,
		}),
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "flink_ha_failover_phase_seconds",
			Help:    "Phases of a failover after this pod's leader died: freed (from the death), granted (from freed), published (from granted).",
			Buckets: buckets,
		}, []string{"phase"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flink_ha_backend_requests_total",
			Help: "Requests to the backend by verb and outcome.",
		}, []string{"verb", "outcome"}),
		watchRestarts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flink_ha_watch_restarts_total",
			Help: "Times that observing the lock was interrupted.",
		}),
		unboundDeaths: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flink_ha_unbound_deaths_total",
			Help: "JobManagers that ended while they may have held the lock without being bound to it: their lease runs out.",
		}),
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flink_ha_jobmanager_checks_total",
			Help: "Questions put to this pod's JobManager by check (rest, rpc) and outcome (ok, silent).",
		}, []string{"check", "outcome"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flink_ha_events_total",
			Help: "Kubernetes Events about this pod by outcome (sent, dropped, forbidden, failed).",
		}, []string{"outcome"}),
		stateUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "flink_ha_state_up",
			Help: "1 while the cluster's state (pause and history) is seen and can be written.",
		}),
		elections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flink_ha_elections_total",
			Help: "vvp-kubernetes: what this sidecar did with the lock (acquired, resumed, dropped, mended, trouble).",
		}, []string{"outcome"}),
		stuck: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flink_ha_jobmanager_stuck_total",
			Help: "Times that this pod's JobManager was found stuck.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "flink_ha_build_info", Help: "Always 1; the version is in the label.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.discovery = newDiscovery(reg)
	reg.MustRegister(m.leaderChanges, m.releases, m.releaseDuration, m.phases, m.requests, m.watchRestarts,
		m.unboundDeaths, m.checks, m.events, m.stateUp, m.stuck, m.elections, build, gauges{snapshot, verdict})
	return m
}

// Request counts one request to the backend.
func (m *Metrics) Request(verb, outcome string) { m.requests.WithLabelValues(verb, outcome).Inc() }

// WatchRestart counts an interruption of the stream of views.
func (m *Metrics) WatchRestart() { m.watchRestarts.Inc() }

// Checked counts one question to the JobManager: rest or rpc.
func (m *Metrics) Checked(check string, ok bool) {
	outcome := "silent"
	if ok {
		outcome = "ok"
	}
	m.checks.WithLabelValues(check, outcome).Inc()
}

// Event counts one Kubernetes Event by what became of it.
func (m *Metrics) Event(outcome string) { m.events.WithLabelValues(outcome).Inc() }

// StateUp says whether the cluster's state is seen and written.
func (m *Metrics) StateUp(up bool) { m.stateUp.Set(one(up)) }

// Stuck counts a JobManager that was found stuck.
func (m *Metrics) Stuck() { m.stuck.Inc() }

// Election counts what came of this sidecar's own campaign (vvp-kubernetes).
func (m *Metrics) Election(outcome string) { m.elections.WithLabelValues(outcome).Inc() }

// Decided counts what one decision brought.
func (m *Metrics) Decided(d leader.Decision) {
	for _, e := range d.Events {
		switch e.Kind {
		case leader.LeaderChanged:
			m.leaderChanges.Inc()
			if e.Case != nil && e.Case.Ending == leader.Freed {
				m.phase("granted", e.Case.Freed, e.Case.Granted)
			}
		case leader.DiedUnbound:
			m.unboundDeaths.Inc()
		case leader.CaseClosed:
			m.closed(*e.Case)
		case leader.LeaderPublished:
			m.phase("published", e.Case.Granted, e.Case.Published)
		}
	}
}

func (m *Metrics) closed(c leader.Case) {
	m.releases.WithLabelValues(c.Ending.String(), string(c.Death.Proof)).Inc()
	if c.Ending == leader.Freed {
		m.releaseDuration.Observe(c.Freed.Sub(c.Death.At).Seconds())
		m.phase("freed", c.Death.At, c.Freed)
	}
}

func (m *Metrics) phase(name string, from, to time.Time) {
	if !from.IsZero() && !to.IsZero() && !to.Before(from) {
		m.phases.WithLabelValues(name).Observe(to.Sub(from).Seconds())
	}
}

// gauges tells the present state at scrape time.
type gauges struct {
	snapshot func() *leader.Snapshot
	verdict  func() pulse.Verdict
}

var (
	descUp = prometheus.NewDesc("flink_ha_jobmanager_up",
		"1 while a JobManager process of this pod lives.", nil, nil)
	descLeading = prometheus.NewDesc("flink_ha_jobmanager_leading",
		"1 while this pod's JobManager is known to hold the lock.", nil, nil)
	descServing = prometheus.NewDesc("flink_ha_jobmanager_serving",
		"1 while a JobManager of this pod has come up and is not stuck.", nil, nil)
	descStuck = prometheus.NewDesc("flink_ha_jobmanager_stuck",
		"1 while this pod's JobManager lives and gives no sign of life.", nil, nil)
	descPaused = prometheus.NewDesc("flink_ha_paused",
		"1 while a pause stands and no lock is freed.", nil, nil)
	descAge = prometheus.NewDesc("flink_ha_lock_age_seconds",
		"Seconds since the lock was last renewed, by the record's own time; absent while nobody holds it.", nil, nil)
	descMargin = prometheus.NewDesc("flink_ha_lock_margin_seconds",
		"Seconds until the lease runs out unless it is renewed; absent while nobody holds the lock.", nil, nil)
)

// Describe implements prometheus.Collector.
func (g gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descUp, descLeading, descServing, descStuck, descPaused, descAge, descMargin} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	s, now := g.snapshot(), time.Now()
	tell := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	tell(descUp, one(s.Alive))
	tell(descLeading, one(s.Outcome == leader.Leading))
	v := g.verdict()
	tell(descServing, one(v.Serving && !v.Stuck))
	tell(descStuck, one(v.Stuck))
	tell(descPaused, one(s.Pause != nil && now.Before(s.Pause.Until)))
	if s.View.Lock != leader.LockHeld || s.View.Lease == 0 {
		return
	}
	tell(descAge, now.Sub(s.View.Renewed).Seconds())
	tell(descMargin, s.View.Expiry().Sub(now).Seconds())
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
