package e2e

import (
	"testing"
	"time"

	"flink-ha-sidecar/lab/labtest"
)

// TestGateThatObservesIsProofEnough: the sidecar sees no process, and has no word of the
// kubelet; what the JobManager's parent tells binds it, and proves its death.
func TestGateThatObservesIsProofEnough(t *testing.T) {
	p := shared(t)
	t.Parallel()
	o := lease(p.standIns(), 60*time.Second)
	o.Gated = true
	o.SidecarArgs = []string{"--jobmanager-match", "no-process-has-this"}
	c := labtest.Cluster(t, o)
	leader := labtest.Ready(t, c)
	s := c.SidecarOf(leader)
	awaitBound(t, c, s)
	held := c.Lock.Last()
	killed := time.Now()
	if err := leader.KillBehindGate(); err != nil {
		t.Fatal(err)
	}
	freed := awaitSaid(t, s, msgFreed, "proof:process", held.Holder)
	t.Logf("freed %v after the kill, by a lease of 60 s", freed.At.Sub(killed).Round(time.Millisecond))
	eventually(t, "the other one leads", func() bool { l := c.LeaderNow(); return l != nil && l != leader })
	for _, s := range c.Sidecars {
		checkLog(t, s.Log())
	}
}
