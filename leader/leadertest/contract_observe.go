package leadertest

import (
	"errors"
	"time"

	"flink-ha-sidecar/leader"
)

func observeCases() []contractCase {
	return []contractCase{
		{"an observer is told at once what is there", nil, observesFirst},
		{"an observer sees each change in order", []string{"renew", "unpublish", "vacate"}, observesChanges},
		{"an observer sees the last of many changes", []string{"renew"}, observesBurst},
		{"a freed lock is observed as vacant", nil, observesRelease},
		{"a removed object is observed as absent, and made anew it is another generation", []string{"delete"}, observesGenerations},
		{"a release after the removal of the object says gone", []string{"delete"}, releaseGone},
		{"a record that does not parse is reported and never freed", []string{"corrupt"}, observesUnreadable},
		{"the first view after a gap says resync and the next does not", []string{"gap"}, observesGap},
	}
}

func observesFirst(h trial) {
	t := h.t
	o := h.observe(t)
	if v := o.until("the first view", func(leader.View) bool { return true }); v.Lock != leader.LockAbsent || v.Resync {
		t.Errorf("the first view is %v (resync %t), want absent and no resync", v.Lock, v.Resync)
	}
	h.Acquire(t, holderA, h.now())
	v := o.until("the first holder", held(holderA))
	if v.Resync {
		t.Error("a view says resync although no gap was told")
	}
	if read := h.read(t); read.Record != v.Record || read.Tenure != v.Tenure || read.Revision < v.Revision {
		t.Errorf("read and observed differ:\nread     %+v\nobserved %+v", read, v)
	}
}

func observesChanges(h trial) {
	t := h.t
	o := h.observe(t)
	p := leader.Publication{Session: "11111111-2222-4333-8444-555555555555", Address: "http://10.0.0.1:8081"}
	h.Acquire(t, holderA, h.now())
	first := o.until("the first holder", held(holderA))
	h.Publish(t, leader.RESTServer, p)
	o.until("its address", func(v leader.View) bool { return v.Published[leader.RESTServer] == p })
	at := h.now().Add(time.Second)
	h.Renew(t, at)
	renewed := o.until("its renewal", func(v leader.View) bool { return v.Renewed.Equal(at) })
	if renewed.Tenure != first.Tenure || renewed.Revision <= first.Revision {
		t.Errorf("renewed: %+v at %d, acquired: %+v at %d", renewed.Tenure, renewed.Revision, first.Tenure, first.Revision)
	}
	h.Unpublish(t, leader.RESTServer)
	o.until("the removal of its address", func(v leader.View) bool { _, there := v.Published[leader.RESTServer]; return !there })
	h.Vacate(t, h.now())
	o.until("its own release", in(leader.LockVacant))
	h.Acquire(t, holderB, h.now())
	if second := o.until("the second holder", held(holderB)); second.Tenure.Generation != first.Tenure.Generation {
		t.Errorf("the generation went from %q to %q", first.Tenure.Generation, second.Tenure.Generation)
	}
}

func observesBurst(h trial) {
	t := h.t
	o := h.observe(t)
	h.Acquire(t, holderA, h.now())
	var last time.Time
	for i := range 20 {
		last = h.now().Add(time.Duration(i) * time.Millisecond)
		h.Renew(t, last)
	}
	o.until("the last renewal", func(v leader.View) bool { return v.Renewed.Equal(last) })
}

func observesRelease(h trial) {
	t := h.t
	v := h.lead(t, holderA)
	o := h.observe(t)
	o.until("the holder", held(holderA))
	after, err := h.Backend.Release(t.Context(), v, holderA)
	if err != nil {
		t.Fatalf("Release: %v", err)
	}
	if seen := o.until("the free lock", in(leader.LockVacant)); seen.Record != after.Record || seen.Revision < after.Revision {
		t.Errorf("observed record %q at %d, Release returned %q at %d", seen.Record, seen.Revision, after.Record, after.Revision)
	}
}

func observesGenerations(h trial) {
	t := h.t
	o := h.observe(t)
	h.Acquire(t, holderA, h.now())
	first := o.until("the first holder", held(holderA))
	h.Delete(t)
	o.until("the removal", in(leader.LockAbsent))
	h.Acquire(t, holderA, first.Acquired)
	second := o.until("the same holder in a new object", held(holderA))
	if second.Tenure.Generation == first.Tenure.Generation || second.Tenure.Generation == "" {
		t.Errorf("the new object has generation %q, the old one had %q", second.Tenure.Generation, first.Tenure.Generation)
	}
	if second.Revision <= first.Revision {
		t.Errorf("the new object begins at revision %d, the old one was at %d", second.Revision, first.Revision)
	}
}

func releaseGone(h trial) {
	t := h.t
	v := h.lead(t, holderA)
	h.Delete(t)
	if _, err := h.Backend.Release(t.Context(), v, holderA); !errors.Is(err, leader.ErrGone) {
		t.Errorf("Release returned %v, want %v", err, leader.ErrGone)
	}
	if f := h.Fields(t); f != nil {
		t.Errorf("the release made an object: %v", f)
	}
}

func observesUnreadable(h trial) {
	t := h.t
	h.lead(t, holderA)
	o := h.observe(t)
	o.until("the holder", held(holderA))
	h.Corrupt(t)
	v := o.until("the corrupt record", in(leader.LockUnreadable))
	read := h.read(t)
	if v.Problem == "" || read.Problem == "" || read.Lock != leader.LockUnreadable {
		t.Errorf("observed problem %q, read %v with problem %q; want both to say what is wrong", v.Problem, read.Lock, read.Problem)
	}
	before := h.Fields(t)
	if _, err := h.Backend.Release(t.Context(), read, holderA); err == nil {
		t.Error("a record that does not parse was freed")
	}
	if after := h.Fields(t); after[RecordField] != before[RecordField] {
		t.Errorf("the record went from %q to %q", before[RecordField], after[RecordField])
	}
}

func observesGap(h trial) {
	t := h.t
	h.Acquire(t, holderA, h.now())
	o := h.observe(t)
	o.until("the holder", held(holderA))
	h.Gap(t)
	if err := o.untilGap(); err == nil {
		t.Error("a gap was told without a reason")
	}
	if v := o.untilResync(); !v.Resync || v.Tenure.Holder != holderA {
		t.Errorf("the first view after the gap is of %q and says resync %t", v.Tenure.Holder, v.Resync)
	}
	h.Acquire(t, holderB, h.now())
	if v := o.until("the second holder", held(holderB)); v.Resync {
		t.Error("the second view after the gap still says resync")
	}
}
