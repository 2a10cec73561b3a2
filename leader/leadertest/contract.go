package leadertest

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"flink-ha-sidecar/leader"
)

// The holders that the suite lets act: UUIDs, as Flink draws them.
const (
	holderA = "0f1e2d3c-aaaa-4aaa-8aaa-000000000001"
	holderB = "0f1e2d3c-bbbb-4bbb-8bbb-000000000002"
)

// Contract runs the behaviour that every backend owes to the loop. newLock
// gives a lock of its own to every case.
func Contract(t *testing.T, newLock func(t *testing.T) Harness) {
	for _, c := range contractCases() {
		t.Run(c.name, func(t *testing.T) {
			h := newLock(t)
			if lacking := c.lacks(h); lacking != "" {
				t.Skipf("this store cannot %s", lacking)
			}
			c.run(trial{h, t})
		})
	}
}

// trial is one case on one lock.
type trial struct {
	Harness
	t *testing.T
}

type contractCase struct {
	name string
	// needs lists what the case uses beyond Acquire, Publish and Fields.
	needs []string
	run   func(h trial)
}

func (c contractCase) lacks(h Harness) string {
	has := map[string]bool{
		"renew": h.Renew != nil, "vacate": h.Vacate != nil, "unpublish": h.Unpublish != nil, "touch": h.Touch != nil,
		"delete": h.Delete != nil, "corrupt": h.Corrupt != nil, "gap": h.Gap != nil, "outage": h.Outage != nil,
		"freeze": h.Freeze != nil, "forbid": h.Forbid != nil,
	}
	for _, need := range c.needs {
		if !has[need] {
			return need
		}
	}
	return ""
}

func contractCases() []contractCase {
	all := []contractCase{
		{"a lock whose object is missing reads as absent", nil, readsAbsent},
		{"a read sees what was written before it", []string{"renew"}, readsItsPast},
		{"a record's times are read as they were written", nil, readsTimes},
		{"a release frees the lock and touches nothing else", nil, releaseFrees},
		{"a freed lock can be taken again", nil, freedCanBeTaken},
		{"a release goes through although addresses were published in between", []string{"touch"}, releaseAfterPublish},
		{"of two releases of one record one takes effect", nil, releaseOnce},
		{"a release that names another holder changes nothing", nil, releaseOfAnother},
	}
	for name, between := range map[string]struct {
		needs []string
		act   func(h trial)
	}{
		"a renewal":            {[]string{"renew"}, func(h trial) { h.Renew(h.t, h.now().Add(time.Second)) }},
		"another holder":       {nil, func(h trial) { h.Acquire(h.t, holderB, h.now()) }},
		"the same holder anew": {nil, func(h trial) { h.Acquire(h.t, holderA, h.now().Add(time.Second)) }},
		"a release by Flink":   {[]string{"vacate"}, func(h trial) { h.Vacate(h.t, h.now()) }},
		"a corrupt record":     {[]string{"corrupt"}, func(h trial) { h.Corrupt(h.t) }},
	} {
		all = append(all, contractCase{"a release after " + name + " is a conflict and changes nothing", between.needs,
			func(h trial) { releaseConflicts(h, between.act) }})
	}
	return append(all, append(observeCases(), faultCases()...)...)
}

func readsAbsent(h trial) {
	t := h.t
	if v := h.read(t); v.Lock != leader.LockAbsent {
		t.Errorf("the lock reads as %v, want absent", v.Lock)
	}
	if f := h.Fields(t); f != nil {
		t.Errorf("reading made an object: %v", f)
	}
}

func readsItsPast(h trial) {
	t := h.t
	h.Acquire(t, holderA, h.now())
	before := h.read(t)
	for i := range 10 {
		at := h.now().Add(time.Duration(i) * time.Second)
		h.Renew(t, at)
		v := h.read(t)
		if !v.Renewed.Equal(at) {
			t.Fatalf("read %d shows the renewal of %v, want %v", i, v.Renewed, at)
		}
		if v.Revision <= before.Revision || v.Record == before.Record {
			t.Fatalf("read %d shows revision %d and record %q after %d and %q", i, v.Revision, v.Record, before.Revision, before.Record)
		}
		if v.Tenure != before.Tenure {
			t.Fatalf("a renewal made tenure %v out of %v", v.Tenure, before.Tenure)
		}
		before = v
	}
}

func readsTimes(h trial) {
	t := h.t
	at := h.now().Add(-3 * time.Second)
	h.Acquire(t, holderA, at)
	v := h.read(t)
	if v.Lock != leader.LockHeld || v.Tenure.Holder != holderA || v.Tenure.Generation == "" || v.Tenure.Acquired == "" {
		t.Fatalf("the lock reads as %v of %+v, want it held by %s", v.Lock, v.Tenure, holderA)
	}
	if v.Lease == 0 {
		t.Skip("this store has no lease that runs out")
	}
	if !v.Renewed.Equal(at) || !v.Acquired.Equal(at) || v.Lease != DefaultLease {
		t.Errorf("acquired %v, renewed %v, lease %v; want %v twice and %v", v.Acquired, v.Renewed, v.Lease, at, DefaultLease)
	}
	first := v.Tenure
	h.Acquire(t, holderA, at.Add(time.Second))
	if again := h.read(t).Tenure; again == first || again.Holder != first.Holder {
		t.Errorf("the same holder took the lock anew and its tenure went from %+v to %+v", first, again)
	}
}

