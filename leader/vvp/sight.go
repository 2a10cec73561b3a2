package vvp

import (
	"fmt"
	"strconv"
	"time"

	"flink-ha-sidecar/leader"
)

// LockKind is what a read found.
type LockKind int

const (
	// Unknown: nothing has been read yet.
	Unknown LockKind = iota
	// Absent: there is no object.
	Absent
	// Empty: the object is new, nobody has written a record yet.
	Empty
	// Vacant: its last holder has given it back.
	Vacant
	// Held: Record.Holder has it.
	Held
	// Unreadable: what stands there is no record.
	Unreadable
)

// String returns the name used in tests and logs.
func (k LockKind) String() string {
	return [...]string{"unknown", "absent", "empty", "vacant", "held", "unreadable"}[k]
}

// Sight is the lock as one reply showed it. It is never changed after it was made.
type Sight struct {
	Kind LockKind
	UID  string
	// Version is the object's resourceVersion: what a write is conditional on.
	Version string
	Text    string
	Record  Record
	// Problem says in one line why it is Unreadable.
	Problem string
	// Object is the store's own copy, kept through an update.
	Object any
}

// NewSight reads what an object says. A missing record is not the same as one that
// does not parse only for people: both have to stand for a lease.
func NewSight(uid, version, text string, there bool) Sight {
	s := Sight{UID: uid, Version: version, Text: text, Kind: Empty}
	if !there {
		return s
	}
	r, err := ParseRecord(uid, text)
	switch {
	case err != nil:
		s.Kind, s.Problem = Unreadable, err.Error()
	case r.Holder == "":
		s.Kind, s.Record = Vacant, r
	default:
		s.Kind, s.Record = Held, r
	}
	return s
}

// same reports whether nothing was written in between.
func (s Sight) same(o Sight) bool {
	return s.Kind == o.Kind && s.UID == o.UID && s.Version == o.Version
}

// Epoch names the tenure of the record; zero without one.
func (s Sight) Epoch() leader.Epoch {
	if s.Record.Counter == 0 {
		return leader.Epoch{}
	}
	return leader.Epoch{Generation: s.UID, Counter: s.Record.Counter}
}

// revision is Version as the number that it is (KEP-5504), 0 if it is none.
func (s Sight) revision() uint64 {
	n, err := strconv.ParseUint(s.Version, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// View is the sight as all backends tell it.
func (s Sight) View(at time.Time) leader.View {
	v := leader.View{At: at, Revision: s.revision(), Record: s.Text, Published: make(map[string]leader.Publication)}
	v.Tenure.Generation = s.UID
	switch s.Kind {
	case Held:
		v.Lock = leader.LockHeld
	case Vacant, Empty:
		v.Lock = leader.LockVacant
	case Unreadable:
		v.Lock = leader.LockUnreadable
		v.Problem = fmt.Sprintf("the lock's record does not parse: %s; nobody takes it before it has stood so for a whole lease", s.Problem)
		return v
	default:
		v.Lock = leader.LockAbsent
		return v
	}
	r := s.Record
	v.Counter, v.Lease = r.Counter, r.Lease()
	v.Tenure.Holder, v.Tenure.Acquired = r.Holder, r.Acquired
	v.Renewed, _ = time.Parse(timeFormat, r.Renewed) // checked with the record
	v.Acquired, _ = time.Parse(timeFormat, r.Acquired)
	for component, p := range r.Published {
		v.Published[component] = leader.Publication{Session: p.Session, Address: p.Address}
	}
	return v
}
