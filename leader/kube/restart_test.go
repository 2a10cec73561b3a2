package kube_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"flink-ha-sidecar/lab/labtest"
	"flink-ha-sidecar/leader"
)

// TestIntegrationALockThatIsSeldomWrittenIsWatched: after its restart the API server
// remembers no version as old as the lock's, and refuses to begin a watch there.
func TestIntegrationALockThatIsSeldomWrittenIsWatched(t *testing.T) {
	plane := labtest.ControlPlane(t)
	l := newLock(t, plane)
	l.flink.Acquire(t, "A", time.Now())
	l.flink.Vacate(t, time.Now())
	other := labtest.NewFlinkLock(t, plane, l.flink.ClusterID+"-other")
	for range 20 { // the versions go on
		other.Acquire(t, "B", time.Now())
	}
	plane.KillAPIServer()
	if err := plane.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitUntilGranted(t, l.backend)

	var mu sync.Mutex
	var views []leader.View
	var gaps []error
	ctx, cancel := context.WithCancel(t.Context())
	var observing sync.WaitGroup
	observing.Go(func() {
		_ = l.backend.Observe(ctx, func(v leader.View) {
			mu.Lock()
			defer mu.Unlock()
			views = append(views, v)
		}, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			gaps = append(gaps, err)
		})
	})
	defer observing.Wait()
	defer cancel()
	seen := func(holder string) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(views) > 0 && views[len(views)-1].Tenure.Holder == holder
		}
	}
	labtest.Until(t, "the first view", seen(""))
	labtest.Until(t, "a watch", func() bool { return l.watches.Load() > 0 })
	l.flink.Acquire(t, "C", time.Now())
	labtest.Until(t, "the next holder", seen("C"))
	mu.Lock()
	defer mu.Unlock()
	if len(gaps) > 0 {
		t.Errorf("%d interruptions, want none: %v", len(gaps), errors.Join(gaps...))
	}
}
