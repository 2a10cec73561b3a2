package leader

import (
	"testing"
	"time"
)

// The stories that logs, metrics and the status tell: cases, events, epochs.

func TestUnboundDeathIsCountedOnce(t *testing.T) {
	x := newScript(t)
	x.runs(1)
	x.vacate().shows()
	x.acquire("A").shows()
	x.dies(1)
	x.dies(1)
	x.runs()
	x.after(time.Second)
	if x.count(DiedUnbound) != 1 || x.did(ActionRelease) > 0 {
		t.Errorf("unbound deaths %d, releases %d; want 1 and none", x.count(DiedUnbound), x.did(ActionRelease))
	}
	if x.d.Outcome != UnboundDeath || !x.d.Settled {
		t.Errorf("the outcome is %s, settled %t; want unbound-death, and nothing owed", x.d.Outcome, x.d.Settled)
	}
	x.now = x.now.Add(3 * time.Second)
	x.renew().shows()
	if x.d.Outcome != Observing {
		t.Errorf("renewed after the death: %s, want observing: it was another's lock", x.d.Outcome)
	}
	x.runs(2)
	if x.d.Outcome != Standby {
		t.Errorf("the next JobManager is %s (%s), want standby: nothing is uncertain about it", x.d.Outcome, x.d.Reason)
	}
}

func TestDeathOfAStandbyIsNoUnboundDeath(t *testing.T) {
	x := newScript(t)
	x.runs(1)
	x.vacate().shows()
	x.acquire("B").publish(Dispatcher, "s", theirDispatcher).shows()
	x.after(3 * time.Second)
	x.dies(1)
	if x.count(DiedUnbound) != 0 || x.count(JobManagerEnded) != 1 {
		t.Errorf("unbound deaths %d, deaths %d; want 0 and 1", x.count(DiedUnbound), x.count(JobManagerEnded))
	}
}

func TestBindingToAProcessThatHasJustDiedIsActedOn(t *testing.T) {
	x := newScript(t)
	x.runs(1)
	x.vacate().shows()
	x.acquire("A").shows()
	x.publish(RESTServer, "s", ourREST).shows()
	x.wants(ActionLook)
	e := x.evidence(1)
	x.now = x.now.Add(5 * time.Millisecond)
	x.step(Ended{Death{Process: process(1), At: x.now, Proof: ProofPidfd}})
	x.step(Looked{Evidence: e, For: "A"}) // the look had found it alive
	x.isFreed()
}

func TestRestartedSidecarKnowsItsBindings(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	memory := x.state.Memory()
	t.Run("and leads on without a guess", func(t *testing.T) {
		y := newScript(t)
		y.now, y.lock, y.state = x.now, x.lock, NewState(memory)
		y.runs(1)
		y.shows()
		if y.d.Outcome != Leading {
			t.Errorf("the outcome is %s (%s), want leading", y.d.Outcome, y.d.Reason)
		}
	})
	t.Run("and frees the lock of a leader that died meanwhile", func(t *testing.T) {
		y := newScript(t)
		y.now, y.lock = x.now.Add(time.Second), x.lock
		memory.Deaths = []Death{{Process: process(1), At: y.now, Proof: ProofPidfd}}
		y.state = NewState(memory)
		y.shows()
		y.isFreed()
	})
}

func TestCaseTellsTheStoryOfAFailover(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.now = x.now.Add(5 * time.Second)
	x.renew().shows()
	renewed := x.now
	x.dies(1)
	death := x.now
	x.isFreed()
	freed := x.now
	x.now = x.now.Add(time.Second)
	x.acquire("B").shows()
	granted := x.now
	x.unpublish(RESTServer).shows()
	x.now = x.now.Add(300 * time.Millisecond)
	x.publish(Dispatcher, "s", theirDispatcher).shows()
	c := x.state.last
	if c.Holder != "A" || c.Ending != Freed || !c.Death.At.Equal(death) || !c.LastRenewed.Equal(renewed) || c.Lease != testLease {
		t.Errorf("the case says %+v", *c)
	}
	if !c.Freed.Equal(freed) || !c.Granted.Equal(granted) || !c.Published.Equal(x.now) {
		t.Errorf("freed %v, granted %v, published %v; want %v, %v, %v", c.Freed, c.Granted, c.Published, freed, granted, x.now)
	}
	for kind, want := range map[EventKind]int{LeaderChanged: 2, HolderBound: 1, JobManagerEnded: 1, CaseOpened: 1, CaseClosed: 1, LeaderPublished: 1} {
		if got := x.count(kind); got != want {
			t.Errorf("event %d was told %d times, want %d", kind, got, want)
		}
	}
}

