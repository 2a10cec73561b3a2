package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Outage is what an outage of the API server did to a cluster with Kubernetes HA.
type Outage struct {
	// Began is when the fault began, Back when the API server first gave an answer
	// after the last that it owed, which is some seconds before it says that it is
	// ready. Without a fault both are the same.
	Began, Back time.Time
	// Died is when the leader was killed; zero if it was not.
	Died time.Time
	// Leader led before, Next leads after it; Kept says that it led all the time. A
	// leader that gave up and finds its own record still there leads anew, in the
	// same tenure.
	Leader, Next string
	Kept         bool
	// Freed is from Back until the lock of the killed leader had no holder; nil if
	// it ran out instead.
	Freed *time.Duration
	// Published is from Back until the next leader had published its address:
	// below zero if that came first, zero if the leader kept its lock.
	Published time.Duration
	// Checkpoint is from Back until the first checkpoint by the leader of after it.
	Checkpoint time.Duration
	// Restarts is how often the job began anew, Replayed how many records were
	// processed again, Silence the longest time without a record.
	Restarts, Replayed int
	Silence            time.Duration
	// Ended counts the JobManagers that ended by themselves.
	Ended int
	// Requests has, for each sidecar, how many it made until the API server was ready.
	Requests []float64
	// Releases has what became of the locks of the dead, by outcome.
	Releases map[string]int
}

// settledAfter is how many checkpoints of one leader in one tenure show that an
// outage is over for the job.
const settledAfter = 3

