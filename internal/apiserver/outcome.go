package apiserver

import apierrors "k8s.io/apimachinery/pkg/api/errors"

// Outcome names how a request ended, for counting: ok, forbidden, gone, conflict
// or unavailable.
func Outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return "forbidden"
	case apierrors.IsNotFound(err):
		return "gone"
	case apierrors.IsConflict(err), apierrors.IsInvalid(err), apierrors.IsAlreadyExists(err):
		return "conflict"
	}
	return "unavailable"
}
