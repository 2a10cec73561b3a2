package gate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// process is one line of the process table.
type process struct {
	pid, parent int
	started     string // as /proc tells it; with the PID it names one process
	zombie      bool
}

// errForeignTable says that /proc is of another PID namespace: its numbers are those of
// other processes here.
var errForeignTable = errors.New("read process table: /proc belongs to another PID namespace")

// processes reads the process table, as much of it as is seen from here.
func processes() ([]process, error) {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return nil, fmt.Errorf("read process table: %w", err)
	}
	if self != strconv.Itoa(os.Getpid()) {
		return nil, errForeignTable
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("read process table: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("read process table: %w", err)
	}
	var all []process
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, ok := lookAt(pid); ok {
			all = append(all, p)
		}
	}
	return all, nil
}

// lookAt reads one process; false if there is none with that PID.
func lookAt(pid int) (process, bool) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return process{}, false
	}
	// proc_pid_stat(5): the name, in brackets, may hold anything, brackets too.
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	// Fields 3, 4 and 22 there.
	const state, parent, startTime = 0, 1, 19
	if len(fields) <= startTime {
		return process{}, false
	}
	ppid, err := strconv.Atoi(string(fields[parent]))
	if err != nil {
		return process{}, false
	}
	return process{
		pid: pid, parent: ppid, started: string(fields[startTime]), zombie: fields[state][0] == 'Z' || fields[state][0] == 'X',
	}, true
}

// below returns the processes that descend from pid and live, the nearest first.
func below(all []process, pid int) []process {
	children := map[int][]process{}
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
	}
	var found []process
	todo := []int{pid}
	for len(todo) > 0 {
		for _, p := range children[todo[0]] {
			todo = append(todo, p.pid)
			if !p.zombie {
				found = append(found, p)
			}
		}
		todo = todo[1:]
	}
	return found
}

// killBelow sends SIGKILL to all that descends from pid, but not to pid, and
// returns how many it found. What forks meanwhile is found by the next call.
func killBelow(pid int) (int, error) {
	all, err := processes()
	if err != nil {
		return 0, err
	}
	found := below(all, pid)
	var problems []error
	for _, p := range found {
		if err := p.kill(); err != nil {
			problems = append(problems, err)
		}
	}
	return len(found), errors.Join(problems...)
}

// kill sends SIGKILL to exactly this process; that it has ended is no error.
func (p process) kill() error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil
	case err != nil:
		// A kernel or a sandbox without pidfds: the look just before must do.
		if now, ok := lookAt(p.pid); ok && now.started == p.started {
			err = unix.Kill(p.pid, unix.SIGKILL)
		} else {
			err = nil
		}
	default:
		defer unix.Close(fd)
		if now, ok := lookAt(p.pid); !ok || now.started != p.started {
			return nil
		}
		err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill PID %d: %w", p.pid, err)
	}
	return nil
}

// becomeSubreaper makes every descendant that loses its parent a child of this
// process.
func becomeSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %w", err)
	}
	return nil
}

// reap collects one child that has ended. With none of them pid is 0; left says
// whether there are children at all.
func reap() (pid int, status unix.WaitStatus, left bool) {
	for {
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return max(pid, 0), status, !errors.Is(err, unix.ECHILD)
	}
}

// exitCode is a status as a shell tells it.
func exitCode(s unix.WaitStatus) int {
	if s.Signaled() {
		return 128 + int(s.Signal())
	}
	return s.ExitStatus()
}
