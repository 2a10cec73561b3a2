package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/leader"
)

// roleVariable makes the test binary play another process.
const roleVariable = "FLINK_HA_TEST_ROLE"

// patience bounds every wait of these tests; it is never waited out.
const patience = 10 * time.Second

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(m.Run())
	case "idle":
		time.Sleep(10 * time.Minute)
	case "wrapper":
		// Like tini: runs what stands behind "--" as its child.
		_, argv, _ := strings.Cut(strings.Join(os.Args, "\x00"), "\x00--\x00")
		cmd := exec.Command("/proc/self/exe")
		cmd.Args = strings.Split(argv, "\x00")
		cmd.Env = append(os.Environ(), roleVariable+"=idle")
		// The child ends with the wrapper; the kernel means its thread.
		runtime.LockOSThread()
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		_ = cmd.Run()
	}
}

// marker is an argument that no other process on this machine has: Flink may
// well run beside this test.
func marker() string { return fmt.Sprintf("--test=%016x", rand.Uint64()) }

// testClass stands where a JobManager has its entry point. The real names would
// lead other tests on this machine, with real JobManagers, astray.
const testClass = "com.example.TestClusterEntrypoint"

// argvOf is the command line of a JobManager that carries mark.
func argvOf(mark, configDir string) []string {
	return []string{"java", "-cp", "/opt/flink/lib/*", testClass, "--configDir", configDir, mark}
}

// start runs a process with any command line; it ends with the test.
func start(t testing.TB, role string, argv ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = argv
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(t, cmd) })
	// Until exec the child shows the command line of this test.
	waitFor(t, "the process to show its command line", func() bool {
		got, _ := procfs{root: "/proc"}.read(cmd.Process.Pid, "cmdline", nil)
		return string(got) == string(raw(argv...))
	})
	return cmd
}

// kill ends a process and reaps it; a second time it does nothing.
func kill(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if cmd.ProcessState != nil {
		return
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Errorf("kill %d: %v", cmd.Process.Pid, err)
	}
	_ = cmd.Wait()
}

func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			t.Fatalf("waited %v for %s", patience, what)
		case <-tick.C:
		}
	}
}

func newWatcher(t testing.TB, opts Options) *Watcher {
	t.Helper()
	w, err := New(opts, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return w
}

// record is what a running watcher has told.
type record struct {
	mu       sync.Mutex
	evidence leader.Evidence
	deaths   []leader.Death
}

// run runs w until the test ends.
func run(t testing.TB, w *Watcher) *record {
	t.Helper()
	r := &record{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- w.Run(ctx, func(e leader.Evidence) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.evidence = e
		}, func(d leader.Death) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.deaths = append(r.deaths, d)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v, want the context's error", err)
		}
	})
	return r
}

func (r *record) last() leader.Evidence {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.evidence
}

func (r *record) died() []leader.Death {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]leader.Death(nil), r.deaths...)
}

// sole waits until exactly the process pid is told of, and returns it.
func (r *record) sole(t testing.TB, pid int) leader.Process {
	t.Helper()
	var p leader.Process
	waitFor(t, fmt.Sprintf("PID %d to be the one JobManager", pid), func() bool {
		var ok bool
		p, ok = r.last().Sole()
		return ok && p.PID == pid
	})
	return p
}
