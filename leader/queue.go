package leader

import (
	"fmt"
	"slices"
	"time"
)

// Attributed tells by another way than a published address whose a holder is: its
// connection to the store ends in a socket of Process, seen while that process was
// the only JobManager alive here, before and after. It is how a standby, which
// publishes nothing, gets bound. And where the sidecar itself is the holder, it is how
// it tells which process it let run.
type Attributed struct {
	Holder  string
	Process Process
}

func (Attributed) input() {}

// attributed binds a holder with a stake in the lock, if nothing speaks against it.
func (r Rules) attributed(s *State, in Attributed, now time.Time, d *Decision) {
	if s.guardOff != "" || !s.contact || !slices.Contains(s.view.stakes(), in.Holder) || in.Holder == "" {
		return
	}
	if _, known := s.binding(in.Holder); known {
		return
	}
	if p, sole := s.evidence.Sole(); !sole || p != in.Process {
		return
	}
	if _, dead := s.death(in.Process); dead {
		return
	}
	for c, p := range s.view.Published {
		if ours, _ := r.self(*s).ownsPart(c, p.Address); p.Owner == in.Holder && !ours {
			d.Events = append(d.Events, Event{Kind: BindingFailed, Holder: in.Holder,
				Reason: fmt.Sprintf("its connection is this pod's JobManager's, but it has published %s for %s", p.Address, c)})
			return
		}
	}
	s.bindings = append(s.pruned(), Binding{Holder: in.Holder, Process: in.Process, BoundAt: now})
	d.MemoryChanged = true
	d.Events = append(d.Events, Event{Kind: HolderBound, Holder: in.Holder, Process: in.Process})
}

// publishedElsewhere reports whether the holder itself has published an address
// that is not ours: then it is another pod's JobManager.
func (v View) publishedElsewhere(self Self) bool {
	for c, p := range v.Published {
		if ours, _ := self.ownsPart(c, p.Address); p.Owner == v.Tenure.Holder && p.Address != "" && !ours {
			return true
		}
	}
	return false
}

// mayHaveQueued reports whether an unbound process, now dead, may have left a place
// in the queue: one behind the holder's that is not known to be another's.
func (s State) mayHaveQueued() bool {
	return s.contact && s.view.Lock == LockHeld && len(s.strangers()) > 0
}

// strangers are the holders in the queue that are bound to no process of ours,
// without the one that has the lock.
func (s State) strangers() []string {
	var all []string
	for _, h := range s.view.Contenders {
		if _, known := s.binding(h); !known && h != s.view.Tenure.Holder {
			all = append(all, h)
		}
	}
	return all
}

// corpse is a process that ended unbound while it may have stood in the queue.
type corpse struct {
	at time.Time
	// among are the places one of which may be its own.
	among []string
}

// noteCorpse remembers that a place in the queue may be a dead one's.
func (r Rules) noteCorpse(s *State, death Death, d *Decision) {
	s.corpse = corpse{at: death.At, among: s.strangers()}
	reason := "it was standing by, and no place in the queue is known to be its own: " + r.aheadReason()
	d.Events = append(d.Events, Event{Kind: DiedUnbound, Holder: s.view.Tenure.Holder, Process: death.Process, Reason: reason})
}

func (r Rules) aheadReason() string {
	return fmt.Sprintf("a dead candidate may be ahead of the next leader, for up to %v", r.QueueFor)
}

// deadAhead reports whether a dead candidate may still stand in the queue.
func (r Rules) deadAhead(s State, now time.Time) bool {
	return now.Before(s.corpse.at.Add(r.QueueFor)) &&
		slices.ContainsFunc(s.view.Contenders, func(h string) bool { return slices.Contains(s.corpse.among, h) })
}
