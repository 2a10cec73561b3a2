package leader

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// LockState is what a view says about the lock itself.
type LockState int

const (
	// LockAbsent: the object that carries the lock does not exist. Flink makes
	// it when its first JobManager campaigns and deletes it when an application
	// has ended for good.
	LockAbsent LockState = iota
	// LockVacant: the lock exists and nobody holds it.
	LockVacant
	// LockHeld: View.Tenure.Holder holds it.
	LockHeld
	// LockUnreadable: there is a record that does not parse. It is left alone.
	LockUnreadable
)

var lockStateNames = [...]string{"absent", "vacant", "held", "unreadable"}

// String returns the state as it is written in logs and in the status.
func (s LockState) String() string {
	if int(s) < 0 || int(s) >= len(lockStateNames) {
		return fmt.Sprintf("LockState(%d)", int(s))
	}
	return lockStateNames[s]
}

// Tenure names one stretch of time for which one holder has the lock. The
// holder alone is not enough: one JVM keeps its identity for life and may hold,
// release and hold again. Flink's counter of transitions is not enough either:
// it starts again at 0 when the lock's object is made anew.
type Tenure struct {
	// Generation is the identity of the lock's object: the ConfigMap's uid.
	Generation string
	// Holder is the elector's own name for itself: a random UUID.
	Holder string
	// Acquired is the acquireTime of the record, byte for byte. It is compared
	// for equality only.
	Acquired string
}

// Epoch orders leaders of one cluster. Epochs of two generations do not
// compare: whoever has just read the lock knows which generation is current.
type Epoch struct {
	Generation string
	Counter    uint64
}

// IsZero reports whether no leader has been seen yet.
func (e Epoch) IsZero() bool { return e == Epoch{} }

// String is the form used in logs, "generation/counter".
func (e Epoch) String() string {
	if e.IsZero() {
		return "none"
	}
	return fmt.Sprintf("%s/%d", e.Generation, e.Counter)
}

// Publication is what one component of the leading JobManager tells the world.
type Publication struct {
	// Session is the leader session ID, a UUID drawn for each grant.
	Session string
	// Address is as Flink wrote it: pekko.tcp://flink@10.0.0.5:6123/user/rpc/...
	// or http://10.0.0.5:8081.
	Address string
	// Owner is the holder that wrote it, where the backend tells; else empty.
	Owner string
}

// The components whose publication can bind a holder. Keys of jobs never
// count: they keep the address of an earlier leader until the job is recovered.
const (
	Dispatcher      = "dispatcher"
	ResourceManager = "resourcemanager"
	RESTServer      = "restserver"
)

// Components lists the components whose publication can bind a holder.
var Components = []string{Dispatcher, ResourceManager, RESTServer}

// View is the election as one read or one watch event showed it. It is never
// changed after it was made.
type View struct {
	// At is when it arrived, by the local clock.
	At time.Time
	// Revision orders views: the resourceVersion as a number, comparable across
	// objects of one kind (KEP-5504). A view whose Revision is not above the
	// last one's is old news, unless it says Resync.
	Revision uint64
	// Resync marks the first read after the stream of views was interrupted:
	// what happened in between was not seen.
	Resync bool

	Lock   LockState
	Tenure Tenure
	// Counter numbers the tenure within its generation where the store itself does
	// (ZooKeeper: the czxid of the holder's place); 0 where the Revision at which
	// it is first seen has to do.
	Counter uint64
	// Renewed and Lease are the record's renewTime and leaseDuration; zero where
	// the backend has no lease that runs out.
	Renewed  time.Time
	Acquired time.Time
	Lease    time.Duration
	// Contenders lists every holder with a place in the queue for the lock, the
	// one that has it first, where a dead one blocks those behind it (ZooKeeper).
	// Nil where only the holder counts.
	Contenders []string
	// Published maps the components that have told an address to what they told.
	Published map[string]Publication
	// Problem says in one line what does not parse (LockUnreadable).
	Problem string
	// Record is the backend's own copy of exactly what was read: what a
	// conditional write is conditional on. Only the backend looks into it.
	Record string
}

// Expiry is when the lease runs out unless it is renewed; zero if it never does.
func (v View) Expiry() time.Time {
	if v.Lock != LockHeld || v.Lease == 0 {
		return time.Time{}
	}
	return v.Renewed.Add(v.Lease)
}

// untimed: the lock has no times of its own that a death could be held against.
func (v View) untimed() bool { return v.Lease == 0 && v.Acquired.IsZero() }

// stakes lists the holders whose death leaves something to be freed.
func (v View) stakes() []string {
	if v.Contenders == nil && v.Lock == LockHeld {
		return []string{v.Tenure.Holder}
	}
	return v.Contenders
}

// Address returns the leader's address: the dispatcher's, else the resource
// manager's, else the REST server's; empty while nothing is published.
func (v View) Address() string {
	for _, c := range Components {
		if p, ok := v.Published[c]; ok && p.Address != "" {
			return p.Address
		}
	}
	return ""
}

// PublishedComponents lists the keys of Published in a stable order.
func (v View) PublishedComponents() []string {
	return slices.Sorted(maps.Keys(v.Published))
}
