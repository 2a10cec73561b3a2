package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/metrics"
)

var died = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func noVerdict() pulse.Verdict { return pulse.Verdict{} }

// failover is the story of one freed lock, as the events of three decisions.
func failover() []leader.Decision {
	c := &leader.Case{
		Holder: "h", Death: leader.Death{At: died, Proof: leader.ProofPidfd}, Ending: leader.Freed,
		Freed: died.Add(8 * time.Millisecond), Granted: died.Add(508 * time.Millisecond), Published: died.Add(608 * time.Millisecond),
	}
	return []leader.Decision{
		{Events: []leader.Event{{Kind: leader.JobManagerEnded}, {Kind: leader.CaseOpened, Case: c}}},
		{Events: []leader.Event{{Kind: leader.CaseClosed, Case: c}}},
		{Events: []leader.Event{{Kind: leader.LeaderChanged, Case: c}}},
		{Events: []leader.Event{{Kind: leader.LeaderPublished, Case: c}}},
	}
}

func TestAFailoverIsCountedInEveryPhase(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := metrics.New(reg, "v1", func() *leader.Snapshot { return &leader.Snapshot{Alive: true, Outcome: leader.Leading} }, noVerdict)
	for _, d := range failover() {
		m.Decided(d)
	}
	m.Decided(leader.Decision{Events: []leader.Event{{Kind: leader.DiedUnbound}}})
	m.Request("patch", "ok")
	m.WatchRestart()
	want := `
# HELP flink_ha_backend_requests_total Requests to the backend by verb and outcome.
# TYPE flink_ha_backend_requests_total counter
flink_ha_backend_requests_total{outcome="ok",verb="patch"} 1
# HELP flink_ha_build_info Always 1; the version is in the label.
# TYPE flink_ha_build_info gauge
flink_ha_build_info{version="v1"} 1
# HELP flink_ha_jobmanager_leading 1 while this pod's JobManager is known to hold the lock.
# TYPE flink_ha_jobmanager_leading gauge
flink_ha_jobmanager_leading 1
# HELP flink_ha_jobmanager_up 1 while a JobManager process of this pod lives.
# TYPE flink_ha_jobmanager_up gauge
flink_ha_jobmanager_up 1
# HELP flink_ha_leader_changes_total Grants of the lock seen since the start, apart from the one that stood then.
# TYPE flink_ha_leader_changes_total counter
flink_ha_leader_changes_total 1
# HELP flink_ha_unbound_deaths_total JobManagers that ended while they may have held the lock without being bound to it: their lease runs out.
# TYPE flink_ha_unbound_deaths_total counter
flink_ha_unbound_deaths_total 1
# HELP flink_ha_watch_restarts_total Times that observing the lock was interrupted.
# TYPE flink_ha_watch_restarts_total counter
flink_ha_watch_restarts_total 1
`
	names := []string{"flink_ha_backend_requests_total", "flink_ha_build_info", "flink_ha_jobmanager_leading", "flink_ha_jobmanager_up",
		"flink_ha_leader_changes_total", "flink_ha_unbound_deaths_total", "flink_ha_watch_restarts_total"}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	for name, sum := range map[string]float64{"freed": 0.008, "granted": 0.5, "published": 0.1} {
		if got := phaseSum(t, reg, name); got < sum*0.999 || got > sum*1.001 {
			t.Errorf("phase %s took %v s, want %v", name, got, sum)
		}
	}
}

func phaseSum(t *testing.T, g prometheus.Gatherer, phase string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "flink_ha_failover_phase_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == phase {
				return m.GetHistogram().GetSampleSum()
			}
		}
	}
	t.Fatalf("no phase %s", phase)
	return 0
}

func TestMetricsFollowTheConventionsOfPrometheus(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := metrics.New(reg, "v1", func() *leader.Snapshot {
		return &leader.Snapshot{View: leader.View{Lock: leader.LockHeld, Lease: time.Second, Renewed: time.Now()}}
	}, noVerdict)
	for _, d := range failover() {
		m.Decided(d)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

func TestLockGaugesAreAbsentWhileNobodyHoldsTheLock(t *testing.T) {
	t.Parallel()
	for state, want := range map[leader.LockState]int{leader.LockVacant: 0, leader.LockHeld: 2} {
		reg := prometheus.NewPedanticRegistry()
		metrics.New(reg, "v1", func() *leader.Snapshot {
			return &leader.Snapshot{View: leader.View{Lock: state, Lease: time.Second, Renewed: time.Now()}}
		}, noVerdict)
		got, err := testutil.GatherAndCount(reg, "flink_ha_lock_age_seconds", "flink_ha_lock_margin_seconds")
		if err != nil || got != want {
			t.Errorf("lock %v: %d gauges, %v; want %d", state, got, err, want)
		}
	}
}
