package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"flink-ha-sidecar/lab"
)

const annotation = "control-plane.alpha.kubernetes.io/leader"

// write replaces the record of a cluster's lock, whatever it is.
func write(t *testing.T, p *parts, c *lab.Cluster, record string) {
	t.Helper()
	client, err := p.control.ConfigMaps(c.Settings.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotation: record}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := client.Patch(ctx, c.Settings.LockName(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// recordOf is the record of a holder that has just taken the lock.
func recordOf(holder string, c *lab.Cluster) string {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	return fmt.Sprintf(`{"holderIdentity":%q,"leaseDuration":"PT%dS","acquireTime":%q,"renewTime":%q,"leaderTransitions":7}`,
		holder, int(c.Settings.LeaseDuration.Seconds()), now, now)
}

func TestIntegrationCorruptRecordIsLeftAlone(t *testing.T) {
	p := shared(t)
	t.Parallel()
	c := start(t, p.standIns())
	leader := ready(t, c)
	s, next := c.SidecarOf(leader), standbyOf(t, c, leader)

	const corrupt = `{"holderIdentity":"x","renewTime":"yesterday"}`
	write(t, p, c, corrupt)
	awaitSaid(t, s, msgOutcome, "unreadable", "renewTime", c.Settings.LockName())
	signal(t, leader, syscall.SIGKILL)
	awaitSaid(t, s, msgEnded)
	reads := metric(t, s, "flink_ha_backend_requests_total", `verb="get"`)
	if reads < 2 { // the first at the start, the second because a bound process has ended
		eventually(t, "a read after the death", func() bool {
			return metric(t, s, "flink_ha_backend_requests_total", `verb="get"`) > reads
		})
	}
	if record := c.Lock.Last().Record; record != corrupt {
		t.Errorf("the record is %s, want it left alone", record)
	}
	mustNotFree(t, c.Sidecars...)

	write(t, p, c, `{"holderIdentity":"","leaseDuration":"PT5S","acquireTime":"1970-01-01T00:00:00.000000Z","renewTime":"1970-01-01T00:00:00.000000Z","leaderTransitions":8}`)
	eventually(t, next.Name+" leads once the record is mended", func() bool { return c.LeaderNow() == next })
	awaitSaid(t, c.SidecarOf(next), msgBound)
}

func TestIntegrationLockTakenBetweenProofAndWriteStays(t *testing.T) {
	p := shared(t)
	t.Parallel()
	g, kubeConfig := newGate(t, p)
	o := lease(p.standIns(), 60*time.Second)
	o.JobManagers, o.SidecarKubeConfig = 1, kubeConfig
	c := start(t, o)
	leader := ready(t, c)
	s, held := c.SidecarOf(leader), c.Lock.Last()

	arrived, open := g.hold(http.MethodPatch)
	signal(t, leader, syscall.SIGKILL)
	select {
	case <-arrived: // the death is proven, the lock was read, and this is the write
	case <-time.After(patience):
		t.Fatal("the sidecar does not try to free the lock")
	}
	const other = "0b5ad1ce-0000-4000-8000-000000000000"
	write(t, p, c, recordOf(other, c))
	open()
	taken := await(t, c, held, "the other holder", func(v lab.LockVersion) bool { return v.Holder == other })
	eventually(t, "the case ends as superseded", func() bool { return released(t, s, "superseded") == 1 })
	if last := c.Lock.Last(); last.ResourceVersion != taken.ResourceVersion {
		t.Errorf("the lock was written after the other holder took it: %s", last.Record)
	}
	if n := released(t, s, "freed"); n != 0 || said(t, s, msgFreed) {
		t.Error("a release is reported")
	}
}

func TestIntegrationReleaseWhoseReplyIsLostIsReadAgain(t *testing.T) {
	p := shared(t)
	t.Parallel()
	g, kubeConfig := newGate(t, p)
	o := lease(p.standIns(), 60*time.Second)
	o.SidecarKubeConfig = kubeConfig
	c := start(t, o)
	leader := ready(t, c)
	s, held := c.SidecarOf(leader), c.Lock.Last()

	g.mute(http.MethodPatch)
	signal(t, leader, syscall.SIGKILL)
	awaitTakeover(t, c, held).mustBeFreed(t, c)
	eventually(t, "the lost reply is counted", func() bool {
		return metric(t, s, "flink_ha_backend_requests_total", `outcome="unclear"`, `verb="patch"`) == 1
	})
	eventually(t, "the case ends", func() bool { return released(t, s, "freed")+released(t, s, "superseded") == 1 })
}
