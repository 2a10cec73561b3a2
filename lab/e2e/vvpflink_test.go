package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// TestFlinkFailsOverByProof: real Flink, real sidecars, no HA of Flink's: the leader is
// killed, the other JobManager is started from the newest checkpoint, long before the
// lease is over. No count is skipped.
func TestFlinkFailsOverByProof(t *testing.T) {
	slow(t)
	p := shared(t)
	timing := lab.VVPTiming{LeaseDuration: 20 * time.Second, RenewDeadline: 12 * time.Second, RetryPeriod: time.Second}
	dir := filepath.Join(labtest.Dir(t), "cluster")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := lab.NewGatedCluster(lab.GatedOptions{
		Flink: labtest.Flink(t, "2.3.0"), Binary: p.sidecar, Dir: dir, Sidecar: lab.VVPSidecars(t.Context(), p.control, p.sidecar, timing),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	leader, err := c.WaitForLeader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := c.WaitForTicks(ctx, begun, 150); err != nil {
		t.Fatal(err)
	}
	if _, err := c.WaitForCheckpoint(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	if err := leader.KillJobManager(); err != nil {
		t.Fatal(err)
	}
	started, err := c.WaitForStart(ctx, c.Other(leader), killed)
	if err != nil {
		t.Fatal(err)
	}
	if took := started.Sub(killed); took > 8*time.Second {
		t.Errorf("the next JobManager was started after %v: the lock was not freed on proof", took)
	}
	checkpoint, err := c.WaitForCheckpoint(ctx, started)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("next JobManager after %v, first checkpoint after %v", started.Sub(killed).Round(time.Millisecond), checkpoint.Sub(killed).Round(time.Millisecond))
	ticks, err := lab.ReadTicks(c.Settings.Ticks())
	if err == nil {
		err = lab.CheckTicks(ticks)
	}
	if err != nil {
		t.Error(err)
	}
	resumedFrom(t, ticks)
}
