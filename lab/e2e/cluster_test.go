package e2e

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// patience bounds every wait of a test.
const patience = time.Minute

// standIns are the options of a cluster of stand-ins whose lease runs out soon.
func (p *parts) standIns(args ...string) lab.ClusterOptions {
	return lab.ClusterOptions{
		ControlPlane: p.control, StandIn: p.standIn, StandInArgs: args,
		Sidecar: p.sidecar, SidecarKubeConfig: p.kubeConfig,
		RetryPeriod: 500 * time.Millisecond, LeaseDuration: 5 * time.Second, RenewDeadline: 4 * time.Second,
	}
}

// flink are the options of a cluster of real JobManagers with Flink's own lease.
func (p *parts) flink(t *testing.T, version string) lab.ClusterOptions {
	t.Helper()
	return lab.ClusterOptions{
		ControlPlane: p.control, Flink: labtest.Flink(t, version), Sidecar: p.sidecar, RetryPeriod: time.Second,
		// On a machine that has other work a JVM may need longer than 10 s to start.
		Extra: map[string]string{"pekko.startup-timeout": "60 s"},
	}
}

// long gives a cluster the lease that the sidecar makes bearable.
func long(o lab.ClusterOptions) lab.ClusterOptions {
	o.LeaseDuration, o.RenewDeadline = 180*time.Second, 170*time.Second
	return o
}

// lease replaces the lease of a cluster by one that does not run out while the
// test lasts: then only a release can end it.
func lease(o lab.ClusterOptions, d time.Duration) lab.ClusterOptions {
	o.LeaseDuration, o.RenewDeadline = d, d-2*time.Second
	return o
}

// start starts a cluster for one test. At its end no sidecar may have freed the
// lock of a JobManager that lived, or had a data race or a panic.
func start(t *testing.T, o lab.ClusterOptions) *lab.Cluster {
	t.Helper()
	c := labtest.Cluster(t, o)
	t.Cleanup(func() {
		for _, s := range c.Sidecars {
			checkLog(t, s.Log())
		}
		if err := c.CheckReleases(); err != nil && len(c.Sidecars) > 0 {
			t.Error(err)
		}
	})
	return c
}

func checkLog(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"DATA RACE", "panic:", "fatal error:"} {
		if strings.Contains(withoutZKRace(string(content)), bad) {
			t.Errorf("%s in %s:\n%s", bad, file, content)
		}
	}
}

// ready waits until a cluster is ready for a failover that its sidecars act on.
func ready(t *testing.T, c *lab.Cluster) *lab.JobManager {
	t.Helper()
	leader := labtest.Ready(t, c)
	if s := c.SidecarOf(leader); s != nil {
		awaitBound(t, c, s)
	}
	return leader
}

// awaitBound waits until a sidecar has bound the lock's present holder.
func awaitBound(t *testing.T, c *lab.Cluster, s *lab.Sidecar) {
	t.Helper()
	eventually(t, s.Name+" binds the holder", func() bool {
		holder := c.Lock.Last().Holder
		return holder != "" && said(t, s, msgBound, holder)
	})
}

// standbyOf is the one JobManager besides leader.
func standbyOf(t *testing.T, c *lab.Cluster, leader *lab.JobManager) *lab.JobManager {
	t.Helper()
	others := c.Standbys(leader)
	if len(others) != 1 {
		t.Fatalf("%d standbys, want 1", len(others))
	}
	return others[0]
}

// granted waits until one JobManager alone was granted the lead by its own log,
// and returns it: a leader that has not published an address of its own shows in
// no other way.
func granted(t *testing.T, c *lab.Cluster) *lab.JobManager {
	t.Helper()
	var leader *lab.JobManager
	eventually(t, "a JobManager is granted the lead", func() bool {
		for _, j := range c.JobManagers {
			events, err := lab.ReadFlinkLog(j.Log())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if e.Kind == lab.LogGranted && j.Alive() {
					leader = j
				}
			}
		}
		return leader != nil
	})
	return leader
}

func signal(t *testing.T, to interface {
	Signal(syscall.Signal) (time.Time, error)
}, s syscall.Signal) time.Time {
	t.Helper()
	at, err := to.Signal(s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for !yes() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
		select {
		case <-retry.C:
		case <-t.Context().Done():
			t.Fatalf("ended while waiting: %s", what)
		}
	}
}

// mustTakeOver kills the leader of a job: next leads after it, with every phase in its
// order. Fail itself checks that no tick is skipped and no two leaders' ticks mix.
func mustTakeOver(t *testing.T, c *lab.Cluster, next *lab.JobManager) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f, err := c.Fail(ctx, syscall.SIGKILL, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(f)
	if f.Next != next.Name {
		t.Errorf("%s leads after %s, want %s", f.Next, f.Leader, next.Name)
	}
	mustBeInOrder(t, f, lab.DeathSeen, lab.LockFreed, lab.LeaderGranted, lab.JobRunning, lab.FirstCheckpoint)
}
