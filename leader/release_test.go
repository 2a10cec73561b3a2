package leader

import (
	"fmt"
	"testing"
	"time"
)

// What a release needs beyond a dead holder, and what follows from it.

func TestReleaseNeedsAReadBegunAfterTheDeath(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.after(time.Minute - 10*time.Second)
	x.renew().shows()
	x.after(10 * time.Second)
	x.wants(ActionRead)
	begun := x.now
	x.now = x.now.Add(time.Millisecond)
	x.dies(1)
	x.now = x.now.Add(time.Millisecond)
	x.step(ReadDone{Begun: begun, View: x.lock})
	x.wants(ActionRead) // the first one was under way when the leader died
	x.reads()
	x.wants(ActionRelease)
}

func TestReleaseIsConditionalOnTheRecordThatWasRead(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.dies(1)
	x.write(func(v *View) { v.Renewed = x.now }) // the last renewal, on its way when its sender died
	x.reads()
	a := x.wants(ActionRelease)
	if a.View.Record != x.lock.Record || a.Holder != "A" {
		t.Errorf("the release of %q is conditional on %q, want A and %q", a.Holder, a.View.Record, x.lock.Record)
	}
}

func TestViewThatOvertakesTheReadIsReadAgain(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.dies(1)
	old := x.lock
	x.renew().shows() // a renewal that was in flight at the death
	x.step(ReadDone{Begun: x.now, View: old})
	x.wants(ActionRead)
	x.reads()
	x.wants(ActionRelease)
}

func TestReleaseEndsBeforeTheStandbyComes(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.after(13500 * time.Millisecond)
	x.dies(1)
	x.reads()
	a := x.wants(ActionRelease)
	if want := x.lock.Expiry().Add(-time.Second); !a.Before.Equal(want) {
		t.Errorf("the release must be answered before %v, want %v: a second before the lease ends", a.Before, want)
	}
}

// The margin is counted from the end of the lease, whatever the lease.
func TestNoReleaseWithinASecondOfTheLeasesEnd(t *testing.T) {
	for _, tt := range []struct {
		since time.Duration
		want  Outcome
	}{
		{0, Freeing}, {13899 * time.Millisecond, Freeing}, {13900 * time.Millisecond, Freeing},
		{13901 * time.Millisecond, Expired}, {14900 * time.Millisecond, Expired}, {20 * time.Second, Expired},
	} {
		t.Run(tt.since.String(), func(t *testing.T) {
			x := newScript(t)
			x.leads("A", 1) // granted 100 ms ago
			x.after(tt.since)
			x.dies(1)
			if x.d.Outcome != tt.want {
				t.Errorf("dead %v after the last renewal: %s, want %s", tt.since+100*time.Millisecond, x.d.Outcome, tt.want)
			}
		})
	}
}

// The margin passes while the answer of the backend is awaited.
func TestLeaseThatRunsOutDuringTheReadIsLeftAlone(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.after(13 * time.Second)
	x.dies(1)
	x.wants(ActionRead)
	begun := x.now
	x.now = x.now.Add(2 * time.Second)
	x.step(ReadDone{Begun: begun, View: x.lock})
	if x.d.Outcome != Expired || x.d.Action.Kind != ActionNone {
		t.Errorf("the outcome is %s with %s, want expired and no action", x.d.Outcome, x.d.Action.Kind)
	}
}

