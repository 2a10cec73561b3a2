package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/leader"
)

func TestKillIsReportedOnce(t *testing.T) {
	mark := marker()
	w := newWatcher(t, Options{Match: []string{testClass, mark}})
	cmd := start(t, "idle", argvOf(mark, "/conf")...)
	r := run(t, w)
	p := r.sole(t, cmd.Process.Pid)
	if p.BootID == "" || p.PIDNamespace == "" || p.StartTime == 0 {
		t.Errorf("process = %+v, want a whole identity", p)
	}

	before := time.Now()
	kill(t, cmd)
	waitFor(t, "the death and what follows", func() bool { return len(r.died()) > 0 && len(r.last().Alive) == 0 })
	if got := r.last().Problem; got != "no JobManager process is running" {
		t.Errorf("problem = %q", got)
	}
	d := r.died()
	if len(d) != 1 || d[0].Process != p || d[0].Proof != leader.ProofPidfd {
		t.Fatalf("deaths = %+v, want one of %+v", d, p)
	}
	if d[0].At.Before(before) || d[0].At.After(time.Now()) {
		t.Errorf("died at %v, killed after %v", d[0].At, before)
	}
}

// A look at /proc can hang, on a process whose memory map is locked. The end of
// one that is held comes by another way.
func TestDeathIsNoticedWhileALookHangs(t *testing.T) {
	mark := marker()
	w := newWatcher(t, Options{Match: []string{mark}})
	cmd := start(t, "idle", argvOf(mark, "/conf")...)
	r := run(t, w)
	p := r.sole(t, cmd.Process.Pid)
	w.looking <- struct{}{}
	kill(t, cmd)
	waitFor(t, "the death", func() bool { return len(r.died()) == 1 })
	if got := r.last().Alive; len(got) != 1 || got[0] != p {
		t.Errorf("evidence is %+v: a look has taken place, this test shows nothing", got)
	}
	<-w.looking
}

func TestStoppedProcessIsAlive(t *testing.T) {
	mark := marker()
	w := newWatcher(t, Options{Match: []string{mark}})
	cmd := start(t, "idle", argvOf(mark, "/conf")...)
	r := run(t, w)
	p := r.sole(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the process to stop", func() bool {
		raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
		return strings.Contains(string(raw), ") T ")
	})
	if got, ok := w.Look(t.Context()).Sole(); !ok || got != p {
		t.Errorf("a look at the stopped process shows %+v, %t", got, ok)
	}
	killed := time.Now()
	kill(t, cmd)
	waitFor(t, "the death", func() bool { return len(r.died()) > 0 })
	if d := r.died(); len(d) != 1 || d[0].At.Before(killed) {
		t.Errorf("deaths = %+v, want one after the kill at %v", d, killed)
	}
}

func TestZombieHasEnded(t *testing.T) {
	mark := marker()
	w := newWatcher(t, Options{Match: []string{mark}})
	cmd := start(t, "idle", argvOf(mark, "/conf")...)
	r := run(t, w)
	p := r.sole(t, cmd.Process.Pid)
	// Not reaped: PID and start time are still to be read in /proc.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the death", func() bool { return len(r.died()) == 1 })
	if st, err := w.proc.stat(p.PID); err != nil || st.startTime != p.StartTime {
		t.Fatalf("the zombie is gone (%v): this test shows nothing", err)
	}
	if e := w.Look(t.Context()); len(e.Alive) != 0 {
		t.Errorf("a zombie counts as alive: %+v", e)
	}
	if alive, err := w.Hold(p); alive || err != nil {
		t.Errorf("Hold(zombie) = %t, %v, want it dead", alive, err)
	}
}

func TestRestartIsNoticed(t *testing.T) {
	mark := marker()
	w := newWatcher(t, Options{Match: []string{mark}})
	cmd := start(t, "idle", argvOf(mark, "/conf")...)
	r := run(t, w)
	var seen []leader.Process
	for range 5 {
		seen = append(seen, r.sole(t, cmd.Process.Pid))
		kill(t, cmd)
		cmd = start(t, "idle", argvOf(mark, "/conf")...)
		began := time.Now()
		r.sole(t, cmd.Process.Pid)
		t.Logf("the next process was noticed after %v", time.Since(began).Round(time.Millisecond))
	}
	waitFor(t, "all deaths", func() bool { return len(r.died()) == len(seen) })
	for i, d := range r.died() {
		if d.Process != seen[i] {
			t.Errorf("death %d is of %+v, want %+v", i, d.Process, seen[i])
		}
	}
}

