package e2e

import (
	"context"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

func TestIntegrationLockOfKilledLeaderIsFreed(t *testing.T) {
	p := shared(t)
	o := lease(p.standIns(), 60*time.Second)
	o.SidecarKubeConfig = "" // exactly the rights that the documentation asks for
	c := start(t, o)
	leader := ready(t, c)
	s, next, held := c.SidecarOf(leader), standbyOf(t, c, leader), c.Lock.Last()

	signal(t, leader, syscall.SIGKILL)
	to := awaitTakeover(t, c, held)
	to.mustBeFreed(t, c)
	if leader.Alive() {
		t.Error("the lock was freed before the process had ended")
	}
	if at := awaitSaid(t, s, msgEnded).At; to.freed[0].At.Before(at) {
		t.Errorf("freed at %v, before the sidecar knew of the death at %v", to.freed[0].At, at)
	}
	eventually(t, next.Name+" leads", func() bool { return c.LeaderNow() == next })
	eventually(t, "one release is counted", func() bool { return released(t, s, "freed") == 1 })
	if n := metric(t, s, "flink_ha_backend_requests_total", `outcome="ok"`, `verb="patch"`); n != 1 {
		t.Errorf("%v successful patches counted, want 1", n)
	}
	mustNotFree(t, c.SidecarOf(next))
}

func TestIntegrationLockOfKilledFlinkIsFreed(t *testing.T) {
	for _, version := range versions(2, "2.3", "1.18", "1.20") {
		t.Run("Flink "+version, func(t *testing.T) {
			p := shared(t)
			c := start(t, p.flink(t, version))
			leader := ready(t, c)
			s, next := c.SidecarOf(leader), standbyOf(t, c, leader)

			mustTakeOver(t, c, next)
			if n := released(t, s, "freed"); n != 1 {
				t.Errorf("%v releases counted, want 1", n)
			}
			if phase := metric(t, s, "flink_ha_failover_phase_seconds_count", `phase="published"`); phase != 1 {
				t.Errorf("%v failovers counted up to the next leader's address, want 1", phase)
			}
			mustNotFree(t, c.SidecarOf(next))
		})
	}
}

// A crash takes as long with a lease of three minutes as with one of 15 s: Fail is
// given less time than that lease.
func TestIntegrationCrashFailoverDoesNotWaitForALongLease(t *testing.T) {
	p := shared(t)
	c := start(t, long(p.flink(t, "2.3")))
	leader := ready(t, c)
	s, held := c.SidecarOf(leader), c.Lock.Last()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f, err := c.Fail(ctx, syscall.SIGKILL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(f)
	mustBeInOrder(t, f, lab.DeathSeen, lab.LockFreed, lab.LeaderGranted, lab.JobRunning, lab.FirstCheckpoint)
	awaitTakeover(t, c, held).mustBeFreed(t, c)
	if n := released(t, s, "freed"); n != 1 {
		t.Errorf("%v releases counted, want 1", n)
	}
}

func mustBeInOrder(t *testing.T, f *lab.Failover, phases ...lab.Phase) {
	t.Helper()
	var last time.Duration
	for _, phase := range phases {
		after, reached := f.After[phase]
		if !reached || after < last {
			t.Errorf("%s: reached %v, after %v; the one before it after %v", phase, reached, after, last)
		}
		last = after
	}
}
