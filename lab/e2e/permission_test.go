package e2e

import (
	"slices"
	"syscall"
	"testing"

	"flink-ha-sidecar/lab"
)

func TestIntegrationMissingPermissionIsNamedAndFlinkGoesOn(t *testing.T) {
	for _, missing := range []string{"get", "watch", "patch"} {
		t.Run(missing, func(t *testing.T) {
			p := shared(t)
			t.Parallel()
			verbs := slices.DeleteFunc([]string{"get", "watch", "patch"}, func(v string) bool { return v == missing })
			o := p.standIns()
			var err error
			if o.SidecarKubeConfig, _, err = p.control.UserKubeConfig(t.Context(), "default", onConfigMaps(verbs...)); err != nil {
				t.Fatal(err)
			}
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
