package follow_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/discovery/follow"
	"flink-ha-sidecar/discovery/kube"
	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// object is the published ConfigMap on a real API server, a user with a follower's
// rights, and a proxy on the user's way.
type object struct {
	maps   typed.ConfigMapInterface
	name   string
	ref    apiserver.Ref
	client *apiserver.Client
	proxy  *lab.Proxy
}

func newObject(t *testing.T, plane *lab.ControlPlane) *object {
	t.Helper()
	cluster := "c" + strings.ToLower(rand.Text()[:10])
	o := &object{name: kube.ObjectName(cluster)}
	o.ref = apiserver.Ref{Namespace: "default", Resource: "configmaps", Name: o.name}
	var err error
	if o.maps, err = plane.ConfigMaps("default"); err != nil {
		t.Fatal(err)
	}
	kubeconfig, _, err := plane.UserKubeConfig(t.Context(), "default", lab.FollowRules(cluster)...)
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
	if o.proxy, err = lab.StartProxy(u.Hostname(), u.Host); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.proxy.Close)
	config.Host = "https://" + o.proxy.Address()
	if o.client, err = apiserver.New(config); err != nil {
		t.Fatal(err)
	}
	return o
}

// publish writes l as a sidecar does, or with nothing removes the object.
func (o *object) publish(t *testing.T, l discovery.Leader) {
	t.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: o.name}, Data: l.Record()}
	_, err := o.maps.Update(t.Context(), cm, metav1.UpdateOptions{})
	if err != nil {
		_, err = o.maps.Create(t.Context(), cm, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestIntegrationFollowsTheConfigMap(t *testing.T) {
	plane := labtest.ControlPlane(t)
	for _, kind := range []string{"watch", "poll"} {
		t.Run(kind, func(t *testing.T) {
			o := newObject(t, plane)
			var source follow.Source = &follow.Watch{Client: o.client, Ref: o.ref}
			if kind == "poll" {
				source = &follow.Poll{Client: o.client, Ref: o.ref, Every: 50 * time.Millisecond}
			}
			e := start(t, source)
			until(t, "there is none yet", func() bool { return e.last().Reason == "nothing is published yet" })
			o.publish(t, doc(5, "x"))
			until(t, "the leader", func() bool { return e.last().Leader == doc(5, "x") })
			o.publish(t, doc(4, "old"))
			o.publish(t, doc(6, "y"))
			until(t, "the next leader", func() bool { return e.last().Leader == doc(6, "y") })

			o.proxy.Refuse(true)
			until(t, "the loss of contact is told", func() bool { return e.last().Known && !e.last().Out.IsZero() })
			o.publish(t, doc(7, "z"))
			o.proxy.Refuse(false)
			until(t, "what was missed", func() bool { return e.last().Leader == doc(7, "z") && e.last().Out.IsZero() })

			o.publish(t, doc(7, "z").Withdrawn())
			until(t, "withdrawn", func() bool { return e.last().Reason == "the cluster is gone" })
			e.mu.Lock()
			defer e.mu.Unlock()
			for _, told := range e.all {
				if told.Leader.Session == "old" {
					t.Error("it went back to an older epoch")
				}
			}
		})
	}
}
