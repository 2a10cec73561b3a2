package gate

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFirstProcess: as PID 1 of a container the guard passes SIGTERM on, which has no
// effect on a PID 1 by itself, and takes all with it when it is killed.
func TestFirstProcess(t *testing.T) {
	unshare := []string{"--user", "--map-root-user", "--pid", "--fork", "--mount-proc"}
	if err := exec.Command("unshare", append(unshare, "true")...).Run(); err != nil {
		t.Skipf("no PID namespaces here: %v", err)
	}
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		s := startSidecar(t)
		s.permit("a", 5*time.Second, 8*time.Second)
		file := filepath.Join(t.TempDir(), "pids")
		words := []string{"tree"}
		if signal == unix.SIGKILL {
			words = append(words, "deaf")
		}
		cmd := exec.Command("unshare", slices.Concat(unshare, []string{os.Args[0], "guard", s.socket, os.Args[0], "jobmanager", file}, words)...)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "three commands have started", func() bool {
			raw, err := os.ReadFile(file)
			return err == nil && bytes.Count(raw, []byte("\n")) == 3
		})
		guard := 0
		for _, pid := range having(t, file) {
			if raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status"); err == nil && bytes.Contains(raw, []byte("\t1\n")) && bytes.Contains(raw, []byte("NSpid:")) {
				if lookAtParent(pid) == cmd.Process.Pid {
					guard = pid
				}
			}
		}
		if guard == 0 {
			t.Fatal("the guard is not to be found")
		}
		if err := unix.Kill(guard, signal); err != nil {
			t.Fatal(err)
		}
		eventually(t, "nothing is left", func() bool { return len(having(t, file)) == 0 })
		_ = cmd.Wait() // its status is the guard's
	}
}

func lookAtParent(pid int) int {
	p, _ := lookAt(pid)
	return p.parent
}

// having are the processes with word in their command lines.
func having(t *testing.T, word string) []int {
	t.Helper()
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, p := range all {
		raw, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/cmdline")
		if err == nil && bytes.Contains(raw, append([]byte(word), 0)) {
			found = append(found, p.pid)
		}
	}
	return found
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for begun := time.Now(); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Since(begun) > 15*time.Second {
			t.Fatalf("waited 15 s: %s", what)
		}
	}
}
