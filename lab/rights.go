package lab

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// SidecarRules are the rights that sidecars need, as the Role in deploy/ gives
// them: on the lock of their cluster by name, and on the pods, whose names a Role
// cannot know. Without a lock they are on every lock of the namespace. They hold
// PublishRules.
func SidecarRules(lock string) []rbacv1.PolicyRule {
	var locks, states []string
	id, named := strings.CutSuffix(lock, "-cluster-config-map")
	if named {
		locks, states = []string{lock}, []string{id + "-ha-state"}
	} else {
		id = ""
	}
	rule := func(resource string, names []string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{resource}, ResourceNames: names, Verbs: verbs}
	}
	publish := PublishRules(id)
	return []rbacv1.PolicyRule{
		rule("configmaps", locks, "get", "watch", "patch"),
		rule("configmaps", states, "get", "watch", "update"),
		rule("configmaps", nil, "create"),
		publish[0], publish[2], publish[3], // publish[1] is there already
		rule("pods", nil, "get", "watch"),
		rule("events", nil, "create"),
	}
}

// PublishRules are the rights to publish the leader of a cluster; without an id, of
// every one of the namespace. Kubernetes cannot name the object of a create.
func PublishRules(clusterID string) []rbacv1.PolicyRule {
	var name []string
	if clusterID != "" {
		name = []string{clusterID + "-ha-leader"}
	}
	var rules []rbacv1.PolicyRule
	for _, object := range []struct{ group, resource string }{{"", "configmaps"}, {"discovery.k8s.io", "endpointslices"}} {
		rules = append(rules,
			rbacv1.PolicyRule{APIGroups: []string{object.group}, Resources: []string{object.resource}, ResourceNames: name, Verbs: []string{"get", "watch", "update"}},
			rbacv1.PolicyRule{APIGroups: []string{object.group}, Resources: []string{object.resource}, Verbs: []string{"create"}})
	}
	return rules
}

// OwnerRules are the rights to find the topmost controller of a pod, so that what is
// published goes with it: beside that on the pod those that inject can add. A
// ReplicaSet has a new name with every rollout.
func OwnerRules(pod, deployment string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, ResourceNames: []string{pod}, Verbs: []string{"get"}},
		{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}, Verbs: []string{"get"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, ResourceNames: []string{deployment}, Verbs: []string{"get"}},
	}
}

// FollowRules are the rights of a follower that reads the published ConfigMap.
func FollowRules(clusterID string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{clusterID + "-ha-leader"}, Verbs: []string{"get", "watch"},
	}}
}
