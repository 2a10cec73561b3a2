package hastate

import (
	"testing"
	"time"

	"flink-ha-sidecar/leader"
)

// stage plays what one sidecar sees.
type stage struct {
	t   *testing.T
	h   Historian
	now time.Time
	// what the cases and views are about
	last *leader.Case
	view leader.View
	rev  uint64
	out  leader.Outcome
	all  Document
}

func newStage(t *testing.T) *stage {
	t.Helper()
	return &stage{t: t, h: Historian{Pod: "pod-1"}, now: noon, rev: 10}
}

// note feeds one decision, a second later.
func (s *stage) note(events ...leader.Event) []Change {
	s.now = s.now.Add(time.Second)
	snap := &leader.Snapshot{At: s.now, Outcome: s.out, Contact: true, View: s.view, Last: s.last,
		Epoch: leader.Epoch{Generation: "uid", Counter: s.rev}, Since: s.now}
	all := s.h.Note(snap, leader.Decision{Outcome: s.out, Events: events})
	for _, c := range all {
		s.all = s.all.WithChange(c)
	}
	return all
}

// holds makes somebody the holder, as a view shows it. The first one is no change.
func (s *stage) holds(holder string, outcome leader.Outcome, change bool) []Change {
	s.rev++
	s.out = outcome
	s.view = leader.View{Lock: leader.LockHeld, Tenure: leader.Tenure{Generation: "uid", Holder: holder, Acquired: holder + "!"}, Published: s.view.Published}
	if change {
		return s.note(leader.Event{Kind: leader.LeaderChanged, Holder: holder, Case: s.last})
	}
	return s.note()
}

func (s *stage) publishes(address string) []Change {
	s.view.Published = map[string]leader.Publication{leader.Dispatcher: {Session: s.view.Tenure.Holder, Address: "pekko.tcp://flink@" + address + "/user/rpc/dispatcher_1"}}
	return s.note()
}

// dies is the death of the holder, with what became of its lock.
func (s *stage) dies(ending leader.Outcome) []Change {
	c := &leader.Case{Holder: s.view.Tenure.Holder, Tenure: s.view.Tenure, Epoch: leader.Epoch{Generation: "uid", Counter: s.rev},
		Death: leader.Death{At: s.now, Proof: leader.ProofPidfd}, Ending: ending}
	if ending == leader.Freed {
		c.Freed = s.now.Add(8 * time.Millisecond)
	}
	s.last, s.out = c, leader.Vacant
	s.view.Lock = leader.LockVacant
	return s.note(leader.Event{Kind: leader.CaseClosed, Holder: c.Holder, Case: c})
}

// only is the one change of the history.
func (s *stage) only() Change {
	s.t.Helper()
	if len(s.all.Changes) != 1 {
		s.t.Fatalf("%d changes, want 1: %+v", len(s.all.Changes), s.all.Changes)
	}
	return s.all.Changes[0]
}

