package vvp

import (
	"time"

	"flink-ha-sidecar/leader"
)

// asked takes in what a gate says of itself.
func (r Rules) asked(s *State, g Gate, now Now, d *Decision) {
	if g.Name == "" {
		return
	}
	if g.Name != s.gate.Name && s.gate.Name != "" && now.Boot < s.gate.Heard+r.Timing.KillTime {
		s.intruder = g.Name // the one before asks several times a second while it lives
		return
	}
	if g.Name != s.gate.Name {
		if s.gate.Name != "" {
			r.gateEnded(s, leader.ProofPidfd, now, d)
		}
		g.First, g.FirstWall = now.Boot, now.Wall
		s.intruder = ""
	} else {
		g.First, g.FirstWall = s.gate.First, s.gate.FirstWall
		if s.gate.Has && (!g.Has || g.Child.Number < s.gate.Child.Number) {
			g.Has, g.Child = s.gate.Has, s.gate.Child // an answer overtaken by a newer one
		}
		if s.gate.Has && s.gate.Child.Number == g.Child.Number && s.gate.Child.Ended {
			g.Child = s.gate.Child
		}
	}
	g.Heard = now.Boot
	before := s.gate
	s.gate = g
	known := before.Has && before.Name == g.Name && before.Child.Number == g.Child.Number
	switch {
	case g.lives() && !known:
		d.Events = append(d.Events, Event{Kind: ChildStarted, Epoch: s.epochOf(g.Child), Gate: g.Name, Child: g.Child})
	case g.Has && g.Child.Ended && (!known || !before.Child.Ended):
		r.childEnded(s, g.Name, g.Child, leader.ProofPidfd, now, d)
	}
}

// epochOf is that of a child, where it is this member's last or present one; else zero.
func (s State) epochOf(c Child) leader.Epoch {
	switch {
	case s.tenure != nil && c.Epoch == s.tenure.Name:
		return s.tenure.Epoch
	case !s.last.IsZero() && c.Epoch == s.last.String():
		return s.last
	}
	return leader.Epoch{}
}

// gateEnded takes in that a gate and all it had started is gone.
func (r Rules) gateEnded(s *State, proof leader.Proof, now Now, d *Decision) {
	g := s.gate
	s.gate = Gate{}
	switch {
	case g.lives():
		r.childEnded(s, g.Name, g.Child, proof, now, d)
	case s.tenure != nil && s.tenure.Gate == g.Name:
		// It may have started one and died with it before it could tell.
		r.drop(s, "the gate has ended before it told of a JobManager", d)
	}
	s.clearAt = 0
}

// childEnded takes in that a JobManager is gone. Its gate starts no other one by a
// permit that it had asked for before, so no permit stands any more.
func (r Rules) childEnded(s *State, gate string, c Child, proof leader.Proof, now Now, d *Decision) {
	s.clearAt = 0
	d.Events = append(d.Events, Event{Kind: ChildEnded, Epoch: s.epochOf(c), Gate: gate, Child: c, Proof: proof})
	if s.tenure == nil || c.Epoch != s.tenure.Name {
		return
	}
	r.drop(s, "the JobManager has ended", d)
	s.restUntil = now.Boot + r.Timing.rest()
}

// permit says whether this gate's JobManager may run, and until when.
func (r Rules) permit(s *State, gate string, now Now) Permit {
	why := r.refusal(*s, gate)
	if s.tenure == nil && gate == s.gate.Name && s.gate.lives() && (s.seen.Kind == Unknown || r.resumable(*s)) {
		// The sidecar before this one may have let it run: a refusal would end it.
		return Permit{Unknown: true, Reason: why}
	}
	if why != "" {
		return Permit{Reason: why}
	}
	t := *s.tenure
	p := Permit{
		Run: true, Epoch: t.Name,
		Stop: t.From + r.Timing.RenewDeadline - now.Boot, Kill: t.From + r.Timing.KillAfter() - now.Boot,
	}
	if p.Stop <= 0 {
		return Permit{Reason: "the lease is about to end"}
	}
	t.Gate = gate
	s.tenure = &t
	s.clearAt = max(s.clearAt, t.From+r.Timing.Lease)
	return p
}

// refusal says why a gate gets no permit; empty if it gets one.
func (r Rules) refusal(s State, gate string) string {
	t := s.tenure
	switch {
	case gate == "":
		return "this gate has no name"
	case gate != s.gate.Name:
		return "another gate has asked until just now: there must be one in a pod"
	case t == nil && s.seen.Kind == Unknown:
		return "the lock has not been seen yet"
	case t == nil && s.seen.Kind == Held:
		return "another pod leads, or a tenure of this one is not over yet"
	case t == nil && (s.seen.Kind == Unreadable || s.edited):
		return "the lock was not written by a sidecar: it must stand so for a whole lease before it is taken"
	case t == nil:
		return "this pod does not lead yet"
	case t.Gate != "" && t.Gate != gate:
		return "an earlier gate has had this tenure"
	case s.gate.lives() && s.gate.Child.Epoch != t.Name:
		return "a JobManager of another tenure must end first"
	case s.gate.Has && s.gate.Child.Ended && s.gate.Child.Epoch == t.Name:
		return "the JobManager of this tenure has ended"
	case s.retiring && !s.gate.lives():
		return "the sidecar is about to end"
	}
	return ""
}

// heard reports whether the gate has asked lately.
func (r Rules) heard(s State, now Now) bool {
	return s.gate.Name != "" && now.Boot < s.gate.Heard+r.Timing.silence()
}

// stoppedBefore reports whether the end of a container that the kubelet dates at is
// that of the gate's own: the gate was heard before, and one instance of a container
// runs at a time. The time is cut off to the second, which makes it only stricter.
func (g Gate) stoppedBefore(at time.Time) bool { return g.Name != "" && g.FirstWall.Before(at) }