func TestEpochGoesUpWithEveryTenure(t *testing.T) {
	x := newScript(t)
	x.vacate().shows()
	last := x.state.epoch
	if !last.IsZero() {
		t.Errorf("the epoch is %v before the first leader", last)
	}
	for _, holder := range []string{"A", "B", "A", "A"} {
		x.now = x.now.Add(time.Second)
		x.acquire(holder).shows()
		if x.state.epoch.Counter <= last.Counter {
			t.Errorf("epoch %v follows %v", x.state.epoch, last)
		}
		last = x.state.epoch
		x.renew().shows()
		x.publish(Dispatcher, holder+x.now.String(), theirDispatcher).shows()
		if x.state.epoch != last {
			t.Errorf("within a tenure the epoch went from %v to %v", last, x.state.epoch)
		}
	}
}

func TestOldViewsAreDropped(t *testing.T) {
	x := newScript(t)
	x.acquire("A")
	old := x.lock
	x.acquire("B").shows()
	x.step(Viewed{old})
	if got := x.state.view.Tenure.Holder; got != "B" {
		t.Errorf("the holder is %s, want B", got)
	}
	old.Resync = true // unless the store itself was set back
	x.step(Viewed{old})
	if got := x.state.view.Tenure.Holder; got != "A" {
		t.Errorf("after a resync the holder is %s, want A", got)
	}
}

func TestSettled(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(x *script)
		want bool
	}{
		{"nothing was looked at yet", func(x *script) { x.vacate().shows() }, false},
		{"no JobManager runs here", func(x *script) { x.acquire("B").shows(); x.runs() }, true},
		{"our JobManager stands by", func(x *script) { x.acquire("B").shows(); x.runs(1) }, false},
		{"our JobManager leads", func(x *script) { x.leads("A", 1) }, false},
		{"the leader died and its lock is being freed", func(x *script) { x.leads("A", 1); x.dies(1); x.runs() }, false},
		{"the leader died and its lock is free", func(x *script) { x.leads("A", 1); x.dies(1); x.runs(); x.d.Action.Kind = ActionRead; x.isFreed() }, true},
		{"the leader died and the backend is away", func(x *script) { x.leads("A", 1); x.dies(1); x.readFails(ErrUnavailable); x.runs() }, false},
		{"the leader released its lock and died, and nothing was read since", func(x *script) { x.leads("A", 1); x.vacate().shows(); x.dies(1); x.runs() }, false},
		{"the leader released its lock and died, and a read said so", func(x *script) { x.leads("A", 1); x.vacate().shows(); x.dies(1); x.reads(); x.runs() }, true},
		{"the lease of the dead leader is left to run", func(x *script) { crashLoop(x, 4); x.reads(); x.runs() }, false},
		{"the dead leader's lease is nearly over", func(x *script) { x.leads("A", 1); x.after(14 * time.Second); x.dies(1); x.reads(); x.runs() }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newScript(t)
			tt.play(x)
			if x.d.Settled != tt.want {
				t.Errorf("settled is %t (outcome %s), want %t", x.d.Settled, x.d.Outcome, tt.want)
			}
		})
	}
}

func TestAbsentReadThatANewObjectHasOvertakenIsDropped(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.remove().shows()
	x.after(time.Minute)
	x.wants(ActionRead)
	begun := x.now
	x.now = x.now.Add(2 * time.Millisecond)
	x.acquire("B").shows()
	x.now = x.now.Add(2 * time.Millisecond)
	x.step(ReadDone{Begun: begun, View: View{At: x.now, Lock: LockAbsent}})
	if x.d.Outcome == Retired || x.state.view.Tenure.Holder != "B" {
		t.Errorf("the outcome is %s and the holder %q, want B to hold the new object's lock", x.d.Outcome, x.state.view.Tenure.Holder)
	}
}

func TestRulesNameWhatCannotWork(t *testing.T) {
	if err := testRules().Validate(); err != nil {
		t.Errorf("the default rules: %v", err)
	}
	for name, change := range map[string]func(r *Rules){
		"no address":            func(r *Rules) { r.Self = Self{} },
		"no binding rule":       func(r *Rules) { r.Bind = nil },
		"a negative margin":     func(r *Rules) { r.Margin = -1 },
		"a damper that is zero": func(r *Rules) { r.DamperReleases = 0 },
		"no tries":              func(r *Rules) { r.Tries = 0 },
		"pauses upside down":    func(r *Rules) { r.RetryMin, r.RetryMax = 2, 1 },
	} {
		r := testRules()
		change(&r)
		if r.Validate() == nil {
			t.Errorf("%s: the rules are accepted", name)
		}
	}
}
