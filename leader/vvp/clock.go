package vvp

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock tells the time. It is a setting for tests alone.
type Clock func() Now

// BootClock reads CLOCK_BOOTTIME, and the wall clock for people. Where there is no
// such clock there is no Linux, and nothing of this runs.
func BootClock() Now {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err)
	}
	return Now{Boot: time.Duration(ts.Nano()), Wall: time.Now()}
}
