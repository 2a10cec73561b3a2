package jobmanager

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"flink-ha-sidecar/leader"
)

// ErrOtherUser says that a process runs as another user, whom this one may not
// signal. The text names both.
var ErrOtherUser = errors.New("it runs as another user")

// MaySignal returns nil if Signal would reach p.
func (w *Watcher) MaySignal(p leader.Process) error { return w.Signal(p, 0) }

// Signal sends a signal to exactly this process, through the pidfd that is held on
// it: never to another one that has got its PID.
func (w *Watcher) Signal(p leader.Process, s syscall.Signal) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.handles[key{p.PID, p.StartTime}]
	if h == nil || h.gone || h.process != p {
		return fmt.Errorf("signal %s: %w", p, errNoProcess)
	}
	err := unix.PidfdSendSignal(h.fd, s, nil, 0)
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("signal %s: %w: user %s, this sidecar is user %d", p, ErrOtherUser, w.userOf(p), os.Geteuid())
	case errors.Is(err, unix.ESRCH):
		return fmt.Errorf("signal %s: %w", p, errNoProcess)
	case err != nil:
		return fmt.Errorf("signal %s: %w", p, err)
	}
	return nil
}

// userOf is for people.
func (w *Watcher) userOf(p leader.Process) string {
	info, err := os.Stat(filepath.Join(w.proc.root, strconv.Itoa(p.PID)))
	if err != nil {
		return "unknown"
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return strconv.FormatUint(uint64(s.Uid), 10)
	}
	return "unknown"
}
