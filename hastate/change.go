package hastate

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"flink-ha-sidecar/leader"
)

// Change is one change of the leader: the term that ended, why, and the one that
// came after it. The term that ended names the change, so that all who saw it
// write of the same one.
type Change struct {
	Ended Term `json:"ended"`
	End   End  `json:"end,omitzero"`
	// Next is zero until somebody leads again.
	Next Next `json:"next,omitzero"`
}

// Term is the time of one leader, as leader.Tenure has it. That of the first change,
// before which nobody led, has no holder.
type Term struct {
	Generation string `json:"generation"`
	Holder     string `json:"holder,omitempty"`
	Acquired   string `json:"acquired,omitempty"`
	// Counter with Generation is the epoch, leader.Epoch; 0 if it was not seen.
	Counter uint64 `json:"counter,omitempty"`
}

// Cause is why a term ended, in rising order of how much it tells.
type Cause string

const (
	// CauseUnknown: nobody who wrote knows.
	CauseUnknown Cause = ""
	// CauseStart: nobody led before.
	CauseStart Cause = "start"
	// CauseLost: the leader lived on; it gave up its lock or lost it.
	CauseLost Cause = "lost"
	// CauseDied: the leader's process ended, by the proof given.
	CauseDied Cause = "died"
	// CauseHandover: it was ended by "flink-ha handover".
	CauseHandover Cause = "handover"
)

var causes = []Cause{CauseUnknown, CauseStart, CauseLost, CauseDied, CauseHandover}

// End is what is known of the end, by the one that knows most.
type End struct {
	Cause Cause `json:"cause,omitempty"`
	// Outcome is what became of the dead leader's lock (leader.Outcome), Proof how
	// its death is known (leader.Proof), Reason why the lock was not freed.
	Outcome string `json:"outcome,omitempty"`
	Proof   string `json:"proof,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// At is when the process ended or the change was seen, Freed when our write that
	// freed the lock was acknowledged.
	At    time.Time `json:"at,omitzero"`
	Freed time.Time `json:"freed,omitzero"`
	// Pod is who told it.
	Pod string `json:"pod,omitempty"`
}

// Next is the term that followed, by the one that saw it first.
type Next struct {
	Term
	// Address is the new leader's, host:port of what it published first.
	Address string `json:"address,omitempty"`
	// Granted and Published are when its lock and its first address were seen.
	Granted   time.Time `json:"granted,omitzero"`
	Published time.Time `json:"published,omitzero"`
	Pod       string    `json:"pod,omitempty"`
}

// TermOf is the document's form of a tenure and its epoch.
func TermOf(t leader.Tenure, e leader.Epoch) Term {
	return Term{Generation: t.Generation, Holder: t.Holder, Acquired: t.Acquired, Counter: e.Counter}
}

// When is the time of the change: that of the end, else that of the next grant.
func (c Change) When() time.Time {
	if !c.End.At.IsZero() {
		return c.End.At
	}
	return c.Next.Granted
}

func (t Term) key() string { return strings.Join([]string{t.Generation, t.Holder, t.Acquired}, "\x00") }

func (c Change) key() string { return c.Ended.key() }

func (c Change) same(o Change) bool { return c.key() == o.key() }

// Join is what c and o, two reports of one change, know together. It is
// commutative, associative and idempotent: neither the order nor the number of
// writes matters.
func (c Change) Join(o Change) Change {
	return Change{Ended: c.Ended.join(o.Ended), End: c.End.join(o.End), Next: c.Next.join(o.Next)}
}

// join takes the first counter that anybody saw: whoever looked later has missed
// versions.
func (t Term) join(o Term) Term {
	if t.Counter == 0 || o.Counter != 0 && o.Counter < t.Counter {
		t.Counter = o.Counter
	}
	return t
}

// join takes one of the two as a whole, the one that knows more: times of one clock
// stay together.
func (e End) join(o End) End {
	if e.compare(o) < 0 {
		return o
	}
	return e
}

func (e End) compare(o End) int {
	return cmp.Or(cmp.Compare(e.rank(), o.rank()), compareBool(e.Outcome != "", o.Outcome != ""),
		compareBool(!e.Freed.IsZero(), !o.Freed.IsZero()), compareBool(!e.At.IsZero(), !o.At.IsZero()),
		o.At.Compare(e.At), cmp.Compare(text(e), text(o)))
}

func (e End) rank() int {
	for i, c := range causes {
		if c == e.Cause {
			return i
		}
	}
	return 0
}

// join takes the term that came first after the one that ended, as the one told it
// that saw it first and to its end.
func (n Next) join(o Next) Next {
	if n.compare(o) < 0 {
		return o
	}
	return n
}

func (n Next) compare(o Next) int {
	// Less 1, an unknown counter is the highest.
	return cmp.Or(compareBool(n.Holder != "", o.Holder != ""), cmp.Compare(o.Counter-1, n.Counter-1),
		compareBool(!n.Published.IsZero(), !o.Published.IsZero()), compareBool(!n.Granted.IsZero(), !o.Granted.IsZero()),
		o.Granted.Compare(n.Granted), cmp.Compare(text(n), text(o)))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// text makes any order total.
func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil { // structs of texts, numbers and bounded times: it cannot be
		return err.Error()
	}
	return string(raw)
}

// bounded is c with texts of bounded length and times as the document keeps them.
func (c Change) bounded() Change {
	c.Ended = c.Ended.bounded()
	e := &c.End
	e.Cause = Cause(clip(string(e.Cause), maxText))
	e.Outcome, e.Proof, e.Reason, e.Pod = clip(e.Outcome, maxText), clip(e.Proof, maxText), clip(e.Reason, maxText), clip(e.Pod, maxText)
	e.At, e.Freed = stamp(e.At), stamp(e.Freed)
	n := &c.Next
	n.Term = n.bounded()
	n.Address, n.Pod = clip(n.Address, maxText), clip(n.Pod, maxText)
	n.Granted, n.Published = stamp(n.Granted), stamp(n.Published)
	return c
}

func (t Term) bounded() Term {
	t.Generation, t.Holder, t.Acquired = clip(t.Generation, maxText), clip(t.Holder, maxText), clip(t.Acquired, maxText)
	return t
}
