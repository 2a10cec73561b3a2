package hastate

import (
	"time"

	"flink-ha-sidecar/leader"
)

// Historian makes changes out of what one sidecar sees. It is fed with every
// decision in order, does no IO and never waits.
type Historian struct {
	// Pod is this one.
	Pod string

	// term is the last one seen, led whether our living JobManager had it, and told
	// what was said of how it began.
	term  Term
	led   bool
	begun Change
	// at shows what was published when the term began, published whether more was
	// since.
	at        leader.View
	published bool
	// unbound is the term that a JobManager of ours may have had when it ended.
	unbound     Term
	unboundAt   time.Time
	unboundSaid string
	// handover is the term that was to be handed over, until handoverEnds.
	handover     Term
	handoverEnds time.Time
}

// handoverFor is how long after it was asked for an end counts as handed over.
const handoverFor = 2 * time.Minute

// HandOver says that the term of s is being ended on purpose.
func (h *Historian) HandOver(s *leader.Snapshot) {
	h.handover, h.handoverEnds = TermOf(s.View.Tenure, s.Epoch), s.At.Add(handoverFor)
}

// Note returns what s and d add to the history: nothing, most of the time.
func (h *Historian) Note(s *leader.Snapshot, d leader.Decision) []Change {
	var all []Change
	changed := false
	for _, e := range d.Events {
		switch e.Kind {
		case leader.CaseClosed:
			// The place of a dead standby is a case, but no change of the leader.
			if e.Case.Holder == e.Case.Tenure.Holder {
				all = append(all, Change{Ended: TermOf(e.Case.Tenure, e.Case.Epoch), End: h.endOf(*e.Case)})
			}
		case leader.DiedUnbound:
			if e.Holder == h.term.Holder {
				h.unbound, h.unboundAt, h.unboundSaid = h.term, s.At, e.Reason
			}
		case leader.LeaderChanged:
			changed = true
		}
	}
	if !s.Contact || s.View.Lock != leader.LockHeld {
		return all
	}
	switch term := TermOf(s.View.Tenure, s.Epoch); {
	case changed:
		all = append(all, h.begin(s, term))
	case h.term.key() != term.key(): // the first one that was seen
		h.term, h.begun, h.published = term, Change{}, true
	case !h.published:
		if address, yes := publishedSince(h.at, s.View); yes {
			h.published = true
			h.begun.Next.Published, h.begun.Next.Address = s.At, hostPort(address)
			all = append(all, h.begun)
		}
	}
	h.led = s.Outcome == leader.Leading
	return all
}

// begin is the change to a new term.
func (h *Historian) begin(s *leader.Snapshot, term Term) Change {
	c := Change{Ended: h.term, Next: Next{Term: term, Granted: s.Since, Pod: h.Pod}}
	if h.term.Holder == "" {
		c.Ended = Term{Generation: term.Generation}
	}
	c.End = h.end(s, c.Ended)
	h.term, h.begun, h.at, h.published = term, c, s.View, false
	return c
}

// end says why a term ended, as far as is known here.
func (h *Historian) end(s *leader.Snapshot, ended Term) End {
	for _, c := range []*leader.Case{s.Open, s.Last} {
		if c != nil && c.Holder == c.Tenure.Holder && TermOf(c.Tenure, c.Epoch).key() == ended.key() {
			return h.endOf(*c)
		}
	}
	e := End{At: s.Since, Pod: h.Pod}
	switch {
	case ended.Holder == "":
		e.Cause = CauseStart
	case h.unbound.key() == ended.key():
		e.Cause, e.Outcome, e.At, e.Reason = CauseDied, leader.UnboundDeath.String(), h.unboundAt, h.unboundSaid
	case h.handedOver(ended, s.Since):
		e.Cause = CauseHandover
	case h.led:
		e.Cause = CauseLost
	}
	return e
}

// endOf is the end of a term as the case of its dead holder tells it.
func (h *Historian) endOf(c leader.Case) End {
	e := End{Cause: CauseDied, Outcome: c.Ending.String(), Proof: string(c.Death.Proof), Reason: c.Reason, At: c.Death.At, Freed: c.Freed, Pod: h.Pod}
	if h.handedOver(TermOf(c.Tenure, c.Epoch), c.Death.At) {
		e.Cause = CauseHandover
	}
	return e
}

// handedOver: what ends late was not ended by the handover. A JobManager that takes
// its lock again while it shuts down does so under the same name.
func (h *Historian) handedOver(ended Term, at time.Time) bool {
	return h.handover.Holder != "" && h.handover.Holder == ended.Holder && h.handover.Generation == ended.Generation && at.Before(h.handoverEnds)
}

// publishedSince returns the first address that now shows and then did not.
func publishedSince(then, now leader.View) (address string, yes bool) {
	for _, c := range leader.Components {
		if p, ok := now.Published[c]; ok && p.Address != "" && p != then.Published[c] {
			return p.Address, true
		}
	}
	return "", false
}

func hostPort(published string) string {
	a, err := leader.ParseAddress(published)
	if err != nil {
		return ""
	}
	return a.String()
}
