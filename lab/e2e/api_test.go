package e2e

import (
	"net/http"
	"testing"
	"time"
)

func TestIntegrationAPIServerGoneAtStart(t *testing.T) {
	p := shared(t)
	t.Parallel()
	proxy, kubeConfig := throughProxy(t, p)
	proxy.Refuse(true)
	o := lease(p.standIns(), 60*time.Second)
	o.JobManagers, o.SidecarKubeConfig = 1, kubeConfig
	c := start(t, o)
	s := c.Sidecars[0]
	awaitSaid(t, s, "the lock cannot be observed, trying again")
	mustLive(t, s)
	if code, text := probe(t, s, "/readyz"); code != http.StatusServiceUnavailable ||
		!containsAll(text, []string{"[-]backend: no contact yet: ", "configmaps default/" + c.Settings.LockName()}) {
		t.Errorf("/readyz: status %d, %s", code, text)
	}

	eventually(t, "the JobManager leads", func() bool { return c.LeaderNow() != nil })
	proxy.Refuse(false)
	awaitReady(t, s)
	awaitSaid(t, s, "the lock can be observed again")
	// The leader published before the sidecar saw it, so it is not bound; the next
	// one of the pod is.
	awaitSaid(t, s, msgOutcome, "to:unbound", "already published when this sidecar first saw this leader")
	if code, text := probe(t, s, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz: status %d, %s", code, text)
	}
	proxy.Refuse(true)
	eventually(t, "the outage is noticed", func() bool { return metric(t, s, "flink_ha_watch_restarts_total") > 1 })
	if code, text := probe(t, s, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz once the backend was there: status %d, %s", code, text)
	}
}
