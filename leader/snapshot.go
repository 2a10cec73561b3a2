package leader

import (
	"slices"
	"time"
)

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
	// LostAt is when the stream broke off, zero while it runs.
	LostAt time.Time
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
	// Own is the holder that is bound to our living JobManager and has the lock or
	// a place in the queue for it; empty if none is known.
	Own string
	// Demoted: our living JobManager had the lock, lives on, and has it no longer.
	// Where the lock is a queue nothing says so.
	Demoted bool
	// GuardOff says why nothing is ever freed; empty when the guard is on.
	GuardOff string
	// Pause is the one that stands; nil if none does.
	Pause *Pause
	// Open is the case being worked on, Last the one that ended last.
	Open, Last *Case
}

func (s State) snapshot(d Decision, now time.Time) *Snapshot {
	snap := &Snapshot{
		At: now, Outcome: d.Outcome, Reason: d.Reason,
		View: s.view, Contact: s.contact, Lost: s.lost, LostAt: s.lostAt, Epoch: s.epoch, Since: s.sinceLocal,
		Evidence: s.evidence, Looked: s.looked, Alive: s.alive(),
		GuardOff: s.guardOff, Open: s.open, Last: s.last,
	}
	if s.pausing(now) {
		p := s.paused
		snap.Pause = &p
	}
	if b, ok := s.binding(s.view.Tenure.Holder); ok && s.view.Lock == LockHeld {
		snap.Bound = &b
	}
	snap.Own = s.own()
	snap.Demoted = snap.Own == "" && s.demoted()
	return snap
}

// own is the first holder with a stake in the lock whose process is ours and lives.
func (s State) own() string {
	if !s.contact {
		return ""
	}
	for _, holder := range s.view.stakes() {
		if b, ok := s.binding(holder); ok && s.lives(b.Process) {
			return holder
		}
	}
	return ""
}

// demoted reports whether a process of ours outlived its time with the lock. An
// object that is gone is no demotion: then Flink has ended the application.
func (s State) demoted() bool {
	if s.view.Contenders != nil || s.view.Lock != LockHeld && s.view.Lock != LockVacant {
		return false
	}
	return slices.ContainsFunc(s.bindings, func(b Binding) bool { return s.lives(b.Process) })
}

// lives reports whether p was alive when the processes were last looked at, and has
// not ended since.
func (s State) lives(p Process) bool {
	_, dead := s.death(p)
	return !dead && slices.Contains(s.evidence.Alive, p)
}
