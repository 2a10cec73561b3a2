package follow

import (
	"slices"
	"time"

	"flink-ha-sidecar/discovery"
)

// News is one thing that a source tells.
type News struct {
	// Leader is unknown (see discovery.Leader.Known) where the source knows of none;
	// Reason then says why.
	Leader discovery.Leader
	Reason string
	// Age is how long ago the source itself has had contact.
	Age time.Duration
	// Alive is a sign of life: nothing has changed, and Leader says nothing.
	Alive bool
}

// Told is what a follower knows at one instant.
type Told struct {
	Leader discovery.Leader
	// Known is false while there is no address to be relied on; Reason says why, and
	// Leader is empty.
	Known  bool
	Reason string
	// Out is since when there is no contact, zero while there is.
	Out time.Time
}

// Same reports whether both tell the same to whoever wants an address.
func (t Told) Same(o Told) bool { return t.Known == o.Known && t.Leader == o.Leader }

const (
	// freshEnough is how old the contact of a source may be that tells of another
	// generation: one that is cut off may tell of a cluster that is long gone.
	freshEnough = 10 * time.Second
	// generations is how many past ones are remembered.
	generations = 16
)

// belief is what a follower makes of the news.
type belief struct {
	// last is the newest leader ever heard of, known whether it is still told of.
	last   discovery.Leader
	known  bool
	reason string
	// past are generations that were left behind. They never come back.
	past []string
	// contact is when what is believed was true.
	contact time.Time
	// trusted: the present source is not behind what is known. out: it is, or it has
	// lost contact itself.
	trusted, out bool
}

// take takes in news, and reports whether they may be relied on: not if they are
// older than what is known.
func (b *belief) take(n News, now time.Time) bool {
	if n.Alive {
		if b.trusted {
			b.heard(n, now)
		}
		return b.trusted
	}
	if b.trusted = b.accept(n); b.trusted {
		b.heard(n, now)
	} else {
		b.out = true
	}
	return b.trusted
}

// left is called when the source is lost.
func (b *belief) left() { b.trusted, b.out = false, true }

func (b *belief) accept(n News) bool {
	l := n.Leader
	if !l.Known() {
		if n.Age > 0 { // it cannot know
			return false
		}
		b.known, b.reason = false, n.Reason
		return true
	}
	switch {
	case l.Older(b.last), slices.Contains(b.past, l.Epoch.Generation):
		return false
	case b.last.Known() && l.Epoch.Generation != b.last.Epoch.Generation:
		if n.Age > freshEnough {
			return false
		}
		b.past = append(b.past, b.last.Epoch.Generation)
		b.past = b.past[max(0, len(b.past)-generations):]
	case l.SameTenure(b.last):
		l = merged(l, b.last)
	}
	b.last, b.known, b.reason = l, true, ""
	return true
}

// merged keeps what another observer of the same tenure has told: its number if
// that is higher, and the pod, which the leader's own sidecar alone knows.
func merged(l, last discovery.Leader) discovery.Leader {
	l.Epoch.Counter = max(l.Epoch.Counter, last.Epoch.Counter)
	if l.Pod == "" && l.RESTURL == last.RESTURL {
		l.Pod, l.Node = last.Pod, last.Node
	}
	return l
}

func (b *belief) heard(n News, now time.Time) {
	if at := now.Add(-n.Age); at.After(b.contact) {
		b.contact = at
	}
	b.out = n.Age > 0
}

// told is what is known at a time, if nothing older than maxAge counts.
func (b *belief) told(now time.Time, maxAge time.Duration) Told {
	var t Told
	switch {
	case b.contact.IsZero():
		return Told{Reason: "no contact yet"}
	case !now.Before(b.contact.Add(maxAge)):
		t.Reason = "no contact for more than " + maxAge.String()
	case !b.known:
		t.Reason = b.reason
	default:
		t.Leader, t.Known = b.last, true
	}
	if b.out {
		t.Out = b.contact
	}
	return t
}
