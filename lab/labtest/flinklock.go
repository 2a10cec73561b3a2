package labtest

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"

	"flink-ha-sidecar/lab"
)

// lockAnnotation and leaderKey are where Flink's Kubernetes HA writes.
const (
	lockAnnotation = "control-plane.alpha.kubernetes.io/leader"
	leaderKey      = "org.apache.flink.k8s.leader."
	lockTime       = "2006-01-02T15:04:05.000000Z"
)

// FlinkLock is the ConfigMap of one cluster's lock on a real API server, written
// by the test as Flink 2.3 writes it. Every method fails the test if the API
// server does.
type FlinkLock struct {
	ClusterID string
	// Name is the ConfigMap's.
	Name  string
	admin typed.ConfigMapInterface
}

// NewFlinkLock names a lock; Acquire makes it.
func NewFlinkLock(t testing.TB, plane *lab.ControlPlane, clusterID string) *FlinkLock {
	t.Helper()
	admin, err := plane.ConfigMaps("default")
	if err != nil {
		t.Fatal(err)
	}
	return &FlinkLock{ClusterID: clusterID, Name: clusterID + "-cluster-config-map", admin: admin}
}

// record is one as Flink 2.3 writes it.
type record struct {
	Holder      string `json:"holderIdentity"`
	Lease       string `json:"leaseDuration"`
	Acquired    string `json:"acquireTime"`
	Renewed     string `json:"renewTime"`
	Transitions int    `json:"leaderTransitions"`
}

// Acquire takes the lock for holder as of at, and makes the object if there is none.
func (l *FlinkLock) Acquire(t testing.TB, holder string, at time.Time) {
	t.Helper()
	stamp := at.UTC().Format(lockTime)
	r := record{Holder: holder, Lease: "PT15S", Acquired: stamp, Renewed: stamp}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: l.Name, Annotations: map[string]string{lockAnnotation: encode(t, r)}}}
	_, err := l.admin.Create(t.Context(), cm, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		l.Change(t, func(cm *corev1.ConfigMap) { cm.Annotations[lockAnnotation] = encode(t, r) })
		return
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Renew renews it for its holder.
func (l *FlinkLock) Renew(t testing.TB, at time.Time) {
	t.Helper()
	l.changeRecord(t, func(r *record) { r.Renewed = at.UTC().Format(lockTime) })
}

// Vacate writes what fabric8's release writes.
func (l *FlinkLock) Vacate(t testing.TB, at time.Time) {
	t.Helper()
	l.changeRecord(t, func(r *record) {
		r.Holder, r.Lease, r.Renewed = "", "PT1S", at.UTC().Format(lockTime)
	})
}

// Publish writes what a component of the leader tells.
func (l *FlinkLock) Publish(t testing.TB, component, session, address string) {
	t.Helper()
	l.Change(t, func(cm *corev1.ConfigMap) {
		cm.Data = with(cm.Data, leaderKey+component, session+","+address)
	})
}

func (l *FlinkLock) changeRecord(t testing.TB, edit func(*record)) {
	t.Helper()
	l.Change(t, func(cm *corev1.ConfigMap) {
		var r record
		if err := json.Unmarshal([]byte(cm.Annotations[lockAnnotation]), &r); err != nil {
			t.Fatal(err)
		}
		edit(&r)
		cm.Annotations[lockAnnotation] = encode(t, r)
	})
}

// Change is one compare-and-swap, tried again as long as it is in conflict.
func (l *FlinkLock) Change(t testing.TB, edit func(*corev1.ConfigMap)) {
	t.Helper()
	for {
		cm, err := l.admin.Get(t.Context(), l.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
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

// Fields returns the record and the rest of the object, without what every write
// changes; nil if there is no object.
func (l *FlinkLock) Fields(t testing.TB) map[string]string {
	t.Helper()
	cm, err := l.admin.Get(t.Context(), l.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{"record": cm.Annotations[lockAnnotation], "uid": string(cm.UID)}
	delete(cm.Annotations, lockAnnotation)
	cm.ResourceVersion, cm.ManagedFields = "", nil
	out["rest"] = encode(t, cm)
	return out
}

// Unpublish removes a component's key.
func (l *FlinkLock) Unpublish(t testing.TB, component string) {
	t.Helper()
	l.Change(t, func(cm *corev1.ConfigMap) { delete(cm.Data, leaderKey+component) })
}

// Touch writes to the object without touching its lock.
func (l *FlinkLock) Touch(t testing.TB) {
	t.Helper()
	l.Change(t, func(cm *corev1.ConfigMap) { cm.Data = with(cm.Data, "touched", rand.Text()) })
}

// Corrupt puts a record there that Flink cannot read.
func (l *FlinkLock) Corrupt(t testing.TB) {
	t.Helper()
	l.Change(t, func(cm *corev1.ConfigMap) {
		cm.Annotations[lockAnnotation] = `{"holderIdentity":"x","leaseDuration":"15"}`
	})
}

// Delete removes the object.
func (l *FlinkLock) Delete(t testing.TB) {
	t.Helper()
	if err := l.admin.Delete(t.Context(), l.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func with(data map[string]string, key, value string) map[string]string {
	out := maps.Clone(data)
	if out == nil {
		out = make(map[string]string)
	}
	out[key] = value
	return out
}

func encode(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
