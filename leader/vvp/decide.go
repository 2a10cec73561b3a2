package vvp

import (
	"errors"
	"fmt"
	"time"

	"flink-ha-sidecar/leader"
)

// Rules are the settings of Decide.
type Rules struct {
	Timing Timing
	// Pod and Run name this member: the pod, and what its sidecar has drawn at its
	// start.
	Pod, Run string
	// Published is where this pod's JobManager can be reached while it runs.
	Published map[string]Published
}

// holder is how this member calls itself in one tenure: a holder that was bound to one
// JobManager is never another one's.
func (r Rules) holder(counter uint64) string { return fmt.Sprintf("%s/%s.%d", r.Pod, r.Run, counter) }

// Input is one thing that happened.
type Input interface{ input() }

// Asked is a gate that asks for a permit, and what it says of itself. The Heard and
// First of Gate do not count.
type Asked struct{ Gate Gate }

// ReadDone is the result of ActionRead; Begun is when the request was sent.
type ReadDone struct {
	Begun time.Duration
	Sight Sight
	Err   error
}

// WriteDone is the result of ActionCreate or ActionWrite; Sight is what it left.
type WriteDone struct {
	Begun time.Duration
	Sight Sight
	Err   error
}

// Proven is proof from elsewhere that a gate has ended, and all that it had started.
type Proven struct {
	Gate  string
	Proof leader.Proof
}

// Retire says that the sidecar is to end: it campaigns no more, and a JobManager that
// does not run yet is not started.
type Retire struct{}

// Tick is the passing of time.
type Tick struct{}

func (Asked) input()     {}
func (ReadDone) input()  {}
func (WriteDone) input() {}
func (Proven) input()    {}
func (Retire) input()    {}
func (Tick) input()      {}

// ActionKind is the IO that Decide asks for.
type ActionKind int

const (
	// ActionNone asks for nothing.
	ActionNone ActionKind = iota
	// ActionRead asks for a quorum read.
	ActionRead
	// ActionCreate asks for a new object without a record.
	ActionCreate
	// ActionWrite asks for Text in place of what Over shows, if that still stands.
	ActionWrite
)

// Action is one request, to be ended after the call timeout. Only one is in flight.
type Action struct {
	Kind ActionKind
	Over Sight
	Text string
}

// Permit is the answer to Asked. Stop and Kill count from the time of the decision,
// which is later than the gate's own count.
type Permit struct {
	Run        bool
	Epoch      string
	Stop, Kill time.Duration
	Reason     string
	// Unknown: it cannot be said yet. The last permit stands until its time is over.
	Unknown bool
}

// EventKind names what is worth a log line.
type EventKind int

const (
	// Acquired: this member has taken the lock.
	Acquired EventKind = iota
	// Resumed: it has taken up the tenure of the sidecar before it.
	Resumed
	// Dropped: its tenure is over; Reason says why.
	Dropped
	// ChildStarted: a gate tells of a JobManager that runs, whatever its tenure.
	ChildStarted
	// ChildEnded: one has ended, with Proof; Epoch is set if the tenure is, or was last,
	// this member's.
	ChildEnded
	// Trouble: what stands in the lock is not as sidecars write it.
	Trouble
	// Mended: it was this member's, and is again.
	Mended
)

// Event is one of them.
type Event struct {
	Kind   EventKind
	Epoch  leader.Epoch
	Gate   string
	Child  Child
	Proof  leader.Proof
	Reason string
}

// Decision is what follows from one input.
type Decision struct {
	Action Action
	// Permit is the answer to Asked.
	Permit Permit
	// Wake is when to decide again if nothing happens.
	Wake   time.Duration
	Events []Event
}

// Decide takes one input at the local time now and returns the state after it and
// what follows from it. It does no IO and reads no clock.
func (r Rules) Decide(s State, in Input, now Now) (State, Decision) {
	var d Decision
	switch in := in.(type) {
	case Asked:
		r.asked(&s, in.Gate, now, &d)
	case ReadDone:
		r.readDone(&s, in, now, &d)
	case WriteDone:
		r.writeDone(&s, in, now, &d)
	case Proven:
		if s.gate.Name == in.Gate && s.gate.Name != "" {
			r.gateEnded(&s, in.Proof, now, &d)
		}
	case Retire:
		s.retiring = true
	case Tick:
	}
	r.expire(&s, now, &d)
	if _, ok := in.(Asked); ok {
		d.Permit = r.permit(&s, in.(Asked).Gate.Name, now)
	}
	d.Action = r.act(&s, now)
	d.Wake = r.wake(s, now)
	return s, d
}

// readDone takes in a reply. One that was asked for before our last write was
// acknowledged cannot come: only one request is in flight.
func (r Rules) readDone(s *State, in ReadDone, now Now, d *Decision) {
	s.busy = ActionNone
	if in.Err != nil {
		r.failed(s, now)
		return
	}
	s.mustRead, s.nextTry, s.nextRead = false, 0, now.Boot+r.Timing.RetryPeriod
	r.see(s, in.Sight, now, d)
	r.settle(s, d) // what is not seen may still come, until another write of ours has had an effect
	r.compare(s, d)
}