func TestRenewalAfterTheDeathRefutesIt(t *testing.T) {
	for _, tt := range []struct {
		name string
		when time.Duration
		anew bool
		want Outcome
	}{
		{"a renewal before the death", -time.Second, false, Freeing},
		{"a renewal dated within the slack", time.Second, false, Freeing},
		{"a renewal dated beyond the slack", time.Second + time.Microsecond, false, Refuted},
		{"an acquisition dated within the slack", time.Second, true, Freeing},
		{"an acquisition dated beyond the slack", time.Second + time.Microsecond, true, Refuted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newScript(t)
			x.leads("A", 1)
			x.now = x.now.Add(time.Second)
			x.dies(1)
			stamp := x.now.Add(tt.when)
			x.write(func(v *View) {
				v.Renewed = stamp
				if tt.anew {
					v.Acquired, v.Tenure.Acquired = stamp, stamp.String()
				}
			})
			x.reads()
			if x.d.Outcome != tt.want {
				t.Fatalf("the outcome is %s (%s), want %s", x.d.Outcome, x.d.Reason, tt.want)
			}
			if tt.want == Refuted {
				x.renew().shows()
				x.after(20 * time.Second)
				if x.did(ActionRelease) > 0 || x.count(CaseOpened) != 1 || x.lastEnding() != Refuted {
					t.Errorf("releases %d, cases %d, ending %s; want none, 1 and refuted", x.did(ActionRelease), x.count(CaseOpened), x.lastEnding())
				}
			}
		})
	}
}

// A look that found the process alive after the time of its death says that
// the death was another process's.
func TestBindingAfterTheDeathRefutesIt(t *testing.T) {
	x := newScript(t)
	x.runs(1)
	x.acquire("A").shows()
	x.publish(RESTServer, "s", ourREST).shows()
	x.wants(ActionLook)
	death := x.now
	x.now = x.now.Add(1100 * time.Millisecond)
	x.step(Looked{Evidence: x.evidence(1), For: "A"})
	x.step(Ended{Death{Process: process(1), At: death, Seen: x.now, Proof: ProofContainerStatus}})
	if x.d.Outcome != Refuted || x.did(ActionRelease) > 0 {
		t.Errorf("the outcome is %s after %d releases, want refuted", x.d.Outcome, x.did(ActionRelease))
	}
}

func TestReadBegunBeforeTheProofWasHereIsNotEnough(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.after(time.Minute - 10*time.Second)
	x.renew().shows()
	x.after(10 * time.Second)
	x.wants(ActionRead)
	death, begun := x.now, x.now.Add(10*time.Millisecond)
	x.now = x.now.Add(500 * time.Millisecond)
	x.step(Ended{Death{Process: process(1), At: death, Seen: x.now, Proof: ProofContainerStatus}})
	x.step(ReadDone{Begun: begun, View: x.lock})
	x.wants(ActionRead)
	x.reads()
	x.wants(ActionRelease)
}

// A dying JVM can take its lock again after its own release (Flink 2.3 does so
// 8 to 11 ms later), and a write of its may arrive when it is long dead.
func TestDeadHolderThatAppearsAgainIsFreedAgain(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.dies(1)
	x.isFreed()
	x.now = x.now.Add(time.Second)
	x.acquireLike("A", x.now.Add(-time.Second))
	x.shows()
	if x.d.Outcome != Freeing {
		t.Fatalf("the dead A holds the lock again: %s (%s), want freeing", x.d.Outcome, x.d.Reason)
	}
	x.isFreed()
	if got := len(x.state.releases); got != 1 {
		t.Errorf("the damper counts %d releases for one death, want 1", got)
	}
}

func TestDyingHolderThatTakesItsLockAgainIsFreed(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.vacate().shows()
	x.now = x.now.Add(9 * time.Millisecond)
	x.acquire("A")
	x.now = x.now.Add(100 * time.Millisecond)
	x.dies(1)
	x.reads()
	x.releases()
	if got := x.lastEnding(); got != Freed {
		t.Errorf("the case ended as %s, want freed", got)
	}
}

// Where leases run out the record's own dates end the matter; without a lease
// (ZooKeeper HA) only this does.
func TestDeadStaysKnownForAMinute(t *testing.T) {
	for _, tt := range []struct {
		since time.Duration
		want  Outcome
	}{{time.Minute, Freeing}, {time.Minute + time.Millisecond, Expired}} {
		t.Run(tt.since.String(), func(t *testing.T) {
			x := newScript(t)
			x.leads("A", 1)
			x.dies(1)
			x.isFreed()
			death := x.state.deaths[0].At
			x.now = death.Add(tt.since)
			x.acquireLike("A", death)
			x.write(func(v *View) { v.Lease = 0 })
			x.shows()
			if x.d.Outcome != tt.want {
				t.Errorf("%v after the death: %s (%s), want %s", tt.since, x.d.Outcome, x.d.Reason, tt.want)
			}
		})
	}
}

