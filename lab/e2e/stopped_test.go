package e2e

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// deposed is the status that a leader ends with that finds its lock in other
// hands.
const deposed = 239

func TestIntegrationStoppedLeaderIsNeverFreed(t *testing.T) {
	p := shared(t)
	t.Parallel()
	c := start(t, p.standIns())
	leader := ready(t, c)
	s, held := c.SidecarOf(leader), c.Lock.Last()

	signal(t, leader, syscall.SIGSTOP)
	to := awaitTakeover(t, c, held)
	to.mustRunOut(t, c)
	if said(t, s, msgEnded) {
		t.Error("a stopped process is reported as ended")
	}
	signal(t, leader, syscall.SIGCONT)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var exit *exec.ExitError
	if err := leader.Wait(ctx); !errors.As(err, &exit) || exit.ExitCode() != deposed {
		t.Errorf("the old leader ended with %v, want status %d", err, deposed)
	}
	awaitSaid(t, s, msgEnded)
	mustStay(t, c, to.next, 2)
	mustNotFree(t, c.Sidecars...)
}

func TestIntegrationStoppedSidecarLeavesFlinkAsItIs(t *testing.T) {
	p := shared(t)
	t.Parallel()
	c := start(t, p.standIns())
	leader := ready(t, c)
	s, held := c.SidecarOf(leader), c.Lock.Last()

	signal(t, s, syscall.SIGSTOP)
	signal(t, leader, syscall.SIGKILL)
	to := awaitTakeover(t, c, held)
	to.mustRunOut(t, c)
	signal(t, s, syscall.SIGCONT)
	awaitSaid(t, s, msgEnded)
	mustStay(t, c, to.next, 2)
	mustNotFree(t, c.Sidecars...)
}

// While the sidecar is stopped its JobManager dies and the next one of the same
// pod leads, at the same address: what the sidecar knew is about another holder.
func TestIntegrationContinuedSidecarLeavesTheSuccessorAlone(t *testing.T) {
	p := shared(t)
	t.Parallel()
	o := p.standIns()
	o.JobManagers, o.StartAgain = 1, 100*time.Millisecond
	c := start(t, o)
	leader := ready(t, c)
	s, held := c.Sidecars[0], c.Lock.Last()

	signal(t, s, syscall.SIGSTOP)
	signal(t, leader, syscall.SIGKILL)
	to := awaitTakeover(t, c, held)
	to.mustRunOut(t, c)
	await(t, c, to.next, "the successor's address", func(v lab.LockVersion) bool { return v.LeaderIP() == leader.Address })
	signal(t, s, syscall.SIGCONT)
	awaitSaid(t, s, msgEnded)
	mustStay(t, c, to.next, 3)
	if !leader.Alive() {
		t.Error("the successor has ended")
	}
	mustNotFree(t, s)
}
