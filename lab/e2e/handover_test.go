package e2e

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// refused runs a handover that must change nothing and say why in one line.
func refused(t *testing.T, c *lab.Cluster, s *lab.Sidecar, says ...string) {
	t.Helper()
	held := c.Lock.Last()
	text, code := s.Command(t.Context(), "handover")
	if code != 1 || !containsAll(text, says) || strings.Count(text, "\n") != 1 {
		t.Errorf("exit code %d, %q; want 1 and one line with %q", code, text, says)
	}
	if now := c.Lock.Last(); now.Holder != held.Holder || now.AcquireTime != held.AcquireTime {
		t.Errorf("the lock went from %s to %s", held.Holder, now.Holder)
	}
}

func TestIntegrationHandover(t *testing.T) {
	p := shared(t)
	t.Parallel()
	// One that is back before the standby looks may lead again: a JVM takes seconds.
	o := lease(p.standIns(), 60*time.Second)
	o.StartAgain = 10 * time.Second
	c := start(t, o)
	leader := ready(t, c)
	standby := standbyOf(t, c, leader)
	s, other := c.SidecarOf(leader), c.SidecarOf(standby)
	awaitStandby(t, other)

	refused(t, c, other, "not known to lead", "standby", leader.Address)
	command(t, s, "pause", "--for", "1m")
	awaitPaused(t, c, 1)
	refused(t, c, s, "paused until", "--force")
	command(t, s, "resume")
	awaitPaused(t, c, 0)

	held := c.Lock.Last()
	text := command(t, s, "handover")
	for _, part := range []string{"ready to take over: " + standby.PodName(), "SIGTERM to PID", "the leader is now at " + standby.Address, "--delete-pod"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
	if next := c.Lock.Last(); next.Holder == held.Holder || next.LeaderIP() != standby.Address {
		t.Errorf("%s leads at %s, want %s", next.Holder, next.LeaderIP(), standby.Address)
	}
	var e *entry
	eventually(t, "the history has it", func() bool { e = endOf(history(t, other), held.Holder); return e != nil && e.Next.Address != "" })
	if e.End.Cause != "handover" || e.End.Pod != leader.PodName() {
		t.Errorf("the history tells %+v", *e)
	}
}

func awaitStandby(t *testing.T, s *lab.Sidecar) {
	t.Helper()
	eventually(t, s.Name+" stands by, ready", func() bool {
		code, _ := probe(t, s, "/standby")
		return code == 200
	})
}

func TestIntegrationHandoverNeedsAReadyStandby(t *testing.T) {
	p := shared(t)
	t.Parallel()
	o := lease(p.standIns(), 60*time.Second)
	c := start(t, o)
	leader := ready(t, c)
	standby := standbyOf(t, c, leader)
	s := c.SidecarOf(leader)
	awaitStandby(t, c.SidecarOf(standby))
	signal(t, standby, syscall.SIGKILL)
	<-standby.Process().Done()
	eventually(t, "its sidecar has noticed", func() bool {
		code, _ := probe(t, c.SidecarOf(standby), "/standby")
		return code == 503
	})
	refused(t, c, s, "no standby is known to be ready", standby.Name, "--force")
	c.SidecarOf(standby).Kill()
	refused(t, c, s, standby.Name, "connection refused")

	held := c.Lock.Last()
	text, code := s.Command(t.Context(), "handover", "--force", "--wait", "3s")
	if code != 1 || !containsAll(text, []string{"--force says", "no JobManager has taken the lock within 3s"}) {
		t.Errorf("exit code %d, %q", code, text)
	}
	if now := c.Lock.Last(); !now.Free() {
		t.Errorf("after %s the lock says %s, want it free", held.Holder, now.Record)
	}
}

// A preStop hook of a JobManager that stands by, or whose sidecar is gone, passes.
func TestIntegrationPreStopNeverFails(t *testing.T) {
	p := shared(t)
	t.Parallel()
	c := start(t, lease(p.standIns(), 60*time.Second))
	leader := ready(t, c)
	s, other := c.SidecarOf(leader), c.SidecarOf(standbyOf(t, c, leader))
	held := c.Lock.Last()
	for name, sidecar := range map[string]*lab.Sidecar{"leader": s, "standby": other} {
		if text, code := sidecar.Command(t.Context(), "handover", "--pre-stop"); code != 0 {
			t.Errorf("%s: exit code %d: %s", name, code, text)
		}
	}
	other.Kill()
	if text, code := other.Command(t.Context(), "handover", "--pre-stop"); code != 0 {
		t.Errorf("without its sidecar: exit code %d: %s", code, text)
	}
	if now := c.Lock.Last(); now.Holder != held.Holder || !leader.Alive() {
		t.Errorf("the lock went from %s to %s", held.Holder, now.Holder)
	}
	signal(t, leader, syscall.SIGKILL) // the kubelet's part
	awaitTakeover(t, c, held).mustBeFreed(t, c)
	var e *entry
	eventually(t, "the history has it", func() bool { e = endOf(history(t, s), held.Holder); return e != nil })
	if e.End.Cause != "handover" {
		t.Errorf("the history tells %+v", *e)
	}
}

// handsOver hands a real job over, with a checkpoint just before.
func handsOver(t *testing.T, c *lab.Cluster) {
	t.Helper()
	labtest.Ready(t, c)
	for _, s := range c.Sidecars {
		eventually(t, s.Name+" is ready", func() bool { code, _ := probe(t, s, "/readyz"); return code == 200 })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	f, report, err := c.Handover(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s; checkpoint %s after %d ms", f, report.Checkpoint, report.CheckpointMS)
	if report.Checkpoint != "completed" || report.By != "SIGTERM" || report.PublishedMS == nil {
		t.Errorf("the report: %+v", report)
	}
	// 50 ticks a second, checkpoints every second: without one of its own it would be
	// 25 on average, and as many again for the time until the JobManager has ended.
	if f.Replayed > 50 {
		t.Errorf("%d records were replayed", f.Replayed)
	}
}

func TestIntegrationHandoverOfARealJob(t *testing.T) {
	p := shared(t)
	handsOver(t, start(t, p.flink(t, lab.FlinkVersions[0])))
}

func TestIntegrationHandoverOfARealJobWithZooKeeper(t *testing.T) {
	slow(t)
	z := labtest.ZooKeeper(t, lab.ZooKeeperOptions{})
	t.Setenv("KUBECONFIG", "")
	handsOver(t, start(t, lab.ClusterOptions{ZooKeeper: z, Flink: labtest.Flink(t, lab.FlinkVersions[0]), Sidecar: labtest.Sidecar(t),
		Extra: map[string]string{"pekko.startup-timeout": "60 s"}}))
}
