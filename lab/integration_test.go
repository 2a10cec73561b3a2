package lab_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

func TestIntegrationControlPlane(t *testing.T) {
	c := labtest.ControlPlane(t)
	maps, err := c.ConfigMaps("default")
	if err != nil {
		t.Fatal(err)
	}
	create := func(name string) {
		t.Helper()
		object := &v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := maps.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("a user may do what the rules say and nothing else", func(t *testing.T) {
		create("mine")
		create("other")
		path, _, err := c.UserKubeConfig(t.Context(), "default", rbacv1.PolicyRule{
			APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"mine"}, Verbs: []string{"get"},
		})
		if err != nil {
			t.Fatal(err)
		}
		config, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			t.Fatal(err)
		}
		client, err := corev1.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		mine := client.ConfigMaps("default")
		// RBAC heeds a new role within moments.
		labtest.Until(t, "the right to read", func() bool {
			_, err := mine.Get(t.Context(), "mine", metav1.GetOptions{})
			return err == nil
		})
		if _, err := mine.Get(t.Context(), "other", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("read the other: %v, want forbidden", err)
		}
	})

	t.Run("a watch goes on over an API server that was killed", func(t *testing.T) {
		watch, err := lab.NewLockWatch(c, "default", "watched")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); watch.Run(ctx) }()
		defer func() { cancel(); <-done }()
		begin := time.Now()
		seen := func(what string, match func(lab.LockVersion) bool) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := watch.WaitFor(ctx, begin, match); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		seen("its absence", func(v lab.LockVersion) bool { return v.Gone })
		create("watched")
		seen("its creation", func(v lab.LockVersion) bool { return !v.Gone && !v.Gap })
		c.KillAPIServer()
		if err := c.StartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := maps.Delete(t.Context(), "watched", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		begin = time.Now().Add(-time.Second)
		seen("its removal", func(v lab.LockVersion) bool { return v.Gone })
	})

	t.Run("a frozen API server answers nobody and then goes on", func(t *testing.T) {
		if err := c.FreezeAPIServer(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := maps.List(ctx, metav1.ListOptions{}); err == nil {
			t.Error("it answered")
		}
		if err := c.ContinueAPIServer(); err != nil {
			t.Fatal(err)
		}
		if _, err := maps.List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// The stand-in must behave as Flink does where the sidecar's tests rely on it.
func TestIntegrationStandIn(t *testing.T) {
	c, binary := labtest.ControlPlane(t), labtest.StandIn(t)
	const retry, lease = 200 * time.Millisecond, 3 * time.Second
	start := func(t *testing.T, args ...string) (*lab.Cluster, *lab.JobManager) {
		t.Helper()
		cluster := labtest.Cluster(t, lab.ClusterOptions{
			ControlPlane: c, StandIn: binary, StandInArgs: args, RetryPeriod: retry, LeaseDuration: lease, RenewDeadline: 2 * time.Second,
		})
		return cluster, labtest.Ready(t, cluster)
	}
	fail := func(t *testing.T, cluster *lab.Cluster, s syscall.Signal) *lab.Failover {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		f, err := cluster.Fail(ctx, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(f)
		return f
	}

	t.Run("a killed leader's lock runs out", func(t *testing.T) {
		cluster, _ := start(t, "--memory", "50")
		f := fail(t, cluster, syscall.SIGKILL)
		if _, freed := f.After[lab.LockFreed]; freed || f.After[lab.LeaderGranted] < lease-retry-lease/10 {
			t.Errorf("got %v; want a grant after the lease of %v", f, lease)
		}
	})
	t.Run("a released lock is taken at the next poll", func(t *testing.T) {
		cluster, _ := start(t, "--on-term", "release")
		f := fail(t, cluster, syscall.SIGTERM)
		if _, freed := f.After[lab.LockFreed]; !freed || f.After[lab.LeaderGranted] > lease/2 {
			t.Errorf("got %v; want it freed, and a grant within 2.2 x %v", f, retry)
		}
	})
	t.Run("a lock retaken while shutting down runs out", func(t *testing.T) {
		cluster, _ := start(t, "--on-term", "retake")
		f := fail(t, cluster, syscall.SIGTERM)
		if _, freed := f.After[lab.LockFreed]; freed || f.After[lab.LeaderGranted] < lease-retry-lease/10 {
			t.Errorf("got %v; want a grant after the lease of %v", f, lease)
		}
	})
	t.Run("a leader that finds its lock freed dies as Flink does", func(t *testing.T) {
		cluster, leader := start(t)
		maps, err := c.ConfigMaps("default")
		if err != nil {
			t.Fatal(err)
		}
		lock := cluster.Lock.Last()
		free := strings.Replace(lock.Record, lock.Holder, "", 1)
		patch := `{"metadata":{"annotations":{"control-plane.alpha.kubernetes.io/leader":` + quote(free) + `}}}`
		if _, err := maps.Patch(t.Context(), cluster.Settings.LockName(), "application/merge-patch+json", []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		labtest.Until(t, "its end", func() bool { return !leader.Alive() })
		labtest.Until(t, "another leader", func() bool { l := cluster.LeaderNow(); return l != nil && l != leader })
		if got := leader.Process().ExitCode(); got != 239 {
			t.Errorf("exit status %d, want 239", got)
		}
	})
	t.Run("a leader that cannot renew gives up and contends again", func(t *testing.T) {
		cluster, leader := start(t)
		if err := c.FreezeAPIServer(); err != nil {
			t.Fatal(err)
		}
		labtest.Until(t, "the leader to give up", func() bool { return strings.Contains(labtest.Read(t, leader.Log()), "revoked the leadership") })
		if err := c.ContinueAPIServer(); err != nil {
			t.Fatal(err)
		}
		labtest.Until(t, "a leader", func() bool { return cluster.LeaderNow() != nil })
		if !leader.Alive() {
			t.Error("it ended instead")
		}
	})
	t.Run("a leader may be asked not to publish", func(t *testing.T) {
		cluster := labtest.Cluster(t, lab.ClusterOptions{ControlPlane: c, StandIn: binary, StandInArgs: []string{"--publish=false"}, RetryPeriod: retry})
		labtest.Until(t, "a holder that has renewed", func() bool {
			v := cluster.Lock.Last()
			return v.Holder != "" && v.RenewTime != v.AcquireTime
		})
		if got := cluster.Lock.Last().Addresses; len(got) != 0 {
			t.Errorf("published %v", got)
		}
	})
}

func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }
