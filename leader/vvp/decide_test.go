package vvp

import (
	"fmt"
	"testing"
	"time"

	"flink-ha-sidecar/leader"
)

// member is one under test: each method is one thing that happens, at a time.
type member struct {
	t     *testing.T
	rules Rules
	state State
	last  Decision
}

func newMember(t *testing.T) *member {
	t.Helper()
	return &member{t: t, rules: Rules{Timing: DefaultTiming(), Pod: "jm-0", Run: "run"}}
}

func (m *member) at(seconds float64, in Input) Decision {
	m.state, m.last = m.rules.Decide(m.state, in, Now{Boot: time.Duration(seconds * float64(time.Second)), Wall: time.Unix(1e9, 0)})
	return m.last
}

func (m *member) waits(seconds float64) Decision { return m.at(seconds, Asked{Gate{Name: "gate"}}) }

func (m *member) runs(seconds float64, epoch string, ended bool) Decision {
	return m.at(seconds, Asked{Gate{Name: "gate", Has: true, Child: Child{Number: 1, PID: 9, Epoch: epoch, Ended: ended}}})
}

func (m *member) mustAct(want ActionKind) {
	m.t.Helper()
	if m.last.Action.Kind != want {
		m.t.Fatalf("the next request is %v, want %v", m.last.Action.Kind, want)
	}
}

// leads brings it to lead from second 1 on, with a vacant lock.
func (m *member) leads() {
	m.t.Helper()
	m.waits(0)
	m.mustAct(ActionRead)
	free := aRecord().Freed(time.Unix(1e9, 0))
	m.at(1, ReadDone{Sight: NewSight("uid", "10", free.Text("uid"), true)})
	m.mustAct(ActionWrite)
	m.at(1.2, WriteDone{Sight: NewSight("uid", "11", m.last.Action.Text, true)})
}

func TestVacantLockIsTakenAndTheLeaseCountsFromTheRequest(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	m.waits(0)
	free := aRecord().Freed(time.Unix(1e9, 0))
	d := m.at(1, ReadDone{Sight: NewSight("uid", "10", free.Text("uid"), true)})
	m.mustAct(ActionWrite)
	m.at(4, WriteDone{Sight: NewSight("uid", "11", d.Action.Text, true)})
	p := m.waits(5).Permit
	if !p.Run || p.Epoch != "uid/8" || p.Stop != 6*time.Second || p.Kill != m.rules.Timing.KillAfter()-4*time.Second {
		t.Errorf("4 s after the request the permit is %+v", p)
	}
}

func TestWhatIsNotVacantStandsForALease(t *testing.T) {
	t.Parallel()
	held := aRecord()
	for name, s := range map[string]Sight{
		"held":       NewSight("uid", "10", held.Text("uid"), true),
		"unreadable": NewSight("uid", "10", "{", true),
		"empty":      NewSight("uid", "10", "", false),
	} {
		m := newMember(t)
		m.waits(0)
		m.at(1, ReadDone{Sight: s})
		for at := 3.0; at < 16; at++ {
			if d := m.waits(at); d.Action.Kind > ActionRead {
				t.Fatalf("%s: taken after %v s", name, at-1)
			} else if d.Action.Kind == ActionRead {
				m.at(at, ReadDone{Sight: s})
			}
		}
		m.waits(16)
		m.mustAct(ActionWrite)
	}
}

func TestRenewalByAnotherStartsTheWaitAnew(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	m.waits(0)
	r := aRecord()
	for n := range 30 {
		r.Renewals++
		m.state.busy = ActionRead
		m.at(float64(n), ReadDone{Sight: NewSight("uid", fmt.Sprint(100+n), r.Text("uid"), true)})
		if d := m.waits(float64(n) + 0.5); d.Action.Kind == ActionWrite {
			t.Fatalf("taken after %d s although it is renewed every second", n)
		}
	}
}

