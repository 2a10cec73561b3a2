package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// TestIntegrationDemotedJobManager: the API server is gone for longer than the lease,
// and the one JobManager gives up its lock. Flink 1.18.1 never takes it again
// (FLINK-34007), and its pod is not ready; Flink 2.3 does, and its pod is ready all
// the time. It is a session cluster: with a job Flink 1.18.1 ends itself.
func TestIntegrationDemotedJobManager(t *testing.T) {
	for _, version := range versions(1, "1.18", "2.3") {
		returns := version != "1.18"
		t.Run("Flink "+version, func(t *testing.T) {
			control := labtest.ControlPlane(t) // its own: the others' must go on
			p := shared(t)
			o := p.flink(t, version)
			o.JobManagers, o.ControlPlane, o.Session = 1, control, true
			o.LeaseDuration, o.RenewDeadline, o.RetryPeriod = 6*time.Second, 5*time.Second, time.Second
			c := start(t, o)
			leader := ready(t, c)
			s := c.Sidecars[0]
			awaitReady(t, s)
			control.KillAPIServer()
			eventually(t, "the JobManager gives up its lock", func() bool { return times(t, leader, "revoked") > 0 })
			if code, text := probe(t, s, "/readyz"); code != http.StatusOK {
				t.Errorf("the backend is gone, and the pod is not ready: %s", text)
			}
			if err := control.StartAPIServer(t.Context()); err != nil {
				t.Fatal(err)
			}
			if returns {
				eventually(t, "the JobManager leads again", func() bool { return times(t, leader, "DefaultDispatcherRunner was granted") > 1 })
				mustAnswer(t, s, "/readyz", http.StatusOK)
				eventually(t, "the sidecar says so", func() bool {
					code, _ := probe(t, s, "/leader")
					return code == http.StatusOK
				})
				return
			}
			eventually(t, "the pod is not ready", func() bool {
				code, text := probe(t, s, "/readyz")
				return code == http.StatusServiceUnavailable && strings.Contains(text, "[-]may-lead") && strings.Contains(text, "FLINK-34007")
			})
			if !leader.Alive() || times(t, leader, "DefaultDispatcherRunner was granted") > 1 {
				t.Error("the JobManager has ended or leads again, so that this is about nothing")
			}
			mustLive(t, s)
			mustPass(t, s)
		})
	}
}

// times is how often a text stands in the log of a JobManager.
func times(t *testing.T, j *lab.JobManager, text string) int {
	t.Helper()
	return strings.Count(labtest.Read(t, j.Log()), text)
}
