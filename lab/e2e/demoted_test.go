package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/lab/labtest"
)

// TestIntegrationDemotedJobManager: the API server hangs for longer than the lease,
// and the one JobManager loses its lock. Flink 1.18.1 never takes it again
// (FLINK-34007), and its pod is not ready; Flink 2.3 does.
func TestIntegrationDemotedJobManager(t *testing.T) {
	for version, returns := range map[string]bool{"1.18": false, "2.3": true} {
		t.Run("Flink "+version, func(t *testing.T) {
			control := labtest.ControlPlane(t) // its own: the others' must go on
			p := shared(t)
			o := p.flink(t, version)
			o.JobManagers, o.ControlPlane = 1, control
			o.LeaseDuration, o.RenewDeadline, o.RetryPeriod = 6*time.Second, 5*time.Second, time.Second
			c := start(t, o)
			leader := ready(t, c)
			s, held := c.Sidecars[0], c.Lock.Last()
			awaitReady(t, s)
			if err := control.FreezeAPIServer(); err != nil {
				t.Fatal(err)
			}
			pause(t, 12*time.Second)
			if code, text := probe(t, s, "/readyz"); code != http.StatusOK && leader.Alive() {
				t.Errorf("the backend hangs, and the pod is not ready: %s", text)
			}
			if err := control.ContinueAPIServer(); err != nil {
				t.Fatal(err)
			}
			if returns {
				eventually(t, "the JobManager leads again", func() bool {
					v := c.Lock.Last()
					return v.Holder == held.Holder && v.ResourceVersion != held.ResourceVersion
				})
				awaitReady(t, s)
				return
			}
			eventually(t, "the pod is not ready", func() bool {
				code, text := probe(t, s, "/readyz")
				return code == http.StatusServiceUnavailable && strings.Contains(text, "[-]may-lead") && strings.Contains(text, "FLINK-34007")
			})
			if !leader.Alive() {
				t.Error("the JobManager has ended, so that this is about nothing")
			}
			mustLive(t, s)
			mustPass(t, s)
		})
	}
}
