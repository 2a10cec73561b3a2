package leader

import (
	"testing"
	"time"
)

// pauses tells of a pause that begins now.
func (x *script) pauses(d time.Duration) Decision {
	x.Helper()
	return x.step(PauseSet{Pause{At: x.now, Until: x.now.Add(d), By: "ops", Reason: "upgrade"}})
}

func (x *script) resumes() Decision {
	x.Helper()
	return x.step(PauseSet{})
}

func TestNothingIsFreedWhilePausedAndAllIsFreedThen(t *testing.T) {
	for name, end := range map[string]func(x *script){
		"it is ended":              func(x *script) { x.after(time.Second); x.resumes() },
		"it runs out":              func(x *script) { x.after(5 * time.Second) },
		"its length is over first": func(x *script) { x.after(5 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newScript(t)
			x.leads("A", 1)
			if name == "its length is over first" { // the clock that asked for it is an hour ahead
				x.step(PauseSet{Pause{At: x.now.Add(time.Hour), Until: x.now.Add(time.Hour + 5*time.Second)}})
			} else {
				x.pauses(5 * time.Second)
			}
			if x.d.Outcome != Leading || x.count(PauseBegan) != 1 {
				t.Fatalf("paused, the outcome is %s with %d events, want leading with one", x.d.Outcome, x.count(PauseBegan))
			}
			x.now = x.now.Add(10 * time.Millisecond)
			x.dies(1)
			x.reads()
			if x.d.Outcome != Paused || x.count(CaseOpened) != 1 {
				t.Fatalf("the outcome is %s with %d cases, want paused with one", x.d.Outcome, x.count(CaseOpened))
			}
			x.renewedInFlight()
			if x.did(ActionRelease) != 0 {
				t.Fatal("a release was asked for")
			}
			end(x)
			x.isFreed()
			if x.count(PauseEnded) != 1 {
				t.Errorf("%d ends were told, want 1", x.count(PauseEnded))
			}
		})
	}
}

// renewedInFlight is a renewal that was on its way as the leader died: the record
// that is read when the pause ends is another than the one read before.
func (x *script) renewedInFlight() {
	x.Helper()
	x.renew().shows()
}

func TestDecisionIsWokenWhenAPauseEnds(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	until := x.now.Add(3 * time.Second)
	x.pauses(3 * time.Second)
	x.dies(1)
	x.reads()
	if x.d.Wake.IsZero() || x.d.Wake.After(until) {
		t.Errorf("it is woken at %v, want by %v", x.d.Wake, until)
	}
}

func TestLeaseThatRanOutInAPauseIsTold(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.pauses(time.Hour)
	x.dies(1)
	x.reads()
	x.after(14 * time.Second)
	x.after(2 * time.Second)
	if got := x.lastEnding(); got != Paused {
		t.Errorf("the case ended as %s, want paused", got)
	}
	x.resumes()
	if x.d.Outcome != Expired || x.did(ActionRelease) != 0 {
		t.Errorf("after the pause: %s, %d releases; want expired and none", x.d.Outcome, x.did(ActionRelease))
	}
}

func TestPauseToldAgainIsNoLonger(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	p := Pause{At: x.now.Add(time.Hour), Until: x.now.Add(time.Hour + 4*time.Second)}
	x.step(PauseSet{p})
	x.after(3 * time.Second)
	x.step(PauseSet{p})
	if x.after(900 * time.Millisecond); !x.state.pausing(x.now) {
		t.Error("it is over too early")
	}
	if x.after(200 * time.Millisecond); x.state.pausing(x.now) {
		t.Error("to be told of it again has made it longer")
	}
	if x.count(PauseBegan) != 1 || x.count(PauseEnded) != 1 {
		t.Errorf("%d begins and %d ends were told, want one each", x.count(PauseBegan), x.count(PauseEnded))
	}
}

func TestPauseThatIsOverWhenItIsToldIsNone(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.step(PauseSet{Pause{At: x.now.Add(-time.Hour), Until: x.now.Add(-time.Second)}})
	x.dies(1)
	x.isFreed()
	if x.count(PauseBegan) != 0 {
		t.Error("a pause was told that was over")
	}
}

func TestPauseIsRememberedAcrossARestart(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	if x.pauses(time.Hour); !x.d.MemoryChanged {
		t.Error("the memory has not changed")
	}
	memory := x.state.Memory()
	memory.Deaths = []Death{{Process: process(1), At: x.now, Proof: ProofPidfd}}
	y := newScript(t)
	y.now, y.lock, y.state = x.now, x.lock, NewState(memory)
	y.shows()
	y.reads()
	y.runs()
	if y.d.Outcome != Paused || y.state.snapshot(y.d, y.now).Pause == nil {
		t.Fatalf("after a restart the outcome is %s, want paused", y.d.Outcome)
	}
	if y.step(PauseSet{memory.Pause}); y.d.MemoryChanged {
		t.Error("the same pause has changed the memory")
	}
	y.resumes()
	y.releases()
	if !y.state.Memory().Pause.IsZero() {
		t.Error("a pause that was ended is remembered")
	}
}

func TestPausedMemberIsSettled(t *testing.T) {
	x := newScript(t)
	x.leads("A", 1)
	x.pauses(time.Hour)
	x.dies(1)
	x.reads()
	x.runs()
	if !x.d.Settled {
		t.Error("a member that is to end waits for the end of a pause")
	}
}
