package e2enode

import (
	"syscall"
	"testing"

	"flink-ha-sidecar/lab"
)

// The one that everything is for, and what only a real pod shows of it: Flink and
// sidecar run as the user that they should, the kernel's word counts, and the
// kubelet starts the JVM again without touching the sidecar.
func TestIntegrationKilledJVM(t *testing.T) {
	p := shared(t)
	c, leader := start(t, p.options())
	for _, program := range []string{lab.JobManagerProgram, lab.SidecarProgram} {
		if uid, err := process(t, c, leader, program).UID(); err != nil || uid != 9999 {
			t.Errorf("%s runs as %d (%v), want 9999", program, uid, err)
		}
	}
	if s, err := c.Status(t.Context(), leader); err != nil || s.JobManager.Proof != "process" || s.JobManager.Guard != "" {
		t.Errorf("status %+v, %v: want the process as proof, and no refusal", s, err)
	}
	f := fail(t, c, lab.Signalled(syscall.SIGKILL))
	mustBeQuick(t, f)
	if f.Next == leader.Name {
		t.Errorf("%s leads again, the standby should have been quicker", f.Next)
	}
	ready(t, c)
	dead := get(t, c, leader.Name)
	if n := metric(t, c, dead, releases, freed, `proof="process"`); n != 1 {
		t.Errorf("%v locks freed by the word of the kernel, want 1", n)
	}
	if s := container(t, dead, "jobmanager"); s.RestartCount != 1 {
		t.Errorf("the JobManager's container was restarted %d times, want once", s.RestartCount)
	}
	if s := container(t, dead, "flink-ha"); s.RestartCount != 0 {
		t.Errorf("the sidecar's container was restarted %d times, want never", s.RestartCount)
	}
}

func TestIntegrationContainerOutOfMemory(t *testing.T) {
	p := shared(t)
	c, leader := start(t, p.options())
	mustBeQuick(t, fail(t, c, c.OutOfMemory))
	eventually(t, "the kubelet says that the container ran out of memory", func() bool {
		s := container(t, get(t, c, leader.Name), "jobmanager")
		return s.LastTerminationState.Terminated != nil && s.LastTerminationState.Terminated.Reason == "OOMKilled"
	})
	dead := get(t, c, leader.Name)
	if n := metric(t, c, dead, releases, freed); n != 1 {
		t.Errorf("%v locks freed, want 1", n)
	}
	if s := container(t, dead, "flink-ha"); s.RestartCount != 0 {
		t.Errorf("the sidecar's container was restarted %d times, want never: its memory is its own", s.RestartCount)
	}
}

// With one JobManager the sidecar saves the wait for the lease, not the restart.
func TestIntegrationOneJobManager(t *testing.T) {
	skipUnlessSlow(t)
	p := shared(t)
	o := p.options()
	o.JobManagers = 1
	c, leader := start(t, o)
	f := fail(t, c, lab.Signalled(syscall.SIGKILL))
	mustBeQuick(t, f)
	if f.Next != leader.Name {
		t.Errorf("%s leads, want %s again", f.Next, leader.Name)
	}
	if n := metric(t, c, get(t, c, leader.Name), releases, freed); n != 1 {
		t.Errorf("%v locks freed, want 1", n)
	}
}
