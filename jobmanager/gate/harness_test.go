package gate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flink-ha-sidecar/internal/control"
)

// sidecar answers a gate with whatever the test says.
type sidecar struct {
	socket string
	server *control.Server

	mu       sync.Mutex
	answer   control.Permit
	hang     chan struct{} // not nil: questions wait for its end
	requests []control.PermitRequest
}

func startSidecar(t *testing.T) *sidecar {
	t.Helper()
	s := &sidecar{socket: filepath.Join(t.TempDir(), "s")}
	var err error
	if s.server, err = control.Listen(s.socket); err != nil {
		t.Fatal(err)
	}
	s.server.HandlePermit(func(r control.PermitRequest, _ time.Time) control.Permit {
		s.mu.Lock()
		s.requests = append(s.requests, r)
		hang := s.hang
		s.mu.Unlock()
		if hang != nil {
			<-hang
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.answer.Format = control.PermitFormat
		return s.answer
	})
	done := make(chan error, 1)
	go func() { done <- s.server.Run(t.Context()) }()
	t.Cleanup(func() {
		s.resume()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *sidecar) say(p control.Permit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = p
}

// permit permits, for so long from each question on.
func (s *sidecar) permit(epoch string, stop, kill time.Duration) {
	s.say(control.Permit{Run: true, Epoch: epoch, StopMS: stop.Milliseconds(), KillMS: kill.Milliseconds()})
}

// silence makes all questions wait, as a sidecar that is stopped does.
func (s *sidecar) silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hang = make(chan struct{})
}

func (s *sidecar) resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hang != nil {
		close(s.hang)
		s.hang = nil
	}
}

// last is the newest thing said of a command; nil if none was.
func (s *sidecar) last() *control.PermitChild {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range slices.Backward(s.requests) {
		if r.Child != nil {
			return r.Child
		}
	}
	return nil
}

func (s *sidecar) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// gate is one under test.
type gate struct {
	t      *testing.T
	cmd    *exec.Cmd
	file   string // PIDs of its commands
	done   chan struct{}
	seen   map[int]int // pidfds by PID
	keeper int
}

func startGate(t *testing.T, s *sidecar, words ...string) *gate {
	t.Helper()
	g := &gate{t: t, file: filepath.Join(t.TempDir(), "pids"), done: make(chan struct{}), seen: map[int]int{}}
	args := []string{"guard", s.socket}
	if len(words) > 0 && words[0] == "observe" {
		args, words = append(args, "observe"), words[1:]
	}
	g.run(append(append(args, os.Args[0], "jobmanager", g.file), words...)...)
	return g
}

func (g *gate) run(args ...string) {
	g.t.Helper()
	g.cmd = exec.Command(os.Args[0], args...)
	g.cmd.Stdout, g.cmd.Stderr = os.Stderr, os.Stderr
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	go func() {
		_ = g.cmd.Wait() // its status is in ProcessState
		close(g.done)
	}()
	g.t.Cleanup(func() {
		_ = unix.Kill(g.cmd.Process.Pid, unix.SIGCONT)
		_ = g.cmd.Process.Kill()
		<-g.done
		g.gone(5 * time.Second)
		for _, fd := range g.seen {
			unix.Close(fd)
		}
	})
	g.until("the keeper is there", func() bool {
		all, err := processes()
		if err != nil {
			g.t.Fatal(err)
		}
		for _, p := range all {
			if p.parent == g.cmd.Process.Pid {
				g.keeper = p.pid
			}
		}
		return g.keeper != 0
	})
}

func (g *gate) until(what string, done func() bool) {
	g.t.Helper()
	eventually(g.t, what, done)
}

// commands waits until n processes in all have come to be below the gate, and holds
// them by pidfd.
func (g *gate) commands(n int) {
	g.t.Helper()
	g.until(fmt.Sprintf("%d commands have started", n), func() bool {
		raw, err := os.ReadFile(g.file)
		if err != nil && !os.IsNotExist(err) {
			g.t.Fatal(err)
		}
		for _, line := range strings.Fields(string(raw)) {
			pid, err := strconv.Atoi(line)
			if err != nil {
				g.t.Fatal(err)
			}
			if _, ok := g.seen[pid]; ok {
				continue
			}
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				g.t.Fatalf("PID %d: %v", pid, err)
			}
			g.seen[pid] = fd
		}
		return len(g.seen) == n
	})
}

// gone waits until none of the commands is left, and returns when that was.
func (g *gate) gone(within time.Duration) Instant {
	g.t.Helper()
	begun := Now()
	for pid, fd := range g.seen {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := 0, error(unix.EINTR)
		for errors.Is(err, unix.EINTR) {
			left := within - time.Duration(Now()-begun)
			n, err = unix.Poll(fds, int(max(0, left.Milliseconds())))
		}
		if n == 0 || err != nil {
			_ = unix.Kill(pid, unix.SIGKILL)
			g.t.Errorf("PID %d is still there after %v (%v)", pid, within, err)
		}
	}
	return Now()
}

// alive says that the commands are all there.
func (g *gate) alive() {
	g.t.Helper()
	for pid, fd := range g.seen {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, _ := unix.Poll(fds, 0); n != 0 {
			g.t.Errorf("PID %d has ended", pid)
		}
	}
}

// status waits for the gate's own end.
func (g *gate) status() int {
	g.t.Helper()
	select {
	case <-g.done:
	case <-time.After(10 * time.Second):
		g.t.Fatal("the gate has not ended after 10 s")
	}
	if s, ok := g.cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		return exitCode(unix.WaitStatus(s))
	}
	return -1
}

func (g *gate) signal(pid int, s unix.Signal) {
	g.t.Helper()
	if err := unix.Kill(pid, s); err != nil {
		g.t.Fatal(err)
	}
}
