package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/leader"
)

// Backend observes and frees the lock of one Flink cluster.
type Backend struct {
	client *apiserver.Client
	ref    apiserver.Ref
	count  func(verb, outcome string)
}

var _ leader.Backend = (*Backend)(nil)

// Options says which cluster, and who wants to know of the requests.
type Options struct {
	Namespace string
	ClusterID string
	// Count is called once a request with the verb (get, watch, patch) and the
	// outcome (ok, conflict, gone, forbidden, unclear, unavailable). May be nil.
	Count func(verb, outcome string)
}

// New returns a backend that has not talked to the API server yet.
func New(config *rest.Config, o Options) (*Backend, error) {
	if o.Namespace == "" || o.ClusterID == "" {
		return nil, fmt.Errorf("kubernetes backend: namespace %q and cluster id %q must both be set", o.Namespace, o.ClusterID)
	}
	client, err := apiserver.New(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes backend: %w", err)
	}
	b := &Backend{client: client, ref: apiserver.Ref{Namespace: o.Namespace, Resource: resource, Name: ConfigMapName(o.ClusterID)}, count: o.Count}
	if b.count == nil {
		b.count = func(string, string) {}
	}
	return b, nil
}

// Name is the ConfigMap that is watched, as namespace/name.
func (b *Backend) Name() string { return b.ref.Namespace + "/" + b.ref.Name }

// Read gets the object from etcd's quorum.
func (b *Backend) Read(ctx context.Context) (leader.View, error) {
	cm := &corev1.ConfigMap{}
	err := b.client.Get(ctx, b.ref, cm)
	if apierrors.IsNotFound(err) {
		b.counted("get", nil)
		return absent(time.Now(), 0), nil
	}
	if err != nil {
		err = b.classify("get", err, false)
		b.counted("get", err)
		return leader.View{}, err
	}
	b.counted("get", nil)
	return viewOf(cm, time.Now()), nil
}

// Release frees the lock by a JSON Patch that tests the annotation's exact old
// bytes and replaces them. Nothing else of the object travels, so it cannot
// undo what the leader publishes at the same time.
func (b *Backend) Release(ctx context.Context, v leader.View, holder string) (leader.View, error) {
	r, err := ParseRecord(v.Record)
	if err != nil || r.Holder != holder || holder == "" {
		return leader.View{}, fmt.Errorf("release %s: %w: the record read is not the holder's", b.Name(), leader.ErrConflict)
	}
	patch, err := releasePatch(v.Record, r.Freed())
	if err != nil {
		return leader.View{}, fmt.Errorf("release %s: %w", b.Name(), err)
	}
	cm := &corev1.ConfigMap{}
	if err = b.client.JSONPatch(ctx, b.ref, patch, cm); err != nil {
		err = b.classify("patch", err, true)
		b.counted("patch", err)
		return leader.View{}, err
	}
	b.counted("patch", nil)
	return viewOf(cm, time.Now()), nil
}

// operation is one of RFC 6902.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// annotationPath is the JSON Pointer of the annotation: "/" is written "~1".
const annotationPath = "/metadata/annotations/control-plane.alpha.kubernetes.io~1leader"

func releasePatch(old, freed string) ([]byte, error) {
	return json.Marshal([]operation{
		{Op: "test", Path: annotationPath, Value: old},
		{Op: "replace", Path: annotationPath, Value: freed},
	})
}

// counted tells the outcome of one request.
func (b *Backend) counted(verb string, err error) {
	outcome := "ok"
	for kind, name := range map[error]string{
		leader.ErrConflict: "conflict", leader.ErrGone: "gone", leader.ErrForbidden: "forbidden",
		leader.ErrUnclear: "unclear", leader.ErrUnavailable: "unavailable",
	} {
		if errors.Is(err, kind) {
			outcome = name
		}
	}
	b.count(verb, outcome)
}
