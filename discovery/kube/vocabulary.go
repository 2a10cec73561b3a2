package kube

import (
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"flink-ha-sidecar/discovery"
	"flink-ha-sidecar/internal/apiserver"
)

// ObjectName is the name of both objects, and of the Service that the slice belongs
// to.
func ObjectName(clusterID string) string { return clusterID + "-ha-leader" }

// managedBy marks what this program writes, and must not carry Flink's own labels:
// Flink and its operator remove what does.
const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "flink-ha"
	labelCluster   = "flink-ha/cluster"
)

// classify turns an error of the API into the vocabulary of package discovery.
func classify(verb string, ref apiserver.Ref, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s %s: %w: %w", verb, ref, discovery.ErrForbidden, err)
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		return fmt.Errorf("%s %s: %w: %w", verb, ref, discovery.ErrConflict, err)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return fmt.Errorf("%s %s: %w: %w", verb, ref, discovery.ErrRefused, err)
	}
	return fmt.Errorf("%s %s: %w", verb, ref, err)
}

// revisionOf is 0 for what is no number.
func revisionOf(resourceVersion string) uint64 {
	n, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// holdsAll reports whether have has all of want.
func holdsAll(have, want map[string]string) bool {
	for key, value := range want {
		if got, there := have[key]; !there || got != value {
			return false
		}
	}
	return true
}

// with returns have with all of want put in.
func with(have, want map[string]string) map[string]string {
	out := make(map[string]string, len(have)+len(want))
	for _, m := range []map[string]string{have, want} {
		for key, value := range m {
			out[key] = value
		}
	}
	return out
}
