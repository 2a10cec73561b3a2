package e2enode

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// Without a shared PID namespace the sidecar sees no process of Flink's; it takes
// the kubelet's word, which comes when the kubelet next looks.
func TestIntegrationKubeletsWord(t *testing.T) {
	p := shared(t)
	o := p.options()
	o.Inject = p.apart()
	c, leader := start(t, o)
	if s, err := c.Status(t.Context(), leader); err != nil || s.JobManager.Proof != "kubelet" {
		t.Fatalf("status %+v, %v: want the kubelet's word as proof", s, err)
	}
	kills := 5
	if slow() {
		kills = 30
	}
	var took []time.Duration
	for range kills {
		leader := ready(t, c)
		f := fail(t, c, lab.Signalled(syscall.SIGKILL))
		mustBeQuick(t, f)
		after, ok := f.After[lab.LockFreed]
		if gone := f.After[lab.ProcessGone]; !ok || after < gone {
			t.Errorf("freed after %v (%v), the process was gone after %v", after, ok, gone)
		}
		if n := metric(t, c, get(t, c, leader.Name), releases, freed, `proof="kubelet"`); n == 0 {
			t.Error("no lock freed by the kubelet's word")
		}
		took = append(took, after)
	}
	slices.Sort(took)
	t.Logf("SIGKILL to freed, %d kills: p50 %d ms, p99 %d ms, all %v", kills, lab.Percentile(took, 50).Milliseconds(), lab.Percentile(took, 99).Milliseconds(), took)
}
