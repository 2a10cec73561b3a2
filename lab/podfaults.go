package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Signalled ends the leader's JVM by a signal, from outside of its pod.
func Signalled(s syscall.Signal) PodFault {
	return func(_ context.Context, _ *corev1.Pod, jvm *PodProcess) (time.Time, error) { return jvm.Signal(s) }
}

// PodDeleted deletes the leader's pod as kubectl delete does: SIGTERM, and SIGKILL
// once the pod's grace period is over.
func (c *PodCluster) PodDeleted(ctx context.Context, leader *corev1.Pod, _ *PodProcess) (time.Time, error) {
	at := time.Now()
	if err := c.Pods().Delete(ctx, leader.Name, metav1.DeleteOptions{}); err != nil {
		return at, fmt.Errorf("delete pod: %w", err)
	}
	return at, nil
}

// OutOfMemory fills the leader's container until the kernel ends its JVM for want
// of memory, and counts from the JVM's end: how long the filling takes says
// nothing.
func (c *PodCluster) OutOfMemory(ctx context.Context, _ *corev1.Pod, jvm *PodProcess) (time.Time, error) {
	// The kernel ends what it holds largest; what we fill the container with must
	// not be that.
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", jvm.PID), []byte("1000"), 0o644); err != nil {
		return time.Time{}, fmt.Errorf("fill container: %w", err)
	}
	const fill = `echo $$ > "$1" && head -c 1000M /dev/zero | tail -c 1000M > /dev/null`
	cmd := exec.CommandContext(ctx, "sh", "-c", fill, "sh", filepath.Join(jvm.cgroup, "cgroup.procs"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := here().start(cmd); err != nil {
		return time.Time{}, fmt.Errorf("fill container: %w", err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have been ended with the container
		_ = cmd.Wait()
	}()
	var at time.Time
	err := c.poll(ctx, "the kernel to end the JVM", func() (bool, error) {
		for _, end := range c.Ends() {
			if end.PID == jvm.PID {
				at = end.At
			}
		}
		return !at.IsZero(), nil
	})
	return at, err
}

// ForceDelete takes a pod out of the API at once, as kubectl delete --force does,
// whatever its processes do.
func (c *PodCluster) ForceDelete(ctx context.Context, pod *corev1.Pod) error {
	now := int64(0)
	if err := c.Pods().Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		return fmt.Errorf("delete pod by force: %w", err)
	}
	return nil
}

// Rollout is what a rolling update of the JobManagers cost.
type Rollout struct {
	Begin, End time.Time
	// Gaps are the times without a leader.
	Gaps []Gap
	// Replayed is how many records were processed again, Silence the longest time
	// without one.
	Replayed int
	Silence  time.Duration
}

// Roll makes a rolling update of the JobManagers and waits until only new ones are
// left, all of them ready, and the job has a checkpoint. The cluster must be
// ready: see [PodCluster.WaitReady].
func (c *PodCluster) Roll(ctx context.Context) (*Rollout, error) {
	before, err := c.Ticks()
	if err != nil {
		return nil, err
	}
	r := &Rollout{Begin: time.Now()}
	if err := c.Restart(ctx); err != nil {
		return nil, err
	}
	err = c.poll(ctx, "the rolling update", func() (bool, error) {
		done, err := c.RolledOut(ctx)
		if !done || err != nil {
			return false, err
		}
		pods, err := c.JobManagers(ctx)
		return len(pods) == c.Replicas, err
	})
	if err != nil {
		return nil, err
	}
	if _, err := c.WaitReady(ctx); err != nil {
		return nil, err
	}
	r.End = time.Now()
	r.Gaps = Leaderless(c.Lock.Versions(), c.Ends(), r.Begin, r.End)
	ticks, err := c.Ticks()
	if err != nil {
		return nil, err
	}
	r.Replayed, r.Silence = Replayed(ticks)-Replayed(before), Silence(ticks, r.Begin)
	return r, CheckTicks(ticks)
}

// Contended is when a pod's JobManager, in its latest run, began to ask for the
// lock.
func (c *PodCluster) Contended(pod string) (time.Time, error) {
	logs := c.Logs(pod)
	if len(logs) == 0 {
		return time.Time{}, fmt.Errorf("pod %s has no log of a JobManager", pod)
	}
	events, err := ReadFlinkLog(logs[len(logs)-1])
	if err != nil {
		return time.Time{}, err
	}
	for _, e := range events {
		if e.Kind == LogContends {
			return e.At, nil
		}
	}
	return time.Time{}, errors.New("the JobManager of pod " + pod + " does not ask for the lock")
}
