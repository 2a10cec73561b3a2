package kube

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/internal/apiserver"
	"flink-ha-sidecar/leader"
)

// stateKey is the key of the document in the ConfigMap's data.
const stateKey = "state.json"

// StateRights are the verbs that State needs on the ConfigMap StateName, and
// StateRightsUnnamed those that Kubernetes cannot restrict to a name.
var (
	StateRights        = []string{"get", "watch", "update"}
	StateRightsUnnamed = []string{"create"}
)

// StateName is the ConfigMap with what the sidecars of a cluster share. It has no
// owner: it outlives the cluster's upgrades, and its end.
func StateName(clusterID string) string { return clusterID + "-ha-state" }

// State keeps the document of one cluster in a ConfigMap. That carries none of the
// labels by which Flink and its operator know objects of theirs.
type State struct {
	b *Backend

	mu sync.Mutex
	// last is the object as it was read or written last: what a write leaves as it is.
	last *corev1.ConfigMap
}

var _ hastate.Store = (*State)(nil)

// NewState returns a store that has not talked to the API server yet. Its requests
// are counted as get-state, watch-state, create-state and update-state.
func NewState(config *rest.Config, o Options) (*State, error) {
	count := o.Count
	if count != nil {
		o.Count = func(verb, outcome string) { count(verb+"-state", outcome) }
	}
	b, err := New(config, o)
	if err != nil {
		return nil, err
	}
	b.ref.Name = StateName(o.ClusterID)
	return &State{b: b}, nil
}

// Name is the ConfigMap, as namespace/name.
func (s *State) Name() string { return s.b.Name() }

// Load reads the ConfigMap from etcd's quorum.
func (s *State) Load(ctx context.Context) (hastate.Version, error) {
	cm, err := s.get(ctx)
	if err != nil {
		return hastate.Version{}, err
	}
	return s.keep(cm), nil
}

// keep notes the newest object, nil if there is none.
func (s *State) keep(cm *corev1.ConfigMap) hastate.Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = cm
	return stateVersion(cm)
}

// get returns nil if there is no object.
func (s *State) get(ctx context.Context) (*corev1.ConfigMap, error) {
	cm := &corev1.ConfigMap{}
	err := s.b.client.Get(ctx, s.b.ref, cm)
	if apierrors.IsNotFound(err) {
		s.b.counted("get", nil)
		return nil, nil
	}
	if err != nil {
		err = s.b.classify("get", err, false)
	}
	s.b.counted("get", err)
	return cm, err
}

// Save replaces the document in the version that over names, and leaves all else of
// the object as it is; without one it makes the object.
func (s *State) Save(ctx context.Context, raw []byte, over hastate.Version) (hastate.Version, error) {
	if over.Tag == "" {
		return s.create(ctx, raw)
	}
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last == nil || last.ResourceVersion != over.Tag {
		return hastate.Version{}, fmt.Errorf("update %s: %w", s.b.ref, leader.ErrConflict)
	}
	next, cm := last.DeepCopy(), &corev1.ConfigMap{}
	if next.Data == nil {
		next.Data = make(map[string]string)
	}
	next.Data[stateKey] = string(raw)
	err := s.b.client.Update(ctx, s.b.ref, next, cm)
	if err != nil {
		if apierrors.IsNotFound(err) { // deleted meanwhile: to be read again, and made anew
			err = fmt.Errorf("update %s: %w: %w", s.b.ref, leader.ErrConflict, err)
		} else {
			err = s.b.classify("update", err, true)
		}
	}
	s.b.counted("update", err)
	if err != nil {
		return hastate.Version{}, err
	}
	return s.keep(cm), nil
}

func (s *State) create(ctx context.Context, raw []byte) (hastate.Version, error) {
	cm := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.b.ref.Name, Namespace: s.b.ref.Namespace,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "flink-ha"},
		},
		Data: map[string]string{stateKey: string(raw)},
	}
	made := &corev1.ConfigMap{}
	err := s.b.client.Create(ctx, s.b.ref, cm, made)
	switch {
	case apierrors.IsAlreadyExists(err):
		err = fmt.Errorf("create %s: %w: %w", s.b.ref, leader.ErrConflict, err)
	case err != nil: // a namespace that is not there is told as not found
		err = s.b.classify("create", err, true)
	}
	s.b.counted("create", err)
	if err != nil {
		return hastate.Version{}, err
	}
	return s.keep(made), nil
}

// Watch reads the ConfigMap and then watches it.
func (s *State) Watch(ctx context.Context, seen func(hastate.Version), lost func(error)) error {
	w := apiserver.Watcher[*corev1.ConfigMap]{
		Client: s.b.client, Ref: s.b.ref,
		New: func() *corev1.ConfigMap { return &corev1.ConfigMap{} },
		Seen: func(cm *corev1.ConfigMap, exists, _ bool) {
			if !exists {
				cm = nil
			}
			seen(stateVersion(cm))
		},
		Interrupted: func(err error) { lost(s.b.classify("watch", err, false)) },
		Count: func(verb string, err error) {
			if err != nil {
				err = s.b.classify(verb, err, false)
			}
			s.b.counted(verb, err)
		},
	}
	return w.Run(ctx)
}

// stateVersion is that of an object; nil is none.
func stateVersion(cm *corev1.ConfigMap) hastate.Version {
	if cm == nil {
		return hastate.Version{}
	}
	v := hastate.Version{Raw: []byte(cm.Data[stateKey]), Tag: cm.ResourceVersion}
	v.Order, _ = strconv.ParseUint(cm.ResourceVersion, 10, 64)
	return v
}