func TestSeveralAreListedAndLeftAlone(t *testing.T) {
	mark := marker()
	w := newWatcher(t, Options{Match: []string{mark}})
	one := start(t, "idle", argvOf(mark, "/conf/one")...)
	two := start(t, "idle", argvOf(mark, "/conf/two")...)
	e := w.Look(t.Context())
	if _, ok := e.Sole(); ok || len(e.Alive) != 2 {
		t.Fatalf("alive = %+v, want both", e.Alive)
	}
	for _, part := range []string{
		fmt.Sprintf("PID %d (java --configDir /conf/one)", one.Process.Pid),
		fmt.Sprintf("PID %d (java --configDir /conf/two)", two.Process.Pid),
		"--jobmanager-pid-file", "--jobmanager-match",
	} {
		if !strings.Contains(e.Problem, part) || strings.Contains(e.Problem, "\n") {
			t.Errorf("problem %q: want one line with %q", e.Problem, part)
		}
	}
	r := run(t, w)
	kill(t, two)
	r.sole(t, one.Process.Pid)
}

func TestMatchOnTheConfigurationDirectory(t *testing.T) {
	mark := marker()
	start(t, "idle", argvOf(mark, "/conf/one")...)
	two := start(t, "idle", argvOf(mark, "/conf/two")...)
	w := newWatcher(t, Options{Match: []string{mark, "/conf/two"}})
	if p, ok := w.Look(t.Context()).Sole(); !ok || p.PID != two.Process.Pid {
		t.Errorf("sole = %+v, %t, want PID %d", p, ok, two.Process.Pid)
	}
}

func TestPIDFile(t *testing.T) {
	mark := marker()
	one := start(t, "idle", argvOf(mark, "/conf/one")...)
	two := start(t, "idle", argvOf(mark, "/conf/two")...)
	shell := start(t, "idle", "/bin/sh", "-c", strings.Join(argvOf(mark, "/conf/one"), " "))
	tini := start(t, "wrapper", append([]string{"tini", "--"}, argvOf(mark, "/conf/three")...)...)
	ended := start(t, "idle", argvOf(mark, "/conf/four")...)
	kill(t, ended)
	waitFor(t, "the wrapper's child", func() bool {
		return strings.Contains(newWatcher(t, Options{Match: []string{mark}}).Look(t.Context()).Problem, "4 processes match")
	})
	path := filepath.Join(t.TempDir(), "jobmanager.pid")
	w := newWatcher(t, Options{Match: []string{mark}, PIDFile: path})
	for _, tt := range []struct {
		name, content string
		want          int
		problem       string
	}{
		{"the first of two", fmt.Sprintln(one.Process.Pid), one.Process.Pid, ""},
		{"the second of two", fmt.Sprint(two.Process.Pid), two.Process.Pid, ""},
		{"the newest line of Flink's own scripts", fmt.Sprintf("1\n%d\n%d\n", one.Process.Pid, two.Process.Pid), two.Process.Pid, ""},
		{"a PID that is gone", fmt.Sprintln(ended.Process.Pid), 0, "is stale: there is no process"},
		{"a PID that is another program's now", fmt.Sprintln(os.Getpid()), 0, "which is not a JobManager"},
		{"a shell around it", fmt.Sprintln(shell.Process.Pid), 0, "which is not a JobManager"},
		{"a wrapper around it", fmt.Sprintln(tini.Process.Pid), 0, "the wrapper around the JobManager"},
		{"nothing", "\n", 0, "it is empty"},
		{"a name", "java\n", 0, `"java" is no PID`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			e := w.Look(t.Context())
			p, ok := e.Sole()
			if ok != (tt.want != 0) || p.PID != tt.want {
				t.Errorf("sole = %+v, %t (%s), want PID %d", p, ok, e.Problem, tt.want)
			}
			if !strings.Contains(e.Problem, tt.problem) || (tt.problem == "") != (e.Problem == "") || strings.Contains(e.Problem, "\n") {
				t.Errorf("problem = %q, want one line with %q", e.Problem, tt.problem)
			}
		})
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if e := w.Look(t.Context()); len(e.Alive) != 0 || !strings.Contains(e.Problem, "no PID file") {
		t.Errorf("without the file: %+v", e)
	}
}

