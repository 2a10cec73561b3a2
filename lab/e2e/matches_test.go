package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// Two JobManagers on one host, told apart by nothing but what the flags say:
// beside the second one run a sidecar that has no flag for it and one that has a
// PID file.
func TestIntegrationSeveralJobManagersAreToldApartByAPIDFile(t *testing.T) {
	p := shared(t)
	t.Parallel()
	o := lease(p.standIns(), 60*time.Second)
	o.JobManagers, o.Sidecar = 1, ""
	c := start(t, o)
	first := ready(t, c)
	held := c.Lock.Last()

	prefix := first.Address[:strings.LastIndex(first.Address, ".")]
	second, err := lab.NewStandIn(c.Settings, "jobmanager-2", prefix+".12", p.standIn)
	if err != nil {
		t.Fatal(err)
	}
	third, err := lab.NewStandIn(c.Settings, "jobmanager-3", prefix+".13", p.standIn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Kill)
	t.Cleanup(third.Kill)
	pidFile := filepath.Join(t.TempDir(), "jobmanager.pid")
	blind := launch(t, p, c, second, "8088")
	told := launch(t, p, c, second, "8089", "--jobmanager-pid-file", pidFile)
	awaitReadyOrIdle(t, blind)
	awaitReadyOrIdle(t, told)

	for _, j := range []*lab.JobManager{second, third} {
		if err := j.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(pidFile, fmt.Appendln(nil, second.Process().PID()), 0o600); err != nil {
		t.Fatal(err)
	}
	awaitSaid(t, blind, "", "processes match as JobManager, none is bound", "--jobmanager-pid-file")
	awaitReady(t, told)

	// The third is stopped, so that the second is next; it still matches.
	signal(t, third, syscall.SIGSTOP)
	signal(t, first, syscall.SIGTERM)
	led := await(t, c, held, "the second leads", func(v lab.LockVersion) bool { return v.LeaderIP() == second.Address })
	awaitSaid(t, blind, "holder not bound", led.Holder, "processes match as JobManager")
	awaitSaid(t, told, msgBound, led.Holder)
	signal(t, third, syscall.SIGCONT)

	signal(t, second, syscall.SIGKILL)
	awaitTakeover(t, c, led).mustBeFreed(t, c)
	awaitSaid(t, told, msgFreed, led.Holder)
	mustNotFree(t, blind)
}

// launch starts a sidecar without the flag by which the lab tells JobManagers
// apart.
func launch(t *testing.T, p *parts, c *lab.Cluster, j *lab.JobManager, port string, args ...string) *lab.Sidecar {
	t.Helper()
	// For its log, its state and its probes alone: it is not started.
	s := lab.NewSidecar(c.Settings, j, p.sidecar, p.kubeConfig)
	s.Name += "-" + port
	s.Listen, s.StateDir = j.Address+":"+port, t.TempDir()
	log, err := os.Create(s.Log())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, p.sidecar, append([]string{
		"run", "--flink-conf-dir", j.ConfDir, "--kubeconfig", p.kubeConfig, "--pod-name", j.PodName(), "--pod-ip", j.Address,
		"--state-dir", s.StateDir, "--listen", s.Listen,
	}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel() // kills it
		_ = cmd.Wait()
		checkLog(t, s.Log())
	})
	return s
}
