package leader

import (
	"fmt"
	"testing"
	"time"
)

// How often Decide tries, and when it leaves a lock alone.

// serve answers every action in the same way until the given time, woken when
// Decide wants to be, and returns how many releases it asked for.
func (x *script) serve(until time.Time, latency time.Duration, readErr, releaseErr error) int {
	x.Helper()
	before := x.did(ActionRelease)
	for x.now.Before(until) {
		switch a := x.d.Action; {
		case a.Kind == ActionRead:
			begun := x.now
			x.now = x.now.Add(latency)
			x.step(ReadDone{Begun: begun, View: x.lock, Err: readErr})
		case a.Kind == ActionRelease:
			x.now = x.now.Add(latency)
			x.step(ReleaseDone{Err: releaseErr})
		case x.d.Wake.IsZero():
			x.Fatalf("nothing is in flight and nothing will wake the loop; outcome %s (%s)", x.d.Outcome, x.d.Reason)
		default:
			x.now = x.d.Wake
			x.step(Tick{})
		}
	}
	return x.did(ActionRelease) - before
}

func TestFailedAttemptsAreBounded(t *testing.T) {
	forbidden := fmt.Errorf("%w: cannot patch configmaps %q", ErrForbidden, "c")
	for _, tt := range []struct {
		name                string
		readErr, releaseErr error
		// atMost is how many reads the first ten seconds may see.
		atMost int
		ending Outcome
	}{
		{"the release is forbidden", nil, forbidden, 14, Forbidden},
		{"the read is forbidden", forbidden, nil, 14, Forbidden},
		{"releases do not arrive", nil, ErrUnavailable, 14, Waiting},
		{"reads do not arrive", ErrUnavailable, nil, 14, Waiting},
		{"replies to releases are lost", nil, ErrUnclear, 14, Waiting},
		{"the record changes each time", nil, ErrConflict, 30, Expired},
		{"the object is gone at each write and there at each read", nil, ErrGone, 30, Expired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newScript(t)
			x.leads("A", 1)
			reads := x.did(ActionRead)
			x.dies(1)
			x.serve(x.now.Add(10*time.Second), 3*time.Millisecond, tt.readErr, tt.releaseErr)
			if got := x.did(ActionRead) - reads; got > tt.atMost || got < 5 {
				t.Errorf("%d reads in ten seconds, want 5 to %d", got, tt.atMost)
			}
			if got := x.did(ActionRelease); got > tt.atMost {
				t.Errorf("%d releases in ten seconds, want at most %d", got, tt.atMost)
			}
			x.serve(x.now.Add(6*time.Second), 3*time.Millisecond, tt.readErr, tt.releaseErr)
			if got := x.lastEnding(); got != tt.ending {
				t.Errorf("the case ended as %s, want %s", got, tt.ending)
			}
			if x.count(CaseOpened) != 1 || x.count(CaseClosed) != 1 {
				t.Errorf("%d cases opened, %d closed; want one", x.count(CaseOpened), x.count(CaseClosed))
			}
		})
	}
}

func TestPauseBetweenRefusalsDoublesUpToTwoSeconds(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.dies(1)
	want := x.rules.RetryMin
	for range 10 {
		x.reads()
		x.releaseFails(ErrForbidden)
		pause := x.d.Wake.Sub(x.now)
		if pause > want || pause < want*3/4 {
			t.Fatalf("a pause of %v, want %v less a quarter at most", pause, want)
		}
		want = min(2*want, x.rules.RetryMax)
		x.untilAction()
	}
}

func TestConflictIsTriedAgainAtOnceAFewTimes(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.dies(1)
	start := x.now
	tries := 0
	for x.d.Action.Kind == ActionRead {
		x.reads()
		x.releaseFails(ErrConflict)
		tries++
	}
	if tries != x.rules.Tries || x.now.Sub(start) > time.Second {
		t.Errorf("%d tries within %v, want %d within a second", tries, x.now.Sub(start), x.rules.Tries)
	}
	x.untilAction()
	x.isFreed()
}

func TestBackendThatAnswersAgainIsAskedAtOnce(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.step(Interrupted{"closed"})
	x.dies(1)
	for range 6 {
		x.untilAction()
		x.readFails(ErrUnavailable)
	}
	if x.d.Outcome != Waiting {
		t.Fatalf("the outcome is %s, want waiting", x.d.Outcome)
	}
	v := x.lock
	v.Resync = true
	x.step(Viewed{v})
	x.isFreed()
}

func TestDamper(t *testing.T) {
	t.Run("the fourth lease within a minute runs", func(t *testing.T) {
		x := newScript(t)
		crashLoop(x, 4)
		if x.did(ActionRelease) != 3 || x.d.Outcome != Damped {
			t.Fatalf("%d releases, then %s; want 3, then damped", x.did(ActionRelease), x.d.Outcome)
		}
		x.serve(x.lock.Expiry().Add(time.Millisecond), time.Millisecond, nil, nil)
		if x.did(ActionRelease) != 3 || x.lastEnding() != Damped {
			t.Errorf("%d releases, the case ended as %s; want 3 and damped", x.did(ActionRelease), x.lastEnding())
		}
	})
	t.Run("a long lease is freed when the minute is over", func(t *testing.T) {
		x := newScript(t)
		crashLoop(x, 3)
		oldest := x.state.releases[0]
		x.leads("H4", 4)
		x.write(func(v *View) { v.Lease = 3 * time.Minute })
		x.shows()
		x.dies(4)
		if x.d.Outcome != Damped {
			t.Fatalf("the outcome is %s, want damped", x.d.Outcome)
		}
		x.reads() // every death is followed by a read
		for x.d.Action.Kind == ActionNone && x.now.Before(oldest.Add(2*time.Minute)) {
			x.now = x.d.Wake
			x.step(Tick{})
		}
		if want := oldest.Add(time.Minute); !x.now.Equal(want) {
			t.Errorf("asked for IO at %v, want %v: a minute after the oldest release", x.now, want)
		}
		x.wants(ActionRelease)
	})
	t.Run("three deaths a minute are not damped", func(t *testing.T) {
		x := newScript(t)
		for pid := 1; pid <= 6; pid++ {
			x.leads(fmt.Sprintf("H%d", pid), pid)
			x.dies(pid)
			x.isFreed()
			x.now = x.now.Add(20 * time.Second)
		}
	})
	t.Run("a restarted sidecar remembers", func(t *testing.T) {
		x := newScript(t)
		crashLoop(x, 3)
		memory := x.state.Memory()
		y := newScript(t)
		y.now, y.state = x.now, NewState(memory)
		y.leads("H4", 4)
		y.dies(4)
		if y.d.Outcome != Damped {
			t.Errorf("the outcome is %s, want damped", y.d.Outcome)
		}
	})
}

func TestQuietLockIsReadEveryMinute(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	start := x.now
	x.serve(x.now.Add(10*time.Minute), time.Millisecond, nil, nil)
	if got := x.did(ActionRead); got < 9 || got > 11 {
		t.Errorf("%d reads in %v, want one a minute", got, x.now.Sub(start))
	}
	if x.did(ActionRelease) > 0 {
		t.Error("the lock of a living leader was to be released")
	}
}

func TestQuietLockIsAskedForSlowlyDuringAnOutage(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.serve(x.now.Add(10*time.Minute), time.Millisecond, ErrUnavailable, nil)
	if got := x.did(ActionRead); got < 30 || got > 60 {
		t.Errorf("%d reads in ten minutes of outage, want one in 11 to 15 s", got)
	}
}