func TestHistorianTellsADeathWithItsPhases(t *testing.T) {
	s := newStage(t)
	s.holds("A", leader.Leading, false)
	s.publishes("10.0.0.1:6123")
	if len(s.all.Changes) != 0 {
		t.Fatalf("the leader that was there at the start is a change: %+v", s.all.Changes)
	}
	died := s.now
	if all := s.dies(leader.Freed); len(all) != 1 || !all[0].Next.Granted.IsZero() {
		t.Fatalf("the death was told as %+v, want one change without its next leader", all)
	}
	s.holds("B", leader.Observing, true)
	granted := s.now
	s.publishes("10.0.0.2:6123")
	if more := s.note(); len(more) != 0 {
		t.Errorf("more is told when nothing happens: %+v", more)
	}
	want := Change{
		Ended: Term{"uid", "A", "A!", 11},
		End:   End{Cause: CauseDied, Outcome: "freed", Proof: "process", At: died, Freed: died.Add(8 * time.Millisecond), Pod: "pod-1"},
		Next: Next{Term: Term{"uid", "B", "B!", 12}, Address: "10.0.0.2:6123", Granted: granted,
			Published: granted.Add(time.Second), Pod: "pod-1"},
	}
	if got := s.only(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestHistorianNamesTheCause(t *testing.T) {
	for name, row := range map[string]struct {
		play func(s *stage)
		want Cause
	}{
		"nobody led before": {func(s *stage) {
			s.view.Lock, s.out = leader.LockVacant, leader.Vacant
			s.note()
			s.holds("A", leader.Standby, true)
		}, CauseStart},
		"another pod's leader went": {func(s *stage) {
			s.holds("A", leader.Standby, false)
			s.holds("B", leader.Leading, true)
		}, CauseUnknown},
		"our leader lives on": {func(s *stage) {
			s.holds("A", leader.Leading, false)
			s.holds("B", leader.Standby, true)
		}, CauseLost},
		"our leader died unbound": {func(s *stage) {
			s.holds("A", leader.Unbound, false)
			s.note(leader.Event{Kind: leader.DiedUnbound, Holder: "A", Reason: "not published"})
			s.holds("B", leader.Observing, true)
		}, CauseDied},
		"a handover that ends in a death": {func(s *stage) {
			s.holds("A", leader.Leading, false)
			s.h.HandOver(&leader.Snapshot{At: s.now, View: s.view})
			s.dies(leader.Vacated)
			s.holds("B", leader.Observing, true)
		}, CauseHandover},
		"a handover whose leader gives its lock away first": {func(s *stage) {
			s.holds("A", leader.Leading, false)
			s.h.HandOver(&leader.Snapshot{At: s.now, View: s.view})
			s.holds("B", leader.Standby, true)
		}, CauseHandover},
		"a death long after a handover that came to nothing": {func(s *stage) {
			s.holds("A", leader.Leading, false)
			s.h.HandOver(&leader.Snapshot{At: s.now.Add(-time.Hour), View: s.view})
			s.dies(leader.Freed)
		}, CauseDied},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			row.play(s)
			if got := s.only().End.Cause; got != row.want {
				t.Errorf("got cause %q, want %q", got, row.want)
			}
		})
	}
}

func TestHistorianLeavesOutTheDeathOfAStandby(t *testing.T) {
	s := newStage(t)
	s.holds("A", leader.Standby, false)
	c := &leader.Case{Holder: "S", Tenure: s.view.Tenure, Ending: leader.Freed}
	if all := s.note(leader.Event{Kind: leader.CaseClosed, Holder: "S", Case: c}); len(all) != 0 {
		t.Errorf("told as %+v", all)
	}
}

// Two sidecars, the dead leader's and the next one's, write of one change.
func TestWhatTwoSidecarsSawIsOneEntry(t *testing.T) {
	dead, next := newStage(t), newStage(t)
	next.h.Pod = "pod-2"
	next.now = next.now.Add(-300 * time.Millisecond) // its clock
	for _, s := range []*stage{dead, next} {
		s.holds("A", leader.Standby, false)
	}
	dead.publishes("10.0.0.1:6123")
	next.publishes("10.0.0.1:6123")
	dead.dies(leader.Freed) // and its sidecar ends with it
	next.view.Lock, next.out = leader.LockVacant, leader.Vacant
	next.note()
	next.holds("B", leader.Leading, true)
	next.publishes("10.0.0.2:6123")
	d := dead.all
	for _, c := range next.all.Changes {
		d = d.WithChange(c)
	}
	dead.all = d
	c := dead.only()
	if c.End.Cause != CauseDied || c.End.Pod != "pod-1" || c.Next.Holder != "B" || c.Next.Address != "10.0.0.2:6123" || c.Next.Pod != "pod-2" {
		t.Errorf("got %+v", c)
	}
}

func TestHearsayAddsOnlyWhatIsMissing(t *testing.T) {
	full := Change{Ended: Term{"g", "a", "", 5}, End: End{Cause: CauseDied, At: noon, Pod: "p"},
		Next: Next{Term: Term{"g", "b", "", 9}, Granted: noon.Add(time.Second), Published: noon.Add(2 * time.Second), Pod: "p"}}
	seen := Change{Ended: full.Ended, End: End{At: noon.Add(-time.Second), Pod: "q"}, Next: full.Next}
	seen.Next.Granted, seen.Next.Pod = noon, "q"
	if got := (Document{}.WithChange(full).WithHearsay(seen)).Changes[0]; got != full {
		t.Errorf("hearsay changed it to %+v", got)
	}
	half := full
	half.Next = Next{}
	if got := (Document{}.WithChange(half).WithHearsay(seen)).Changes[0]; got.Next.Holder != "b" || got.End != full.End {
		t.Errorf("got %+v, want the next leader added", got)
	}
	if got := (Document{}.WithHearsay(seen)); len(got.Changes) != 1 {
		t.Errorf("%d changes, want the one that nobody else told", len(got.Changes))
	}
}
