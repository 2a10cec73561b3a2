package inject

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	rbacv1 "k8s.io/api/rbac/v1"
)

// LockRule is what a sidecar may do with the lock of its cluster, by name.
func LockRule(clusterID string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"},
		ResourceNames: []string{clusterID + "-cluster-config-map"}, Verbs: []string{"get", "watch", "patch"},
	}
}

// ElectionRule is what sidecars that elect may do with their lock, by name. They poll
// it; the right to create it is among StateRules.
func ElectionRule(clusterID string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"},
		ResourceNames: []string{clusterID + "-vvp-leader"}, Verbs: []string{"get", "update"},
	}
}

// PodRule lets a sidecar hear the kubelet's word of its own pod. It names none:
// the names of a Deployment's pods are not known beforehand, and all of them share
// one service account.
func PodRule() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "watch"}}
}

// StateRules are for what the sidecars of a cluster share: pause and history, by
// name. What does not exist yet cannot be named in a right to create it.
func StateRules(clusterID string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{
			APIGroups: []string{""}, Resources: []string{"configmaps"},
			ResourceNames: []string{clusterID + "-ha-state"}, Verbs: []string{"get", "watch", "update"},
		},
		CreateRule(),
	}
}

// LeaderRules are for what the leader's sidecar publishes: its address, by name, in
// a ConfigMap and in the EndpointSlice of the Service of that name. The right to
// create the ConfigMap is among StateRules, or is CreateRule's.
func LeaderRules(clusterID string) []rbacv1.PolicyRule {
	name, verbs := []string{clusterID + "-ha-leader"}, []string{"get", "watch", "update"}
	const group, resource = "discovery.k8s.io", "endpointslices"
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: name, Verbs: verbs},
		{APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: name, Verbs: verbs},
		{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{"create"}},
	}
}

// CreateRule lets a sidecar make the ConfigMaps that it shares or publishes.
func CreateRule() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create"}}
}

// OwnerRules let a sidecar find what controls its pod, beside PodRule: the Deployment
// of this name, or, through it, the FlinkDeployment that owns it. What is published
// goes with that. A ReplicaSet has a new name with every rollout, so none is given.
func OwnerRules(deployment string) []rbacv1.PolicyRule {
	const group = "apps"
	return []rbacv1.PolicyRule{
		{APIGroups: []string{group}, Resources: []string{"replicasets"}, Verbs: []string{"get"}},
		{APIGroups: []string{group}, Resources: []string{"deployments"}, ResourceNames: []string{deployment}, Verbs: []string{"get"}},
	}
}

// EventRule lets a sidecar tell of its pod in Events.
func EventRule() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create"}}
}

// The parts of a Role and its binding, in the order in which they are written.
type (
	rbacObject struct {
		APIVersion string    `yaml:"apiVersion"`
		Kind       string    `yaml:"kind"`
		Metadata   metadata  `yaml:"metadata"`
		Rules      []rule    `yaml:"rules,omitempty"`
		RoleRef    *roleRef  `yaml:"roleRef,omitempty"`
		Subjects   []subject `yaml:"subjects,omitempty"`
	}
	metadata struct {
		Name      string            `yaml:"name"`
		Namespace string            `yaml:"namespace,omitempty"`
		Labels    map[string]string `yaml:"labels"`
	}
	rule struct {
		APIGroups     []string `yaml:"apiGroups,flow"`
		Resources     []string `yaml:"resources,flow"`
		ResourceNames []string `yaml:"resourceNames,flow,omitempty"`
		Verbs         []string `yaml:"verbs,flow"`
	}
	roleRef struct {
		APIGroup string `yaml:"apiGroup"`
		Kind     string `yaml:"kind"`
		Name     string `yaml:"name"`
	}
	subject struct {
		Kind      string `yaml:"kind"`
		Name      string `yaml:"name"`
		Namespace string `yaml:"namespace,omitempty"`
	}
)

// grant is a Role in one namespace, bound to the pods' service account.
type grant struct {
	name, namespace string
	rules           []rbacv1.PolicyRule
}

// WriteRoles writes what the sidecars of these clusters need beside Flink's own
// rights: a Role and its binding for each cluster; two where the lock is in
// another namespace than the pods. With owner the optional OwnerRules are in it,
// where they are of use: objects have no owner in another namespace.
func WriteRoles(w io.Writer, clusters []Cluster, owner bool) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	e.CompactSeqIndent()
	written := make(map[string]bool)
	for _, c := range clusters {
		grants, err := c.grants(owner)
		if err != nil {
			return err
		}
		for _, g := range grants {
			if key := g.namespace + "/" + g.name + " " + c.ServiceAccount; !written[key] {
				written[key] = true
				for _, o := range g.objects(c) {
					if err := e.Encode(o); err != nil {
						return fmt.Errorf("write roles: %w", err)
					}
				}
			}
		}
	}
	return e.Close()
}

// WriteGrant writes one Role with these rules, and its binding to a service account
// of the namespace pods. Empty, the account is the namespace's default.
func WriteGrant(w io.Writer, name, namespace, pods, account string, rules []rbacv1.PolicyRule) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	e.CompactSeqIndent()
	for _, o := range (grant{name, namespace, rules}).objects(Cluster{Pods: pods, ServiceAccount: account}) {
		if err := e.Encode(o); err != nil {
			return fmt.Errorf("write role: %w", err)
		}
	}
	return e.Close()
}

// grants are a cluster's, by namespace.
func (c Cluster) grants(owner bool) ([]grant, error) {
	id, err := labelValue(c.ID)
	if err != nil {
		return nil, err
	}
	name := "flink-ha-" + strings.ToLower(id)
	pods := []rbacv1.PolicyRule{PodRule(), EventRule()}
	if owner && c.published() == first(c.Pods, c.published()) {
		pods = append(pods, OwnerRules(c.Workload)...)
	}
	rule := LockRule(c.ID)
	if c.Backend == backendVVP {
		rule = ElectionRule(c.ID)
	}
	lock := slices.Concat([]rbacv1.PolicyRule{rule}, StateRules(c.ID), LeaderRules(c.ID))
	switch {
	case c.Backend == "zookeeper":
		published := append([]rbacv1.PolicyRule{CreateRule()}, LeaderRules(c.object())...)
		return []grant{{name, c.Pods, append(published, pods...)}}, nil
	case c.Namespace == c.Pods, c.Namespace == "":
		return []grant{{name, c.Pods, append(lock, pods...)}}, nil
	case c.Pods == "":
		// The manifest goes wherever kubectl is told, which is where the lock is.
		return []grant{{name, c.Namespace, append(lock, pods...)}}, nil
	}
	return []grant{{name, c.Namespace, lock}, {name + "-pods", c.Pods, pods}}, nil
}

func (g grant) objects(c Cluster) []rbacObject {
	const group = rbacv1.GroupName
	meta := metadata{Name: g.name, Namespace: g.namespace, Labels: ownLabels()}
	role := rbacObject{APIVersion: group + "/v1", Kind: "Role", Metadata: meta}
	for _, r := range g.rules {
		role.Rules = append(role.Rules, rule{r.APIGroups, r.Resources, r.ResourceNames, r.Verbs})
	}
	account := subject{Kind: "ServiceAccount", Name: first(c.ServiceAccount, "default"), Namespace: first(c.Pods, g.namespace)}
	return []rbacObject{role, {
		APIVersion: group + "/v1", Kind: "RoleBinding", Metadata: meta,
		RoleRef: &roleRef{group, "Role", g.name}, Subjects: []subject{account},
	}}
}