// acquireLike lets holder take the lock with a record stamped earlier.
func (x *script) acquireLike(holder string, stamp time.Time) {
	x.write(func(v *View) {
		v.Lock, v.Lease = LockHeld, testLease
		v.Tenure = Tenure{Generation: "uid-1", Holder: holder, Acquired: stamp.Format(time.RFC3339Nano)}
		v.Acquired, v.Renewed = stamp, stamp
	})
}

func TestSupersededLockIsNeverTouched(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	// The sidecar is stopped; A dies, B leads, our next JobManager has started.
	x.now = x.now.Add(10 * time.Second)
	x.acquire("B").publish(Dispatcher, "s", theirDispatcher)
	x.now = x.now.Add(time.Minute)
	x.renew()
	x.runs(2)
	x.dies(1) // it goes on, and learns of the death before the lock
	if x.did(ActionRelease) > 0 {
		t.Fatal("a release was asked for without a read")
	}
	if x.d.Action.Kind == ActionRead {
		x.reads()
	} else {
		x.shows()
	}
	x.after(time.Second)
	if x.did(ActionRelease) > 0 || x.d.Outcome == Freeing {
		t.Errorf("releases %d, outcome %s; want none", x.did(ActionRelease), x.d.Outcome)
	}
}

func TestOwnReleaseSeenBeforeItsReplyIsFreed(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(x *script)
	}{
		{"the free lock is seen", func(x *script) { x.shows() }},
		{"the next leader is seen", func(x *script) { x.shows(); x.acquire("B").shows() }},
		{"the removal is seen", func(x *script) { x.shows(); x.remove().shows() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newScript(t)
			x.leads("A", 1)
			x.dies(1)
			x.reads()
			x.wants(ActionRelease)
			freed := x.vacate().lock
			tt.then(x)
			if x.count(CaseClosed) > 0 {
				t.Fatalf("the case ended as %s before the reply", x.lastEnding())
			}
			x.step(ReleaseDone{View: freed})
			if got := x.lastEnding(); got != Freed {
				t.Errorf("the case ended as %s, want freed", got)
			}
			if len(x.state.releases) != 1 {
				t.Errorf("the damper counts %d releases, want 1", len(x.state.releases))
			}
			if x.state.last.Granted.IsZero() == (x.lock.Tenure.Holder == "B") {
				t.Errorf("the next leader was granted at %v", x.state.last.Granted)
			}
		})
	}
}

func TestUnclearReplyIsReadBeforeAnythingElse(t *testing.T) {
	t.Run("it had happened", func(t *testing.T) {
		x := newScript(t)
		x.leads("A", 1)
		x.dies(1)
		x.reads()
		x.releaseFails(ErrUnclear)
		x.vacate()
		x.untilAction()
		x.reads()
		if x.lastEnding() != Freed || x.did(ActionRelease) != 1 {
			t.Errorf("the case ended as %s after %d releases, want freed after 1", x.lastEnding(), x.did(ActionRelease))
		}
	})
	t.Run("it had not happened", func(t *testing.T) {
		x := newScript(t)
		x.leads("A", 1)
		x.dies(1)
		x.reads()
		x.releaseFails(fmt.Errorf("%w: eof", ErrUnclear))
		x.untilAction()
		x.isFreed()
		if x.did(ActionRelease) != 2 {
			t.Errorf("%d releases, want 2", x.did(ActionRelease))
		}
	})
}

// untilAction lets time pass, woken as Decide wants, until it asks for IO.
func (x *script) untilAction() {
	x.Helper()
	for range 100 {
		if x.d.Action.Kind != ActionNone {
			return
		}
		if x.d.Wake.IsZero() {
			break
		}
		x.now = x.d.Wake
		x.step(Tick{})
	}
	x.Fatalf("nothing was asked for; the outcome is %s (%s), wake %v", x.d.Outcome, x.d.Reason, x.d.Wake)
}
