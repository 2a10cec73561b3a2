package gate

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Now reads CLOCK_BOOTTIME.
func Now() Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // it has no error but a bad argument
	}
	return Instant(ts.Nano())
}

// Milliseconds is the time since the boot in milliseconds.
func (i Instant) Milliseconds() int64 { return time.Duration(i).Milliseconds() }

// alarm rings at a time of CLOCK_BOOTTIME. Go's own timers stand still while the
// machine is suspended.
type alarm struct {
	C    chan struct{}
	fd   int
	file *os.File
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make timer: %w", err)
	}
	return &alarm{C: make(chan struct{}, 1), fd: fd, file: os.NewFile(uintptr(fd), "timer")}, nil
}

// run rings until close.
func (a *alarm) run() {
	var expirations [8]byte
	for {
		if _, err := a.file.Read(expirations[:]); err != nil {
			if errors.Is(err, unix.EAGAIN) {
				continue
			}
			return
		}
		select {
		case a.C <- struct{}{}:
		default: // it is ringing
		}
	}
}

// set rings at a time, at once if that is past, and not at all if it is zero.
func (a *alarm) set(at Instant) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(at))}
	if err := unix.TimerfdSettime(a.fd, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
		return fmt.Errorf("set timer: %w", err)
	}
	return nil
}

func (a *alarm) close() { a.file.Close() }
