package leadertest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"flink-ha-sidecar/leader"
)

func faultCases() []contractCase {
	return []contractCase{
		{"a refused release names the verb and the object", []string{"forbid"}, refusedRelease},
		{"an outage is unavailable for calls, a gap for observers, and it passes", []string{"outage"}, outage},
		{"calls to a store that never answers end with their context", []string{"freeze"}, frozen},
		{"a call with a context that is over does nothing", nil, overBefore},
	}
}

func refusedRelease(h trial) {
	t := h.t
	v := h.lead(t, holderA)
	object := h.Forbid(t)
	before := h.Fields(t)
	_, err := h.Backend.Release(t.Context(), v, holderA)
	if !errors.Is(err, leader.ErrForbidden) {
		t.Fatalf("Release returned %v, want %v", err, leader.ErrForbidden)
	}
	if !strings.Contains(err.Error(), cmp.Or(h.Verb, "patch")) || !strings.Contains(err.Error(), object) {
		t.Errorf("the error does not name the verb and %q: %v", object, err)
	}
	if after := h.Fields(t); !maps.Equal(before, after) {
		t.Errorf("the object has changed:\nbefore %v\nafter  %v", before, after)
	}
}

func outage(h trial) {
	t := h.t
	v := h.lead(t, holderA)
	o := h.observe(t)
	o.until("the holder", held(holderA))
	h.Outage(t, true)
	if gap := o.untilGap(); gap.Error() == "" {
		t.Error("the gap was told without a reason")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := h.Backend.Read(ctx); !errors.Is(err, leader.ErrUnavailable) {
		t.Errorf("Read returned %v, want %v", err, leader.ErrUnavailable)
	}
	if _, err := h.Backend.Release(ctx, v, holderA); !errors.Is(err, leader.ErrUnavailable) && !errors.Is(err, leader.ErrUnclear) {
		t.Errorf("Release returned %v, want %v or %v", err, leader.ErrUnavailable, leader.ErrUnclear)
	}
	h.Outage(t, false)
	if v := o.untilResync(); !v.Resync || v.Tenure.Holder != holderA {
		t.Errorf("the first view after the outage is of %q and says resync %t", v.Tenure.Holder, v.Resync)
	}
	if v := h.read(t); v.Tenure.Holder != holderA {
		t.Errorf("the lock is held by %q after the outage, want %q", v.Tenure.Holder, holderA)
	}
}

func frozen(h trial) {
	t := h.t
	v := h.lead(t, holderA)
	o := h.observe(t)
	o.until("the holder", held(holderA))
	h.Freeze(t, true)
	defer h.Freeze(t, false)
	const bound = 200 * time.Millisecond
	const patience = 5 * time.Second
	for what, call := range map[string]func(context.Context) error{
		"Read":    func(ctx context.Context) error { _, err := h.Backend.Read(ctx); return err },
		"Release": func(ctx context.Context) error { _, err := h.Backend.Release(ctx, v, holderA); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), bound)
		begun := time.Now()
		err := call(ctx)
		cancel()
		if took := time.Since(begun); took > patience {
			t.Errorf("%s took %v with a context of %v", what, took, bound)
		}
		if !errors.Is(err, leader.ErrUnavailable) && (what == "Read" || !errors.Is(err, leader.ErrUnclear)) {
			t.Errorf("%s returned %v, want %v", what, err, leader.ErrUnavailable)
		}
	}
	o.end()
}

func overBefore(h trial) {
	t := h.t
	v := h.lead(t, holderA)
	before := h.Fields(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Backend.Read(ctx); !errors.Is(err, leader.ErrUnavailable) {
		t.Errorf("Read returned %v, want %v", err, leader.ErrUnavailable)
	}
	if _, err := h.Backend.Release(ctx, v, holderA); !errors.Is(err, leader.ErrUnavailable) && !errors.Is(err, leader.ErrUnclear) {
		t.Errorf("Release returned %v, want %v or %v", err, leader.ErrUnavailable, leader.ErrUnclear)
	}
	if after := h.Fields(t); !maps.Equal(before, after) {
		t.Errorf("the object has changed:\nbefore %v\nafter  %v", before, after)
	}
}
