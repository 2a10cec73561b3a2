//go:build labclock

package vvp

import "time"

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
