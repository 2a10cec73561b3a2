package kube_test

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/discovery/kube"
	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader"
)

// site is one cluster's objects on a real API server.
type site struct {
	plane   *lab.ControlPlane
	admin   *kubernetes.Clientset
	cluster string
	name    string

	mu   sync.Mutex
	lock leader.Tenure
}

func newSite(t *testing.T, plane *lab.ControlPlane) *site {
	t.Helper()
	admin, err := kubernetes.NewForConfig(plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	s := &site{plane: plane, admin: admin, cluster: "c" + strings.ToLower(rand.Text()[:10])}
	s.name = kube.ObjectName(s.cluster)
	return s
}

// sidecar is a user with rights of its own behind a proxy of its own, and the
// publishers of both objects.
type sidecar struct {
	site       *site
	user       string
	proxy      *lab.Proxy
	owner      *kube.Owner
	publishers []*discovery.Publisher
	logs       *observer.ObservedLogs

	mu     sync.Mutex
	counts map[string]int
}

func (s *site) sidecar(t *testing.T, rules ...rbacv1.PolicyRule) *sidecar {
	t.Helper()
	kubeconfig, user, err := s.plane.UserKubeConfig(t.Context(), "default", rules...)
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
	logged, logs := observer.New(zapcore.InfoLevel)
	c := &sidecar{site: s, user: user, logs: logs, counts: map[string]int{}}
	if c.proxy, err = lab.StartProxy(u.Hostname(), u.Host); err != nil {
		t.Fatal(err)
	}
	config.Host = "https://" + c.proxy.Address()
	core, err := apiserver.New(config)
	if err != nil {
		t.Fatal(err)
	}
	slices, err := apiserver.NewDiscovery(config)
	if err != nil {
		t.Fatal(err)
	}
	log := zap.New(logged)
	c.owner = kube.NewOwner(core, "default", s.cluster+"-pod", log)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, store := range []discovery.Store{kube.NewConfigMap(core, "default", s.cluster, c.owner), kube.NewEndpointSlice(slices, "default", s.cluster, c.owner)} {
		p := &discovery.Publisher{Store: store, Log: log, Lock: s.readLock, Count: func(outcome string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.counts[store.Kind()+" "+outcome]++
		}}
		c.publishers = append(c.publishers, p)
		wg.Go(func() { p.Run(ctx) })
	}
	t.Cleanup(func() { cancel(); wg.Wait(); c.proxy.Close() })
	return c
}

func (s *site) readLock(context.Context) (leader.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return leader.View{Tenure: s.lock}, nil
}

func (c *sidecar) counted(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[what]
}

// leads makes this sidecar's JobManager at ip the leader.
func (c *sidecar) leads(generation string, counter uint64, ip string) discovery.State {
	tenure := leader.Tenure{Generation: generation, Holder: ip, Acquired: itoa(counter)}
	c.site.mu.Lock()
	c.site.lock = tenure
	c.site.mu.Unlock()
	s := discovery.State{Mine: true, Tenure: tenure, Leader: discovery.Leader{
		Format: 1, Epoch: discovery.Epoch{Generation: generation, Counter: counter}, Since: time.Now().UTC(), Session: ip + "-" + generation + itoa(counter),
		RPCHost: ip, RPCPort: 6123, RESTURL: "http://" + ip + ":8081", Pod: "pod-" + ip, Node: "node-1",
	}}
	c.tell(s)
	return s
}

func (c *sidecar) tell(s discovery.State) {
	for _, p := range c.publishers {
		p.Tell(s)
	}
}

// published returns what both objects tell; empty where there is nothing.
func (s *site) published(t *testing.T) (data map[string]string, address string) {
	t.Helper()
	if cm, err := s.admin.CoreV1().ConfigMaps("default").Get(t.Context(), s.name, metav1.GetOptions{}); err == nil {
		data = cm.Data
	}
	if sl, err := s.admin.DiscoveryV1().EndpointSlices("default").Get(t.Context(), s.name, metav1.GetOptions{}); err == nil && len(sl.Endpoints) > 0 {
		address = sl.Endpoints[0].Addresses[0]
	}
	return data, address
}

// await waits until both objects tell ip in this epoch.
func (s *site) await(t *testing.T, what, ip, generation, epoch string) {
	t.Helper()
	labtest.Until(t, what, func() bool {
		data, address := s.published(t)
		rest := ""
		if ip != "" {
			rest = "http://" + ip + ":8081"
		}
		return data["rest-url"] == rest && address == ip && data["generation"] == generation && data["epoch"] == epoch
	})
}

// allRights are those of docs/discovery.md.
func (s *site) allRights() []rbacv1.PolicyRule { return lab.PublishRules(s.cluster) }

func TestIntegrationPublish(t *testing.T) {
	plane := labtest.ControlPlane(t)
	for name, test := range map[string]func(*testing.T, *site){
		"published, restored, withdrawn":                  restored,
		"the objects are as others expect them":           asOthersExpect,
		"two leaders within 100 ms":                       twoLeaders,
		"a redeployed cluster is a new generation":        redeployed,
		"no permission":                                   noPermission,
		"the API server is away while the leader changes": outage,
		"owned by the topmost controller":                 owned,
		"the watch breaks":                                watchBreaks,
	} {
		t.Run(name, func(t *testing.T) { test(t, newSite(t, plane)) })
	}
}

func restored(t *testing.T, s *site) {
	c := s.sidecar(t, s.allRights()...)
	c.leads("g", 5, "10.0.0.5")
	s.await(t, "the leader", "10.0.0.5", "g", "5")
	cms, slices := s.admin.CoreV1().ConfigMaps("default"), s.admin.DiscoveryV1().EndpointSlices("default")
	for what, edit := range map[string]func() error{
		"an edited ConfigMap": func() error {
			_, err := cms.Patch(t.Context(), s.name, "application/merge-patch+json", []byte(`{"data":{"rest-url":"http://evil","epoch":"99999"}}`), metav1.PatchOptions{})
			return err
		},
		"a ConfigMap without labels": func() error {
			_, err := cms.Patch(t.Context(), s.name, "application/merge-patch+json", []byte(`{"metadata":{"labels":null}, "data":{"session":"x"}}`), metav1.PatchOptions{})
			return err
		},
		"a ConfigMap without data": func() error {
			_, err := cms.Patch(t.Context(), s.name, "application/merge-patch+json", []byte(`{"data":null}`), metav1.PatchOptions{})
			return err
		},
		"a deleted ConfigMap": func() error { return cms.Delete(t.Context(), s.name, metav1.DeleteOptions{}) },
		"an edited EndpointSlice": func() error {
			_, err := slices.Patch(t.Context(), s.name, "application/merge-patch+json", []byte(`{"endpoints":[{"addresses":["10.9.9.9"]}]}`), metav1.PatchOptions{})
			return err
		},
		"a deleted EndpointSlice": func() error { return slices.Delete(t.Context(), s.name, metav1.DeleteOptions{}) },
	} {
		if err := edit(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		s.await(t, what, "10.0.0.5", "g", "5")
	}
	c.tell(discovery.State{Retired: "g"})
	s.await(t, "withdrawn", "", "g", "5")
}

func asOthersExpect(t *testing.T, s *site) {
	c := s.sidecar(t, s.allRights()...)
	c.leads("g", 5, "10.0.0.5")
	s.await(t, "the leader", "10.0.0.5", "g", "5")
	cm, err := s.admin.CoreV1().ConfigMaps("default").Get(t.Context(), s.name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"format": "1", "rpc-host": "10.0.0.5", "rpc-port": "6123", "session": "10.0.0.5-g5", "pod": "pod-10.0.0.5", "node": "node-1"} {
		if cm.Data[key] != want {
			t.Errorf("ConfigMap: %s is %q, want %q", key, cm.Data[key], want)
		}
	}
	slice, err := s.admin.DiscoveryV1().EndpointSlices("default").Get(t.Context(), s.name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if slice.Labels[discoveryv1.LabelServiceName] != s.name || slice.Labels[discoveryv1.LabelManagedBy] != "flink-ha" || slice.AddressType != discoveryv1.AddressTypeIPv4 ||
		len(slice.Ports) != 1 || *slice.Ports[0].Port != 8081 || *slice.Ports[0].Name != "rest" || !*slice.Endpoints[0].Conditions.Ready || *slice.Endpoints[0].NodeName != "node-1" {
		t.Errorf("EndpointSlice: %+v", slice)
	}
	// Flink and its operator remove what carries their own labels.
	for _, l := range []map[string]string{cm.Labels, slice.Labels} {
		for _, foreign := range []string{"app", "type", "configmap-type"} {
			if _, there := l[foreign]; there {
				t.Errorf("label %s in %v", foreign, l)
			}
		}
	}
}

// twoLeaders: the second has the lock before the first has heard of it, and the
// first goes on trying.
func twoLeaders(t *testing.T, s *site) {
	first, second := s.sidecar(t, s.allRights()...), s.sidecar(t, s.allRights()...)
	for round := range uint64(20) {
		epoch := 10 * (round + 1)
		old := first.leads("g", epoch, "10.0.0.1")
		second.leads("g", epoch+5, "10.0.0.2")
		old.Leader.BlobPort = uint16(round + 1) // it has something new to say
		first.tell(old)
		s.await(t, "the second leader", "10.0.0.2", "g", itoa(epoch+5))
		first.tell(discovery.State{Tenure: old.Tenure})
		second.tell(discovery.State{Tenure: old.Tenure})
	}
}

func redeployed(t *testing.T, s *site) {
	c := s.sidecar(t, s.allRights()...)
	c.leads("old", 900, "10.0.0.5")
	s.await(t, "the leader", "10.0.0.5", "old", "900")
	next := s.sidecar(t, s.allRights()...)
	next.leads("new", 7, "10.0.0.6")
	s.await(t, "the new generation's leader", "10.0.0.6", "new", "7")
	// The old one, cut off until now, has something to say.
	stale := discovery.State{Mine: true, Tenure: leader.Tenure{Generation: "old", Holder: "10.0.0.5"},
		Leader: discovery.Leader{Format: 1, Epoch: discovery.Epoch{Generation: "old", Counter: 901}, Session: "x", RESTURL: "http://10.0.0.5:8081"}}
	c.tell(stale)
	labtest.Until(t, "it notices that it is outdone", func() bool { return c.logs.FilterMessageSnippet("newer leader").Len() >= 1 })
	s.await(t, "the new generation's leader stays", "10.0.0.6", "new", "7")
}

func noPermission(t *testing.T, s *site) {
	c := s.sidecar(t)
	c.leads("g", 5, "10.0.0.5")
	labtest.Until(t, "both refusals are counted", func() bool {
		return c.counted("configmap forbidden") > 0 && c.counted("endpointslice forbidden") > 0
	})
	said := c.logs.FilterLevelExact(zapcore.WarnLevel).All()
	if len(said) != 2 {
		t.Errorf("said %v, want one line an object", said)
	}
	for _, line := range said {
		if !strings.Contains(line.Message, s.name) || !strings.Contains(line.Message, "cannot get resource") {
			t.Errorf("%q names neither object nor verb", line.Message)
		}
	}
	if err := s.plane.Grant(t.Context(), "default", c.user, s.allRights()...); err != nil {
		t.Fatal(err)
	}
	n := uint64(5)
	labtest.Until(t, "a later tenure is published", func() bool {
		n++ // each is tried at once, however long the one before was refused
		c.leads("g", n, "10.0.1."+itoa(n%250+1))
		data, _ := s.published(t)
		return data["epoch"] > "5"
	})
}

func outage(t *testing.T, s *site) {
	c := s.sidecar(t, s.allRights()...)
	c.leads("g", 5, "10.0.0.5")
	s.await(t, "the leader", "10.0.0.5", "g", "5")
	c.proxy.Refuse(true)
	c.tell(discovery.State{})
	c.leads("g", 6, "10.0.0.6")
	labtest.Until(t, "attempts fail", func() bool {
		return c.counted("configmap unavailable") > 2 && c.counted("endpointslice unavailable") > 2
	})
	c.proxy.Refuse(false)
	s.await(t, "the next leader, on its return", "10.0.0.6", "g", "6")
}

func watchBreaks(t *testing.T, s *site) {
	c := s.sidecar(t, s.allRights()...)
	c.leads("g", 5, "10.0.0.5")
	s.await(t, "the leader", "10.0.0.5", "g", "5")
	c.proxy.Cut()
	if err := s.admin.CoreV1().ConfigMaps("default").Delete(t.Context(), s.name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.await(t, "restored after the break", "10.0.0.5", "g", "5")
}

func owned(t *testing.T, s *site) {
	yes := true
	top := metav1.OwnerReference{APIVersion: "flink.apache.org/v1beta1", Kind: "FlinkDeployment", Name: s.cluster, UID: "11111111-2222-3333-4444-555555555555", Controller: &yes}
	deployment := deploymentOf(s.cluster, top)
	d, err := s.admin.AppsV1().Deployments("default").Create(t.Context(), deployment, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.admin.AppsV1().ReplicaSets("default").Create(t.Context(), replicaSetOf(s.cluster, metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: d.Name, UID: d.UID, Controller: &yes}), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: s.cluster + "-pod", OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: r.Name, UID: r.UID, Controller: &yes}}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	_, _ = s.admin.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{}) // no controller makes it here
	if _, err := s.admin.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	owner := lab.OwnerRules(pod.Name, d.Name)
	rules := append(s.allRights(), owner...)
	for _, tt := range []struct {
		name  string
		rules []rbacv1.PolicyRule
		kind  string
		said  string
	}{
		{"all rights", rules, "FlinkDeployment", "topmost controller"},
		{"no right to read ReplicaSets", append(s.allRights(), owner[:1]...), "", "no owner"},
		{"no right to read the Deployment", append(s.allRights(), owner[:2]...), "Deployment", "topmost controller"},
		{"no right to read the pod", s.allRights(), "", "no owner"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = s.admin.CoreV1().ConfigMaps("default").Delete(t.Context(), s.name, metav1.DeleteOptions{})
			c := s.sidecar(t, tt.rules...)
			c.leads("g", 5, "10.0.0.5")
			s.await(t, "the leader", "10.0.0.5", "g", "5")
			cm, err := s.admin.CoreV1().ConfigMaps("default").Get(t.Context(), s.name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			kind := ""
			for _, o := range cm.OwnerReferences {
				kind = o.Kind
			}
			if kind != tt.kind {
				t.Errorf("owner %q, want %q", kind, tt.kind)
			}
			if n := c.logs.FilterMessageSnippet(tt.said).Len(); n != 1 {
				t.Errorf("said %d times: %s", n, tt.said)
			}
		})
	}
}
