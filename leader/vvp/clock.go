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

// SkewedClock is BootClock by a clock that is off by offset and runs at rate.
func SkewedClock(rate float64, offset time.Duration) Clock {
	begun := BootClock()
	skew := func(passed time.Duration) time.Duration {
		return offset + time.Duration(float64(passed)*rate)
	}
	return func() Now {
		now := BootClock()
		return Now{
			Boot: begun.Boot + skew(now.Boot-begun.Boot),
			Wall: begun.Wall.Add(skew(now.Wall.Sub(begun.Wall))),
		}
	}
}
