package discovery

import "flink-ha-sidecar/leader"

// Object is what is published in one place, as it was last seen.
type Object struct {
	// Seen is false while it is not known what stands there.
	Seen   bool
	Exists bool
	// Version changes with every write: what a conditional write is conditional on.
	// Revision is the same as a number, 0 where it is none.
	Version  string
	Revision uint64
	// Leader is what it tells; without an epoch if it does not parse.
	Leader Leader
	// Raw is the store's own copy of exactly what was read.
	Raw any
}

// Asked is what the lock said when it was read, Done if that was after the object
// had been seen as it is.
type Asked struct {
	Done   bool
	Tenure leader.Tenure
}

// Move is what a publisher does next about one object.
type Move int

const (
	// Stay: nothing is to be done.
	Stay Move = iota
	// Look: read the object.
	Look
	// Ask: read the lock, which alone says which of two leaders is the present one.
	Ask
	// Put: write the leader.
	Put
	// Clear: write that there is none any more.
	Clear
	// Outdone: the object is a newer leader's; nothing is to be done.
	Outdone
)

var moveNames = [...]string{"stay", "look", "ask", "put", "clear", "outdone"}

// String returns the name used in logs.
func (m Move) String() string { return moveNames[m] }

// Decide says what is to be done so that o comes to tell what s says. holds says
// that it does already, apart from what others may add. It does no IO, and the same
// arguments always give the same result.
//
// An object of an older epoch of the same generation is overwritten at once: s is
// newer, and the write has an effect only if o is still what stands there. Any
// other object that is not ours (of another generation, of a higher epoch,
// unreadable, or removed) may be a newer leader's, so the lock is read first, after
// o was seen.
// If the lock is still ours, whoever wrote o did so before our tenure, or was no
// leader.
func Decide(s State, o Object, holds bool, a Asked) Move {
	if s.Retired != "" {
		switch {
		case !o.Seen:
			return Look
		case o.Exists && o.Leader.Epoch.Generation == s.Retired && o.Leader.Known():
			return Clear
		}
		return Stay
	}
	switch {
	case !s.Mine:
		return Stay
	case !o.Seen:
		return Look
	case o.Exists && holds:
		return Stay
	case o.Exists && (o.Leader.SameTenure(s.Leader) || o.Leader.Older(s.Leader)):
		return Put
	case !a.Done:
		return Ask
	case a.Tenure == s.Tenure:
		return Put
	}
	return Outdone
}

// wanted is what o is to tell. Where several sidecars publish the same leader they
// may number its tenure differently; the highest number stands, or they would
// overwrite each other for ever.
func wanted(s State, o Object) Leader {
	l := s.Leader
	if s.Shared && o.Leader.SameTenure(l) && o.Leader.Epoch.Counter > l.Epoch.Counter {
		l.Epoch = o.Leader.Epoch
	}
	return l
}