// Suffer lets a fault of the API server happen to a cluster that is ready, kills
// the leader while it lasts if asked to, and measures until the job is at rest
// again. A JobManager that has ended is started again only if none is left. It
// is an error if records were lost, if two leaders ticked at once, or if a sidecar
// freed the lock of one that lived.
func (c *Cluster) Suffer(ctx context.Context, fault Fault, kill bool) (*Outage, error) {
	leader, held := c.LeaderNow(), c.Lock.Last()
	if leader == nil {
		return nil, errors.New("begin the outage: nobody leads")
	}
	before, err := ReadTicks(c.Settings.Ticks())
	if err != nil {
		return nil, err
	}
	if len(before) == 0 {
		return nil, errors.New("begin the outage: the job has not ticked")
	}
	atFirst, err := c.scrapeSidecars(ctx)
	if err != nil {
		return nil, err
	}
	o := &Outage{Leader: leader.Name, Began: time.Now()}
	asking, stop := context.WithCancel(ctx)
	defer stop()
	answered := c.askOn(asking)
	err = fault(ctx, func() (err error) {
		if !kill {
			return nil
		}
		o.Died, err = leader.Signal(syscall.SIGKILL)
		if errors.Is(err, os.ErrProcessDone) {
			return nil // the outage was quicker
		}
		return err
	})
	stop()
	if o.Back = later(o.Began, <-answered); err != nil {
		return nil, fmt.Errorf("bring the API server to fail: %w", err)
	}
	atBack, err := c.scrapeSidecars(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.settle(ctx, o, held); err != nil {
		return o, err
	}
	after, err := ReadTicks(c.Settings.Ticks())
	if err != nil {
		return o, err
	}
	o.Restarts = Restarts(after[len(before)-1:])
	o.Replayed = Replayed(after) - Replayed(before)
	o.Silence = Silence(after, o.Began)
	o.Ended = c.ended(o)
	if at, ok := freed(c.Lock.Versions(), held, o.Began); ok {
		after := at.Sub(o.Back)
		o.Freed = &after
	}
	for i := range c.Sidecars {
		const requests = "flink_ha_backend_requests_total"
		o.Requests = append(o.Requests, atBack[i].Sum(requests)-atFirst[i].Sum(requests))
	}
	if o.Releases, err = c.releasesSince(ctx, atFirst); err != nil {
		return o, err
	}
	return o, errors.Join(CheckTicks(after), c.CheckReleases())
}

// askOn reads the lock again and again until ctx is done, and then tells when the
// first answer came after the last failure; zero if none failed.
func (c *Cluster) askOn(ctx context.Context) <-chan time.Time {
	told := make(chan time.Time, 1)
	c.tasks.Go(func() {
		again := time.NewTicker(50 * time.Millisecond)
		defer again.Stop()
		var back time.Time
		for failed := false; ; {
			one, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			_, err := c.Lock.client.Get(one, c.Lock.name, metav1.GetOptions{})
			cancel()
			if failed && err == nil {
				back = time.Now()
			}
			failed = err != nil
			select {
			case <-again.C:
			case <-ctx.Done():
				told <- back
				return
			}
		}
	})
	return told
}

// settle waits until one leader has completed some checkpoints after the outage,
// and sets what is known by then of who leads.
func (c *Cluster) settle(ctx context.Context, o *Outage, held LockVersion) error {
	return c.poll(ctx, "the job to go on after the outage", func() (bool, error) {
		if err := c.startIfNoneIsLeft(); err != nil {
			return false, err
		}
		now := c.Lock.Last()
		next, granted, err := c.lastGranted()
		if err != nil || next == nil {
			return false, err
		}
		if o.Kept = granted.Before(o.Began); !o.Kept {
			published, ok := c.publishedBy(next, held, now)
			if !ok {
				return false, nil
			}
			o.Published = published.Sub(o.Back)
		}
		checkpoints, err := checkpointsSince(next, later(granted, o.Back))
		if err != nil || len(checkpoints) < settledAfter {
			return false, err
		}
		o.Next, o.Checkpoint = next.Process().Name(), checkpoints[0].Sub(o.Back)
		return true, nil
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// startIfNoneIsLeft starts the JobManagers again if all have ended.
func (c *Cluster) startIfNoneIsLeft() error {
	for _, j := range c.JobManagers {
		if j.Alive() {
			return nil
		}
	}
	for _, j := range c.JobManagers {
		if err := j.Start(); err != nil {
			return err
		}
	}
	return nil
}

// lastGranted is the living JobManager that was granted the lead last, by the
// logs; nil if there is none.
func (c *Cluster) lastGranted() (last *JobManager, at time.Time, err error) {
	for _, j := range c.JobManagers {
		if !j.Alive() {
			continue
		}
		events, err := ReadFlinkLog(j.Log())
		if err != nil {
			return nil, at, err
		}
		for _, e := range events {
			if e.Kind == LogGranted && e.At.After(at) {
				last, at = j, e.At
			}
		}
	}
	return last, at, nil
}

// publishedBy is when a leader's dispatcher had published its address in the
// tenure of now. It does not go by [LockVersion.Fresh]: while the API server was
// gone the watch may have missed the beginning of the tenure.
func (c *Cluster) publishedBy(leader *JobManager, held, now LockVersion) (time.Time, bool) {
	for _, v := range c.Lock.Versions() {
		if !v.SameTenure(now) || v.raw["dispatcher"] == held.raw["dispatcher"] {
			continue
		}
		if hostOf(v.Addresses["dispatcher"]) == leader.Address {
			return v.At, true
		}
	}
	return time.Time{}, false
}

func checkpointsSince(j *JobManager, since time.Time) ([]time.Time, error) {
	events, err := ReadFlinkLog(j.Log())
	var times []time.Time
	for _, e := range events {
		if e.Kind == LogCheckpoint && !e.At.Before(since) {
			times = append(times, e.At)
		}
	}
	return times, err
}

// ended counts the processes of JobManagers that ended since the outage began,
// but not the one that was killed.
func (c *Cluster) ended(o *Outage) int {
	n := 0
	for _, j := range c.JobManagers {
		for _, p := range j.processes() {
			if !p.Alive() && p.EndedAt().After(o.Began) {
				n++
			}
		}
	}
	if !o.Died.IsZero() {
		n--
	}
	return n
}

func (c *Cluster) scrapeSidecars(ctx context.Context) ([]Scrape, error) {
	var all []Scrape
	for _, s := range c.Sidecars {
		one, err := s.Scrape(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// releasesSince counts by outcome the cases that all sidecars have closed since.
func (c *Cluster) releasesSince(ctx context.Context, before []Scrape) (map[string]int, error) {
	now, err := c.scrapeSidecars(ctx)
	if err != nil {
		return nil, err
	}
	sums := map[string]int{}
	const releases = "flink_ha_releases_total"
	for i := range now {
		earlier := before[i].ByLabel(releases, "outcome")
		for outcome, n := range now[i].ByLabel(releases, "outcome") {
			if more := int(n - earlier[outcome]); more > 0 {
				sums[outcome] += more
			}
		}
	}
	return sums, nil
}
