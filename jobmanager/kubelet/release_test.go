package kubelet_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/jobmanager/kubelet"
	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/kube"
)

// deaths of the benchmark that is part of this test.
const deaths = 100

// TestIntegrationKubeletsWord runs the loop on the kubelet's word alone, on a
// real API server: the test writes the pod's status as a kubelet would, and the
// lock as Flink would.
func TestIntegrationKubeletsWord(t *testing.T) {
	plane := labtest.ControlPlane(t)
	for name, test := range map[string]func(*testing.T, *pod){
		"a death that it tells frees the lock":                       deathFrees,
		"a status that lags never frees a successor's lock":          laggingStatus,
		"a container that started after the grant is not the holder": startedTooLate,
	} {
		t.Run(name, func(t *testing.T) { test(t, newPod(t, plane)) })
	}
}

func deathFrees(t *testing.T, p *pod) {
	took := make([]time.Duration, 0, deaths)
	for n := range deaths {
		container := fmt.Sprintf("containerd://%064d", n)
		p.runs(t, container, time.Now().Add(-2*time.Second))
		holder := p.leads(t)
		p.await(t, leader.Leading)
		written := p.terminates(t, container, time.Now())
		freed := p.awaitFreed(t, holder)
		took = append(took, freed.Sub(written))
	}
	slices.Sort(took)
	t.Logf("status written to lock freed, %d deaths: p50 %v, p99 %v, max %v", deaths, took[deaths/2], took[deaths*99/100], took[deaths-1])
}

// laggingStatus: the status still speaks of the last container when its successor
// already leads.
func laggingStatus(t *testing.T, p *pod) {
	died := time.Now().Add(-10 * time.Second)
	p.runs(t, "containerd://old", time.Now().Add(-time.Minute))
	holder := p.leads(t) // the successor's; the old container died 10 s ago
	p.await(t, leader.Leading)
	p.terminates(t, "containerd://old", died)
	p.await(t, leader.Refuted)
	p.lock.Renew(t, time.Now())
	p.awaitRenewed(t, holder)
	if got := p.lock.Fields(t)["record"]; !strings.Contains(got, holder) {
		t.Errorf("the living successor's lock was freed: %s", got)
	}
}

// startedTooLate: whoever holds the lock since before this container ran is
// somebody else.
func startedTooLate(t *testing.T, p *pod) {
	p.runs(t, "containerd://new", time.Now().Add(30*time.Second))
	p.leads(t)
	p.await(t, leader.Unbound)
	p.terminates(t, "containerd://new", time.Now())
	p.await(t, leader.UnboundDeath)
}

// pod is one on the API server, with a loop that watches over it.
type pod struct {
	pods  typed.PodInterface
	name  string
	lock  *labtest.FlinkLock
	loop  *leader.Loop
	plane *lab.ControlPlane

	mu    sync.Mutex
	freed map[string]time.Time
}

const podIP = "10.1.2.3"

func newPod(t *testing.T, plane *lab.ControlPlane) *pod {
	t.Helper()
	name := "jm-" + strings.ToLower(rand.Text()[:8])
	lock := labtest.NewFlinkLock(t, plane, name)
	backend, err := kube.New(plane.Config(), kube.Options{Namespace: "default", ClusterID: name})
	if err != nil {
		t.Fatal(err)
	}
	rules := leader.DefaultRules()
	rules.DamperReleases = deaths + 1
	p := newPodWith(t, plane, backend, rules)
	p.lock = lock
	return p
}

