package vvp

import (
	"time"

	"flink-ha-sidecar/leader"
)

// Now is the time of one decision.
type Now struct {
	// Boot is CLOCK_BOOTTIME: it goes on while the machine is suspended, and nobody
	// sets it. All durations are measured by it.
	Boot time.Duration
	// Wall is written into records, for people.
	Wall time.Time
}

// Gate is what a gate has said last.
type Gate struct {
	// Name is drawn anew by each gate; empty: none has asked yet.
	Name string
	// First and Heard are when it asked first and last; FirstWall is First on the
	// wall clock, which the kubelet tells times by.
	First, Heard time.Duration
	FirstWall    time.Time
	// Child is the JobManager that it has started last, meaningful when Has is set.
	Child Child
	Has   bool
}

// Child is one JobManager process as its gate tells of it.
type Child struct {
	Number, PID int
	// Epoch is that of the permit under which it was started.
	Epoch string
	// Started is on CLOCK_BOOTTIME, in milliseconds.
	Started int64
	Ended   bool
	Exit    int
}

// lives reports whether the gate has a JobManager that runs.
func (g Gate) lives() bool { return g.Has && !g.Child.Ended }

// Tenure is the time for which this member holds the lock.
type Tenure struct {
	Epoch leader.Epoch
	// Name is Epoch as permits carry it.
	Name string
	// Record is what it wrote last for certain.
	Record Record
	// From is when the request was sent that wrote it: its lease counts from there.
	From time.Duration
	// Gate is the one that was permitted to run a JobManager; empty before that.
	Gate string
}

// write is one of ours on its way, or with its reply lost.
type write struct {
	uid, text string
	record    Record
	begun     time.Duration
}

// State is all that Decide knows. Its zero value is a sidecar that has just started.
type State struct {
	// seen is the lock as it was last seen, since when it has stood unchanged.
	seen  Sight
	since time.Duration
	// top is the highest counter seen in the object topUID.
	top    uint64
	topUID string
	// longest is the longest lease that any record has told.
	longest time.Duration
	// edited: seen is a record from before top: put back by hand.
	edited bool

	tenure *Tenure
	// last is the tenure that this member has ended itself; never taken up again.
	last leader.Epoch
	// sent are writes of ours whose outcome is not known, the newest last.
	sent []write
	// mustRead: nothing is written before a read.
	mustRead bool
	busy     ActionKind
	nextRead time.Duration
	// nextTry is the earliest time for a request after one that failed.
	nextTry time.Duration

	gate Gate
	// intruder is another gate that has asked since.
	intruder string
	// restUntil is until when the lock is left to others.
	restUntil time.Duration
	// clearAt is until when a permit that was given may stand.
	clearAt time.Duration
	// retiring: the sidecar is to end.
	retiring bool
	told     string // the trouble that was told last
}

// Tenure returns a copy of the present one, and whether there is one.
func (s State) Tenure() (Tenure, bool) {
	if s.tenure == nil {
		return Tenure{}, false
	}
	return *s.tenure, true
}

// Gate returns what was last heard of the gate.
func (s State) Gate() Gate { return s.gate }

// Leads returns the gate's child while it runs under the present tenure.
func (s State) Leads() (Child, bool) {
	if s.tenure == nil || !s.gate.lives() || s.gate.Name != s.tenure.Gate || s.gate.Child.Epoch != s.tenure.Name {
		return Child{}, false
	}
	return s.gate.Child, true
}
