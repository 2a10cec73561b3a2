package lab

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// WaitForLeader waits until a JobManager leads and has published its address.
func (c *Cluster) WaitForLeader(ctx context.Context) (*JobManager, error) {
	var leader *JobManager
	err := c.poll(ctx, "a leader", func() (bool, error) {
		leader = c.LeaderNow()
		return leader != nil, nil
	})
	return leader, err
}

// WaitForStandbys waits until the process of every JobManager has started as far
// as to contend for the lock.
func (c *Cluster) WaitForStandbys(ctx context.Context) error {
	return c.poll(ctx, "the standby JobManagers", func() (bool, error) {
		for _, j := range c.JobManagers {
			events, err := ReadFlinkLog(j.Log())
			if err != nil || !slices.ContainsFunc(events, func(e LogEvent) bool { return e.Kind == LogContends }) {
				return false, err
			}
		}
		return true, nil
	})
}

// WaitForTicks waits until the job has written n ticks at or after since.
func (c *Cluster) WaitForTicks(ctx context.Context, since time.Time, n int) error {
	return c.poll(ctx, fmt.Sprintf("%d ticks", n), func() (bool, error) {
		ticks, err := ReadTicks(c.Settings.Ticks())
		got := 0
		for _, t := range ticks {
			if !t.At.Before(since) {
				got++
			}
		}
		return got >= n, err
	})
}

// WaitForCheckpoint waits until a JobManager has completed a checkpoint at or
// after since.
func (c *Cluster) WaitForCheckpoint(ctx context.Context, since time.Time) error {
	return c.poll(ctx, "a checkpoint", func() (bool, error) {
		for _, j := range c.JobManagers {
			events, err := ReadFlinkLog(j.Log())
			if err != nil {
				return false, err
			}
			for _, e := range events {
				if e.Kind == LogCheckpoint && !e.At.Before(since) {
					return true, nil
				}
			}
		}
		return false, nil
	})
}

// WaitForSidecars waits until every sidecar says that it is ready.
func (c *Cluster) WaitForSidecars(ctx context.Context) error {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	return c.poll(ctx, "the sidecars", func() (bool, error) {
		for _, s := range c.Sidecars {
			if !s.Process().Alive() {
				return false, fmt.Errorf("%s ended; the end of its log:\n%s", s.Name, tail(s.Log(), 5))
			}
			if getOK(ctx, client, s.URL()+"/readyz") != nil {
				return false, nil
			}
		}
		return true, nil
	})
}

// WaitForBinding waits until the leader's sidecar knows it as the holder of the
// lock, so that it would act on its death. The cluster has sidecars.
func (c *Cluster) WaitForBinding(ctx context.Context) (*JobManager, error) {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	var leader *JobManager
	err := c.poll(ctx, "the leader's sidecar to bind it", func() (bool, error) {
		holder := c.Lock.Last().Holder
		if leader = c.LeaderNow(); leader == nil {
			return false, nil
		}
		bound, err := c.SidecarOf(leader).bound(ctx, client)
		return err == nil && bound == holder, nil
	})
	return leader, err
}

// WaitReady waits until the cluster is what a failover is measured on: a leader
// that has published its address, standbys that contend, sidecars that are
// ready, a job that ticks and has completed a checkpoint (the last not with
// stand-ins).
func (c *Cluster) WaitReady(ctx context.Context) (*JobManager, error) {
	if err := c.WaitForStandbys(ctx); err != nil {
		return nil, err
	}
	leader, err := c.WaitForLeader(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.WaitForSidecars(ctx); err != nil {
		return nil, err
	}
	if c.TaskManager == nil {
		return leader, nil
	}
	since := time.Now()
	if err := c.WaitForTicks(ctx, since, 50); err != nil {
		return nil, err
	}
	return leader, c.WaitForCheckpoint(ctx, since)
}

// poll asks done every 100 ms until it is, or ctx is; then the error names what
// was waited for and where the logs are. It ends early when the TaskManager
// does, since nothing comes after that.
func (c *Cluster) poll(ctx context.Context, what string, done func() (bool, error)) error {
	var ended <-chan struct{} // never, without a TaskManager
	if c.TaskManager != nil {
		ended = c.TaskManager.Done()
	}
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-retry.C:
		case <-ended:
			return fmt.Errorf("wait for %s: the TaskManager ended; logs are in %s", what, c.Settings.Dir)
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; logs are in %s", what, ctx.Err(), c.Settings.Dir)
		}
	}
}

// headStart bounds how long JobManagers wait for their sidecars.
const headStart = 5 * time.Second

// awaitContact lets the sidecars see the lock before the JobManagers start, as a
// kubelet starts a pod's main containers after its native sidecars: a stand-in
// leads within milliseconds. Sidecars that cannot reach the API server hold
// nobody up for long.
func (c *Cluster) awaitContact(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, headStart)
	defer cancel()
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	_ = c.poll(ctx, "the sidecars' first contact", func() (bool, error) {
		for _, s := range c.Sidecars {
			if s.Process().Alive() && !s.contact(ctx, client) {
				return false, nil
			}
		}
		return true, nil
	})
}
