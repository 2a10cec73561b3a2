package e2e

import (
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// most is how many requests a sidecar may make in an outage of some ten seconds:
// two watches that begin anew and one read of a dead holder's lock, each at pauses
// that grow from a tenth of a second to seconds.
const most = 60

// calm is how many it may make once the API server is back: each watch begins anew.
// The Pod, which nobody has written since, cannot be watched from its own version.
const calm = 12

// An outage of the API server meets three clusters at once: one whose leader dies
// meanwhile, one whose leader lives and has a long lease, and one whose leader
// lives and whose lease runs out. Not parallel: the API server is everybody's.
func TestIntegrationOutage(t *testing.T) {
	for _, row := range []struct {
		name  string
		fault func(*lab.ControlPlane) lab.Fault
	}{
		{"killed", func(c *lab.ControlPlane) lab.Fault { return c.Killed(8*time.Second, time.Second) }},
		{"frozen", func(c *lab.ControlPlane) lab.Fault { return c.Frozen(12*time.Second, time.Second) }},
		{"flapping", func(c *lab.ControlPlane) lab.Fault { return c.Flapping(2, 2*time.Second, 2*time.Second) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := shared(t)
			o := long(p.standIns())
			o.SidecarKubeConfig = "" // with the right to watch its pod
			dying, living, expiring := start(t, long(p.standIns())), start(t, o), start(t, p.standIns())
			clusters := []*lab.Cluster{dying, living, expiring}
			victim := ready(t, dying)
			survivor := ready(t, living)
			ready(t, expiring)
			killed, kept, lost := dying.Lock.Last(), living.Lock.Last(), expiring.Lock.Last()
			before := requests(t, clusters...)

			err := row.fault(p.control)(t.Context(), func() error {
				_, err := victim.Signal(syscall.SIGKILL)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			over := time.Now()
			for name, n := range requests(t, clusters...) {
				if n -= before[name]; n > most {
					t.Errorf("%s made %v requests meanwhile, at most %d are fine", name, n, most)
				}
			}

			awaitTakeover(t, dying, killed).mustBeFreed(t, dying)
			awaitSaid(t, dying.SidecarOf(victim), msgFreed, killed.Holder)
			back := requests(t, living)
			mustStay(t, living, kept, 6)
			for name, n := range requests(t, living) {
				if n -= back[name]; n > calm {
					t.Errorf("%s made %v requests within some seconds after it, at most %d are fine", name, n, calm)
				}
			}
			if !survivor.Alive() {
				t.Error("the leader with the long lease has ended")
			}
			// Whoever is first: the old leader may find its own record and renew it.
			await(t, expiring, lost, "a leader after the lease", func(v lab.LockVersion) bool {
				return v.Holder != "" && v.At.After(over)
			})
			mustNotFree(t, append(living.Sidecars, expiring.Sidecars...)...)
			for _, c := range clusters {
				for _, s := range c.Sidecars {
					mustLive(t, s)
				}
			}
		})
	}
}

// requests counts by sidecar those made so far.
func requests(t *testing.T, clusters ...*lab.Cluster) map[string]float64 {
	t.Helper()
	made := map[string]float64{}
	for _, c := range clusters {
		for _, s := range c.Sidecars {
			made[c.Settings.ClusterID+" "+s.Name] = metric(t, s, "flink_ha_backend_requests_total")
		}
	}
	return made
}
