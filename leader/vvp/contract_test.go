package vvp_test

import (
	"context"
	"crypto/rand"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/leadertest"
	"flink-ha-sidecar/leader/vvp"
)

// TestIntegrationContract runs the contract on a real API server, as a user with the
// rights that the backend names and no more.
func TestIntegrationContract(t *testing.T) {
	plane := labtest.ControlPlane(t)
	leadertest.Contract(t, func(t *testing.T) leadertest.Harness {
		return newLock(t, plane).harness()
	})
}

// recordKey is where the record stands.
const recordKey = "lock.json"

// lock is one ConfigMap, written as another pod's sidecar writes it, and an elector
// without a gate that reaches the server through a proxy.
type lock struct {
	plane   *lab.ControlPlane
	name    string
	user    string
	admin   typed.ConfigMapInterface
	proxy   *lab.Proxy
	backend *vvp.Elector
	failed  chan struct{}
}

func rights(name string, verbs ...string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{name}, Verbs: verbs},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: vvp.RightsUnnamed},
	}
}

func newLock(t *testing.T, plane *lab.ControlPlane) *lock {
	t.Helper()
	cluster := "c" + strings.ToLower(rand.Text()[:10])
	l := &lock{plane: plane, name: vvp.ConfigMapName(cluster), failed: make(chan struct{}, 1)}
	kubeconfig, user, err := plane.UserKubeConfig(t.Context(), "default", rights(l.name, vvp.Rights...)...)
	fatal(t, err)
	l.user = user
	l.admin, err = plane.ConfigMaps("default")
	fatal(t, err)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	fatal(t, err)
	u, err := url.Parse(config.Host)
	fatal(t, err)
	l.proxy, err = lab.StartProxy(u.Hostname(), u.Host)
	fatal(t, err)
	t.Cleanup(l.proxy.Close)
	config.Host = "https://" + l.proxy.Address()
	timing := vvp.DefaultTiming()
	timing.RetryPeriod, timing.CallTimeout = 50*time.Millisecond, time.Second
	l.backend, err = vvp.New(config, vvp.Options{
		Namespace: "default", ClusterID: cluster, Count: l.count,
		Rules: vvp.Rules{Timing: timing, Pod: "jm-0", Run: "r"},
	})
	fatal(t, err)
	for deadline := time.Now().Add(20 * time.Second); ; {
		_, err := l.backend.Read(t.Context())
		if err == nil {
			return l
		}
		if time.Now().After(deadline) {
			t.Fatalf("rights are not heeded: %v", err)
		}
		pause(t.Context(), 50*time.Millisecond)
	}
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
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

func (l *lock) count(_, outcome string) {
	if outcome == "unavailable" {
		select {
		case l.failed <- struct{}{}:
		default:
		}
	}
}

// change writes with compare-and-swap until it has an effect; it makes the object.
func (l *lock) change(t testing.TB, edit func(*corev1.ConfigMap)) {
	t.Helper()
	for {
		cm, err := l.admin.Get(t.Context(), l.name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			cm, err = l.admin.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: l.name}}, metav1.CreateOptions{})
		}
		fatal(t, err)
		if cm.Data == nil {
			cm.Data = make(map[string]string)
		}
		edit(cm)
		if _, err = l.admin.Update(t.Context(), cm, metav1.UpdateOptions{}); err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			t.Fatal(err)
		}
	}
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000000Z") }

func (l *lock) record(t testing.TB, edit func(*vvp.Record)) {
	t.Helper()
	l.change(t, func(cm *corev1.ConfigMap) {
		uid := string(cm.UID)
		r, err := vvp.ParseRecord(uid, cm.Data[recordKey])
		fatal(t, err)
		r.Renewals++
		edit(&r)
		cm.Data[recordKey] = r.Text(uid)
	})
}

