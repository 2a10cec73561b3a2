package e2e

import (
	"os"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// The sidecar is killed, at one moment or another, and started again with what
// its state directory holds, or without it.
func TestIntegrationSidecarKilled(t *testing.T) {
	restart := func(t *testing.T, s *lab.Sidecar) {
		t.Helper()
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	forget := func(t *testing.T, s *lab.Sidecar) {
		t.Helper()
		if err := os.RemoveAll(s.StateDir); err != nil {
			t.Fatal(err)
		}
	}
	kill := func(t *testing.T, j *lab.JobManager) {
		t.Helper()
		signal(t, j, syscall.SIGKILL)
	}
	for _, row := range []struct {
		name string
		// faults ends the leader and its sidecar, in some order.
		faults func(t *testing.T, s *lab.Sidecar, j *lab.JobManager)
		freed  bool
		// unbound is how many deaths are counted of a JobManager that was not bound.
		unbound float64
	}{
		{"before the JobManager, started again: freed", func(t *testing.T, s *lab.Sidecar, j *lab.JobManager) {
			t.Helper()
			s.Kill()
			restart(t, s)
			awaitReady(t, s)
			kill(t, j)
		}, true, 0},
		{"before the JobManager, started again after it: freed", func(t *testing.T, s *lab.Sidecar, j *lab.JobManager) {
			t.Helper()
			s.Kill()
			kill(t, j)
			<-j.Process().Done()
			restart(t, s)
		}, true, 0},
		{"with the JobManager, started again at once: freed", func(t *testing.T, s *lab.Sidecar, j *lab.JobManager) {
			t.Helper()
			kill(t, j)
			s.Kill()
			restart(t, s)
		}, true, 0},
		{"before the JobManager, started again without its state: runs out", func(t *testing.T, s *lab.Sidecar, j *lab.JobManager) {
			t.Helper()
			s.Kill()
			forget(t, s)
			restart(t, s)
			awaitReady(t, s)
			kill(t, j)
		}, false, 1},
		{"before the JobManager, started again after it without its state: runs out", func(t *testing.T, s *lab.Sidecar, j *lab.JobManager) {
			t.Helper()
			s.Kill()
			kill(t, j)
			<-j.Process().Done()
			forget(t, s)
			restart(t, s)
		}, false, 0},
		{"before the JobManager, not started again: runs out", func(t *testing.T, s *lab.Sidecar, j *lab.JobManager) {
			t.Helper()
			s.Kill()
			kill(t, j)
		}, false, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := shared(t)
			t.Parallel()
			o := p.standIns()
			if row.freed {
				o = lease(o, 60*time.Second)
			}
			c := start(t, o)
			leader := ready(t, c)
			s, held := c.SidecarOf(leader), c.Lock.Last()

			row.faults(t, s, leader)
			to := awaitTakeover(t, c, held)
			if row.freed {
				to.mustBeFreed(t, c)
			} else {
				to.mustRunOut(t, c)
			}
			if !s.Process().Alive() {
				return
			}
			awaitReadyOrIdle(t, s)
			if n := metric(t, s, "flink_ha_unbound_deaths_total"); n != row.unbound {
				t.Errorf("%v unbound deaths counted, want %v", n, row.unbound)
			}
		})
	}
}

// awaitReadyOrIdle waits until a sidecar has seen the lock: one whose JobManager
// has ended is never ready.
func awaitReadyOrIdle(t *testing.T, s *lab.Sidecar) {
	t.Helper()
	eventually(t, s.Name+" has seen the lock", func() bool {
		_, text := probe(t, s, "/readyz?verbose")
		return containsAll(text, []string{"[+]backend ok"})
	})
}

func TestIntegrationJobManagerThatIsBackAtOnceIsFreedEachTime(t *testing.T) {
	p := shared(t)
	t.Parallel()
	o := lease(p.standIns(), 60*time.Second)
	o.JobManagers, o.StartAgain = 1, 100*time.Millisecond
	c := start(t, o)
	leader := ready(t, c)
	s := c.Sidecars[0]
	for n := range 2 {
		awaitBound(t, c, s)
		held := c.Lock.Last()
		signal(t, leader, syscall.SIGKILL)
		awaitTakeover(t, c, held).mustBeFreed(t, c)
		eventually(t, "the release is counted", func() bool { return released(t, s, "freed") == float64(n+1) })
	}
	awaitBound(t, c, s)
	held := c.Lock.Last()
	mustStay(t, c, held, 2)
}

func TestIntegrationCrashLoopIsDamped(t *testing.T) {
	p := shared(t)
	t.Parallel()
	o := lease(p.standIns(), 15*time.Second)
	o.JobManagers, o.StartAgain = 1, 100*time.Millisecond
	c := start(t, o)
	leader := ready(t, c)
	s := c.Sidecars[0]
	const allowed = 3
	for range allowed {
		awaitBound(t, c, s)
		held := c.Lock.Last()
		signal(t, leader, syscall.SIGKILL)
		awaitTakeover(t, c, held).mustBeFreed(t, c)
	}
	awaitBound(t, c, s)
	held := c.Lock.Last()
	signal(t, leader, syscall.SIGKILL)
	awaitTakeover(t, c, held).mustRunOut(t, c)
	if line := awaitSaid(t, s, msgOutcome, "to:damped", "3 JobManagers of this pod died"); line.Level != "warn" {
		t.Errorf("the damper is logged as %s, want warn", line.Level)
	}
	if n := released(t, s, "freed"); n != allowed {
		t.Errorf("%v releases counted, want %d", n, allowed)
	}
}
