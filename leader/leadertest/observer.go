package leadertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"flink-ha-sidecar/leader"
)

// seen is one thing that Observe told: a view, or a gap.
type seen struct {
	view leader.View
	gap  error
}

// observer runs Observe and keeps what it tells until a case asks for it.
type observer struct {
	t        testing.TB
	told     chan seen
	patience time.Duration
	stop     context.CancelFunc
	ended    chan error
}

// observe starts Observe; it is stopped, and checked, when the test ends.
func (h Harness) observe(t *testing.T) *observer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	o := &observer{t: t, told: make(chan seen, 1024), patience: h.Patience, stop: cancel, ended: make(chan error, 1)}
	if o.patience == 0 {
		o.patience = 5 * time.Second
	}
	go func() {
		o.ended <- h.Backend.Observe(ctx,
			func(v leader.View) { o.told <- seen{view: v} },
			func(err error) { o.told <- seen{gap: err} })
	}()
	t.Cleanup(o.end)
	return o
}

// end stops Observe and checks that it ends with the context's error.
func (o *observer) end() {
	o.stop()
	select {
	case err := <-o.ended:
		o.ended <- err
		if !errors.Is(err, context.Canceled) {
			o.t.Errorf("Observe returned %v after its context was canceled, want context.Canceled", err)
		}
	case <-time.After(o.patience):
		o.t.Errorf("Observe still ran %v after its context was canceled", o.patience)
	}
}

// next returns the next thing told.
func (o *observer) next(waitingFor string) seen {
	o.t.Helper()
	select {
	case s := <-o.told:
		return s
	case err := <-o.ended:
		o.ended <- err
		o.t.Fatalf("Observe ended with %v, waiting for %s", err, waitingFor)
	case <-time.After(o.patience):
		o.t.Fatalf("nothing was observed for %v, waiting for %s", o.patience, waitingFor)
	}
	return seen{}
}

// until returns the first view for which ok holds, and fails on a gap or on a
// revision that does not go up on the way there.
func (o *observer) until(waitingFor string, ok func(leader.View) bool) leader.View {
	o.t.Helper()
	var last uint64
	for {
		s := o.next(waitingFor)
		if s.gap != nil {
			o.t.Fatalf("a gap that nobody made: %v, waiting for %s", s.gap, waitingFor)
		}
		if s.view.Revision < last {
			o.t.Errorf("revision %d was observed after %d", s.view.Revision, last)
		}
		last = s.view.Revision
		if s.view.At.IsZero() {
			o.t.Errorf("the view at revision %d does not say when it arrived", s.view.Revision)
		}
		if ok(s.view) {
			return s.view
		}
	}
}

// untilGap waits for a gap and returns its error.
func (o *observer) untilGap() error {
	o.t.Helper()
	for {
		if s := o.next("a gap"); s.gap != nil {
			return s.gap
		}
	}
}

// untilResync waits for the first view after a gap; more gaps may come before.
func (o *observer) untilResync() leader.View {
	o.t.Helper()
	for {
		if s := o.next("the first view after the gap"); s.gap == nil {
			return s.view
		}
	}
}

func held(holder string) func(leader.View) bool {
	return func(v leader.View) bool { return v.Lock == leader.LockHeld && v.Tenure.Holder == holder }
}

func in(state leader.LockState) func(leader.View) bool {
	return func(v leader.View) bool { return v.Lock == state }
}
