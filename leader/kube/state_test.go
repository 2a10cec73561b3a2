package kube_test

import (
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	rbacv1 "k8s.io/api/rbac/v1"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/hastate/hastatetest"
	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/kube"
)

// stateRights are those that the state needs, and no more.
func stateRights(cluster string) []rbacv1.PolicyRule {
	rule := func(names []string, verbs []string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: names, Verbs: verbs}
	}
	return []rbacv1.PolicyRule{rule([]string{kube.StateName(cluster)}, kube.StateRights), rule(nil, kube.StateRightsUnnamed)}
}

// TestIntegrationStateContract runs the contract on a real API server, as a user with
// the rights that the package names.
func TestIntegrationStateContract(t *testing.T) {
	plane := labtest.ControlPlane(t)
	hastatetest.Contract(t, func(t *testing.T) hastatetest.Harness { return newStatePlace(t, plane).harness() })
}

// statePlace is one cluster's state, reached through a proxy.
type statePlace struct {
	plane   *lab.ControlPlane
	cluster string
	user    string
	config  string
	proxy   *lab.Proxy
}

func newStatePlace(t *testing.T, plane *lab.ControlPlane) *statePlace {
	t.Helper()
	p := &statePlace{plane: plane, cluster: "s" + strings.ToLower(rand.Text()[:10])}
	var err error
	if p.config, p.user, err = plane.UserKubeConfig(t.Context(), "default", stateRights(p.cluster)...); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", p.config)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	if p.proxy, err = lab.StartProxy(u.Hostname(), u.Host); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.proxy.Close)
	s := p.client(t)
	for deadline := time.Now().Add(20 * time.Second); ; pause(t.Context(), 50*time.Millisecond) {
		if _, err = s.Load(t.Context()); err == nil {
			return p
		}
		if time.Now().After(deadline) {
			t.Fatalf("rights are not heeded: %v", err)
		}
	}
}

func (p *statePlace) client(t *testing.T) hastate.Store {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", p.config)
	if err != nil {
		t.Fatal(err)
	}
	config.Host = "https://" + p.proxy.Address()
	s, err := kube.NewState(config, kube.Options{Namespace: "default", ClusterID: p.cluster})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *statePlace) harness() hastatetest.Harness {
	return hastatetest.Harness{
		Client: p.client,
		Put: func(t *testing.T, raw []byte) {
			t.Helper()
			maps, err := p.plane.ConfigMaps("default")
			if err != nil {
				t.Fatal(err)
			}
			cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: kube.StateName(p.cluster)}, Data: map[string]string{"state.json": string(raw)}}
			_, err = maps.Create(t.Context(), cm, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				_, err = maps.Update(t.Context(), cm, metav1.UpdateOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		Delete: func(t *testing.T) {
			t.Helper()
			maps, err := p.plane.ConfigMaps("default")
			if err != nil {
				t.Fatal(err)
			}
			if err := maps.Delete(t.Context(), kube.StateName(p.cluster), metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		},
		Outage: func(_ *testing.T, on bool) { p.proxy.Refuse(on) },
		Forbid: func(t *testing.T) {
			t.Helper()
			if err := p.plane.Grant(t.Context(), "default", p.user, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"},
				ResourceNames: []string{kube.StateName(p.cluster)}, Verbs: []string{"get", "watch"}}); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// TestIntegrationStateObject: what Flink and its operator go by is not on it, and
// what others have written beside the document stays.
func TestIntegrationStateObject(t *testing.T) {
	p := newStatePlace(t, labtest.ControlPlane(t))
	s := p.client(t)
	if _, err := s.Save(t.Context(), []byte(`{"format":1}`), hastate.Version{}); err != nil {
		t.Fatal(err)
	}
	maps, err := p.plane.ConfigMaps("default")
	if err != nil {
		t.Fatal(err)
	}
	cm, err := maps.Get(t.Context(), kube.StateName(p.cluster), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(cm.Labels) != 1 || cm.Labels["app.kubernetes.io/managed-by"] != "flink-ha" || len(cm.OwnerReferences) != 0 {
		t.Errorf("labels %v, owners %v; want managed-by: flink-ha alone, and none", cm.Labels, cm.OwnerReferences)
	}
	cm.Data["note"], cm.Annotations = "kept", map[string]string{"note": "kept"}
	if _, err := maps.Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	v, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), []byte(`{"format":1,"members":[]}`), v); err != nil {
		t.Fatal(err)
	}
	if cm, err = maps.Get(t.Context(), cm.Name, metav1.GetOptions{}); err != nil || cm.Data["note"] != "kept" || cm.Annotations["note"] != "kept" {
		t.Errorf("%v, %v %v; want what others wrote kept", err, cm.Data, cm.Annotations)
	}
	if err := maps.Delete(t.Context(), cm.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Save(t.Context(), []byte(`{}`), hastate.Version{Tag: "1"}); !errors.Is(err, leader.ErrConflict) {
		t.Errorf("a write over a version that was not read: %v, want a conflict", err)
	}
}