func (r Rules) writeDone(s *State, in WriteDone, now Now, d *Decision) {
	was := s.busy
	s.busy = ActionNone
	if in.Err != nil {
		s.mustRead = true
		if errors.Is(in.Err, leader.ErrConflict) || errors.Is(in.Err, leader.ErrGone) {
			s.sent = withoutLast(s.sent)
			return // read at once
		}
		if !errors.Is(in.Err, leader.ErrUnclear) {
			s.sent = withoutLast(s.sent)
		}
		r.failed(s, now)
		return
	}
	s.nextTry, s.nextRead = 0, now.Boot+r.Timing.RetryPeriod
	mended := r.mendable(*s)
	r.see(s, in.Sight, now, d)
	if was == ActionWrite {
		r.settle(s, d)
	}
	s.sent = nil
	if mended && s.tenure != nil {
		d.Events = append(d.Events, Event{Kind: Mended, Epoch: s.tenure.Epoch})
	}
}

// withoutLast forgets a write that has not happened.
func withoutLast(sent []write) []write {
	if len(sent) == 0 {
		return nil
	}
	return sent[: len(sent)-1 : len(sent)-1]
}

// failed sets the pause before the next request.
func (r Rules) failed(s *State, now Now) {
	s.nextTry = now.Boot + r.Timing.RetryPeriod/4
	s.nextRead = min(s.nextRead, s.nextTry)
}

// see makes sight the newest. It has stood since now, unless it is the one that stood
// there before: a write that happened before the reply came is not counted as older
// than the reply.
func (r Rules) see(s *State, sight Sight, now Now, d *Decision) {
	if s.seen.Kind != Unknown && s.seen.same(sight) {
		return
	}
	s.seen, s.since, s.edited = sight, now.Boot, false
	s.longest = max(s.longest, sight.Record.Lease())
	if sight.UID != s.topUID && sight.Kind != Absent {
		s.topUID, s.top = sight.UID, 0
	}
	trouble := sight.Problem
	if c := sight.Record.Counter; c < s.top && (sight.Kind == Held || sight.Kind == Vacant) {
		s.edited, trouble = true, "it is an earlier one than has been seen: it was put back by hand"
	} else if c > s.top {
		s.top = c
	}
	if trouble != "" && trouble != s.told {
		d.Events = append(d.Events, Event{Kind: Trouble, Reason: trouble})
	}
	s.told = trouble
}

// settle finds our own write in what is seen, and counts its lease from when it was
// sent.
func (r Rules) settle(s *State, d *Decision) {
	for _, w := range s.sent {
		if s.seen.Kind != Held || w.uid != s.seen.UID || w.text != s.seen.Text {
			continue
		}
		epoch := s.seen.Epoch()
		if s.tenure != nil && s.tenure.Epoch == epoch {
			t := *s.tenure
			t.Record, t.From = w.record, w.begun
			s.tenure = &t
			return
		}
		if s.tenure != nil || epoch == s.last {
			return
		}
		if c := s.gate.Child; s.gate.Has && c.Ended && c.Epoch == epoch.String() { // it ended while we took its tenure up
			s.last = epoch // that is for this lease to settle
			d.Events = append(d.Events, Event{Kind: Dropped, Epoch: epoch, Reason: "the JobManager had ended"})
			return
		}
		kind := Acquired
		t := &Tenure{Epoch: epoch, Name: epoch.String(), Record: w.record, From: w.begun}
		if s.gate.lives() && s.gate.Child.Epoch == t.Name {
			kind, t.Gate = Resumed, s.gate.Name
		}
		s.tenure = t
		d.Events = append(d.Events, Event{Kind: kind, Epoch: epoch})
		return
	}
}

// compare holds what was read against our tenure.
func (r Rules) compare(s *State, d *Decision) {
	if s.tenure == nil {
		return
	}
	t, seen := s.tenure, s.seen
	switch {
	case seen.Kind == Absent, seen.UID != t.Epoch.Generation:
		r.drop(s, "somebody has deleted the lock", d)
	case r.mendable(*s):
	case seen.Kind == Held && seen.Record.Counter == t.Epoch.Counter && seen.Record.Holder == t.Record.Holder:
	case seen.Kind == Held:
		r.drop(s, "another pod has taken the lock", d)
	default:
		r.drop(s, "the lock was given back", d)
	}
}

// mendable: what stands in our lock was written by hand. Nobody may take it before it
// has stood so for a whole lease, so it is ours to put right.
func (r Rules) mendable(s State) bool {
	return s.tenure != nil && s.seen.UID == s.tenure.Epoch.Generation &&
		(s.seen.Kind == Unreadable || s.seen.Kind == Empty || s.seen.Record.Counter < s.tenure.Epoch.Counter)
}

// drop ends our tenure: no permit is given and nothing renewed under it again.
func (r Rules) drop(s *State, why string, d *Decision) {
	d.Events = append(d.Events, Event{Kind: Dropped, Epoch: s.tenure.Epoch, Reason: why})
	s.last, s.tenure = s.tenure.Epoch, nil
}

// expire ends what time has ended.
func (r Rules) expire(s *State, now Now, d *Decision) {
	if s.tenure == nil {
		return
	}
	_, runs := s.Leads()
	switch {
	case now.Boot >= s.tenure.From+r.Timing.RenewDeadline && !r.heard(*s, now):
		r.drop(s, "no gate asks any more", d)
	case now.Boot >= s.tenure.From+r.Timing.RenewDeadline:
		r.drop(s, "the lock could not be renewed in time", d)
	case s.retiring && !runs:
		r.drop(s, "this sidecar ends", d)
	case s.tenure.Gate != "" && s.gate.Name != s.tenure.Gate:
		r.drop(s, "the gate that had it is gone", d)
	}
}
