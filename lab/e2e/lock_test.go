package e2e

import (
	"context"
	"testing"
	"time"

	"flink-ha-sidecar/lab"
)

// takeover is how the lock went from one holder to the next, by the independent
// watch.
type takeover struct {
	// last is the old holder's last version, next the first of the next holder.
	last, next lab.LockVersion
	// freed are the versions in between in which nobody held the lock.
	freed []lab.LockVersion
}

// await waits for a version of the lock, of those since held and those to come.
func await(t *testing.T, c *lab.Cluster, held lab.LockVersion, what string, match func(lab.LockVersion) bool) lab.LockVersion {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := c.Lock.WaitFor(ctx, held.At, match)
	if err != nil {
		t.Fatalf("wait for %s: %v", what, err)
	}
	return v
}

// awaitTakeover waits until another than the holder of held has the lock.
func awaitTakeover(t *testing.T, c *lab.Cluster, held lab.LockVersion) takeover {
	t.Helper()
	var to takeover
	to.next = await(t, c, held, "the next leader", func(v lab.LockVersion) bool {
		return v.Holder != "" && v.Holder != held.Holder
	})
	for _, v := range c.Lock.Versions() {
		switch {
		case v.At.Before(held.At) || !v.At.Before(to.next.At):
		case v.Free():
			to.freed = append(to.freed, v)
		case v.Holder == held.Holder:
			to.last = v
		}
	}
	return to
}

// mustBeFreed fails the test unless the sidecar's write ended the tenure: the
// freed record as Flink can read it, and the lease not over by then.
func (to takeover) mustBeFreed(t *testing.T, c *lab.Cluster) {
	t.Helper()
	if len(to.freed) != 1 {
		t.Fatalf("the lock was free %d times before the next leader took it, want once", len(to.freed))
	}
	freed := to.freed[0]
	if freed.RenewTime != "1970-01-01T00:00:00.000000Z" || freed.AcquireTime != to.last.AcquireTime {
		t.Errorf("freed record %s after %s", freed.Record, to.last.Record)
	}
	if over := timeOf(t, to.last.RenewTime).Add(c.Settings.LeaseDuration); !timeOf(t, to.next.AcquireTime).Before(over) {
		t.Errorf("next leader took the lock at %s, when the lease had run out by itself at %s", to.next.AcquireTime, over)
	}
}

// slack is what a loaded machine may add to what a standby waits for.
const slack = 3 * time.Second

// mustRunOut fails the test unless nobody freed the lock and the next leader took
// it by expiry, within the time that it takes without sidecars: the lease and one
// pause between two polls, which fabric8 draws from 1.0 to 2.2 retry-periods.
func (to takeover) mustRunOut(t *testing.T, c *lab.Cluster) {
	t.Helper()
	if len(to.freed) != 0 {
		t.Errorf("the lock was freed: %s", to.freed[0].Record)
	}
	over := timeOf(t, to.last.RenewTime).Add(c.Settings.LeaseDuration)
	taken := timeOf(t, to.next.AcquireTime)
	if taken.Before(over) {
		t.Errorf("next leader took the lock at %v, before the lease ran out at %v", taken, over)
	}
	if latest := over.Add(c.Settings.RetryPeriod*22/10 + slack); taken.After(latest) {
		t.Errorf("next leader took the lock at %v, more than a poll after the lease ran out at %v", taken, over)
	}
}

// mustStay fails the test unless the tenure of held goes on, through n renewals
// from now on.
func mustStay(t *testing.T, c *lab.Cluster, held lab.LockVersion, n int) {
	t.Helper()
	from := c.Lock.Last()
	renewed := map[string]bool{from.RenewTime: true}
	await(t, c, from, "renewals", func(v lab.LockVersion) bool {
		if !v.SameTenure(held) {
			t.Fatalf("%s held the lock, now it says %q", held.Holder, v.Record)
		}
		renewed[v.RenewTime] = true
		return len(renewed) > n
	})
}

func timeOf(t *testing.T, recorded string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05.000000Z", recorded)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
