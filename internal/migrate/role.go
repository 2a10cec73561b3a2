package migrate

import (
	"io"

	rbacv1 "k8s.io/api/rbac/v1"

	"flink-ha-sidecar/internal/inject"
)

// Rules are what Flink's own HA service needs of the API server, in JobManagers and
// TaskManagers. It makes ConfigMaps for each job, so none can be named.
func Rules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"configmaps"},
		Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete"},
	}}
}

// WriteRole writes the Role of one cluster and its binding.
func WriteRole(w io.Writer, c Cluster) error {
	return inject.WriteGrant(w, "flink-"+c.ID, c.Namespace, c.Pods, c.ServiceAccount, Rules())
}
