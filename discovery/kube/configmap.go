package kube

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/internal/apiserver"
)

// ConfigMap keeps the document in the data of the ConfigMap <cluster-id>-ha-leader,
// one key a field (discovery.Keys).
type ConfigMap struct {
	client *apiserver.Client
	ref    apiserver.Ref
	labels map[string]string
	owner  *Owner
}

var _ discovery.Store = (*ConfigMap)(nil)

// NewConfigMap returns the store; owner may be nil.
func NewConfigMap(client *apiserver.Client, namespace, clusterID string, owner *Owner) *ConfigMap {
	return &ConfigMap{
		client: client, owner: owner, labels: labels(clusterID),
		ref: apiserver.Ref{Namespace: namespace, Resource: "configmaps", Name: ObjectName(clusterID)},
	}
}

func labels(clusterID string) map[string]string {
	return map[string]string{labelManagedBy: managedBy, labelCluster: clusterID}
}

// Name is the object's.
func (c *ConfigMap) Name() string { return "ConfigMap " + c.ref.Namespace + "/" + c.ref.Name }

// Kind is "configmap".
func (c *ConfigMap) Kind() string { return "configmap" }

// Read gets the object from etcd's quorum.
func (c *ConfigMap) Read(ctx context.Context) (discovery.Object, error) {
	cm := &corev1.ConfigMap{}
	err := c.client.Get(ctx, c.ref, cm)
	if apierrors.IsNotFound(err) {
		return discovery.Object{Seen: true}, nil
	}
	if err != nil {
		return discovery.Object{}, classify("get", c.ref, err)
	}
	return objectOf(cm), nil
}

func objectOf(cm *corev1.ConfigMap) discovery.Object {
	o := discovery.Object{Seen: true, Exists: true, Version: cm.ResourceVersion, Revision: revisionOf(cm.ResourceVersion), Raw: cm}
	o.Leader, _ = discovery.FromRecord(cm.Data)
	return o
}

// Write creates the object, or replaces its data under the resourceVersion that was
// seen. Labels, annotations and owners of others stay.
func (c *ConfigMap) Write(ctx context.Context, o discovery.Object, l discovery.Leader) (discovery.Object, error) {
	next := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: c.ref.Name}}
	if o.Exists {
		next = o.Raw.(*corev1.ConfigMap).DeepCopy()
	}
	next.Labels = with(next.Labels, c.labels)
	next.OwnerReferences = c.owner.addTo(ctx, next.OwnerReferences)
	next.Data = l.Record()
	left := &corev1.ConfigMap{}
	if !o.Exists {
		if err := c.client.Create(ctx, c.ref, next, left); err != nil {
			return discovery.Object{}, classify("create", c.ref, err)
		}
	} else if err := c.client.Update(ctx, c.ref, next, left); err != nil {
		return discovery.Object{}, classify("update", c.ref, err)
	}
	return objectOf(left), nil
}

// Holds ignores keys that it does not know: a later release may tell more.
func (c *ConfigMap) Holds(o discovery.Object, l discovery.Leader) bool {
	cm, is := o.Raw.(*corev1.ConfigMap)
	if !is || !holdsAll(cm.Labels, c.labels) || !c.owner.among(cm.OwnerReferences) {
		return false
	}
	want := l.Record()
	for _, key := range discovery.Keys {
		if cm.Data[key] != want[key] {
			return false
		}
	}
	return true
}

// Watch follows the object.
func (c *ConfigMap) Watch(ctx context.Context, seen func(discovery.Object), interrupted func(error)) {
	w := apiserver.Watcher[*corev1.ConfigMap]{
		Client: c.client, Ref: c.ref, New: func() *corev1.ConfigMap { return &corev1.ConfigMap{} },
		Seen: func(cm *corev1.ConfigMap, exists, _ bool) {
			o := objectOf(cm)
			if !exists {
				o = discovery.Object{Seen: true, Revision: o.Revision}
			}
			seen(o)
		},
		Interrupted: interrupted, Count: func(string, error) {},
	}
	_ = w.Run(ctx) // ends with ctx alone
}
