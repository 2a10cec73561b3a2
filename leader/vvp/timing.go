package vvp

import (
	"fmt"
	"time"
)

// Timing is how long everything takes. All members of a cluster should have the
// same; a lease is carried in the record, so different ones are safe, if slower.
type Timing struct {
	// Lease is for how long a record that nobody renews must be left alone.
	Lease time.Duration
	// RenewDeadline is how long after the last successful renewal began the holder's
	// JobManager gets SIGTERM.
	RenewDeadline time.Duration
	// RetryPeriod is how often the lock is read, and renewed by its holder.
	RetryPeriod time.Duration
	// CallTimeout bounds each request; half of RenewDeadline if zero, so that one
	// hung request does not cost the lease.
	CallTimeout time.Duration
	// KillTime is how long a process may take to be gone after SIGKILL, with the time
	// that its gate takes to send it: 20 to 30 ms, and 34 ms more for each GiB of
	// touched memory (measured).
	KillTime time.Duration
}

// DefaultTiming is client-go's, and a second for a kill: enough for 25 GiB.
func DefaultTiming() Timing {
	return Timing{Lease: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second, KillTime: time.Second}
}

const (
	// driftPercent is by how much a clock may run fast or slow.
	driftPercent = 5
	// minGrace is the least time between SIGTERM and SIGKILL.
	minGrace = 500 * time.Millisecond
	// maxLease bounds what a record may say: longer than anybody would wait.
	maxLease = time.Hour
)

// KillAfter is how long after the last successful renewal began SIGKILL is due, by
// the holder's clock: so early that, with the holder's clock (and that of its gate)
// slow and another member's fast, the process is gone before the lease is over there.
func (t Timing) KillAfter() time.Duration {
	shortest := t.Lease * 100 / (100 + driftPercent) // what a fast clock makes of the lease
	return max(0, shortest-t.KillTime) * (100 - driftPercent) / 100
}

// call bounds one request.
func (t Timing) call() time.Duration {
	if t.CallTimeout > 0 {
		return t.CallTimeout
	}
	return t.RenewDeadline / 2
}

// rest is how long a member whose JobManager has ended leaves the lock to others.
func (t Timing) rest() time.Duration { return t.RetryPeriod * 3 / 2 }

// silence is how long a gate may say nothing before nothing is renewed for it.
func (t Timing) silence() time.Duration { return max(t.RetryPeriod, 3*time.Second) }

// Bound is within which time one JobManager leads once all faults are over and a gate
// waits in some pod: the lock is seen, stands for a lease by a slow clock, is taken by
// a write that may have to be tried again, and the gate hears of it.
func (t Timing) Bound() time.Duration {
	return (t.Lease + t.rest() + 3*t.RetryPeriod + t.call()) * 100 / (100 - driftPercent)
}

// Validate names the first two settings that do not go together.
func (t Timing) Validate() error {
	switch {
	case t.RetryPeriod < 50*time.Millisecond:
		return fmt.Errorf("retry period %v: at least 50ms", t.RetryPeriod)
	case t.KillTime < 100*time.Millisecond:
		return fmt.Errorf("kill time %v: at least 100ms", t.KillTime)
	case t.Lease > maxLease:
		return fmt.Errorf("lease duration %v: at most %v", t.Lease, maxLease)
	case t.RenewDeadline*10 <= t.RetryPeriod*12:
		return fmt.Errorf("renew deadline %v with retry period %v: it must be more than 1.2 times as long", t.RenewDeadline, t.RetryPeriod)
	case t.KillAfter() < t.RenewDeadline+minGrace:
		return fmt.Errorf("lease duration %v with renew deadline %v: with clocks that are %d %% off and a kill that takes %v a lease leaves %v for SIGTERM and SIGKILL, so the renew deadline is at most %v",
			t.Lease, t.RenewDeadline, driftPercent, t.KillTime, t.KillAfter().Truncate(time.Millisecond), max(0, t.KillAfter()-minGrace).Truncate(time.Millisecond))
	case t.CallTimeout < 0 || t.CallTimeout >= t.RenewDeadline:
		return fmt.Errorf("call timeout %v with renew deadline %v: one request that hangs must not cost the lease", t.CallTimeout, t.RenewDeadline)
	}
	return nil
}
