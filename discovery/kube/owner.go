package kube

import (
	"context"
	"slices"
	"sync"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"flink-ha-sidecar/internal/apiserver"
)

// Owner finds the topmost controller of this pod, with which the published objects
// are to go: Kubernetes removes them when it is gone. What controls a controller
// is read as far as its kind is known here: a Deployment of the Flink operator ends
// at its FlinkDeployment.
type Owner struct {
	client    *apiserver.Client
	namespace string
	pod       string
	log       *zap.Logger

	mu    sync.Mutex
	known bool
	ref   *metav1.OwnerReference
}

// NewOwner returns one that has not asked anything yet. Objects and pod must share
// the namespace: Kubernetes knows no owner across namespaces.
func NewOwner(client *apiserver.Client, namespace, pod string, log *zap.Logger) *Owner {
	return &Owner{client: client, namespace: namespace, pod: pod, log: log}
}

// resources are the kinds that other controllers control.
var resources = map[schema.GroupKind]string{
	{Group: "apps", Kind: "ReplicaSet"}: "replicasets", {Group: "apps", Kind: "Deployment"}: "deployments",
	{Group: "apps", Kind: "StatefulSet"}: "statefulsets", {Group: "batch", Kind: "Job"}: "jobs", {Group: "batch", Kind: "CronJob"}: "cronjobs",
}

// maxDepth ends a walk through owners that own each other.
const maxDepth = 8

// find returns the owner, nil if there is none. It is read once; while the API
// server does not answer it stays unknown, and is asked for at the next write.
func (o *Owner) find(ctx context.Context) *metav1.OwnerReference {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known {
		return o.ref
	}
	ref, err := o.topmost(ctx)
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
		o.log.Warn("what is published will have no owner: it stays when this cluster is removed", zap.Error(err))
	case err != nil:
		return nil
	case ref == nil:
		o.log.Info("what is published will have no owner: no controller runs this pod", zap.String("pod", o.pod))
	default:
		o.log.Info("what is published is owned by the topmost controller of this pod", zap.String("kind", ref.Kind), zap.String("name", ref.Name))
	}
	o.known, o.ref = true, ref
	return ref
}

// topmost walks up from the pod. A controller that may not be read is the topmost
// one that is known, but never a ReplicaSet: a rolling update removes those.
func (o *Owner) topmost(ctx context.Context) (*metav1.OwnerReference, error) {
	meta, err := o.client.Metadata(ctx, schema.GroupVersion{Version: "v1"}, apiserver.Ref{Namespace: o.namespace, Resource: "pods", Name: o.pod})
	if err != nil {
		return nil, err
	}
	var top *metav1.OwnerReference
	for range maxDepth {
		next := metav1.GetControllerOfNoCopy(&meta)
		if next == nil {
			return top, nil
		}
		top = &metav1.OwnerReference{APIVersion: next.APIVersion, Kind: next.Kind, Name: next.Name, UID: next.UID}
		group, err := schema.ParseGroupVersion(next.APIVersion)
		if err != nil {
			return top, nil
		}
		resource, known := resources[group.WithKind(next.Kind).GroupKind()]
		if !known {
			return top, nil
		}
		meta, err = o.client.Metadata(ctx, group, apiserver.Ref{Namespace: o.namespace, Resource: resource, Name: next.Name})
		if apierrors.IsForbidden(err) && next.Kind != "ReplicaSet" {
			return top, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return top, nil
}

// addTo returns refs with the owner among them.
func (o *Owner) addTo(ctx context.Context, refs []metav1.OwnerReference) []metav1.OwnerReference {
	ref := o.find(ctx)
	if ref == nil || o.among(refs) {
		return refs
	}
	return append(slices.Clone(refs), *ref)
}

// among reports whether the owner, as far as it is known, is among refs.
func (o *Owner) among(refs []metav1.OwnerReference) bool {
	if o == nil {
		return true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ref == nil || slices.ContainsFunc(refs, func(r metav1.OwnerReference) bool { return r.UID == o.ref.UID })
}