func TestNoPermitAfterTheRenewDeadline(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	m.waits(0)
	free := aRecord().Freed(time.Unix(1e9, 0))
	d := m.at(1, ReadDone{Sight: NewSight("uid", "10", free.Text("uid"), true)})
	m.at(1.1, WriteDone{Sight: NewSight("uid", "11", d.Action.Text, true)})
	if !m.waits(2).Permit.Run {
		t.Fatal("no permit after the lock was taken")
	}
	if p := m.runs(10.9, "uid/8", false).Permit; !p.Run || p.Stop > 100*time.Millisecond {
		t.Errorf("0.1 s before the deadline the permit is %+v", p)
	}
	if p := m.runs(11, "uid/8", false).Permit; p.Run || p.Unknown {
		t.Errorf("at the deadline the permit is %+v", p)
	}
	m.state.busy, m.state.mustRead = ActionWrite, false
	m.at(11.5, WriteDone{Sight: NewSight("uid", "12", m.state.sent[len(m.state.sent)-1].text, true)})
	if p := m.runs(11.6, "uid/8", false).Permit; p.Run {
		t.Errorf("a tenure that is over is taken up again: %+v", p)
	}
}

func TestEndOfTheChildEndsTheTenure(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	m.waits(0)
	free := aRecord().Freed(time.Unix(1e9, 0))
	d := m.at(1, ReadDone{Sight: NewSight("uid", "10", free.Text("uid"), true)})
	m.at(1.1, WriteDone{Sight: NewSight("uid", "11", d.Action.Text, true)})
	m.waits(1.2)
	m.runs(1.3, "uid/8", false)
	d = m.runs(1.4, "uid/8", true)
	if d.Permit.Run || len(d.Events) == 0 || d.Events[0].Kind != ChildEnded || d.Events[0].Proof != leader.ProofPidfd {
		t.Errorf("the answer to the end is %+v with %+v", d.Permit, d.Events)
	}
	// A question that was on its way before the end changes nothing.
	if p := m.runs(1.5, "uid/8", false).Permit; p.Run {
		t.Errorf("the child that has ended is permitted to run: %+v", p)
	}
}

func TestRestartedSidecarTakesUpWhatRunsAndNothingElse(t *testing.T) {
	t.Parallel()
	held := aRecord()
	for name, row := range map[string]struct {
		epoch string
		pod   string
		want  ActionKind
	}{
		"the child of this very tenure": {"uid/7", "jm-0", ActionWrite},
		"a child of another tenure":     {"uid/6", "jm-0", ActionNone},
		"of another object":             {"uid-0/7", "jm-0", ActionNone},
		"another pod's lock":            {"uid/7", "jm-1", ActionNone},
	} {
		m := newMember(t)
		m.rules.Pod = row.pod
		if p := m.runs(0, row.epoch, false).Permit; !p.Unknown {
			t.Errorf("%s: before the lock was seen the permit is %+v", name, p)
		}
		m.at(0.1, ReadDone{Sight: NewSight("uid", "10", held.Text("uid"), true)})
		m.mustAct(row.want)
		if p := m.runs(0.2, row.epoch, false).Permit; p.Run || p.Unknown != (row.want == ActionWrite) {
			t.Errorf("%s: the permit is %+v", name, p)
		}
	}
}

func TestSecondGateGetsNothingWhileTheFirstAsks(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	m.leads()
	m.waits(1.3)
	if p := m.at(1.4, Asked{Gate{Name: "other"}}).Permit; p.Run {
		t.Errorf("another gate is permitted too: %+v", p)
	}
}

func TestKubeletsWordEndsTheGateThatWasThereBefore(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	m.leads()
	m.waits(1.3)
	m.runs(1.4, "uid/8", false)
	g := m.state.Gate()
	if g.stoppedBefore(g.FirstWall) || g.stoppedBefore(g.FirstWall.Add(-time.Second)) {
		t.Error("the end of a container before the gate was heard is taken for its own")
	}
	if !g.stoppedBefore(g.FirstWall.Add(time.Second)) {
		t.Error("the end of a container after the gate was heard is not taken for its own")
	}
	if d := m.at(1.5, Proven{Gate: "an earlier one", Proof: leader.ProofContainerStatus}); len(d.Events) > 0 {
		t.Errorf("an earlier gate's end: %+v", d.Events)
	}
	d := m.at(1.6, Proven{Gate: "gate", Proof: leader.ProofContainerStatus})
	if len(d.Events) != 2 || d.Events[0].Kind != ChildEnded || d.Events[0].Proof != leader.ProofContainerStatus || d.Events[1].Kind != Dropped {
		t.Errorf("its end: %+v", d.Events)
	}
	if p := m.at(1.7, Asked{Gate{Name: "next"}}).Permit; p.Run {
		t.Errorf("the next gate is permitted by the tenure that is over: %+v", p)
	}
}
