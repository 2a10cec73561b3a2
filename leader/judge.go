package leader

import (
	"fmt"
	"slices"
	"time"
)

// judge names the situation and what is to be done about it.
func (r Rules) judge(s *State, now time.Time, d *Decision) {
	s.reviewPause(now, d)
	r.reviewCase(s, now, d)
	d.Outcome, d.Reason = r.name(s, now)
	if r.deadAhead(*s, now) {
		d.Reason += "; " + r.aheadReason()
	}
	s.noteCause(d.Outcome, d.Reason)
	d.Action = r.act(s, d.Outcome, now)
	if d.Action.Kind != ActionNone {
		s.busy = d.Action.Kind
	}
	d.Wake = r.wake(*s, now)
	d.Settled = s.settled(d.Outcome)
}

// reviewCase opens a case when a dead JobManager of ours holds the lock, and
// closes it when it no longer does.
func (r Rules) reviewCase(s *State, now time.Time, d *Decision) {
	holder, death, dead := s.deadHolder()
	if s.open != nil {
		if s.busy == ActionRelease {
			return // what the lock shows may be our own write: its result tells
		}
		ending, reason, over := r.ending(*s, now)
		if !over {
			return
		}
		r.close(s, ending, reason, now, d)
	}
	if !dead || !r.worthACase(*s, holder, now) {
		return
	}
	s.open = &Case{
		Holder: holder, Tenure: s.view.Tenure, Epoch: s.epoch, Death: death,
		LastRenewed: s.view.Renewed, Lease: s.view.Lease, Ending: Freeing,
	}
	d.Events = append(d.Events, Event{Kind: CaseOpened, Holder: s.open.Holder, Process: death.Process, Case: s.open})
}

// noteCause keeps in the open case what it has come to. When the lease has run
// out, what kept us from freeing the lock is worth more than that it did.
func (s *State) noteCause(o Outcome, reason string) {
	if _, _, dead := s.deadHolder(); !dead || s.open == nil || s.open.Ending == o {
		return
	}
	if o == Expired && s.open.Ending != Freeing {
		return
	}
	c := *s.open
	c.Ending, c.Reason = o, reason
	s.open = &c
}

// worthACase keeps a case that has ended from being opened again for the same
// record. A dead holder that appears anew (a write of its that was in flight)
// is a new case.
func (r Rules) worthACase(s State, holder string, now time.Time) bool {
	if e := s.view.Expiry(); !e.IsZero() && !now.Before(e) {
		return false
	}
	if s.last != nil && s.last.Holder == holder && s.last.Ending == Refuted {
		return false
	}
	if s.last == nil || s.last.Tenure != s.view.Tenure {
		return true
	}
	switch s.last.Ending {
	case Expired, Damped, Forbidden, Waiting, GuardOff, Paused:
		return !s.last.LastRenewed.Equal(s.view.Renewed)
	}
	return true
}

// ending says whether the open case is over, and how.
func (r Rules) ending(s State, now time.Time) (Outcome, string, bool) {
	v := s.view
	switch {
	case v.Lock == LockAbsent && r.Elects:
		return Vacated, "somebody has deleted the lock", true
	case v.Lock == LockAbsent:
		return Retired, "Flink has removed the lock's object", true
	case v.Lock == LockUnreadable:
		return Unreadable, v.Problem, true
	case slices.Contains(v.stakes(), s.open.Holder):
	case (v.Lock == LockVacant || v.Contenders != nil) && s.open.unclear:
		return Freed, "the reply to the release was lost", true
	case v.Contenders != nil:
		return s.open.runOut("its session has ended by itself")
	case v.Lock == LockVacant:
		return Vacated, "the JobManager had released the lock itself", true
	default:
		return Superseded, "another JobManager has taken the lock", true
	}
	if r.refuted(s, s.open.Holder, s.open.Death) {
		return Refuted, "", true
	}
	if e := v.Expiry(); !e.IsZero() && !now.Before(e) {
		return s.open.runOut("")
	}
	return 0, "", false
}

// runOut is the ending of a case whose lock was not freed but ran out: what kept us
// from freeing it, if anything did.
func (c Case) runOut(reason string) (Outcome, string, bool) {
	switch c.Ending {
	case Damped, Forbidden, Waiting, GuardOff, Paused:
		return c.Ending, c.Reason, true
	}
	return Expired, reason, true
}

