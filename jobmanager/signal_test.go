package jobmanager

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"flink-ha-sidecar/leader"
)

func TestSignalReachesExactlyTheProcessThatIsHeld(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	child := exec.Command("sh", "-c", "while :; do sleep 60; done", mark)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	defer child.Process.Kill() //nolint:errcheck // it may have ended
	w, err := New(Options{Match: []string{mark}}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	p, sole := w.Look(t.Context()).Sole()
	if !sole || p.PID != child.Process.Pid {
		t.Fatalf("found %v, want PID %d", p, child.Process.Pid)
	}
	other := p
	other.StartTime++ // an earlier one with its PID
	if err := w.Signal(other, syscall.SIGTERM); !errors.Is(err, errNoProcess) {
		t.Errorf("another process: %v, want %v", err, errNoProcess)
	}
	if err := w.Signal(leader.Process{PID: os.Getpid()}, syscall.SIGTERM); !errors.Is(err, errNoProcess) {
		t.Errorf("a process that is not held: %v", err)
	}
	if err := w.MaySignal(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Signal(p, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = <-ended
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("it ended by %v, want SIGTERM", err)
	}
	if err := w.Signal(p, syscall.SIGTERM); err == nil {
		t.Error("a process that has ended was signalled")
	}
}
