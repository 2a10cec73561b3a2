package leadertest

import (
	"maps"
	"testing"
	"time"

	"flink-ha-sidecar/leader"
)

// DefaultLease is Flink's own lease-duration.
const DefaultLease = 15 * time.Second

// Acquire takes the lock for holder as Flink does, making the object if there
// is none. It does not ask whether the lock is free.
func (m *Memory) Acquire(tb testing.TB, holder string, at time.Time) {
	tb.Helper()
	m.AcquireFor(tb, holder, at, DefaultLease)
}

// AcquireFor is Acquire with another lease.
func (m *Memory) AcquireFor(tb testing.TB, holder string, at time.Time, lease time.Duration) {
	tb.Helper()
	record := NewRecord(holder, lease, at)
	m.write(tb, func(s *Store) (*Object, error) {
		if s.Get().Gone {
			return s.Create(record.String())
		}
		if old, err := ParseRecord(s.Get().Record); err == nil {
			record.Transitions = old.Transitions + 1
		}
		return s.Update(s.Get().Revision, func(o *Object) { o.Record = record.String() })
	})
}

// Renew renews the lock for its holder.
func (m *Memory) Renew(tb testing.TB, at time.Time) {
	tb.Helper()
	m.write(tb, func(s *Store) (*Object, error) {
		r, err := ParseRecord(s.Get().Record)
		if err != nil {
			return nil, err
		}
		return s.Update(s.Get().Revision, func(o *Object) { o.Record = r.Renew(at).String() })
	})
}

// Vacate releases the lock as Flink does itself.
func (m *Memory) Vacate(tb testing.TB, at time.Time) {
	tb.Helper()
	m.write(tb, func(s *Store) (*Object, error) {
		r, err := ParseRecord(s.Get().Record)
		if err != nil {
			return nil, err
		}
		r.Holder = ""
		return s.Update(s.Get().Revision, func(o *Object) { o.Record = r.Renew(at).String() })
	})
}

// Publish writes what a component tells the world.
func (m *Memory) Publish(tb testing.TB, component string, p leader.Publication) {
	tb.Helper()
	m.write(tb, func(s *Store) (*Object, error) {
		return s.Update(s.Get().Revision, func(o *Object) { o.Data[keyPrefix+component] = p.Session + "," + p.Address })
	})
}

// Unpublish removes a component's key.
func (m *Memory) Unpublish(tb testing.TB, component string) {
	tb.Helper()
	m.write(tb, func(s *Store) (*Object, error) {
		return s.Update(s.Get().Revision, func(o *Object) { delete(o.Data, keyPrefix+component) })
	})
}

// Touch writes to the object without touching the lock.
func (m *Memory) Touch(tb testing.TB) {
	tb.Helper()
	m.write(tb, func(s *Store) (*Object, error) {
		return s.Update(s.Get().Revision, func(o *Object) { o.Data["touched"] += "." })
	})
}

// Corrupt puts text in the place of the record.
func (m *Memory) Corrupt(tb testing.TB, text string) {
	tb.Helper()
	m.write(tb, func(s *Store) (*Object, error) {
		return s.Update(s.Get().Revision, func(o *Object) { o.Record = text })
	})
}

// Delete removes the object, as Flink does when an application ends for good.
func (m *Memory) Delete(tb testing.TB) {
	tb.Helper()
	m.write(tb, (*Store).Delete)
}

// Fields returns the object field by field; nil if there is none. The record
// is under RecordField.
func (m *Memory) Fields(tb testing.TB) map[string]string {
	tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.store.Get()
	if o.Gone {
		return nil
	}
	fields := map[string]string{"uid": o.UID, RecordField: o.Record}
	maps.Copy(fields, o.Data)
	return fields
}

func (m *Memory) write(tb testing.TB, change func(*Store) (*Object, error)) {
	tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := change(&m.store)
	if err != nil {
		tb.Fatalf("write to the lock's object: %v", err)
	}
	m.announce(o)
}
