package leader

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// newQueue is a script of a lock with a queue, as ZooKeeper's: no lease, and every
// publication names its owner.
func newQueue(t *testing.T, sessions ...string) *script {
	x := newScript(t)
	x.rules.Bind, x.rules.QueueFor = BindByOwner, 40*time.Second
	x.queue(sessions...).shows()
	return x
}

// queue sets who stands in the queue.
func (x *script) queue(sessions ...string) *script {
	x.write(func(v *View) {
		v.Lock, v.Contenders, v.Tenure = LockVacant, slices.Clone(sessions), Tenure{Generation: "0x6"}
		if len(sessions) > 0 {
			v.Lock, v.Tenure.Holder, v.Tenure.Acquired = LockHeld, sessions[0], "place of "+sessions[0]
		}
	})
	return x
}

// publishes lets a session publish an address.
func (x *script) publishes(session, address string) Decision {
	x.Helper()
	x.write(func(v *View) { v.Published[Dispatcher] = Publication{Session: "s", Address: address, Owner: session} })
	return x.shows()
}

// frees lets the release that was asked for take its session out of the queue.
func (x *script) frees(session string) Decision {
	x.Helper()
	if a := x.wants(ActionRelease); a.Holder != session {
		x.Fatalf("%s is to be freed, want %s", a.Holder, session)
	}
	x.queue(slices.DeleteFunc(slices.Clone(x.lock.Contenders), func(s string) bool { return s == session })...)
	x.now = x.now.Add(3 * time.Millisecond)
	return x.step(ReleaseDone{View: x.lock})
}

func TestAttributedStandby(t *testing.T) {
	attributed := Attributed{Holder: "S2", Process: process(1)}
	for name, row := range map[string]struct {
		given func(x *script)
		in    Attributed
		bound bool
	}{
		"a standby in the queue is bound":      {func(*script) {}, attributed, true},
		"the first in the queue is bound too":  {func(*script) {}, Attributed{Holder: "S1", Process: process(1)}, true},
		"a session that is not in the queue":   {func(*script) {}, Attributed{Holder: "S9", Process: process(1)}, false},
		"another process than the one alive":   {func(*script) {}, Attributed{Holder: "S2", Process: process(2)}, false},
		"a process that has ended since":       {func(x *script) { x.dies(1) }, attributed, false},
		"a second process that has come since": {func(x *script) { x.runs(1, 2) }, attributed, false},
		"no process any more":                  {func(x *script) { x.runs() }, attributed, false},
		"the guard is off":                     {func(x *script) { x.step(Refused{"a name"}) }, attributed, false},
		"it has left the queue since":          {func(x *script) { x.queue("S1").shows() }, attributed, false},
		"it has published another's address":   {func(x *script) { x.publishes("S2", theirDispatcher) }, attributed, false},
		"it has published ours":                {func(x *script) { x.publishes("S2", ourDispatcher) }, attributed, true},
		"the holder has published its own":     {func(x *script) { x.publishes("S1", theirDispatcher) }, attributed, true},
	} {
		t.Run(name, func(t *testing.T) {
			x := newQueue(t, "S1", "S2")
			x.runs(1)
			row.given(x)
			x.step(row.in)
			if b, bound := x.state.binding(row.in.Holder); bound != row.bound || bound && b.Process != process(1) {
				t.Errorf("bound %t to %v, want %t", bound, b.Process, row.bound)
			}
		})
	}
}

func TestABindingIsNeverChangedByAnAttribution(t *testing.T) {
	x := newQueue(t, "S1", "S2")
	x.runs(1)
	x.step(Attributed{Holder: "S2", Process: process(1)})
	x.dies(1)
	x.runs(2)
	x.step(Attributed{Holder: "S2", Process: process(2)})
	if b, _ := x.state.binding("S2"); b.Process != process(1) {
		t.Errorf("S2 is bound to %v, want PID 1", b.Process)
	}
}

