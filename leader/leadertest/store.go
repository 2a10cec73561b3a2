package leadertest

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"flink-ha-sidecar/leader"
)

// keyPrefix stands before a component's name in the object's data.
const keyPrefix = "org.apache.flink.k8s.leader."

// Object is one version of the lock's object. It is never changed after it was
// made; a version with Gone set marks a deletion.
type Object struct {
	UID      string
	Revision uint64
	Gone     bool
	// Record is the election record, whatever it says.
	Record string
	// Data maps Flink's keys to "<session UUID>,<address>".
	Data map[string]string
}

// errExists is returned for a create of an object that is there already.
var errExists = errors.New("the object exists already")

// Store keeps one lock object with optimistic concurrency, as the API server
// does: each write makes a new revision, and a write that names a revision
// fails if that is no longer the newest. It is not safe for concurrent use.
type Store struct {
	revision uint64
	uids     int
	current  *Object
}

// Get returns the newest version; Gone is set if there is no object.
func (s *Store) Get() *Object {
	if s.current == nil {
		s.current = &Object{Gone: true}
	}
	return s.current
}

// Create makes the object with a new UID.
func (s *Store) Create(record string) (*Object, error) {
	if !s.Get().Gone {
		return nil, errExists
	}
	s.uids++
	return s.put(Object{UID: fmt.Sprintf("uid-%d", s.uids), Record: record, Data: map[string]string{}}), nil
}

// Update writes the object if its newest revision is still the given one. It
// returns leader.ErrConflict or leader.ErrGone otherwise.
func (s *Store) Update(revision uint64, change func(*Object)) (*Object, error) {
	old := s.Get()
	switch {
	case old.Gone:
		return nil, leader.ErrGone
	case old.Revision != revision:
		return nil, leader.ErrConflict
	}
	next := *old
	next.Data = maps.Clone(old.Data)
	change(&next)
	return s.put(next), nil
}

// Swap replaces the record if it is still old, byte for byte, and touches
// nothing else: the JSON Patch of test and replace.
func (s *Store) Swap(old, new string) (*Object, error) {
	o := s.Get()
	switch {
	case o.Gone:
		return nil, leader.ErrGone
	case o.Record != old:
		return nil, leader.ErrConflict
	}
	next := *o
	next.Record = new
	return s.put(next), nil
}

// Delete removes the object. It returns leader.ErrGone if there is none.
func (s *Store) Delete() (*Object, error) {
	o := s.Get()
	if o.Gone {
		return nil, leader.ErrGone
	}
	return s.put(Object{UID: o.UID, Gone: true}), nil
}

func (s *Store) put(o Object) *Object {
	s.revision++
	o.Revision = s.revision
	s.current = &o
	return s.current
}

// View is what a backend makes of this version; At is left zero.
func (o *Object) View() leader.View { return o.view(ParseRecord) }

func (o *Object) view(parse func(string) (Record, error)) leader.View {
	v := leader.View{Revision: o.Revision, Record: o.Record}
	if o.Gone {
		v.Lock = leader.LockAbsent
		return v
	}
	v.Published = published(o.Data)
	r, err := parse(o.Record)
	if err != nil {
		v.Lock, v.Problem = leader.LockUnreadable, err.Error()
		return v
	}
	v.Lease, _ = r.LeaseDuration()
	v.Renewed, _ = time.Parse(TimeFormat, r.Renewed)
	v.Acquired, _ = time.Parse(TimeFormat, r.Acquired)
	v.Tenure = leader.Tenure{Generation: o.UID, Holder: r.Holder, Acquired: r.Acquired}
	v.Lock = leader.LockHeld
	if r.Holder == "" {
		v.Lock = leader.LockVacant
	}
	return v
}

func published(data map[string]string) map[string]leader.Publication {
	all := make(map[string]leader.Publication, len(data))
	for key, value := range data {
		component, ours := strings.CutPrefix(key, keyPrefix)
		session, address, whole := strings.Cut(value, ",")
		if ours && whole {
			all[component] = leader.Publication{Session: session, Address: address}
		}
	}
	return all
}
