package jobmanager

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// forkGrace is how long a child with its parent's command line is taken for
	// a fork that has not reached its exec yet. It takes milliseconds; a child
	// that still looks like its parent later is a JobManager of its own.
	forkGrace = 2 * time.Second
	// clockTick is the unit of the start time in /proc/PID/stat: USER_HZ is 100
	// on every platform Go runs on.
	clockTick = 10 * time.Millisecond
	// maxAncestors bounds the walk up from a process to PID 1.
	maxAncestors = 64
)

// candidate is a process whose command line matched, not yet verified.
type candidate struct {
	pid int
	stat
	cmdline []byte
}

// survey is what one pass over /proc saw.
type survey struct {
	candidates []candidate
	// visible counts the processes listed, unreadable those of them whose command
	// line is kept from us.
	visible, unreadable int
	pids                []int
}

// scan reads the command line of every process. One that was no JobManager
// before is read again each time: a shell becomes a JobManager by exec, with the
// same PID and start time.
func (w *Watcher) scan() (survey, error) {
	pids, err := w.proc.pids()
	if err != nil {
		return survey{}, err
	}
	s := survey{pids: pids, visible: len(pids)}
	for _, pid := range pids {
		if pid == w.self {
			continue
		}
		w.buf, err = w.proc.read(pid, "cmdline", w.buf[:0])
		if isGone(err) {
			continue
		}
		if err != nil {
			s.unreadable++
			continue
		}
		if !w.match.matches(w.buf) {
			continue
		}
		st, err := w.proc.stat(pid)
		if err != nil {
			continue // ended meanwhile, or the next look sees it
		}
		s.candidates = append(s.candidates, candidate{pid: pid, stat: st, cmdline: bytes.Clone(w.buf)})
	}
	slices.SortFunc(s.candidates, func(a, b candidate) int { return a.pid - b.pid })
	s.candidates = withoutForks(s.candidates, w.kernel.uptime(), w.forkGrace)
	return s, nil
}

// withoutForks drops the children that have just been forked from another
// candidate and still show its command line: they are about to exec something
// else. A parent with another command line, a wrapper, stays beside its child.
func withoutForks(candidates []candidate, uptime, grace time.Duration) []candidate {
	isFork := func(c candidate) bool {
		age := uptime - time.Duration(c.startTime)*clockTick
		if age > grace {
			return false
		}
		return slices.ContainsFunc(candidates, func(p candidate) bool {
			return p.pid == c.parent && bytes.Equal(p.cmdline, c.cmdline)
		})
	}
	kept := make([]candidate, 0, len(candidates))
	for _, c := range candidates {
		if !isFork(c) {
			kept = append(kept, c)
		}
	}
	return kept
}

// readPIDFile returns the last PID in the file: Flink's own scripts append one
// line for each daemon they start.
func readPIDFile(path string) (int, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw))
	if len(fields) == 0 {
		return 0, errors.New("it is empty")
	}
	pid, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("%q is no PID", fields[len(fields)-1])
	}
	return pid, nil
}

// narrow keeps only the candidate that the PID file names. If there is none the
// second result says in one line why.
func (w *Watcher) narrow(candidates []candidate) (chosen []candidate, problem string) {
	path := w.opts.PIDFile
	pid, err := readPIDFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Sprintf("no PID file %s yet (--jobmanager-pid-file): no JobManager is watched", path)
	case err != nil:
		return nil, fmt.Sprintf("PID file %s cannot be used: %v", path, err)
	}
	i := slices.IndexFunc(candidates, func(c candidate) bool { return c.pid == pid })
	if i < 0 {
		return nil, w.refusePID(path, pid)
	}
	for _, other := range candidates {
		if other.pid != pid && w.descends(other, pid) {
			return nil, fmt.Sprintf("PID file %s names PID %d, the wrapper around the JobManager %d: its end is not the JobManager's; write the PID of the Java process",
				path, pid, other.pid)
		}
	}
	return candidates[i : i+1], ""
}

// refusePID says why the process that a PID file names is not taken.
func (w *Watcher) refusePID(path string, pid int) string {
	raw, err := w.proc.read(pid, "cmdline", nil)
	switch {
	case isGone(err):
		return fmt.Sprintf("PID file %s is stale: there is no process %d", path, pid)
	case err != nil:
		return fmt.Sprintf("PID file %s names PID %d, whose command line cannot be read: %v", path, pid, err)
	default:
		return fmt.Sprintf("PID file %s names PID %d (%s), which is not a JobManager: no argument of its command line matches (stale file, or the PID of a wrapper)",
			path, pid, describe(raw))
	}
}

// descends says whether c has the process ancestor above it.
func (w *Watcher) descends(c candidate, ancestor int) bool {
	parent := c.parent
	for range maxAncestors {
		if parent == ancestor {
			return true
		}
		if parent <= 1 {
			return false
		}
		st, err := w.proc.stat(parent)
		if err != nil {
			return false
		}
		parent = st.parent
	}
	return false
}

// onlyOwn says whether no process but this one, its ancestors and its children
// is visible, as in a container that does not share the pod's PID namespace.
func (w *Watcher) onlyOwn(pids []int) bool {
	family := map[int]bool{w.self: true}
	for pid := w.self; pid > 0 && len(family) < maxAncestors; {
		st, err := w.proc.stat(pid)
		if err != nil {
			break
		}
		pid = st.parent
		family[pid] = true
	}
	for _, pid := range pids {
		if family[pid] {
			continue
		}
		st, err := w.proc.stat(pid)
		if isGone(err) {
			continue
		}
		if err != nil || !w.descends(candidate{stat: st}, w.self) {
			return false
		}
	}
	return true
}
