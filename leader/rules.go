package leader

import (
	"errors"
	"fmt"
	"time"
)

// Rules are the settings of Decide. They do not change while a member runs.
type Rules struct {
	Self Self
	// Bind decides whose process a holder is: BindByChange for Kubernetes HA.
	Bind func(prev, next View, self Self) (holder, why string)
	// Elects: the sidecars themselves make the lock and hold it (vvp-kubernetes).
	Elects bool
	// Margin is how long before its end a lease is no longer worth freeing: the
	// standby is about to take it, and a contender that loses a race of writes
	// sleeps a whole retry period (fabric8 LeaderElector).
	Margin time.Duration
	// Slack is by how much a renewal may be dated after a death and still belong
	// to the dead process. Beyond it the renewal refutes the binding.
	Slack time.Duration
	// StickyFor is how long after its lease a dead holder stays known as dead: a
	// write that was in flight when it died may still arrive.
	StickyFor time.Duration
	// QueueFor is how long at most a dead holder keeps its place in the queue where
	// its store has one: the longest session.
	QueueFor time.Duration
	// DamperReleases and DamperWindow: after so many releases for different
	// deaths within the window the next lease is left to run, because a
	// JobManager that crashes in recovery is not helped by crashing faster.
	DamperReleases int
	DamperWindow   time.Duration
	// Tries and TryWindow bound attempts at one lock that follow each other at
	// once; after Tries within TryWindow each further one waits RetryMax.
	Tries     int
	TryWindow time.Duration
	// RetryMin and RetryMax bound the pause after an attempt that failed for
	// want of an answer; it doubles from one to the other.
	RetryMin time.Duration
	RetryMax time.Duration
}

// DefaultRules returns the timings the project stands behind. Self and Bind are
// the caller's to set.
func DefaultRules() Rules {
	return Rules{
		Bind:           BindByChange,
		Margin:         time.Second,
		Slack:          time.Second,
		StickyFor:      60 * time.Second,
		DamperReleases: 3,
		DamperWindow:   60 * time.Second,
		Tries:          5,
		TryWindow:      time.Second,
		RetryMin:       50 * time.Millisecond,
		RetryMax:       2 * time.Second,
	}
}

// self is how our JobManager is known in state s.
func (r Rules) self(s State) Self {
	if s.identified {
		return s.identity
	}
	return r.Self
}

// Validate names the first setting that cannot work.
func (r Rules) Validate() error {
	switch {
	case !r.Self.IP.IsValid():
		return errors.New("rules: this pod's IP address is not known")
	case r.Bind == nil:
		return errors.New("rules: no binding rule")
	case r.Margin < 0 || r.Slack < 0 || r.StickyFor < 0:
		return errors.New("rules: margin, slack and sticky time cannot be negative")
	case r.DamperReleases < 1 || r.DamperWindow <= 0:
		return errors.New("rules: the damper needs at least one release and a window")
	case r.Tries < 1 || r.TryWindow <= 0:
		return errors.New("rules: at least one try in a window above zero is needed")
	case r.RetryMin <= 0 || r.RetryMax < r.RetryMin:
		return fmt.Errorf("rules: retry pauses from %v to %v are not a range", r.RetryMin, r.RetryMax)
	}
	return nil
}
