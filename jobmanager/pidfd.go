package jobmanager

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// errNoProcess says that no process has that PID now.
	errNoProcess = errors.New("no such process")
	// ErrRefused says that the kernel, or the seccomp profile of the container,
	// does not let this process open or poll a pidfd. Without it no death can be
	// witnessed.
	ErrRefused = errors.New("pidfd_open is refused")
)

// kernel is the seam to the system calls on processes; a test replaces single
// functions to refuse them or to stage a race.
type kernel struct {
	// pidfdOpen returns a descriptor that stays with exactly the process that had
	// the PID at the moment of the call, or an unix.Errno.
	pidfdOpen func(pid int) (int, error)
	// poll is poll(2); timeout in milliseconds, -1 for none.
	poll func(fds []unix.PollFd, timeout int) (int, error)
	// close closes a descriptor of pidfdOpen.
	close func(fd int) error
	// uptime is the time since boot, including suspension: the clock of
	// /proc/PID/stat.
	uptime func() time.Duration
}

// linux is the real thing.
func linux() kernel {
	return kernel{
		pidfdOpen: func(pid int) (int, error) { return unix.PidfdOpen(pid, 0) },
		poll:      unix.Poll,
		close:     unix.Close,
		uptime: func() time.Duration {
			var ts unix.Timespec
			if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
				return 0
			}
			return time.Duration(ts.Nano())
		},
	}
}

// open opens a pidfd on pid. The error is errNoProcess or wraps ErrRefused, or
// is unclear, which proves nothing either.
func (k kernel) open(pid int) (int, error) {
	fd, err := k.pidfdOpen(pid)
	switch {
	case err == nil:
		return fd, nil
	case errors.Is(err, unix.ESRCH):
		return -1, errNoProcess
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOSYS):
		return -1, fmt.Errorf("%w: %w", ErrRefused, err)
	default:
		return -1, fmt.Errorf("open pidfd of PID %d: %w", pid, err)
	}
}

// ended asks whether the process of a pidfd has ended. A zombie has: its threads
// are gone, whether or not its parent has reaped it. A stopped process has not.
func (k kernel) ended(fd int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		_, err := k.poll(fds, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, fmt.Errorf("poll pidfd: %w", err)
		case fds[0].Revents&unix.POLLIN != 0:
			return true, nil
		case fds[0].Revents != 0:
			// A descriptor that is none, or an error on it, is no death.
			return false, fmt.Errorf("poll pidfd: unexpected events %#x", fds[0].Revents)
		default:
			return false, nil
		}
	}
}
