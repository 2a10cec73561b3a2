package leader

import "time"

// Snapshot is everything there is to know at one instant. It is made anew with
// every decision and never changed: readers keep it as long as they like.
type Snapshot struct {
	At      time.Time
	Outcome Outcome
	Reason  string
	// View is the last one, meaningful when Contact is set: the lock has been
	// seen at least once. Lost is what interrupted the stream of views, empty
	// while it runs.
	View    View
	Contact bool
	Lost    string
	// Epoch numbers the current tenure; Since is when it was first seen here.
	Epoch Epoch
	Since time.Time
	// Evidence is the last look at the processes, meaningful when Looked is set.
	Evidence Evidence
	Looked   bool
	// Alive: a JobManager process of ours runs.
	Alive bool
	// Bound ties the current holder to our JobManager; nil if it is not ours or
	// not known to be.
	Bound *Binding
	// GuardOff says why nothing is ever freed; empty when the guard is on.
	GuardOff string
	// Open is the case being worked on, Last the one that ended last.
	Open, Last *Case
}

func (s State) snapshot(d Decision, now time.Time) *Snapshot {
	snap := &Snapshot{
		At: now, Outcome: d.Outcome, Reason: d.Reason,
		View: s.view, Contact: s.contact, Lost: s.lost, Epoch: s.epoch, Since: s.sinceLocal,
		Evidence: s.evidence, Looked: s.looked, Alive: s.alive(),
		GuardOff: s.guardOff, Open: s.open, Last: s.last,
	}
	if b, ok := s.binding(s.view.Tenure.Holder); ok && s.view.Lock == LockHeld {
		snap.Bound = &b
	}
	return snap
}