func (r Rules) close(s *State, ending Outcome, reason string, now time.Time, d *Decision) {
	c := *s.open
	c.Ending, c.Reason = ending, reason
	if ending == Freed {
		c.Freed = now
		again := s.last != nil && s.last.Holder == c.Holder && s.last.Ending == Freed
		if !again { // freeing the same dead holder twice is one death, not two
			s.releases = append(slices.Clone(s.recentReleases(r, now)), now)
			d.MemoryChanged = true
		}
	}
	s.open, s.last, s.tries = nil, &c, nil
	s.failing, s.refused, s.pause = ActionNone, "", 0
	if s.view.Lock == LockHeld && s.view.Tenure.Holder != c.Holder {
		c.Granted = s.sinceLocal
		s.last = &c
	}
	d.Events = append(d.Events, Event{Kind: CaseClosed, Holder: c.Holder, Process: c.Death.Process, Case: &c, Reason: reason})
}

// refuted: the record was written by somebody alive after the death (the holder
// and this process read the same kernel's clock), or the process that ended was
// no longer alive when the holder was bound to it.
//
// A lock without times of its own leaves only the last of these, and then nothing
// is forgiven to the kubelet's word: the status may have spoken of the dead
// container when its successor already stood in the queue, but the successor was
// bound after it had started, and so after that death. The word's time is cut off
// to the second, which makes it only stricter.
func (r Rules) refuted(s State, holder string, death Death) bool {
	latest := death.At.Add(r.Slack)
	b, _ := s.binding(holder)
	if s.view.untimed() && death.Proof == ProofContainerStatus {
		return b.BoundAt.After(death.At)
	}
	return s.view.Renewed.After(latest) || s.view.Acquired.After(latest) || b.BoundAt.After(latest)
}

// name finds the outcome for the current state.
func (r Rules) name(s *State, now time.Time) (Outcome, string) {
	if !s.contact {
		return Connecting, s.lost
	}
	if holder, death, dead := s.deadHolder(); dead {
		return r.verdict(*s, holder, death, now)
	}
	switch s.view.Lock {
	case LockAbsent:
		if r.Elects {
			return Absent, "there is no lock: the first sidecar whose gate waits makes it"
		}
		if s.everSeen {
			return Retired, "Flink has removed the lock's object"
		}
		return Absent, "Flink has not made the lock's object yet"
	case LockUnreadable:
		return Unreadable, s.view.Problem
	case LockVacant:
		return Vacant, "nobody holds the lock"
	}
	return r.nameHeld(s)
}

func (r Rules) nameHeld(s *State) (Outcome, string) {
	if s.leading() {
		return Leading, "this pod's JobManager holds the lock"
	}
	if s.orphan == s.view.Tenure && s.view.Renewed.After(s.orphanAt.Add(r.Slack)) {
		s.orphan, s.unbound = Tenure{}, "" // renewed by the living: it was another JobManager's
	}
	switch {
	case s.orphan == s.view.Tenure:
		return UnboundDeath, s.unbound
	case s.guardOff != "":
		return GuardOff, s.guardOff
	case !s.alive() && s.evidence.Waiting:
		return Standby, "another pod leads, the gate of this one waits"
	case !s.alive():
		return Observing, s.evidence.Problem
	case r.Elects:
		return Standby, "the gate's JobManager is not known to hold the lock yet"
	case s.wantLook != "":
		return Standby, "the holder has published our address and its process is being looked at"
	case s.unbound != "":
		return Unbound, s.unbound
	case r.self(*s).Shows(s.view):
		return Unbound, "its address was already published when this sidecar first saw this leader"
	case s.view.Address() == "":
		return Standby, "the holder has not published its address yet"
	}
	return Standby, "another JobManager holds the lock"
}