func releaseFrees(h trial) {
	t := h.t
	v := h.lead(t, holderA)
	before := h.Fields(t)
	after, err := h.Backend.Release(t.Context(), v, holderA)
	if err != nil {
		t.Fatalf("Release: %v", err)
	}
	if after.Lock != leader.LockVacant || after.Revision <= v.Revision || after.At.IsZero() {
		t.Errorf("Release returned %v at revision %d, arrived %v; want vacant above %d", after.Lock, after.Revision, after.At, v.Revision)
	}
	if now := h.read(t); now.Lock != leader.LockVacant || now.Record != after.Record || now.Revision != after.Revision {
		t.Errorf("a read shows %v, record %q, revision %d; Release returned %q and %d", now.Lock, now.Record, now.Revision, after.Record, after.Revision)
	}
	left := h.Fields(t)
	for field, value := range left {
		if strings.Contains(value, holderA) {
			t.Errorf("field %s still names the dead holder: %q", field, value)
		}
	}
	if left[RecordField] == before[RecordField] {
		t.Error("the record is what it was")
	}
	delete(before, RecordField)
	delete(left, RecordField)
	if !maps.Equal(before, left) {
		t.Errorf("more than the record has changed:\nbefore %v\nafter  %v", before, left)
	}
}

func freedCanBeTaken(h trial) {
	t := h.t
	v := h.lead(t, holderA)
	if _, err := h.Backend.Release(t.Context(), v, holderA); err != nil {
		t.Fatalf("Release: %v", err)
	}
	h.Acquire(t, holderB, h.now())
	if v := h.read(t); v.Tenure.Holder != holderB {
		t.Errorf("the lock is held by %q, want %q", v.Tenure.Holder, holderB)
	}
	if _, err := h.Backend.Release(t.Context(), v, holderA); !errors.Is(err, leader.ErrConflict) {
		t.Errorf("the old release again: %v, want %v", err, leader.ErrConflict)
	}
}

func releaseAfterPublish(h trial) {
	t := h.t
	v := h.lead(t, holderA)
	h.Publish(t, "job-1", leader.Publication{Session: "s", Address: "pekko.tcp://flink@10.0.0.1:6123/user/rpc/jobmanager_2"})
	h.Touch(t)
	before := h.Fields(t)
	if _, err := h.Backend.Release(t.Context(), v, holderA); err != nil {
		t.Fatalf("Release: %v", err)
	}
	after := h.Fields(t)
	delete(before, RecordField)
	delete(after, RecordField)
	if !maps.Equal(before, after) {
		t.Errorf("what was written in between is lost:\nbefore %v\nafter  %v", before, after)
	}
}

func releaseConflicts(h trial, between func(h trial)) {
	t := h.t
	v := h.lead(t, holderA)
	between(h)
	before := h.Fields(t)
	if _, err := h.Backend.Release(t.Context(), v, holderA); !errors.Is(err, leader.ErrConflict) {
		t.Errorf("Release returned %v, want %v", err, leader.ErrConflict)
	}
	if after := h.Fields(t); !maps.Equal(before, after) {
		t.Errorf("the object has changed:\nbefore %v\nafter  %v", before, after)
	}
}

func releaseOnce(h trial) {
	t := h.t
	v := h.lead(t, holderA)
	results := make([]error, 2)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { _, results[i] = h.Backend.Release(t.Context(), v, holderA) })
	}
	wg.Wait()
	done, refused := 0, 0
	for _, err := range results {
		switch {
		case err == nil:
			done++
		case errors.Is(err, leader.ErrConflict):
			refused++
		}
	}
	if done != 1 || refused != 1 {
		t.Errorf("two releases of one record returned %v and %v, want one success and one conflict", results[0], results[1])
	}
}

func releaseOfAnother(h trial) {
	t := h.t
	v := h.lead(t, holderA)
	before := h.Fields(t)
	if _, err := h.Backend.Release(t.Context(), v, holderB); err == nil {
		t.Error("a release for another holder than the record's went through")
	}
	if after := h.Fields(t); !maps.Equal(before, after) {
		t.Errorf("the object has changed:\nbefore %v\nafter  %v", before, after)
	}
}

// lead makes holder the leader with its addresses published, and reads that.
func (h Harness) lead(t *testing.T, holder string) leader.View {
	t.Helper()
	h.Acquire(t, holder, h.now())
	h.Publish(t, leader.RESTServer, leader.Publication{Session: "11111111-2222-4333-8444-555555555555", Address: "http://10.0.0.1:8081"})
	h.Publish(t, leader.Dispatcher, leader.Publication{Session: "11111111-2222-4333-8444-555555555556", Address: "pekko.tcp://flink@10.0.0.1:6123/user/rpc/dispatcher_1"})
	v := h.read(t)
	if v.Lock != leader.LockHeld || v.Tenure.Holder != holder {
		t.Fatalf("the lock reads as %v of %q after %q took it", v.Lock, v.Tenure.Holder, holder)
	}
	return v
}

func (h Harness) read(t *testing.T) leader.View {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	v, err := h.Backend.Read(ctx)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	return v
}