func TestSessionWithoutAPlaceInTheQueueIsNotBound(t *testing.T) {
	x := newQueue(t, "S1")
	x.runs(1)
	x.publishes("S9", ourDispatcher) // it has lost its place; its address stands
	x.wants(ActionNone)
}

// The kubelet's word on a lock without times: what it said when the session was
// bound may have been about the container before. Then that one's death lies before
// the binding, however long it takes until it is told.
func TestKubeletsWordOnALockWithoutTimes(t *testing.T) {
	for name, row := range map[string]struct {
		finished time.Duration // after the binding
		want     Outcome
	}{
		"the container that was bound ends":                   {time.Second, Freeing},
		"it ends in the second of the binding":                {-time.Millisecond, Refuted},
		"the word was about the container before":             {-time.Second, Refuted},
		"the word was about a container that ended long past": {-time.Hour, Refuted},
	} {
		t.Run(name, func(t *testing.T) {
			x := newQueue(t, "S1", "S2")
			x.runs(1)
			x.publishes("S1", ourDispatcher)
			e := x.evidence(1)
			e.Started, e.Proof = x.now.Add(-2*time.Hour), ProofContainerStatus
			x.wants(ActionLook)
			x.step(Looked{Evidence: e, For: "S1"})
			if x.d.Outcome != Leading {
				t.Fatalf("the outcome is %s (%s), want leading", x.d.Outcome, x.d.Reason)
			}
			death := Death{Process: process(1), At: x.now.Add(row.finished), Proof: ProofContainerStatus}
			x.now = x.now.Add(10 * time.Second)
			death.Seen = x.now
			x.step(Ended{death})
			if x.d.Outcome != row.want {
				t.Fatalf("the outcome is %s (%s), want %s", x.d.Outcome, x.d.Reason, row.want)
			}
			if row.want == Freeing {
				x.reads()
				x.frees("S1")
			} else if x.did(ActionRelease) > 0 {
				t.Error("a refuted death was acted on")
			}
		})
	}
}

func TestDeadStandbyIsFreedAheadOfTheNextLeader(t *testing.T) {
	x := newQueue(t, "S1", "S2", "S3")
	x.runs(1)
	x.step(Attributed{Holder: "S2", Process: process(1)})
	x.dies(1)
	x.reads()
	x.frees("S2")
	if got := x.lastEnding(); got != Freed {
		t.Errorf("the case ended as %s, want freed", got)
	}
	if x.count(DiedUnbound) != 0 {
		t.Error("a bound standby is counted as unbound")
	}
}

func TestDeadLeaderIsFreedBeforeItsOtherSessionBehind(t *testing.T) {
	x := newQueue(t, "S1", "S2", "S3")
	x.runs(1)
	x.publishes("S1", ourDispatcher)
	x.looks(1)
	x.step(Attributed{Holder: "S3", Process: process(1)})
	x.dies(1)
	x.reads()
	x.frees("S1")
	x.reads()
	x.frees("S3")
	x.runs()
	x.wants(ActionNone)
	if n := len(x.state.releases); n != 2 {
		t.Errorf("%d releases, want 2", n)
	}
}

func TestUnboundDeadStandbyIsToldAndCounted(t *testing.T) {
	x := newQueue(t, "S1", "S2", "S3")
	x.runs(1)
	x.publishes("S1", theirDispatcher)
	x.dies(1)
	if x.count(DiedUnbound) != 1 {
		t.Fatalf("%d unbound deaths told, want 1", x.count(DiedUnbound))
	}
	const says = "a dead candidate may be ahead of the next leader, for up to 40s"
	if !strings.Contains(x.d.Reason, says) {
		t.Errorf("the reason is %q, want %q in it", x.d.Reason, says)
	}
	if x.did(ActionRelease)+x.did(ActionRead) != 0 {
		t.Errorf("something is to be freed: %v", x.actions)
	}
	x.runs()
	if !x.d.Wake.Equal(x.state.corpse.at.Add(40 * time.Second)) {
		t.Errorf("to be woken at %v, want when the longest session has ended", x.d.Wake)
	}
	if x.after(41 * time.Second); strings.Contains(x.d.Reason, says) {
		t.Errorf("the reason is still %q after the longest session", x.d.Reason)
	}
}

