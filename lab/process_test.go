package lab

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary play a program that starts a part of the lab and
// is killed itself.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LAB_TEST_MACHINE"); dir != "" {
		leaveMachine(dir)
	}
	if log := os.Getenv("LAB_TEST_PARENT"); log != "" {
		p, err := start(spec{name: "child", path: "/bin/sleep", args: []string{"600"}, log: log})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(p.PID())
		<-p.Done()
		return
	}
	os.Exit(m.Run())
}

func TestProcessDiesWithTheProgramThatStartedIt(t *testing.T) {
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), "LAB_TEST_PARENT="+filepath.Join(t.TempDir(), "log"))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("parent says %q", line)
	}
	if state(child) == "" {
		t.Fatalf("child %d is not there", child)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	until(t, "the child to die", func() bool { s := state(child); return s == "" || s == "Z" })
}

// state is a process's state letter, empty if there is no such process. A zombie
// has ended; who reaps it is not the lab's concern.
func state(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return after[:1]
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for !done() {
		select {
		case <-retry.C:
		case <-deadline.C:
			t.Fatalf("waited too long for %s", what)
		}
	}
}

func startForTest(t *testing.T, script string) *Process {
	t.Helper()
	p, err := start(spec{name: "part", path: "/bin/sh", args: []string{"-c", script}, log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestProcessTellsItsEnd(t *testing.T) {
	p := startForTest(t, "echo said; exit 7")
	if err := p.Wait(t.Context()); err == nil {
		t.Error("no error for status 7")
	}
	if p.Alive() || p.ExitCode() != 7 || p.EndedAt().IsZero() {
		t.Errorf("alive %v, status %d, ended %v", p.Alive(), p.ExitCode(), p.EndedAt())
	}
	if got := tail(p.Log(), 1); got != "said" {
		t.Errorf("log %q", got)
	}
	if _, err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal after the end: %v, want %v", err, os.ErrProcessDone)
	}
}

func TestProcessIsKilledWhenItDoesNotHeedSIGTERM(t *testing.T) {
	p := startForTest(t, "trap '' TERM; echo ready; while :; do sleep 600; done")
	until(t, "the trap", func() bool { return tail(p.Log(), 1) == "ready" })
	p.Stop(50 * time.Millisecond)
	if p.Alive() {
		t.Error("still alive")
	}
}

func TestStoppedProcessIsAlive(t *testing.T) {
	p := startForTest(t, "exec sleep 600")
	if _, err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "the stop", func() bool { return state(p.PID()) == "T" })
	if !p.Alive() {
		t.Error("not alive")
	}
	p.Kill()
	if p.Alive() || p.ExitCode() != -1 {
		t.Errorf("alive %v, status %d", p.Alive(), p.ExitCode())
	}
}

func TestSubnetsOfTwoRunsDiffer(t *testing.T) {
	a, err := ReserveSubnet()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := ReserveSubnet()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if a.IP(11) == b.IP(11) {
		t.Errorf("both have %s", a.IP(11))
	}
}
