package vvp

import (
	"context"
	"errors"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/leader"
)

// recordKey is where the record stands in the ConfigMap's data.
const recordKey = "lock.json"

// Rights are the verbs needed on the ConfigMap ConfigMapName, and RightsUnnamed those
// that Kubernetes cannot restrict to a name.
var (
	Rights        = []string{"get", "update"}
	RightsUnnamed = []string{"create"}
)

// ConfigMapName is the object that carries the lock of a cluster.
func ConfigMapName(clusterID string) string { return clusterID + "-vvp-leader" }

// store reads and writes the ConfigMap, one attempt a call.
type store struct {
	client *apiserver.Client
	ref    apiserver.Ref
	count  func(verb, outcome string)
}

func (s *store) name() string { return s.ref.Namespace + "/" + s.ref.Name }

// get reads from etcd's quorum.
func (s *store) get(ctx context.Context) (Sight, error) {
	cm := &corev1.ConfigMap{}
	err := s.client.Get(ctx, s.ref, cm)
	if apierrors.IsNotFound(err) {
		s.counted("get", nil)
		return Sight{Kind: Absent}, nil
	}
	if err = s.classify("get", err, false); err != nil {
		return Sight{}, err
	}
	return sightOf(cm), nil
}

// create makes the object without a record.
func (s *store) create(ctx context.Context) (Sight, error) {
	cm, made := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: s.ref.Name, Namespace: s.ref.Namespace,
		Labels: map[string]string{"app.kubernetes.io/managed-by": "flink-ha"},
	}}, &corev1.ConfigMap{}
	if err := s.classify("create", s.client.Create(ctx, s.ref, cm, made), true); err != nil {
		return Sight{}, err
	}
	return sightOf(made), nil
}

// swap puts text in place of what over shows, if nothing was written since; all else
// of the object stays as it is.
func (s *store) swap(ctx context.Context, over Sight, text string) (Sight, error) {
	old, ok := over.Object.(*corev1.ConfigMap)
	if !ok {
		return Sight{}, fmt.Errorf("update %s: %w", s.ref, leader.ErrGone)
	}
	next, cm := old.DeepCopy(), &corev1.ConfigMap{}
	if next.Data == nil {
		next.Data = make(map[string]string)
	}
	next.Data[recordKey] = text
	if err := s.classify("update", s.client.Update(ctx, s.ref, next, cm), true); err != nil {
		return Sight{}, err
	}
	return sightOf(cm), nil
}

func sightOf(cm *corev1.ConfigMap) Sight {
	text, there := cm.Data[recordKey]
	s := NewSight(string(cm.UID), cm.ResourceVersion, text, there)
	s.Object = cm
	return s
}

// classify turns an error of the API into the vocabulary of package leader, and counts
// the request. sent says that a write may have reached the server.
func (s *store) classify(verb string, err error, sent bool) error {
	if err == nil {
		s.counted(verb, nil)
		return nil
	}
	kind := leader.ErrUnavailable
	var op *net.OpError
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		kind = leader.ErrForbidden
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsInvalid(err):
		kind = leader.ErrConflict
	case apierrors.IsNotFound(err) && verb == "create": // the namespace
		kind = leader.ErrUnavailable
	case apierrors.IsNotFound(err):
		kind = leader.ErrGone
	case apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err):
	case sent && (!errors.As(err, &op) || op.Op != "dial"):
		kind = leader.ErrUnclear
	}
	err = fmt.Errorf("%s %s: %w: %w", verb, s.ref, kind, err)
	s.counted(verb, err)
	return err
}

func (s *store) counted(verb string, err error) {
	outcome := "ok"
	for kind, name := range map[error]string{
		leader.ErrConflict: "conflict", leader.ErrGone: "gone", leader.ErrForbidden: "forbidden",
		leader.ErrUnclear: "unclear", leader.ErrUnavailable: "unavailable",
	} {
		if errors.Is(err, kind) {
			outcome = name
		}
	}
	s.count(verb, outcome)
}
