package kube_test

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/tools/clientcmd"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/kube"
	"flink-ha-sidecar/leader/leadertest"
)

// TestIntegrationContract runs the contract on a real API server, as a user with
// the rights of deploy/ and no more.
func TestIntegrationContract(t *testing.T) {
	plane := labtest.ControlPlane(t)
	leadertest.Contract(t, func(t *testing.T) leadertest.Harness {
		return newLock(t, plane).harness()
	})
}

// lock is one ConfigMap on the API server, written as Flink writes it, and a
// backend that reaches the server through a proxy.
type lock struct {
	plane   *lab.ControlPlane
	flink   *labtest.FlinkLock
	user    string
	proxy   *lab.Proxy
	backend *kube.Backend
	// watches counts those that the server has answered, cut those that were cut.
	watches, cut atomic.Int64
}

// rights are the verbs that the backend needs on the one object.
func rights(cluster string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"},
		ResourceNames: []string{kube.ConfigMapName(cluster)}, Verbs: verbs}
}

func newLock(t *testing.T, plane *lab.ControlPlane) *lock {
	t.Helper()
	l := &lock{plane: plane, flink: labtest.NewFlinkLock(t, plane, "c"+strings.ToLower(rand.Text()[:10]))}
	var kubeconfig string
	var err error
	kubeconfig, l.user, err = plane.UserKubeConfig(t.Context(), "default", rights(l.flink.ClusterID, "get", "watch", "patch"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	if l.proxy, err = lab.StartProxy(u.Hostname(), u.Host); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.proxy.Close)
	config.Host = "https://" + l.proxy.Address()
	if l.backend, err = kube.New(config, kube.Options{Namespace: "default", ClusterID: l.flink.ClusterID, Count: l.count}); err != nil {
		t.Fatal(err)
	}
	waitUntilGranted(t, l.backend)
	return l
}

// waitUntilGranted waits until the API server heeds the new rights.
func waitUntilGranted(t *testing.T, b *kube.Backend) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, err := b.Read(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("rights are not heeded: %v", err)
		}
		pause(t.Context(), 50*time.Millisecond)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (l *lock) harness() leadertest.Harness {
	f := l.flink
	return leadertest.Harness{
		Backend: l.backend,
		Acquire: f.Acquire, Fields: f.Fields, Renew: f.Renew, Vacate: f.Vacate, Unpublish: f.Unpublish,
		Touch: f.Touch, Delete: f.Delete, Corrupt: f.Corrupt, Gap: l.gap, Forbid: l.forbid,
		Publish: func(t testing.TB, component string, p leader.Publication) {
			t.Helper()
			f.Publish(t, component, p.Session, p.Address)
		},
		Outage: func(_ testing.TB, on bool) { l.proxy.Refuse(on) },
		Freeze: func(_ testing.TB, on bool) { l.proxy.Freeze(on) },
	}
}

func (l *lock) count(verb, outcome string) {
	if verb == "watch" && outcome == "ok" {
		l.watches.Add(1)
	}
}

// gap cuts a watch; while none runs there is nothing that could be missed.
func (l *lock) gap(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); l.watches.Load() == l.cut.Load(); {
		if time.Now().After(deadline) {
			t.Fatal("no watch is running")
		}
		pause(t.Context(), 5*time.Millisecond)
	}
	l.cut.Store(l.watches.Load())
	l.proxy.Cut()
}

// nobodys is a record that no object holds.
const nobodys = `{"holderIdentity":"nobody","leaseDuration":"PT15S","acquireTime":"2026-01-01T00:00:00.000000Z","renewTime":"2026-01-01T00:00:00.000000Z","leaderTransitions":0}`

// forbid leaves the right to look and takes the right to write.
func (l *lock) forbid(t testing.TB) string {
	t.Helper()
	if err := l.plane.Grant(t.Context(), "default", l.user, rights(l.flink.ClusterID, "get", "watch")); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		// A patch whose test cannot hold tells whether it is still permitted.
		_, err := l.backend.Release(t.Context(), leader.View{Record: nobodys}, "nobody")
		if err != nil && strings.Contains(err.Error(), "forbidden") {
			return kube.ConfigMapName(l.flink.ClusterID)
		}
		pause(t.Context(), 50*time.Millisecond)
	}
	t.Fatal("the right to write is not taken away")
	return ""
}