func (l *lock) harness() leadertest.Harness {
	return leadertest.Harness{
		Backend: l.backend, Verb: "update",
		Acquire: func(t testing.TB, holder string, at time.Time) {
			t.Helper()
			l.change(t, func(cm *corev1.ConfigMap) {
				uid := string(cm.UID)
				before, _ := vvp.ParseRecord(uid, cm.Data[recordKey]) // a new object has none
				cm.Data[recordKey] = vvp.Record{
					Holder: holder, Counter: before.Counter + 1, Acquired: stamp(at), Renewed: stamp(at),
					LeaseMS: leadertest.DefaultLease.Milliseconds(),
				}.Text(uid)
			})
		},
		Renew: func(t testing.TB, at time.Time) {
			t.Helper()
			l.record(t, func(r *vvp.Record) { r.Renewed = stamp(at) })
		},
		Vacate: func(t testing.TB, at time.Time) {
			t.Helper()
			l.record(t, func(r *vvp.Record) { *r = r.Freed(at) })
		},
		Publish: func(t testing.TB, component string, p leader.Publication) {
			t.Helper()
			if strings.HasPrefix(component, "job-") {
				return // only Flink's own services publish those
			}
			l.record(t, func(r *vvp.Record) {
				published := maps.Clone(r.Published)
				if published == nil {
					published = make(map[string]vvp.Published)
				}
				published[component] = vvp.Published{Session: p.Session, Address: p.Address}
				r.Published = published
			})
		},
		Unpublish: func(t testing.TB, component string) {
			t.Helper()
			l.record(t, func(r *vvp.Record) { delete(r.Published, component) })
		},
		Touch: func(t testing.TB) {
			t.Helper()
			l.change(t, func(cm *corev1.ConfigMap) { cm.Data["touched"] = rand.Text() })
		},
		Delete: func(t testing.TB) {
			t.Helper()
			fatal(t, l.admin.Delete(t.Context(), l.name, metav1.DeleteOptions{}))
		},
		Corrupt: func(t testing.TB) {
			t.Helper()
			l.change(t, func(cm *corev1.ConfigMap) {
				cm.Data[recordKey] = strings.Replace(cm.Data[recordKey], `"holder":"`, `"holder":"x`, 1)
			})
		},
		Fields: l.fields, Gap: l.gap, Forbid: l.forbid,
		Outage: func(_ testing.TB, on bool) { l.proxy.Refuse(on) },
		Freeze: func(_ testing.TB, on bool) { l.proxy.Freeze(on) },
	}
}

func (l *lock) fields(t testing.TB) map[string]string {
	t.Helper()
	cm, err := l.admin.Get(t.Context(), l.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	fatal(t, err)
	fields := map[string]string{leadertest.RecordField: cm.Data[recordKey], "uid": string(cm.UID)}
	for key, value := range cm.Data {
		if key != recordKey {
			fields["data."+key] = value
		}
	}
	for key, value := range cm.Labels {
		fields["label."+key] = value
	}
	return fields
}

// gap fails one poll.
func (l *lock) gap(t testing.TB) {
	t.Helper()
	select {
	case <-l.failed:
	default:
	}
	l.proxy.Refuse(true)
	select {
	case <-l.failed:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody reads the lock")
	}
	l.proxy.Refuse(false)
}

// forbid leaves the right to look and takes the right to write.
func (l *lock) forbid(t testing.TB) string {
	t.Helper()
	fatal(t, l.plane.Grant(t.Context(), "default", l.user, rights(l.name, "get")...))
	v, err := l.backend.Read(t.Context())
	fatal(t, err)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		// A record that is renewed at once tells whether the write is still permitted.
		if _, err := l.backend.Release(t.Context(), v, v.Tenure.Holder); err != nil && strings.Contains(err.Error(), "forbidden") {
			return l.name
		}
		l.change(t, func(cm *corev1.ConfigMap) { cm.Data[recordKey] = v.Record })
		pause(t.Context(), 50*time.Millisecond)
	}
	t.Fatal("the right to write is not taken away")
	return ""
}
