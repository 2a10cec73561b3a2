package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

func TestIntegrationStandbyKilledBeforeItLedChangesNothing(t *testing.T) {
	p := shared(t)
	t.Parallel()
	c := start(t, p.standIns())
	leader := ready(t, c)
	standby := standbyOf(t, c, leader)
	s := c.SidecarOf(standby)
	// Within the first two seconds of a tenure nobody can say who the holder is.
	held := await(t, c, c.Lock.Last(), "a tenure of three seconds", func(v lab.LockVersion) bool {
		return timeOf(t, v.RenewTime).Sub(timeOf(t, v.AcquireTime)) > 3*time.Second
	})

	signal(t, standby, syscall.SIGKILL)
	awaitSaid(t, s, msgEnded)
	mustStay(t, c, held, 3)
	if n := metric(t, s, "flink_ha_unbound_deaths_total"); n != 0 {
		t.Errorf("%v unbound deaths counted, want none", n)
	}
	mustNotFree(t, c.Sidecars...)
}

func TestIntegrationLeaderKilledBeforeItPublishedIsNotBound(t *testing.T) {
	p := shared(t)
	t.Parallel()
	c := start(t, p.standIns("--publish=false"))
	leader := granted(t, c)
	s := c.SidecarOf(leader)
	awaitReady(t, s)
	held := await(t, c, lab.LockVersion{}, "the lock", func(v lab.LockVersion) bool { return v.Holder != "" })

	signal(t, leader, syscall.SIGKILL)
	awaitTakeover(t, c, held).mustRunOut(t, c)
	awaitSaid(t, s, "JobManager ended without being bound", "not published its address")
	if n := metric(t, s, "flink_ha_unbound_deaths_total"); n != 1 {
		t.Errorf("%v unbound deaths counted, want 1", n)
	}
	mustNotFree(t, c.Sidecars...)
}

func TestIntegrationAdvertisedNameTurnsTheGuardOff(t *testing.T) {
	p := shared(t)
	t.Parallel()
	o := p.standIns()
	o.Extra = map[string]string{"jobmanager.rpc.address": "localhost"}
	c := start(t, o)
	leader := granted(t, c)
	s := c.SidecarOf(leader)
	held := await(t, c, lab.LockVersion{}, "the name as the leader's address", func(v lab.LockVersion) bool {
		return strings.Contains(v.Fresh["dispatcher"], "@localhost:")
	})
	awaitSaid(t, s, msgRefused, "jobmanager.rpc.address: localhost")
	eventually(t, "the outcome is guard-off", func() bool { return said(t, s, msgOutcome, "to:guard-off") })

	signal(t, leader, syscall.SIGKILL)
	awaitTakeover(t, c, held).mustRunOut(t, c)
	awaitSaid(t, s, msgEnded)
	mustNotFree(t, c.Sidecars...)
}

func TestIntegrationWrongClusterIDIsExplained(t *testing.T) {
	p := shared(t)
	t.Parallel()
	c := start(t, p.standIns()) // one cluster that there is
	ready(t, c)
	for _, row := range []struct {
		name  string
		verbs []string
		want  []string
	}{
		{"with the right to list it names the locks that there are", []string{"get", "watch", "patch", "list"},
			[]string{"but others like it do", c.Settings.LockName()}},
		{"without it says what it may not do", []string{"get", "watch", "patch"},
			[]string{"is the cluster id right", `cannot list resource "configmaps"`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			o := p.standIns()
			o.JobManagers, o.SidecarArgs = 1, []string{"--cluster-id", "mistyped"}
			var err error
			if o.SidecarKubeConfig, _, err = p.control.UserKubeConfig(t.Context(), "default", onConfigMaps(row.verbs...)); err != nil {
				t.Fatal(err)
			}
			mistyped := start(t, o)
			s := mistyped.Sidecars[0]
			awaitSaid(t, s, msgRefused, mistyped.Settings.ClusterID, "mistyped", "--cluster-id")
			awaitSaid(t, s, "ConfigMap default/mistyped-cluster-config-map does not exist", row.want...)
			mustLive(t, s)
			mustNotFree(t, s)
		})
	}
}