func TestUnboundProcessThatMayHaveBeenTheHolderIsNoCorpseButAnOrphan(t *testing.T) {
	x := newQueue(t, "S1", "S2")
	x.runs(1)
	x.dies(1)
	if x.d.Outcome != UnboundDeath || x.count(DiedUnbound) != 1 {
		t.Errorf("the outcome is %s with %d unbound deaths, want unbound-death and 1", x.d.Outcome, x.count(DiedUnbound))
	}
}

func TestCorpseThatHasLeftTheQueueIsNoLongerTold(t *testing.T) {
	x := newQueue(t, "S1", "S2")
	x.runs(1)
	x.publishes("S1", theirDispatcher)
	x.dies(1)
	x.queue("S1", "S4").shows()
	if strings.Contains(x.d.Reason, "dead candidate") {
		t.Errorf("the reason is %q although all who stood in the queue have left it", x.d.Reason)
	}
}

func TestStandbyThatDiesAloneInTheQueueLeavesNoCorpse(t *testing.T) {
	x := newQueue(t, "S1")
	x.runs(1)
	x.publishes("S1", theirDispatcher)
	x.dies(1)
	if x.count(DiedUnbound) != 0 {
		t.Error("a death is counted although nobody stood behind the leader")
	}
}

// What a released session still owns keeps it among the contenders, behind a lock
// that nobody holds.
func TestLeftoverOfAReleasedSessionIsSweptWithoutANewDeath(t *testing.T) {
	x := newQueue(t, "S1")
	x.runs(1)
	x.publishes("S1", ourDispatcher)
	x.looks(1)
	x.dies(1)
	x.reads()
	x.frees("S1")
	x.write(func(v *View) { v.Contenders = []string{"S1"} })
	x.shows()
	x.reads()
	x.frees("S1")
	if n := x.count(CaseOpened); n != 2 {
		t.Errorf("%d cases were opened, want 2", n)
	}
	if n := len(x.state.releases); n != 1 {
		t.Errorf("the damper counts %d deaths, want 1", n)
	}
}

func TestSessionThatEndsByItselfClosesItsCase(t *testing.T) {
	x := newQueue(t, "S1", "S2")
	x.runs(1)
	x.publishes("S1", ourDispatcher)
	x.looks(1)
	x.dies(1)
	x.queue("S2").shows()
	if got := x.lastEnding(); got != Expired {
		t.Errorf("the case ended as %s, want expired", got)
	}
	if x.did(ActionRelease) != 0 {
		t.Error("a release was asked for a session that has ended")
	}
}

func TestEpochIsTheStoresOwnNumber(t *testing.T) {
	x := newQueue(t)
	x.queue("S1").write(func(v *View) { v.Counter = 0x17 })
	x.shows()
	if want := (Epoch{Generation: "0x6", Counter: 0x17}); x.state.epoch != want {
		t.Errorf("epoch %v, want %v", x.state.epoch, want)
	}
}

func TestJobsAddressCountsAtTheDispatchersPort(t *testing.T) {
	self := testRules().Self
	self.SharedNetwork, self.Ports = true, map[string][]PortRange{Dispatcher: {{6123, 6123}}}
	job := Publication{Session: "s", Address: "pekko.tcp://flink@10.0.0.1:6123/user/rpc/jobmanager_2", Owner: "S1"}
	v := View{Published: map[string]Publication{Dispatcher: {"s", ourDispatcher, "S1"}, "job-1": job}}
	if holder, why := BindByOwner(View{}, v, self); holder != "S1" {
		t.Errorf("bound %q (%s), want S1", holder, why)
	}
}
