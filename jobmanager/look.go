package jobmanager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/leader"
)

// maxHeld bounds the descriptors spent on a match that is far too wide.
const maxHeld = 32

// Look reads all processes now and says which of them are JobManagers, each
// verified behind a pidfd. Everything it says was true at Evidence.At, which lies
// within the call. If ctx ends first, Evidence.Problem says so and Alive is empty.
func (w *Watcher) Look(ctx context.Context) leader.Evidence {
	select {
	case w.looking <- struct{}{}:
		defer func() { <-w.looking }()
	case <-ctx.Done():
		return leader.Evidence{At: time.Now(), Problem: fmt.Sprintf("look at processes: %v", context.Cause(ctx))}
	}
	handles, shown, problem := w.verify()
	evidence := w.conclude(handles, shown)
	if problem != "" {
		evidence = leader.Evidence{At: evidence.At, Problem: problem}
	}
	w.remember(evidence)
	return evidence
}

// verify is one pass over all processes; the caller owns w.looking. With a
// problem nothing that it found may be used.
func (w *Watcher) verify() (handles []*handle, shown []candidate, problem string) {
	s, err := w.scan()
	if err != nil {
		return nil, nil, err.Error()
	}
	candidates := s.candidates
	if w.opts.PIDFile != "" {
		candidates, problem = w.narrow(candidates)
	}
	if len(candidates) == 0 {
		if problem == "" {
			problem = w.none(s)
		}
		return nil, nil, problem
	}
	for _, c := range candidates[:min(len(candidates), maxHeld)] {
		h, err := w.hold(c)
		switch {
		case isGone(err), errors.Is(err, errChanged):
			continue // ended, or became something else: not a JobManager now
		case errors.Is(err, ErrRefused):
			return nil, nil, fmt.Sprintf(
				"the end of the JobManager (PID %d) cannot be witnessed: %v; allow pidfd_open in the container's seccomp profile (Linux 5.3 or later)", c.pid, err)
		case err != nil:
			return nil, nil, fmt.Sprintf("the JobManager (PID %d) cannot be watched: %v", c.pid, err)
		}
		handles, shown = append(handles, h), append(shown, c)
	}
	return handles, shown, ""
}

// conclude asks each process a last time. Death cannot be undone, so those that
// answer were all alive at the time taken before.
func (w *Watcher) conclude(handles []*handle, shown []candidate) leader.Evidence {
	evidence := leader.Evidence{At: time.Now()}
	var alive []candidate
	w.mu.Lock()
	defer w.mu.Unlock()
	// Also those that are candidates no more, so that no death is told later than
	// what follows from it.
	for _, h := range w.handles {
		w.checkLocked(h, time.Time{})
	}
	for i, h := range handles {
		if w.checkLocked(h, time.Time{}) {
			evidence.Alive = append(evidence.Alive, h.process)
			alive = append(alive, shown[i])
		}
	}
	switch len(alive) {
	case 0:
		evidence.Problem = "no JobManager process is running"
	case 1:
	default:
		evidence.Problem = several(alive)
	}
	return evidence
}

// remember queues evidence for the sink if it differs from the last.
func (w *Watcher) remember(evidence leader.Evidence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last != nil && w.last.Problem == evidence.Problem && slices.Equal(w.last.Alive, evidence.Alive) {
		return
	}
	if evidence.Problem != "" {
		w.log.Warn("JobManager process not watched", zap.String("reason", evidence.Problem))
	}
	w.last, w.evidence = &evidence, &evidence
	kick(w.notify)
}

// CommandLine returns the arguments of a process that is held, argv[0] first.
func (w *Watcher) CommandLine(p leader.Process) ([]string, error) {
	return w.readHeld(p, "cmdline")
}

// Environ returns the environment that a held process was started with, as
// "NAME=value". It needs the user of that process, or CAP_SYS_PTRACE.
func (w *Watcher) Environ(p leader.Process) ([]string, error) {
	return w.readHeld(p, "environ")
}

// readHeld reads a file of p and makes sure afterwards that it was p's.
func (w *Watcher) readHeld(p leader.Process, name string) ([]string, error) {
	raw, err := w.proc.read(p.PID, name, nil)
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", name, p, err)
	}
	if w.held(key{p.PID, p.StartTime}) == nil {
		return nil, fmt.Errorf("read %s of %s: it is not held", name, p)
	}
	return splitCommandLine(raw), nil
}
