package leadertest

import (
	"slices"
	"time"

	"flink-ha-sidecar/leader"
)

// Coverage counts what a run has met.
type Coverage struct {
	// Outcomes counts how often Decide came to each, Endings how cases ended.
	Outcomes [outcomes]int
	Endings  [outcomes]int
	Faults   [faultKinds]int
	// Releases are those that took effect.
	Releases int
	// Retaken are those of them that ended another tenure than the one in which
	// the holder was bound: a dying JVM had taken its lock again.
	Retaken int
	// Bound and Unbound count holders that were bound, and deaths that were not.
	Bound, Unbound int
}

// outcomes is how many outcomes there are.
const outcomes = int(leader.Vacated) + 1

// Add adds what another run has met.
func (c *Coverage) Add(o Coverage) {
	for i := range c.Outcomes {
		c.Outcomes[i] += o.Outcomes[i]
		c.Endings[i] += o.Endings[i]
	}
	for i := range c.Faults {
		c.Faults[i] += o.Faults[i]
	}
	c.Releases += o.Releases
	c.Retaken += o.Retaken
	c.Bound += o.Bound
	c.Unbound += o.Unbound
}

// sidecarCheck is what the invariants need to know of one sidecar. It keeps
// true time, which nobody in the simulated world can see.
type sidecarCheck struct {
	// deaths is when each death became known here, reads what was read.
	deaths map[leader.Process]time.Duration
	reads  []seenRead
	// acquired is when each holder had taken the lock as it was bound.
	acquired map[string]string
	// pause is the one that was last told, paused until when it stands at the latest
	// by true time.
	pause  leader.Pause
	paused time.Duration
}

type seenRead struct {
	sent   time.Duration
	record string
}

func (c *sidecarCheck) begin() {
	c.deaths = map[leader.Process]time.Duration{}
	c.acquired = map[string]string{}
	c.reads = nil
	c.pause, c.paused = leader.Pause{}, 0
}

func (c *sidecarCheck) known(s *sidecar, p leader.Process) {
	if _, before := c.deaths[p]; !before {
		c.deaths[p] = s.m.w.now
	}
}

func (c *sidecarCheck) told(s *sidecar, p leader.Pause) {
	if !p.Equal(c.pause) {
		c.pause, c.paused = p, s.m.w.now+s.m.trueTime(p.Until.Sub(p.At))
	}
}

func (c *sidecarCheck) read(sent time.Duration, v leader.View) {
	c.reads = append(c.reads, seenRead{sent, v.Record})
}

// decided looks at every decision.
func (c *sidecarCheck) decided(s *sidecar, in leader.Input, d leader.Decision) {
	w := s.m.w
	for _, e := range d.Events {
		w.tracef("member %d: event %d, holder %s %s", s.m.n, e.Kind, e.Holder, e.Reason)
		switch e.Kind {
		case leader.CaseClosed:
			w.result.Coverage.Endings[e.Case.Ending]++
		case leader.HolderBound:
			w.result.Coverage.Bound++
			c.bound(s, e)
		case leader.DiedUnbound:
			w.result.Coverage.Unbound++
		}
	}
	if done, isRelease := in.(leader.ReleaseDone); isRelease && done.Err == nil && !anyFreed(d) {
		w.broken("the story", "member %d's release took effect and no case was closed as freed", s.m.n)
	}
	if d.Action.Kind == leader.ActionRelease && w.now < c.paused && s.m.clock().Before(c.pause.Until) {
		w.broken("the pause", "member %d releases the lock of %s, %v before the end of a pause", s.m.n, d.Action.Holder, c.paused-w.now)
	}
	if d.Outcome == leader.Refuted {
		w.broken("the binding", "member %d takes the holder for alive that it had bound and that had died", s.m.n)
	}
}

// bound: a holder must be bound to no other pod's process.
func (c *sidecarCheck) bound(s *sidecar, e leader.Event) {
	j := s.m.w.processes[e.Holder]
	if v := s.m.w.election.view(); v.Tenure.Holder == e.Holder {
		c.acquired[e.Holder] = v.Tenure.Acquired
	}
	if j == nil || j.m != s.m {
		s.m.w.broken("the binding", "member %d binds %s, which is not its own", s.m.n, e.Holder)
	}
}

// releasing checks I2: the record was read by a request that was begun after
// the death had become known.
func (c *sidecarCheck) releasing(s *sidecar, a leader.Action) {
	w := s.m.w
	w.tracef("member %d: sends a release of %s", s.m.n, a.Holder)
	j := w.processes[a.Holder]
	if j == nil {
		w.broken("I2", "member %d releases a lock of nobody: %q", s.m.n, a.Holder)
		return
	}
	known, dead := c.deaths[c.boundTo(s, j, a.Holder)]
	if !dead {
		w.broken("I2", "member %d releases the lock of %s, of whose death it does not know", s.m.n, a.Holder)
		return
	}
	for _, r := range c.reads {
		if r.sent >= known && r.record == a.View.Record {
			return
		}
	}
	w.broken("I2", "member %d releases the lock of %s by a record that it has not read since the death", s.m.n, a.Holder)
}

// boundTo is the process whose death counts for a holder: its own, or with ZooKeeper
// HA the one that came after it in the same pod, since a session shows its owner for
// as long as it lasts. I1 still asks for the holder's own process.
func (c *sidecarCheck) boundTo(s *sidecar, j *jobManager, holder string) leader.Process {
	for _, b := range s.state.Memory().Bindings {
		if s.m.w.Latch && b.Holder == holder && j.m == s.m {
			return b.Process
		}
	}
	return j.proc
}

// released checks I1 and I3 when a release has taken effect.
func (c *sidecarCheck) released(s *sidecar, a leader.Action, holder string) {
	w := s.m.w
	w.result.Coverage.Releases++
	if acquired, here := c.acquired[holder]; here && acquired != a.View.Tenure.Acquired {
		w.result.Coverage.Retaken++
	}
	if j := w.processes[holder]; j == nil || j.alive {
		w.broken("I1", "member %d has freed the lock of %s, which lives", s.m.n, holder)
	}
	if holder != a.Holder {
		w.broken("I1", "member %d has freed the lock of %s instead of %s", s.m.n, holder, a.Holder)
	}
	if err := w.election.check(); err != nil {
		w.broken("I3", "member %d has left a record that Flink cannot read: %v", s.m.n, err)
	}
}

func closedFreed(e leader.Event) bool {
	return e.Kind == leader.CaseClosed && e.Case.Ending == leader.Freed
}

// anyFreed: a case has ended with our own write.
func anyFreed(d leader.Decision) bool { return slices.ContainsFunc(d.Events, closedFreed) }