// verdict says whether the lock of a holder that is bound and dead may be freed
// now. Every condition is on the current view; a release needs in addition that
// this view was read after the death (act).
func (r Rules) verdict(s State, holder string, death Death, now time.Time) (Outcome, string) {
	v := s.view
	expiry := v.Expiry()
	switch {
	case r.refuted(s, holder, death):
		return Refuted, "the lock was acquired, renewed or bound after the death: its holder lives"
	case !expiry.IsZero() && now.After(expiry.Add(-r.Margin)):
		return Expired, "the lease is past or about to be: the standby takes it anyway"
	case now.After(death.At.Add(v.Lease + r.StickyFor)):
		return Expired, "the death was too long ago to act on"
	case s.guardOff != "":
		return GuardOff, s.guardOff
	case s.pausing(now):
		return Paused, s.paused.String()
	case r.damped(s, holder, now):
		return Damped, fmt.Sprintf("%d JobManagers of this pod died leading within %v: the lease is left to run", r.DamperReleases, r.DamperWindow)
	case now.Before(s.next) && s.refused != "":
		return Forbidden, s.refused
	case now.Before(s.next):
		return Waiting, s.failure
	}
	return Freeing, "the holder is dead"
}

func (r Rules) damped(s State, holder string, now time.Time) bool {
	if s.last != nil && s.last.Ending == Freed && s.last.Holder == holder {
		return false
	}
	return len(s.recentReleases(r, now)) >= r.DamperReleases
}

func (s State) recentReleases(r Rules, now time.Time) []time.Time {
	from := now.Add(-r.DamperWindow)
	i := slices.IndexFunc(s.releases, func(t time.Time) bool { return t.After(from) })
	if i < 0 {
		return nil
	}
	return s.releases[i:]
}

// act chooses the next IO. A dead leader's lock comes first.
func (r Rules) act(s *State, o Outcome, now time.Time) Action {
	if s.busy != ActionNone {
		return Action{}
	}
	if o == Freeing {
		return r.free(s, now)
	}
	if s.wantLook != "" {
		return Action{Kind: ActionLook, Holder: s.wantLook}
	}
	if now.Before(s.next) || !s.contact {
		return Action{}
	}
	if s.verify || now.Sub(s.lastRead) >= recheckEvery {
		return Action{Kind: ActionRead}
	}
	return Action{}
}

// free asks for a read, and for the release once a read that was begun after
// the death has shown that the dead holder still has the lock.
func (r Rules) free(s *State, now time.Time) Action {
	holder, death, _ := s.deadHolder()
	if s.fresh && s.freshRevision == s.view.Revision && !s.freshBegun.Before(death.known()) {
		s.fresh = false
		before := now.Add(r.RetryMax)
		if e := s.view.Expiry(); !e.IsZero() && e.Add(-r.Margin).Before(before) {
			before = e.Add(-r.Margin)
		}
		return Action{Kind: ActionRelease, Holder: holder, View: s.view, Before: before}
	}
	from := now.Add(-r.TryWindow)
	recent := slices.DeleteFunc(slices.Clone(s.tries), func(t time.Time) bool { return !t.After(from) })
	if len(recent) >= r.Tries {
		s.next, s.failure, s.refused = now.Add(r.RetryMax), "the record keeps changing", ""
		return Action{}
	}
	s.tries = slices.Concat(recent, []time.Time{now})
	return Action{Kind: ActionRead}
}

// wake is the earliest time at which judging again could give something else.
func (r Rules) wake(s State, now time.Time) time.Time {
	var at time.Time
	consider := func(t time.Time) {
		if !t.IsZero() && t.After(now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	consider(s.next)
	if s.pausing(now) {
		consider(s.paused.Until)
		consider(s.pausedBy)
	}
	if len(s.corpse.among) > 0 {
		consider(s.corpse.at.Add(r.QueueFor))
	}
	if s.contact {
		consider(s.lastRead.Add(recheckEvery))
	}
	if s.open == nil {
		return at
	}
	if e := s.view.Expiry(); !e.IsZero() {
		consider(e.Add(-r.Margin + 1))
		consider(e)
	}
	if recent := s.recentReleases(r, now); len(recent) > 0 {
		consider(recent[0].Add(r.DamperWindow))
	}
	return at
}

// settled: this member owes nothing any more.
func (s State) settled(o Outcome) bool {
	switch o {
	case Freeing, Waiting, Forbidden, Damped:
		return false
	}
	return s.looked && !s.alive() && s.busy == ActionNone && !s.verify && s.wantLook == ""
}
