package e2e

import (
	"slices"
	"syscall"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"flink-ha-sidecar/lab"
)

// without are the sidecar's rights but for one verb on one resource.
func without(resource, verb string) func(lock string) []rbacv1.PolicyRule {
	return func(lock string) []rbacv1.PolicyRule {
		rules := lab.SidecarRules(lock)
		for i := range rules {
			if rules[i].Resources[0] == resource {
				rules[i].Verbs = slices.DeleteFunc(rules[i].Verbs, func(v string) bool { return v == verb })
			}
		}
		return rules
	}
}

// TestIntegrationMissingPermissionIsNamedAndFlinkGoesOn takes each verb on the
// lock away in turn; those on the pods are in pod_test.go.
func TestIntegrationMissingPermissionIsNamedAndFlinkGoesOn(t *testing.T) {
	for _, missing := range lab.SidecarRules("")[0].Verbs {
		t.Run(missing, func(t *testing.T) {
			p := shared(t)
			t.Parallel()
			o := p.standIns()
			o.SidecarKubeConfig, o.SidecarRights = "", without("configmaps", missing)
			c := start(t, o)
			// Not ready(): without get no sidecar ever is.
			var leader *lab.JobManager
			eventually(t, "a leader", func() bool { leader = c.LeaderNow(); return leader != nil })
			s, held := c.SidecarOf(leader), c.Lock.Last()
			if missing == "patch" {
				awaitBound(t, c, s)
			} else {
				awaitSaid(t, s, "the lock cannot be observed", "cannot "+missing+` resource "configmaps"`)
			}

			signal(t, leader, syscall.SIGKILL)
			to := awaitTakeover(t, c, held)
			if missing != "watch" { // without it the lock is still polled, and may be freed
				to.mustRunOut(t, c)
			}
			if missing == "patch" {
				awaitSaid(t, s, msgOutcome, "forbidden", `cannot patch resource "configmaps"`)
				eventually(t, "a forbidden release is counted", func() bool { return released(t, s, "forbidden") == 1 })
			}
			for _, s := range c.Sidecars {
				mustLive(t, s)
			}
		})
	}
}
