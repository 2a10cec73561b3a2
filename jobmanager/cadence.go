package jobmanager

import (
	"context"
	"time"
)

// Between two scans of /proc. The next JobManager is found by scanning alone,
// its end is not: that comes from the pidfd at once. So scans are frequent where
// a JobManager is expected and rare where one is held.
const (
	scanExpected = 50 * time.Millisecond  // for the first scanExpectedFor
	scanSoon     = 250 * time.Millisecond // until scanSoonFor
	scanNone     = 500 * time.Millisecond // from then on
	scanHeld     = 2 * time.Second        // to notice a second one

	scanExpectedFor = 5 * time.Second
	scanSoonFor     = 30 * time.Second
)

// scanInterval is the time to the next scan, given how long ago the watcher was
// started or saw a JobManager, and whether exactly one is held now.
func scanInterval(since time.Duration, held bool) time.Duration {
	switch {
	case held:
		return scanHeld
	case since < scanExpectedFor:
		return scanExpected
	case since < scanSoonFor:
		return scanSoon
	default:
		return scanNone
	}
}

// scanLoop looks until ctx is done, at once after a death.
func (w *Watcher) scanLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	since := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-w.scanNow:
			since = time.Now()
		}
		evidence := w.Look(ctx)
		_, held := evidence.Sole()
		if held {
			since = time.Now()
		}
		timer.Reset(scanInterval(time.Since(since), held))
	}
}
