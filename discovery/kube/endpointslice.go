package kube

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/leader"
)

// The slice carries the epoch in annotations, since its endpoints cannot.
const (
	annotationGeneration = "flink-ha/generation"
	annotationEpoch      = "flink-ha/epoch"
	annotationSession    = "flink-ha/session"
	// portName is that of the Service's port.
	portName = "rest"
)

// EndpointSlice keeps the leader's REST endpoint as the only one of the Service
// <cluster-id>-ha-leader, which has no selector: so no controller of Kubernetes
// writes endpoints for it. The slice has the Service's name.
type EndpointSlice struct {
	client *apiserver.Client
	ref    apiserver.Ref
	labels map[string]string
	owner  *Owner
}

var _ discovery.Store = (*EndpointSlice)(nil)

// NewEndpointSlice returns the store. client is one of apiserver.NewDiscovery; owner
// may be nil.
func NewEndpointSlice(client *apiserver.Client, namespace, clusterID string, owner *Owner) *EndpointSlice {
	name := ObjectName(clusterID)
	l := labels(clusterID)
	l[discoveryv1.LabelServiceName], l[discoveryv1.LabelManagedBy] = name, managedBy
	return &EndpointSlice{
		client: client, owner: owner, labels: l,
		ref: apiserver.Ref{Namespace: namespace, Resource: "endpointslices", Name: name},
	}
}

// Name is the object's.
func (e *EndpointSlice) Name() string {
	return "EndpointSlice " + e.ref.Namespace + "/" + e.ref.Name
}

// Kind is "endpointslice".
func (e *EndpointSlice) Kind() string { return "endpointslice" }

// Read gets the object from etcd's quorum.
func (e *EndpointSlice) Read(ctx context.Context) (discovery.Object, error) {
	s := &discoveryv1.EndpointSlice{}
	err := e.client.Get(ctx, e.ref, s)
	if apierrors.IsNotFound(err) {
		return discovery.Object{Seen: true}, nil
	}
	if err != nil {
		return discovery.Object{}, classify("get", e.ref, err)
	}
	return objectOfSlice(s), nil
}

func objectOfSlice(s *discoveryv1.EndpointSlice) discovery.Object {
	o := discovery.Object{Seen: true, Exists: true, Version: s.ResourceVersion, Revision: revisionOf(s.ResourceVersion), Raw: s}
	counter, err := strconv.ParseUint(s.Annotations[annotationEpoch], 10, 64)
	if err != nil {
		return o
	}
	o.Leader = discovery.Leader{
		Epoch:   discovery.Epoch{Generation: s.Annotations[annotationGeneration], Counter: counter},
		Session: s.Annotations[annotationSession],
	}
	if len(s.Endpoints) > 0 && len(s.Endpoints[0].Addresses) > 0 {
		o.Leader.RPCHost = s.Endpoints[0].Addresses[0] // an address is published; more is not asked of it
	}
	return o
}

// Write creates the object, or replaces its endpoint under the resourceVersion that
// was seen. A leader whose REST address is no IP address leaves it without one.
func (e *EndpointSlice) Write(ctx context.Context, o discovery.Object, l discovery.Leader) (discovery.Object, error) {
	next := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: e.ref.Name}}
	if o.Exists {
		next = o.Raw.(*discoveryv1.EndpointSlice).DeepCopy()
	}
	next.Labels = with(next.Labels, e.labels)
	next.Annotations = with(next.Annotations, annotationsOf(l))
	next.OwnerReferences = e.owner.addTo(ctx, next.OwnerReferences)
	var family discoveryv1.AddressType
	family, next.Endpoints, next.Ports = e.endpoint(l)
	if next.AddressType == "" || len(next.Endpoints) > 0 {
		next.AddressType = family
	}
	left := &discoveryv1.EndpointSlice{}
	if !o.Exists {
		if err := e.client.Create(ctx, e.ref, next, left); err != nil {
			return discovery.Object{}, classify("create", e.ref, err)
		}
	} else if err := e.client.Update(ctx, e.ref, next, left); err != nil {
		return discovery.Object{}, classify("update", e.ref, err)
	}
	return objectOfSlice(left), nil
}

func annotationsOf(l discovery.Leader) map[string]string {
	return map[string]string{
		annotationGeneration: l.Epoch.Generation, annotationSession: l.Session,
		annotationEpoch: strconv.FormatUint(l.Epoch.Counter, 10),
	}
}

// endpoint is what the slice holds for l.
func (e *EndpointSlice) endpoint(l discovery.Leader) (discoveryv1.AddressType, []discoveryv1.Endpoint, []discoveryv1.EndpointPort) {
	a, err := leader.ParseAddress(l.RESTURL)
	if err != nil || !a.IsIPLiteral() {
		return discoveryv1.AddressTypeIPv4, []discoveryv1.Endpoint{}, nil
	}
	family := discoveryv1.AddressTypeIPv4
	if a.IP.Unmap().Is6() {
		family = discoveryv1.AddressTypeIPv6
	}
	ready := true
	endpoint := discoveryv1.Endpoint{
		Addresses: []string{a.IP.Unmap().String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &ready},
	}
	if l.Node != "" {
		endpoint.NodeName = &l.Node
	}
	if l.Pod != "" {
		endpoint.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: e.ref.Namespace, Name: l.Pod}
	}
	name, protocol, port := portName, corev1.ProtocolTCP, int32(a.Port)
	return family, []discoveryv1.Endpoint{endpoint}, []discoveryv1.EndpointPort{{Name: &name, Protocol: &protocol, Port: &port}}
}

// Holds goes by the one endpoint and its port.
func (e *EndpointSlice) Holds(o discovery.Object, l discovery.Leader) bool {
	s, is := o.Raw.(*discoveryv1.EndpointSlice)
	if !is || !holdsAll(s.Labels, e.labels) || !holdsAll(s.Annotations, annotationsOf(l)) || !e.owner.among(s.OwnerReferences) {
		return false
	}
	family, endpoints, ports := e.endpoint(l)
	if len(endpoints) == 0 {
		return len(s.Endpoints) == 0
	}
	return s.AddressType == family && equality.Semantic.DeepEqual(s.Endpoints, endpoints) && equality.Semantic.DeepEqual(s.Ports, ports)
}

// Watch follows the object.
func (e *EndpointSlice) Watch(ctx context.Context, seen func(discovery.Object), interrupted func(error)) {
	w := apiserver.Watcher[*discoveryv1.EndpointSlice]{
		Client: e.client, Ref: e.ref, New: func() *discoveryv1.EndpointSlice { return &discoveryv1.EndpointSlice{} },
		Seen: func(s *discoveryv1.EndpointSlice, exists, _ bool) {
			o := objectOfSlice(s)
			if !exists {
				o = discovery.Object{Seen: true, Revision: o.Revision}
			}
			seen(o)
		},
		Interrupted: interrupted, Count: func(string, error) {},
	}
	_ = w.Run(ctx) // ends with ctx alone
}
