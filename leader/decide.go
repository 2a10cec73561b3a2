package leader

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// recheckEvery is how often the lock is read although nothing happened: it
// heals a silent watch and keeps the connection open that a release will need.
const recheckEvery = 60 * time.Second

// slowRetry bounds the pause between reads that no dead leader waits for.
const slowRetry = 15 * time.Second

// Decide takes one input at the local time now and returns the state after it
// and what follows from it. It does no IO, reads no clock, and changes nothing
// it was given: the same arguments always give the same results.
func (r Rules) Decide(s State, in Input, now time.Time) (State, Decision) {
	var d Decision
	switch in := in.(type) {
	case Viewed:
		s.lost, s.lostAt = "", time.Time{}
		r.accept(&s, in.View, now, &d)
	case Interrupted:
		if s.lost == "" {
			s.lostAt = now
		}
		s.lost = in.Reason
	case Looked:
		r.looked(&s, in, now, &d)
	case Ended:
		r.ended(&s, in.Death, &d)
	case ReadDone:
		r.readDone(&s, in, now, &d)
	case ReleaseDone:
		r.releaseDone(&s, in, now, &d)
	case Refused:
		s.guardOff = in.Reason
	case PauseSet:
		s.setPause(in.Pause, now, &d)
	case Identified:
		s.identity, s.identified = in.Self, true
	case Attributed:
		r.attributed(&s, in, now, &d)
	case Tick:
	}
	r.judge(&s, now, &d)
	return s, d
}

// accept makes v the current view if it is newer than the last one.
func (r Rules) accept(s *State, v View, now time.Time, d *Decision) {
	if s.contact && !v.Resync && v.Revision <= s.view.Revision {
		return
	}
	if v.Resync { // the backend answers again: whatever waits need not wait longer
		s.next, s.pause = time.Time{}, 0
	}
	prev, first := s.view, !s.contact
	if first {
		s.lastRead = now
	}
	s.view, s.contact = v, true
	s.everSeen = s.everSeen || v.Lock != LockAbsent
	if v.Lock == LockHeld && (first || v.Tenure != s.tenure) {
		r.newTenure(s, v, first, now, d)
	}
	if s.last != nil && s.last.Published.IsZero() && !s.last.Granted.IsZero() && v.Lock == LockHeld {
		r.notePublished(s, prev, v, now, d)
	}
	if s.guardOff != "" || !first && v.Revision <= prev.Revision {
		// A view from the past (a late answer after an interruption) shows a
		// change that nobody made: what the leader has replaced stands there again.
		return
	}
	holder, why := r.Bind(prev, v, r.self(*s))
	if _, known := s.binding(v.Tenure.Holder); known {
		why = ""
	}
	if why != "" && why != s.unbound {
		s.unbound = why
		d.Events = append(d.Events, Event{Kind: BindingFailed, Holder: v.Tenure.Holder, Reason: why})
	}
	if _, known := s.binding(holder); holder != "" && !known {
		s.wantLook = holder
	}
}

func (r Rules) newTenure(s *State, v View, first bool, now time.Time, d *Decision) {
	s.tenure = v.Tenure
	s.epoch = Epoch{Generation: v.Tenure.Generation, Counter: cmp.Or(v.Counter, v.Revision)}
	s.sinceLocal = now
	s.unbound = ""
	if first {
		return
	}
	if s.last != nil && s.last.Granted.IsZero() && v.Tenure != s.last.Tenure {
		c := *s.last
		c.Granted = now
		s.last = &c
	}
	d.Events = append(d.Events, Event{Kind: LeaderChanged, Holder: v.Tenure.Holder, Case: s.last})
}

// notePublished completes the story of the last case when the next leader has
// written an address of its own, which shows as a changed component.
func (r Rules) notePublished(s *State, prev, v View, now time.Time, d *Decision) {
	if prev.Tenure != v.Tenure || v.Tenure == s.last.Tenure {
		return
	}
	for _, c := range Components {
		if p, ok := v.Published[c]; ok && p != prev.Published[c] {
			story := *s.last
			story.Published = now
			s.last = &story
			d.Events = append(d.Events, Event{Kind: LeaderPublished, Holder: v.Tenure.Holder, Case: &story})
			return
		}
	}
}

// looked takes in what runs here, and binds if that was what the look was for.
// The look began after the view that asked for it, so whoever it found alive
// was alive after that view was written.
func (r Rules) looked(s *State, in Looked, now time.Time, d *Decision) {
	s.evidence, s.looked = in.Evidence, true
	if in.For == "" {
		return
	}
	s.busy = ActionNone
	if in.For != s.wantLook {
		return
	}
	s.wantLook = ""
	if _, known := s.binding(in.For); known || s.guardOff != "" {
		return
	}
	p, sole := in.Evidence.Sole()
	if !sole {
		s.unbound = in.Evidence.Problem
		if s.unbound == "" {
			s.unbound = "no JobManager process was alive when the leader published its address"
		}
		d.Events = append(d.Events, Event{Kind: BindingFailed, Holder: in.For, Reason: s.unbound})
		return
	}
	if !s.startedBefore(in) {
		s.unbound = "the kubelet does not say that this JobManager ran before the lock was acquired"
		d.Events = append(d.Events, Event{Kind: BindingFailed, Holder: in.For, Reason: s.unbound})
		return
	}
	s.bindings = append(s.pruned(), Binding{Holder: in.For, Process: p, BoundAt: in.Evidence.At})
	s.unbound = ""
	d.MemoryChanged = true
	if _, dead := s.death(p); dead { // it ended while the look was on its way to us
		s.verify = true
	}
	d.Events = append(d.Events, Event{Kind: HolderBound, Holder: in.For, Process: p})
}

