package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"flink-ha-sidecar/leader"
)

// resource is the only one this package asks for.
const resource = "configmaps"

// classify turns an error of the API into the vocabulary of package leader.
// sent says that a write may have reached the server.
func (b *Backend) classify(verb string, err error, sent bool) error {
	kind := leader.ErrUnavailable
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		kind = leader.ErrForbidden
	case apierrors.IsNotFound(err):
		kind = leader.ErrGone
	case apierrors.IsInvalid(err), apierrors.IsConflict(err), isUnprocessable(err):
		kind = leader.ErrConflict
	case apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err):
		kind = leader.ErrUnavailable
	case sent && !neverSent(err):
		kind = leader.ErrUnclear
	}
	return fmt.Errorf("%s %s: %w: %w", verb, b.ref, kind, err)
}

// isUnprocessable: the API server answers 422 without a reason when the test of
// a JSON Patch does not hold.
func isUnprocessable(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code == 422
}

// neverSent reports whether no connection was made at all.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// Lookalikes names the ConfigMaps of the namespace that carry the lock of some
// Flink cluster, to help with a mistyped cluster id. It needs the verb list, and
// returns what went wrong if it is not granted.
func (b *Backend) Lookalikes(ctx context.Context) ([]string, error) {
	var list corev1.ConfigMapList
	err := b.client.List(ctx, b.ref.Namespace, resource, 500, &list)
	if err != nil {
		return nil, fmt.Errorf("list %s in namespace %s: %w", resource, b.ref.Namespace, err)
	}
	var names []string
	for _, cm := range list.Items {
		if strings.HasSuffix(cm.Name, ConfigMapName("")) && cm.Name != b.ref.Name {
			names = append(names, cm.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}
