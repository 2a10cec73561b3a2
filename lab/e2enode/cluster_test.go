package e2enode

import (
	"context"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"flink-ha-sidecar/lab"
)

// patience bounds every wait of a test.
const patience = 3 * time.Minute

// Outcomes that the sidecar counts.
const (
	releases = "flink_ha_releases_total"
	freed    = `outcome="freed"`
)

// slow tells whether the scenarios that take minutes are to run as well.
func slow() bool { return os.Getenv("FLINK_HA_LAB_SLOW") == "1" }

// skipUnlessSlow skips a scenario that CI has no time for.
func skipUnlessSlow(t *testing.T) {
	t.Helper()
	if !slow() {
		t.Skip("takes minutes; FLINK_HA_LAB_SLOW=1 runs it")
	}
}

// lease is so long that a takeover within a test cannot come from its end.
const lease = 2 * time.Minute

// options are those of a cluster with sidecars whose lease only a release ends.
func (p *parts) options() lab.PodOptions {
	return lab.PodOptions{
		Node: p.node, Flink: p.flink, Inject: lab.Inject(p.sidecar), RetryPeriod: time.Second, LeaseDuration: lease, RenewDeadline: lease - 10*time.Second,
		// On a machine that has other work a JVM may need longer than 10 s to start.
		Extra: map[string]string{"pekko.startup-timeout": "60 s"},
	}
}

// apart injects sidecars that see no process but their own, and have the kubelet's
// word alone.
func (p *parts) apart() func(context.Context, []byte) ([]byte, error) {
	return lab.Inject(p.sidecar, "--share-pids=false")
}

// start starts a cluster for one test and waits until it is ready. At its end the
// job must have lost no record, never have had two leaders at once, and no sidecar
// may have panicked.
func start(t *testing.T, o lab.PodOptions) (*lab.PodCluster, *corev1.Pod) {
	t.Helper()
	c, err := lab.StartPodCluster(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			describe(t, c)
		}
		c.Stop()
		ticks, err := c.Ticks()
		if err == nil {
			err = lab.CheckTicks(ticks)
		}
		if err != nil {
			t.Error(err)
		}
	})
	return c, ready(t, c)
}

func ready(t *testing.T, c *lab.PodCluster) *corev1.Pod {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	leader, err := c.WaitReady(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return leader
}

// describe says what the pods of a failed test came to.
func describe(t *testing.T, c *lab.PodCluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	pods, err := c.JobManagers(ctx)
	if err != nil {
		t.Log(err)
	}
	for _, pod := range pods {
		t.Logf("pod %s, %s, deleted %v", pod.Name, pod.Status.PodIP, pod.DeletionTimestamp)
		for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			t.Logf("  %s: ready %v, restarts %d, now %+v, before %+v", s.Name, s.Ready, s.RestartCount, s.State, s.LastTerminationState)
		}
		events, _ := c.SidecarLog(&pod)
		for _, e := range events[max(0, len(events)-8):] {
			t.Logf("  sidecar: %v", e.Fields)
		}
	}
}

// fail lets a fault befall the leader and waits until the next one has completed a
// checkpoint.
func fail(t *testing.T, c *lab.PodCluster, fault lab.PodFault) *lab.Failover {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f, err := c.Fail(ctx, fault)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(f)
	return f
}

// mustBeQuick fails the test unless the next leader took over before the lease of
// the one before it could run out.
func mustBeQuick(t *testing.T, f *lab.Failover) {
	t.Helper()
	if after := f.After[lab.LeaderPublished]; after > lease/2 {
		t.Errorf("the next leader published %v after the fault: the lease of %v ran out", after, lease)
	}
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	retry := time.NewTicker(200 * time.Millisecond)
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

// get reads a pod anew.
func get(t *testing.T, c *lab.PodCluster, name string) *corev1.Pod {
	t.Helper()
	pods, err := c.JobManagers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods {
		if pod.Name == name {
			return &pod
		}
	}
	t.Fatalf("there is no pod %s", name)
	return nil
}

// container is the status of a pod's container, native sidecars included.
func container(t *testing.T, pod *corev1.Pod, name string) corev1.ContainerStatus {
	t.Helper()
	for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("pod %s has no status of container %s", pod.Name, name)
	return corev1.ContainerStatus{}
}

// process is the one of a pod that runs a program.
func process(t *testing.T, c *lab.PodCluster, pod *corev1.Pod, program string) *lab.PodProcess {
	t.Helper()
	p, err := c.Process(pod, program)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// metric reads a metric of a pod's sidecar.
func metric(t *testing.T, c *lab.PodCluster, pod *corev1.Pod, name string, labels ...string) float64 {
	t.Helper()
	n, err := c.Metric(t.Context(), pod, name, labels...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// mustStay fails the test unless the tenure of held goes on, through n renewals
// from now on.
func mustStay(t *testing.T, c *lab.PodCluster, held lab.LockVersion, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience+time.Duration(n)*time.Second) // renewed once a second
	defer cancel()
	from := c.Lock.Last()
	renewed := map[string]bool{from.RenewTime: true}
	_, err := c.Lock.WaitFor(ctx, from.At, func(v lab.LockVersion) bool {
		if !v.SameTenure(held) {
			t.Fatalf("%s held the lock, now it says %q", held.Holder, v.Record)
		}
		renewed[v.RenewTime] = true
		return len(renewed) > n
	})
	if err != nil {
		t.Fatal(err)
	}
}
