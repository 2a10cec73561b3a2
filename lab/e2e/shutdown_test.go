package e2e

import (
	"context"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

func TestIntegrationDyingJVMThatTakesItsLockAgainIsFreedAtDeath(t *testing.T) {
	p := shared(t)
	t.Parallel()
	o := lease(p.standIns("--on-term", "retake", "--die-after", "2s"), 60*time.Second)
	o.JobManagers = 1 // a standby could take the lock in between
	c := start(t, o)
	leader := ready(t, c)
	s, held := c.Sidecars[0], c.Lock.Last()

	signal(t, leader, syscall.SIGTERM)
	own := await(t, c, held, "the leader's own release", lab.LockVersion.Free)
	retaken := await(t, c, own, "the same JVM again", func(v lab.LockVersion) bool { return v.Holder == held.Holder })
	if retaken.SameTenure(held) {
		t.Error("the lock was not let go of in between")
	}
	if !leader.Alive() {
		t.Error("the JVM ended before it took the lock again")
	}
	freed := await(t, c, retaken, "the sidecar's release", lab.LockVersion.Free)
	if freed.AcquireTime != retaken.AcquireTime || freed.RenewTime != "1970-01-01T00:00:00.000000Z" {
		t.Errorf("freed record %s after %s", freed.Record, retaken.Record)
	}
	awaitSaid(t, s, msgFreed, held.Holder)
	if n := released(t, s, "freed"); n != 1 {
		t.Errorf("%v releases counted, want 1", n)
	}
}

// SIGTERM reaches a classic sidecar together with its JobManager.
func TestIntegrationSidecarStaysUntilItsJobManagerHasEndedAndIsFree(t *testing.T) {
	p := shared(t)
	t.Parallel()
	c := start(t, lease(p.standIns("--on-term", "hold", "--die-after", "2s"), 60*time.Second))
	leader := ready(t, c)
	s, held := c.SidecarOf(leader), c.Lock.Last()

	signal(t, s, syscall.SIGTERM)
	signal(t, leader, syscall.SIGTERM)
	<-leader.Process().Done()
	awaitTakeover(t, c, held).mustBeFreed(t, c)
	mustEndWell(t, s)
	if s.Process().EndedAt().Before(leader.Process().EndedAt()) {
		t.Error("the sidecar ended before its JobManager")
	}
	freed, stopped := awaitSaid(t, s, msgFreed), awaitSaid(t, s, "stopped")
	if stopped.At.Before(freed.At) {
		t.Error("the sidecar stopped before the lock was free")
	}
}

func TestIntegrationSidecarLeavesALivingJobManagerAfterItsGrace(t *testing.T) {
	p := shared(t)
	t.Parallel()
	o := p.standIns("--on-term", "hold", "--die-after", "1h")
	o.SidecarArgs = []string{"--shutdown-grace", "1s"}
	c := start(t, o)
	leader := ready(t, c)
	s := c.SidecarOf(leader)

	signal(t, leader, syscall.SIGTERM)
	signal(t, s, syscall.SIGTERM)
	mustEndWell(t, s)
	awaitSaid(t, s, "shutdown grace is over", "jobmanager_alive:true")
	if !leader.Alive() {
		t.Error("the JobManager has ended")
	}
}

// mustEndWell waits for the end of a sidecar and fails the test unless it is an
// orderly one.
func mustEndWell(t *testing.T, s *lab.Sidecar) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Process().Wait(ctx); err != nil {
		t.Errorf("%s: %v", s.Name, err)
	}
}