// newPodWith makes a pod and starts a loop that watches over a lock.
func newPodWith(t *testing.T, plane *lab.ControlPlane, backend leader.Backend, rules leader.Rules) *pod {
	t.Helper()
	p := &pod{name: "jm-" + strings.ToLower(rand.Text()[:8]), plane: plane, freed: make(map[string]time.Time)}
	client, err := typed.NewForConfig(plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	p.pods = client.Pods("default")
	automount := false
	_, err = p.pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: p.name},
		Spec: corev1.PodSpec{AutomountServiceAccountToken: &automount,
			Containers: []corev1.Container{{Name: "jobmanager", Image: "x"}, {Name: "flink-ha", Image: "y"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.start(t, backend, rules)
	return p
}

func (p *pod) start(t *testing.T, backend leader.Backend, rules leader.Rules) {
	t.Helper()
	client, err := apiserver.New(p.plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	rules.Self.IP = netip.MustParseAddr(podIP)
	p.loop = &leader.Loop{Backend: backend, Rules: rules, Report: p.report,
		Processes: kubelet.New(kubelet.Options{Client: client, Namespace: "default", Pod: p.name, Count: func(string, error) {}})}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.loop.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil && !errors.Is(err, leader.ErrGraceOver) {
			t.Error(err)
		}
	})
	p.until(t, "contact", func(s *leader.Snapshot) bool { return s.Contact && s.Looked })
}

// report notes when a release was acknowledged.
func (p *pod) report(_ *leader.Snapshot, d leader.Decision) {
	for _, e := range d.Events {
		if e.Kind == leader.CaseClosed && e.Case.Ending == leader.Freed {
			p.mu.Lock()
			p.freed[e.Holder] = time.Now()
			p.mu.Unlock()
		}
	}
}

// leads takes the lock and publishes, as a JobManager of this pod does.
func (p *pod) leads(t *testing.T) (holder string) {
	t.Helper()
	holder = strings.ToLower(rand.Text())
	p.lock.Acquire(t, holder, time.Now())
	p.until(t, "the new tenure", func(s *leader.Snapshot) bool { return s.View.Tenure.Holder == holder })
	p.lock.Publish(t, leader.RESTServer, rand.Text(), "http://"+podIP+":8081")
	return holder
}

func (p *pod) runs(t *testing.T, container string, started time.Time) {
	t.Helper()
	p.status(t, corev1.ContainerStatus{ContainerID: container, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(started)}}})
	p.until(t, "the container runs", func(s *leader.Snapshot) bool {
		one, sole := s.Evidence.Sole()
		return sole && one.ContainerID == container
	})
}

// terminates returns when the API server had acknowledged the status.
func (p *pod) terminates(t *testing.T, container string, at time.Time) time.Time {
	t.Helper()
	p.status(t, corev1.ContainerStatus{ContainerID: container, State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ContainerID: container, Reason: "Error", ExitCode: 137, FinishedAt: metav1.NewTime(at)}}})
	return time.Now()
}

func (p *pod) status(t *testing.T, cs corev1.ContainerStatus) {
	t.Helper()
	cs.Name = "jobmanager"
	got, err := p.pods.Get(t.Context(), p.name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got.Status.ContainerStatuses = []corev1.ContainerStatus{cs}
	if _, err := p.pods.UpdateStatus(t.Context(), got, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (p *pod) await(t *testing.T, want leader.Outcome) {
	t.Helper()
	p.until(t, want.String(), func(s *leader.Snapshot) bool { return s.Outcome == want })
}

func (p *pod) awaitRenewed(t *testing.T, holder string) {
	t.Helper()
	renewed := p.loop.Snapshot().View.Renewed
	p.until(t, "the renewal is seen", func(s *leader.Snapshot) bool {
		return s.View.Tenure.Holder == holder && !s.View.Renewed.Before(renewed) && s.Outcome != leader.Freeing
	})
}

func (p *pod) awaitFreed(t *testing.T, holder string) (at time.Time) {
	t.Helper()
	p.until(t, "the lock is freed", func(*leader.Snapshot) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		at = p.freed[holder]
		return !at.IsZero()
	})
	return at
}

func (p *pod) until(t *testing.T, what string, holds func(*leader.Snapshot) bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(30 * time.Second)
	for !holds(p.loop.Snapshot()) {
		if time.Now().After(deadline) {
			s := p.loop.Snapshot()
			t.Fatalf("waited for %s; the outcome is %v (%s), evidence %+v", what, s.Outcome, s.Reason, s.Evidence)
		}
		<-tick.C
	}
}