// startedBefore: evidence by somebody else's word may lag behind a restart, and
// then it speaks of an earlier container than the one that holds the lock. A lock
// without times of its own (ZooKeeper's) leaves nothing to compare here; what the
// word is worth is then settled at the death, by refuted.
func (s State) startedBefore(in Looked) bool {
	if in.Evidence.Started.IsZero() || s.view.untimed() {
		return true
	}
	return s.view.Tenure.Holder == in.For && in.Evidence.Started.Before(s.view.Acquired)
}

// pruned returns a copy of the bindings with room for one more: the oldest of
// a dead process goes first.
func (s State) pruned() []Binding {
	kept := slices.Clone(s.bindings)
	for len(kept) >= maxBindings {
		oldest := slices.IndexFunc(kept, func(b Binding) bool { _, dead := s.death(b.Process); return dead })
		kept = slices.Delete(kept, max(oldest, 0), max(oldest, 0)+1)
	}
	return kept
}

// ended takes in the proven end of a process. A read follows for every bound
// one, since its last write may not have reached us.
func (r Rules) ended(s *State, death Death, d *Decision) {
	if _, known := s.death(death.Process); known {
		return
	}
	if len(s.deaths) >= maxBindings {
		s.deaths = slices.Clone(s.deaths[1:])
	}
	s.deaths = append(slices.Clone(s.deaths), death)
	bound := s.bound(death.Process)
	if !bound && !slices.Contains(s.evidence.Alive, death.Process) {
		return // an old story: the last container but one, told again at our start
	}
	d.Events = append(d.Events, Event{Kind: JobManagerEnded, Process: death.Process, Reason: string(death.Proof)})
	if bound {
		s.verify, s.next, s.pause, s.failing = true, time.Time{}, 0, ActionNone
		return
	}
	if !s.mayHaveHeld(r.self(*s), death) {
		if s.mayHaveQueued() {
			r.noteCorpse(s, death, d)
		}
		return
	}
	reason := s.unbound
	switch {
	case s.guardOff != "":
		reason = s.guardOff
	case reason == "" && r.self(*s).Shows(s.view):
		reason = "its address was already published when this sidecar first saw this leader"
	case reason == "":
		reason = "it had not published its address under this lock yet"
	}
	s.orphan, s.orphanAt, s.unbound = s.view.Tenure, death.At, reason
	d.Events = append(d.Events, Event{Kind: DiedUnbound, Holder: s.view.Tenure.Holder, Process: death.Process, Reason: reason})
}

// youngTenure is how long after a grant the addresses of the last leader may
// still stand in the lock's object (measured: up to 0.2 s).
const youngTenure = 2 * time.Second

// mayHaveHeld reports whether an unbound process could have been the holder.
func (s State) mayHaveHeld(self Self, death Death) bool {
	if !s.contact || s.view.Lock != LockHeld {
		return false
	}
	if _, known := s.binding(s.view.Tenure.Holder); known {
		return false
	}
	if s.view.Contenders != nil {
		return !s.view.publishedElsewhere(self)
	}
	return s.view.Address() == "" || self.Shows(s.view) || death.At.Sub(s.sinceLocal) < youngTenure
}

func (r Rules) readDone(s *State, in ReadDone, now time.Time, d *Decision) {
	s.busy = ActionNone
	if in.Err != nil {
		r.failed(s, ActionRead, in.Err, now)
		return
	}
	if s.failing != ActionRelease { // otherwise only a release that succeeds ends the pauses
		s.refused, s.pause = "", 0
	}
	s.next, s.lastRead = time.Time{}, now
	v := in.View
	if v.Lock == LockAbsent { // a reply of "not found" has no revision of its own
		if s.view.Lock != LockAbsent && s.view.At.After(in.Begun) {
			return // an object was seen since the question was asked: no telling which is newer
		}
		v.Revision, v.Resync = s.view.Revision, s.contact && s.view.Lock != LockAbsent
	}
	r.accept(s, v, now, d)
	if s.view.Revision != v.Revision || s.view.Lock != v.Lock {
		return // the stream of views has overtaken this read
	}
	s.verify = false
	s.fresh, s.freshRevision, s.freshBegun = true, v.Revision, in.Begun
}

func (r Rules) releaseDone(s *State, in ReleaseDone, now time.Time, d *Decision) {
	s.busy, s.fresh = ActionNone, false
	switch {
	case in.Err == nil:
		s.refused, s.pause, s.next = "", 0, time.Time{}
		if s.open != nil {
			r.close(s, Freed, "", now, d)
		}
		r.accept(s, in.View, now, d)
	case errors.Is(in.Err, ErrConflict), errors.Is(in.Err, ErrGone):
		// read again at once; judge bounds how often
	default:
		if errors.Is(in.Err, ErrUnclear) && s.open != nil {
			c := *s.open
			c.unclear = true
			s.open = &c
		}
		r.failed(s, ActionRelease, in.Err, now)
	}
}

// failed sets the pause before the next attempt: doubling, bounded, and
// jittered by the clock's own low digits so that members do not march in step.
func (r Rules) failed(s *State, what ActionKind, err error, now time.Time) {
	s.failing, s.refused = what, ""
	if errors.Is(err, ErrForbidden) {
		s.refused = err.Error()
	}
	s.failure = err.Error()
	longest := slowRetry
	if s.open != nil || s.verify {
		longest = r.RetryMax
	}
	s.pause = min(max(2*s.pause, r.RetryMin), longest)
	jitter := time.Duration(now.UnixNano()/1000%1000) * s.pause / 4000
	s.next = now.Add(s.pause - jitter)
}
