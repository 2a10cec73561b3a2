package lab

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// LeaderPublished: the next leader has written its dispatcher's address under its
// own lock, by the independent watch. From here on TaskManagers and clients find it.
const LeaderPublished Phase = "next leader published"

// PodFault ends, or otherwise befalls, the leading JobManager. It returns the time
// from which the failover counts.
type PodFault func(ctx context.Context, leader *corev1.Pod, jvm *PodProcess) (time.Time, error)

// Fail lets a fault befall the leader and measures the failover until the next
// leader has completed a checkpoint. The cluster must be ready: see
// [PodCluster.WaitReady].
func (c *PodCluster) Fail(ctx context.Context, fault PodFault) (*Failover, error) {
	leader, err := c.Leader(ctx)
	if err != nil {
		return nil, err
	}
	jvm, err := c.Process(leader, JobManagerProgram)
	if err != nil {
		return nil, err
	}
	before, err := c.Ticks()
	if err != nil {
		return nil, err
	}
	tenure, own := c.Lock.Last(), c.Logs(leader.Name)
	f := &Failover{Leader: leader.Name, After: map[Phase]time.Duration{}}
	if f.At, err = fault(ctx, leader, jvm); err != nil {
		return nil, err
	}
	err = c.poll(ctx, "the failover", func() (bool, error) {
		if err := c.measure(f, jvm, tenure, own); err != nil {
			return false, err
		}
		_, done := f.After[FirstCheckpoint]
		_, published := f.After[LeaderPublished]
		return done && published, nil
	})
	if err != nil {
		return f, err
	}
	var ticks []Tick
	err = c.poll(ctx, "the first tick after the failover", func() (bool, error) {
		ticks, err = c.Ticks()
		return len(ticks) > 0 && strings.HasPrefix(ticks[len(ticks)-1].JobManager, f.Next+"."), err
	})
	if err != nil {
		return f, err
	}
	if err := c.noteStuck(f, leader); err != nil {
		return f, err
	}
	_, _ = jvm.Signal(syscall.SIGKILL) // one that was only stopped, and that nobody has ended, would be in the way
	f.Replayed = Replayed(ticks) - Replayed(before)
	f.Silence = Silence(ticks, f.At)
	return f, CheckTicks(ticks)
}

// measure sets each phase that is known by now. own are the logs that the leader
// had before the fault.
func (c *PodCluster) measure(f *Failover, jvm *PodProcess, tenure LockVersion, own []string) error {
	f.After = map[Phase]time.Duration{}
	reached := func(phase Phase, at time.Time) { f.After[phase] = at.Sub(f.At) }
	for _, end := range c.Ends() {
		if end.PID == jvm.PID && !end.At.Before(f.At) {
			reached(ProcessGone, end.At)
		}
	}
	versions := c.Lock.Versions()
	if at, ok := freed(versions, tenure, f.At); ok {
		reached(LockFreed, at)
	}
	for _, v := range versions {
		if !v.At.Before(f.At) && v.Holder != tenure.Holder && v.LeaderIP() != "" {
			reached(LeaderPublished, v.At)
			break
		}
	}
	logs, _ := filepath.Glob(filepath.Join(c.dir, "log", "jobmanager-*.log"))
	for _, log := range logs {
		if slices.Contains(own, log) {
			continue
		}
		events, err := ReadFlinkLog(log)
		if err != nil {
			return err
		}
		if t, ok := takeover(events, f.At); ok {
			f.Next, _, _ = strings.Cut(filepath.Base(log), ".")
			for phase, at := range t {
				reached(phase, at)
			}
			break
		}
	}
	return nil
}

// WaitReady waits until the cluster is what a failover is measured on: every
// JobManager's pod is ready and contends, one leads and is bound by its sidecar,
// and the job ticks and has completed a checkpoint since.
func (c *PodCluster) WaitReady(ctx context.Context) (*corev1.Pod, error) {
	var leader *corev1.Pod
	err := c.poll(ctx, "the JobManagers", func() (ready bool, err error) {
		if leader, err = c.Leader(ctx); errors.Is(err, errNobody) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		return c.allContend(ctx)
	})
	if err != nil {
		return nil, err
	}
	if c.inject {
		err := c.poll(ctx, "the sidecar to bind the leader", func() (bool, error) {
			s, err := c.Status(ctx, leader)
			return err == nil && s.JobManager.Bound, nil
		})
		if err != nil {
			return nil, err
		}
	}
	since := time.Now()
	return leader, c.poll(ctx, "ticks and a checkpoint", func() (bool, error) {
		ticks, err := c.Ticks()
		if err != nil || len(ticks) == 0 || ticks[len(ticks)-1].At.Before(since) {
			return false, err
		}
		for _, log := range c.Logs(leader.Name) {
			events, err := ReadFlinkLog(log)
			if err != nil {
				return false, err
			}
			for _, e := range events {
				if e.Kind == LogCheckpoint && e.At.After(since) {
					return true, nil
				}
			}
		}
		return false, nil
	})
}

// allContend tells whether as many JobManagers as there should be run and ask for
// the lock, and no other is left.
func (c *PodCluster) allContend(ctx context.Context) (bool, error) {
	pods, err := c.JobManagers(ctx)
	if err != nil || len(pods) != c.Replicas {
		return false, err
	}
	for _, pod := range pods {
		logs := c.Logs(pod.Name)
		if !podReady(&pod) || len(logs) == 0 {
			return false, nil
		}
		if jvm, err := c.Process(&pod, JobManagerProgram); err != nil || !strings.HasSuffix(argument(jvm.PID, "-Dlab.log="), filepath.Base(logs[len(logs)-1])) {
			return false, nil
		}
		events, err := ReadFlinkLog(logs[len(logs)-1])
		if err != nil || !hasKind(events, LogContends) {
			return false, err
		}
	}
	return true, nil
}

func hasKind(events []LogEvent, kind LogKind) bool {
	for _, e := range events {
		if e.Kind == kind {
			return true
		}
	}
	return false
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (c *PodCluster) poll(ctx context.Context, what string, done func() (bool, error)) error {
	if err := pollUntil(ctx, what, done); err != nil {
		return fmt.Errorf("%w; logs are in %s", err, c.dir)
	}
	return nil
}

// pollUntil asks done every 100 ms until it is, or ctx is.
func pollUntil(ctx context.Context, what string, done func() (bool, error)) error {
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
}

// LeaderAt is the name of the pod whose JobManager had its address published as
// the leader's at a moment, empty if none had or its JobManager was never seen.
func (c *PodCluster) LeaderAt(moment time.Time) string {
	var ip string
	for _, v := range c.Lock.Versions() {
		if !v.At.After(moment) {
			ip = v.LeaderIP()
		}
	}
	return c.ends.pod(ip)
}
