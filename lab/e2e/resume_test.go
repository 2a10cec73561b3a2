package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/lab"
	"flink-ha-sidecar/lab/labtest"
)

// permitter answers at a pod's socket in place of a sidecar.
type permitter struct{ run atomic.Bool }

func startPermitter(t *testing.T, p *lab.GatedPod) *permitter {
	t.Helper()
	server, err := control.Listen(p.Socket)
	if err != nil {
		t.Fatal(err)
	}
	answers := &permitter{}
	server.HandlePermit(func(control.PermitRequest, time.Time) control.Permit {
		return control.Permit{Format: control.PermitFormat, Run: answers.run.Load(), Epoch: "one", StopMS: 3000, KillMS: 5000, Reason: "not yet"}
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return answers
}

// TestFlinkResumesWithoutHA: real Flink of each version, without HA, killed and started
// in another pod from the newest checkpoint that is whole. No count is skipped, and what
// was checkpointed is not counted anew.
func TestFlinkResumesWithoutHA(t *testing.T) {
	slow(t)
	parts := shared(t)
	for _, version := range lab.FlinkVersions {
		t.Run(version, func(t *testing.T) {
			dir := filepath.Join(labtest.Dir(t), "cluster")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			c, err := lab.NewGatedCluster(lab.GatedOptions{Flink: labtest.Flink(t, version), Binary: parts.sidecar, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Stop)
			first, second := startPermitter(t, c.Pods[0]), startPermitter(t, c.Pods[1])
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			first.run.Store(true)
			begun := time.Now()
			if _, err := c.WaitForCheckpoint(ctx, begun); err != nil {
				t.Fatal(err)
			}
			if err := c.Pods[0].KillJobManager(); err != nil {
				t.Fatal(err)
			}
			killed := time.Now()
			if err := c.Pods[0].Gate().Wait(ctx); err == nil || c.Pods[0].Gate().ExitCode() != 137 {
				t.Errorf("the gate ended with %d (%v), want 137", c.Pods[0].Gate().ExitCode(), err)
			}
			half := breakNewest(t, c.Settings.Checkpoints())
			second.run.Store(true)
			at, err := c.WaitForCheckpoint(ctx, killed.Add(time.Second))
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("killed, started again, first checkpoint after %v", at.Sub(killed).Round(time.Millisecond))
			ticks, err := lab.ReadTicks(c.Settings.Ticks())
			if err == nil {
				err = lab.CheckTicks(ticks)
			}
			if err != nil {
				t.Error(err)
			}
			resumedFrom(t, ticks)
			if log := labtest.Read(t, c.Pods[1].GateLog()); !strings.Contains(log, half) || !strings.Contains(log, `"msg":"resuming"`) {
				t.Errorf("the gate does not say that %s is not whole, or what it takes:\n%s", half, log)
			}
		})
	}
}

// breakNewest makes a copy of the newest checkpoint, half written, as the newest.
func breakNewest(t *testing.T, checkpoints string) (path string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(checkpoints, "*", "chk-*", "_metadata"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no checkpoint in %s (%v)", checkpoints, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(filepath.Dir(filepath.Dir(files[0])), "chk-99999")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "_metadata"), content[:len(content)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// resumedFrom fails the test unless the second JobManager went on from a checkpoint.
func resumedFrom(t *testing.T, ticks []lab.Tick) {
	t.Helper()
	for i := 1; i < len(ticks); i++ {
		if ticks[i].Term != ticks[i-1].Term {
			if ticks[i].Count < 2 {
				t.Errorf("%s begins with count %d, after %d: from scratch", ticks[i].Term, ticks[i].Count, ticks[i-1].Count)
			}
			t.Logf("%s ends with count %d, %s goes on from %d", ticks[i-1].Term, ticks[i-1].Count, ticks[i].Term, ticks[i].Count)
			return
		}
	}
	t.Error("no second JobManager has ticked")
}