func TestForkIsTheSameJobManager(t *testing.T) {
	mark := marker()
	// The shell's subshell is a fork without an exec. Being busy keeps it one.
	cmd := exec.Command("/bin/sh")
	cmd.Args = []string{"sh", "-c", "( while :; do :; done ) & wait", testClass, mark}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	young := newWatcher(t, Options{Match: []string{mark}, forkGrace: time.Hour})
	old := newWatcher(t, Options{Match: []string{mark}, forkGrace: time.Nanosecond})
	waitFor(t, "the fork", func() bool { return len(old.Look(t.Context()).Alive) == 2 })
	if p, ok := young.Look(t.Context()).Sole(); !ok || p.PID != cmd.Process.Pid {
		t.Errorf("sole = %+v, %t, want the parent %d", p, ok, cmd.Process.Pid)
	}
}

func TestWrapperCountsAsSeveral(t *testing.T) {
	mark := marker()
	w := newWatcher(t, Options{Match: []string{mark}})
	tini := start(t, "wrapper", append([]string{"tini", "--"}, argvOf(mark, "/conf")...)...)
	var e leader.Evidence
	waitFor(t, "wrapper and child", func() bool { e = w.Look(t.Context()); return len(e.Alive) == 2 })
	if want := fmt.Sprintf("PID %d (tini", tini.Process.Pid); !strings.Contains(e.Problem, want) {
		t.Errorf("problem = %q, want %q in it", e.Problem, want)
	}
}

func TestShellBecomesAJobManagerByExec(t *testing.T) {
	mark := marker()
	w := newWatcher(t, Options{Match: []string{mark}})
	cmd := exec.Command("/bin/sh", "-c", `read go; exec sh -c 'read stay' "$0" "`+mark+`"`, "x")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(t, cmd) })
	if e := w.Look(t.Context()); len(e.Alive) != 0 {
		t.Fatalf("alive = %+v before the exec", e.Alive)
	}
	r := run(t, w)
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	r.sole(t, cmd.Process.Pid)
}

func TestCommandLineAndEnvironmentOfAHeldProcess(t *testing.T) {
	mark := marker()
	cmd := start(t, "idle", argvOf(mark, "/conf")...)
	w := newWatcher(t, Options{Match: []string{mark}})
	p, ok := w.Look(t.Context()).Sole()
	if !ok {
		t.Fatal("no process")
	}
	if got, err := w.CommandLine(p); err != nil || !slices.Equal(got, argvOf(mark, "/conf")) {
		t.Errorf("CommandLine = %q, %v", got, err)
	}
	if got, err := w.Environ(p); err != nil || !slices.Contains(got, roleVariable+"=idle") {
		t.Errorf("Environ = %q, %v", got, err)
	}
	kill(t, cmd)
	if got, err := w.CommandLine(p); err == nil {
		t.Errorf("CommandLine of an ended process = %q, want an error", got)
	}
}

func TestLookGivesUpWithItsContext(t *testing.T) {
	w := newWatcher(t, Options{})
	w.looking <- struct{}{} // another look hangs
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("shutting down"))
	if e := w.Look(ctx); e.Problem != "look at processes: shutting down" || len(e.Alive) != 0 {
		t.Errorf("evidence = %+v", e)
	}
}

func TestNewRefusesAForeignProc(t *testing.T) {
	root := newFakeProc(t)
	if err := os.Remove(filepath.Join(root.dir, "self")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("1", filepath.Join(root.dir, "self")); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"a missing one": t.TempDir(), "one of another PID namespace": root.dir} {
		if _, err := New(Options{procRoot: dir}, zap.NewNop()); err == nil {
			t.Errorf("New accepted %s", name)
		}
	}
}
