package e2enode

import (
	"syscall"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// quiet is the longest time without a record that a job may have which nothing
// has happened to; a garbage collection on a loaded machine takes its time.
const quiet = 5 * time.Second

// A sidecar that dies takes nothing with it. Its successor knows from the state
// directory which process holds the lock.
func TestIntegrationKilledSidecar(t *testing.T) {
	p := shared(t)
	c, leader := start(t, p.options())
	held, since := c.Lock.Last(), time.Now()
	if _, err := process(t, c, leader, lab.SidecarProgram).Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the kubelet starts the sidecar again", func() bool {
		s := container(t, get(t, c, leader.Name), "flink-ha")
		return s.RestartCount == 1 && s.Ready
	})
	mustStay(t, c, held, 3)
	mustNotNotice(t, c, leader.Name, since)
	ready(t, c) // bound again, without a new tenure
	mustBeQuick(t, fail(t, c, lab.Signalled(syscall.SIGKILL)))
}

// A sidecar that hangs is the kubelet's to restart. Flink has no part in it.
func TestIntegrationStoppedSidecar(t *testing.T) {
	skipUnlessSlow(t)
	p := shared(t)
	c, leader := start(t, p.options())
	held, since := c.Lock.Last(), time.Now()
	stopped := process(t, c, leader, lab.SidecarProgram)
	if _, err := stopped.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	mustStay(t, c, held, 300) // one renewal a second
	mustNotNotice(t, c, leader.Name, since)
	if stopped.Alive() {
		_, _ = stopped.Signal(syscall.SIGCONT)
	}
	eventually(t, "the sidecar is ready", func() bool { return container(t, get(t, c, leader.Name), "flink-ha").Ready })
	t.Logf("the kubelet restarted the sidecar %d times", container(t, get(t, c, leader.Name), "flink-ha").RestartCount)
	ready(t, c)
	mustBeQuick(t, fail(t, c, lab.Signalled(syscall.SIGKILL)))
}

// mustNotNotice fails the test if Flink was touched since a time.
func mustNotNotice(t *testing.T, c *lab.PodCluster, leader string, since time.Time) {
	t.Helper()
	if s := container(t, get(t, c, leader), "jobmanager"); s.RestartCount != 0 {
		t.Errorf("the JobManager's container was restarted %d times", s.RestartCount)
	}
	ticks, err := c.Ticks()
	if err != nil {
		t.Fatal(err)
	}
	if n := lab.Replayed(ticks); n != 0 {
		t.Errorf("%d records were processed again", n)
	}
	if silence := lab.Silence(ticks, since); silence > quiet {
		t.Errorf("no record for %v", silence)
	}
}
