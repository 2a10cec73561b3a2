package leadertest

import (
	"testing"
	"time"

	"flink-ha-sidecar/leader"
)

// RecordField is the key under which Harness.Fields gives the lock's record:
// the one field that a release may change.
const RecordField = "record"

// Harness is one lock on a real store: the backend under test, and the means
// to act on the same lock as Flink and as the outside world do. Every function
// fails the test if it cannot do what it says. A function that is nil is a
// thing that this kind of store does not know or cannot do; the cases that
// need it are skipped, with a line that names it.
type Harness struct {
	// Backend is the one under test. The lock's object does not exist yet.
	Backend leader.Backend
	// Patience bounds the wait for what was written to be observed; 5 s if zero.
	Patience time.Duration

	// Acquire takes the lock for holder, as Flink would have done at that time,
	// and makes the object if there is none. It does not ask who holds it.
	Acquire func(tb testing.TB, holder string, at time.Time)
	// Publish writes what a component of the leading JobManager tells.
	Publish func(tb testing.TB, component string, p leader.Publication)
	// Fields returns the lock's object field by field, byte for byte, the record
	// under RecordField and without what every write changes (resourceVersion,
	// managedFields); nil if there is no object.
	Fields func(tb testing.TB) map[string]string

	// Renew renews the lock for its holder.
	Renew func(tb testing.TB, at time.Time)
	// Vacate releases the lock as Flink does itself.
	Vacate func(tb testing.TB, at time.Time)
	// Unpublish removes a component's key.
	Unpublish func(tb testing.TB, component string)
	// Touch writes to the object without touching its lock.
	Touch func(tb testing.TB)
	// Delete removes the object.
	Delete func(tb testing.TB)
	// Corrupt puts a record there that does not parse.
	Corrupt func(tb testing.TB)
	// Gap breaks the connection of every running Observe once.
	Gap func(tb testing.TB)
	// Outage makes the store unreachable for Backend, or reachable again.
	Outage func(tb testing.TB, on bool)
	// Freeze makes the store take requests of Backend and never answer, or
	// answer again.
	Freeze func(tb testing.TB, on bool)
	// Forbid takes away Backend's permission to change the lock, and returns the
	// name of the object that an error has to tell.
	Forbid func(tb testing.TB) (object string)
	// Verb is what the refused request is called; "patch" if empty.
	Verb string
	// Clock is what the record's times are taken from; time.Now if nil.
	Clock func() time.Time
}

// Harness returns one over this store; everything that the suite can ask for
// is there.
func (m *Memory) Harness() Harness {
	return Harness{
		Backend: m,
		Acquire: m.Acquire, Publish: m.Publish, Fields: m.Fields,
		Renew: m.Renew, Vacate: m.Vacate, Unpublish: m.Unpublish, Touch: m.Touch, Delete: m.Delete,
		Corrupt: func(tb testing.TB) { tb.Helper(); m.Corrupt(tb, `{"holderIdentity":"a","leaseDuration":"15"}`) },
		Gap:     func(testing.TB) { m.Gap() },
		Outage:  func(_ testing.TB, on bool) { m.Outage(on) },
		Freeze:  func(_ testing.TB, on bool) { m.Freeze(on) },
		Forbid:  func(testing.TB) string { m.Forbid("patch"); return ObjectName },
	}
}

// now is the time for records that are to be fresh, in the record's precision.
func (h Harness) now() time.Time {
	if h.Clock != nil {
		return h.Clock()
	}
	return time.Now().UTC().Truncate(time.Microsecond)
}
