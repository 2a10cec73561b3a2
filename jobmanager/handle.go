package jobmanager

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/leader"
)

// key names a process within this boot and PID namespace.
type key struct {
	pid       int
	startTime uint64
}

// handle is a process with a pidfd on it. All fields but process belong to
// Watcher.mu once the handle is in Watcher.handles.
type handle struct {
	process leader.Process
	fd      int
	gone    bool // fd is closed
}

var (
	// errChanged says that the process is not the one that was seen a moment before.
	errChanged = errors.New("process changed while it was looked at")
	errClosed  = errors.New("watcher is closed")
)

// hold makes sure that candidate c is held, and alive with the command line that
// matched. The error is errNoProcess, errChanged, wraps ErrRefused, or is unclear.
func (w *Watcher) hold(c candidate) (*handle, error) {
	k := key{c.pid, c.startTime}
	if h := w.held(k); h != nil {
		return h, nil
	}
	fd, err := w.kernel.open(c.pid)
	if err != nil {
		return nil, err
	}
	// What was read before the pidfd was opened may be of an earlier process.
	// Read again; the poll below then says that the process of the pidfd had the
	// PID all the while.
	st, err := w.proc.stat(c.pid)
	var cmdline, cgroup []byte
	if err == nil {
		cmdline, err = w.proc.read(c.pid, "cmdline", nil)
	}
	if err == nil && (st.startTime != c.startTime || !w.match.matches(cmdline)) {
		err = errChanged
	}
	if err != nil {
		return nil, errors.Join(err, w.kernel.close(fd))
	}
	// Best effort: it only helps people to recognise the container.
	cgroup, _ = w.proc.read(c.pid, "cgroup", nil)
	return w.keep(fd, leader.Process{
		BootID:       w.bootID,
		PIDNamespace: w.namespace,
		PID:          c.pid,
		StartTime:    c.startTime,
		ContainerID:  containerID(string(cgroup)),
	})
}

// held returns the handle of a process that is held and alive.
func (w *Watcher) held(k key) *handle {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.handles[k]
	if h == nil || !w.checkLocked(h, time.Time{}) {
		return nil
	}
	return h
}

// keep takes over fd as the pidfd of p if p is alive, and closes it otherwise.
func (w *Watcher) keep(fd int, p leader.Process) (*handle, error) {
	ended, err := w.kernel.ended(fd)
	if err == nil && ended {
		err = errNoProcess
	}
	if err != nil {
		return nil, errors.Join(err, w.kernel.close(fd))
	}
	k := key{p.PID, p.StartTime}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, errors.Join(errClosed, w.kernel.close(fd))
	}
	if h := w.handles[k]; h != nil {
		// Another caller was faster; both descriptors are of the same process.
		return h, w.kernel.close(fd)
	}
	h := &handle{process: p, fd: fd}
	w.handles[k] = h
	w.wakeLocked()
	w.log.Info("JobManager process found", processFields(p)...)
	return h, nil
}

// checkLocked says whether the process of h is alive. An end is recorded with
// the time at, or with the time after the check if at is zero.
func (w *Watcher) checkLocked(h *handle, at time.Time) bool {
	if h.gone {
		return false
	}
	ended, err := w.kernel.ended(h.fd)
	if err != nil {
		// Neither alive nor dead can be shown any more: let go without a word of
		// death. The next look opens another pidfd if the process is still there.
		w.log.Error("JobManager process lost from sight", append(processFields(h.process), zap.Error(err))...)
		_ = w.forgetLocked(h)
		return false
	}
	if !ended {
		return true
	}
	if at.IsZero() {
		at = time.Now()
	}
	_ = w.forgetLocked(h)
	w.diedLocked(h.process, at)
	return false
}

// diedLocked queues the death of p for the sink.
func (w *Watcher) diedLocked(p leader.Process, at time.Time) {
	w.log.Info("JobManager process ended", append(processFields(p), zap.Time("at", at))...)
	w.deaths = append(w.deaths, leader.Death{Process: p, At: at, Proof: leader.ProofPidfd})
	kick(w.notify)
	kick(w.scanNow)
}

// forgetLocked closes the pidfd of h.
func (w *Watcher) forgetLocked(h *handle) error {
	h.gone = true
	delete(w.handles, key{h.process.PID, h.process.StartTime})
	return w.kernel.close(h.fd)
}

// ErrForeign says that a recorded process belongs to another boot or another PID
// namespace, so that nothing can be concluded about it from here.
var ErrForeign = errors.New("process of another boot or PID namespace")

// Hold takes up a process that was recorded earlier, by this sidecar or by the
// one before its restart. If it lives it is held, alive is true, and its death
// will be reported by Run. If it does not, that is proven: alive is false without
// an error, and its death is reported with the present time. With an error nothing
// is known: ErrForeign, or one that wraps ErrRefused, or an unclear one.
func (w *Watcher) Hold(p leader.Process) (alive bool, err error) {
	if p.BootID != w.bootID || p.PIDNamespace != w.namespace {
		return false, fmt.Errorf("hold %s: %w", p, ErrForeign)
	}
	if p.PID <= 0 || p.StartTime == 0 {
		return false, fmt.Errorf("hold %s: incomplete record", p)
	}
	if w.held(key{p.PID, p.StartTime}) != nil {
		return true, nil
	}
	fd, err := w.kernel.open(p.PID)
	if errors.Is(err, errNoProcess) {
		w.provenDead(p)
		return false, nil
	}
	if err != nil {
		// That includes a PID that is a thread's now.
		return false, fmt.Errorf("hold %s: %w", p, err)
	}
	st, statErr := w.proc.stat(p.PID)
	switch ended, err := w.kernel.ended(fd); {
	case err != nil:
		return false, errors.Join(fmt.Errorf("hold %s: %w", p, err), w.kernel.close(fd))
	case ended, statErr == nil && st.startTime != p.StartTime:
		// Whichever process had the PID when the pidfd was opened: it is not p, or
		// it was p and has ended.
		w.provenDead(p)
		return false, w.kernel.close(fd)
	case statErr != nil:
		// Alive, but whether it is p cannot be read (hidepid).
		return false, errors.Join(fmt.Errorf("hold %s: read start time: %w", p, statErr), w.kernel.close(fd))
	}
	_, err = w.keep(fd, p)
	if errors.Is(err, errNoProcess) {
		w.provenDead(p)
		return false, nil
	}
	return err == nil, err
}

// deathOf returns the death that Hold has just queued for p.
func (w *Watcher) deathOf(p leader.Process) leader.Death {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, death := range w.deaths {
		if death.Process == p {
			return death
		}
	}
	// Already told: Run was started first.
	return leader.Death{Process: p, At: time.Now(), Proof: leader.ProofPidfd}
}

// provenDead queues the death of a recorded process that is not there any more.
func (w *Watcher) provenDead(p leader.Process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.diedLocked(p, time.Now())
}

func processFields(p leader.Process) []zap.Field {
	fields := []zap.Field{zap.Int("pid", p.PID), zap.Uint64("startTime", p.StartTime)}
	if p.ContainerID != "" {
		fields = append(fields, zap.String("container", p.ContainerID))
	}
	return fields
}
