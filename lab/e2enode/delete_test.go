package e2enode

import (
	"context"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

func TestIntegrationDeletedPod(t *testing.T) {
	skipUnlessSlow(t)
	p := shared(t)
	c, leader := start(t, p.options())
	f := fail(t, c, c.PodDeleted)
	mustBeQuick(t, f)
	if f.Next == leader.Name {
		t.Errorf("the deleted pod %s leads", f.Next)
	}
	ready(t, c)
}

// A rolling update hands the lead on at most once for each pod, never to a
// JobManager that is still starting, and never waits for a lease.
func TestIntegrationRollingUpdate(t *testing.T) {
	skipUnlessSlow(t)
	p := shared(t)
	c, _ := start(t, p.options())
	r := roll(t, c)
	if len(r.Gaps) == 0 || len(r.Gaps) > c.Replicas {
		t.Errorf("%d times without a leader, want 1 to %d", len(r.Gaps), c.Replicas)
	}
	for _, gap := range r.Gaps {
		next := c.LeaderAt(gap.To)
		at, err := c.Contended(next)
		if err != nil {
			t.Error(err)
		} else if at.After(gap.From) {
			t.Errorf("%s was no hot standby: it began to ask for the lock %v after the leader was gone", next, at.Sub(gap.From))
		}
	}
}

func roll(t *testing.T, c *lab.PodCluster) *lab.Rollout {
	t.Helper()
	r, err := c.Roll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("update of %v, %d times without a leader, %v together: %v; replayed %d, silence %v",
		r.End.Sub(r.Begin).Round(time.Millisecond), len(r.Gaps), lab.Sum(r.Gaps).Round(time.Millisecond), r.Gaps, r.Replayed, r.Silence)
	return r
}

// A pod that is gone from the API is not a process that has ended: with the
// kubelet hung, nobody has ended it. Its token is void from that moment on, so the
// JobManager cannot renew; the lock passes on when it has run out, as it does
// without sidecars, and the old leader has given up by then.
func TestIntegrationPodDeletedByForceWhileItLives(t *testing.T) {
	skipUnlessSlow(t)
	p := shared(t)
	t.Run("with the process in view", func(t *testing.T) { forceDelete(t, p, p.options()) })
	t.Run("with the kubelet's word alone", func(t *testing.T) {
		o := p.options()
		o.Inject = p.apart()
		forceDelete(t, p, o)
	})
}

func forceDelete(t *testing.T, p *parts, o lab.PodOptions) {
	t.Helper()
	o.LeaseDuration, o.RenewDeadline = 20*time.Second, 15*time.Second
	c, leader := start(t, o)
	held, jvm := c.Lock.Last(), process(t, c, leader, lab.JobManagerProgram)
	if err := p.node.FreezeKubelet(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.node.ContinueKubelet() })
	if err := c.ForceDelete(t.Context(), leader); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	last := held
	next, err := c.Lock.WaitFor(ctx, held.At, func(v lab.LockVersion) bool {
		if v.Free() {
			t.Fatalf("the lock of a JobManager that lives was freed: %s", v.Record)
		}
		if v.Holder == held.Holder {
			last = v
		}
		return v.Holder != held.Holder
	})
	if err != nil {
		t.Fatal(err)
	}
	if !jvm.Alive() {
		t.Error("the JVM has ended: this test shows nothing")
	}
	if over := timeOf(t, last.RenewTime).Add(o.LeaseDuration); timeOf(t, next.AcquireTime).Before(over) {
		t.Errorf("the next leader took the lock at %s, the lease of the one that lives ran until %v", next.AcquireTime, over)
	}
	if err := p.node.ContinueKubelet(); err != nil {
		t.Fatal(err)
	}
	ready(t, c)
	if jvm.Alive() {
		t.Error("the kubelet has not ended the deleted pod's JVM")
	}
}

func timeOf(t *testing.T, recorded string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05.000000Z", recorded)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// A container that crashes again and again is left waiting by the kubelet. The
// standby leads meanwhile, and each of the crashes that held the lock is freed.
func TestIntegrationCrashLoop(t *testing.T) {
	skipUnlessSlow(t)
	p := shared(t)
	c, leader := start(t, p.options())
	mustBeQuick(t, fail(t, c, lab.Signalled(syscall.SIGKILL)))
	eventually(t, leader.Name+" waits in CrashLoopBackOff", func() bool {
		pod := get(t, c, leader.Name)
		if waiting := container(t, pod, "jobmanager").State.Waiting; waiting != nil && waiting.Reason == "CrashLoopBackOff" {
			return true
		}
		if jvm, err := c.Process(pod, lab.JobManagerProgram); err == nil {
			_, _ = jvm.Signal(syscall.SIGKILL) // it may have ended already
		}
		return false
	})
	pod := get(t, c, leader.Name)
	if s := container(t, pod, "flink-ha"); s.RestartCount != 0 || s.State.Running == nil {
		t.Errorf("the sidecar beside it: %+v, want it to run on", s)
	}
	held := c.Lock.Last()
	mustStay(t, c, held, 3)
	if ip := held.LeaderIP(); ip == pod.Status.PodIP {
		t.Errorf("the crashing pod leads")
	}
	ready(t, c) // it comes back as a standby
	mustStay(t, c, held, 1)
	if n := metric(t, c, pod, releases, freed); n != 1 {
		t.Errorf("%v locks freed, want 1: the later runs never led", n)
	}
}
