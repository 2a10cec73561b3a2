package lab

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// StuckSeen: the leader's sidecar has said that its JobManager is stuck.
const StuckSeen Phase = "stuck seen"

// HangsWhenFull are the arguments of a JVM that hangs when its heap is full, as one
// does whose script for that case does not end: the JVM runs it at a safepoint, where
// all of its threads stand (VM_ReportJavaOutOfMemory).
var HangsWhenFull = []string{"-XX:OnOutOfMemoryError=sleep 3600"}

// Stopped stops the leader's JVM by SIGSTOP, for good.
func (c *PodCluster) Stopped(_ context.Context, _ *corev1.Pod, jvm *PodProcess) (time.Time, error) {
	return jvm.Signal(syscall.SIGSTOP)
}

// HeapFull fills the heap of the leader's JVM, and counts from when it hangs, which
// a child of it shows. The cluster needs [HangsWhenFull].
func (c *PodCluster) HeapFull(ctx context.Context, leader *corev1.Pod, jvm *PodProcess) (time.Time, error) {
	logs := c.Logs(leader.Name)
	if len(logs) == 0 {
		return time.Time{}, fmt.Errorf("fill heap: pod %s has no log of a JobManager", leader.Name)
	}
	if err := os.WriteFile(logs[len(logs)-1]+".fill", nil, 0o644); err != nil {
		return time.Time{}, fmt.Errorf("fill heap: %w", err)
	}
	children := fmt.Sprintf("/proc/%d/task", jvm.PID)
	err := c.poll(ctx, "the heap to be full", func() (bool, error) {
		threads, err := os.ReadDir(children)
		if err != nil {
			return false, fmt.Errorf("fill heap: %w", err)
		}
		for _, thread := range threads {
			pids, _ := os.ReadFile(fmt.Sprintf("%s/%s/children", children, thread.Name()))
			if strings.TrimSpace(string(pids)) != "" {
				return true, nil
			}
		}
		return false, nil
	})
	return time.Now(), err
}

// noteStuck sets StuckSeen, if the leader's sidecar has said so since the fault.
func (c *PodCluster) noteStuck(f *Failover, leader *corev1.Pod) error {
	if !c.inject {
		return nil
	}
	events, err := c.SidecarLog(leader)
	if err != nil {
		return err
	}
	for _, e := range events {
		if !e.At.Before(f.At) && strings.HasPrefix(e.Message, "the JobManager is stuck") {
			f.After[StuckSeen] = e.At.Sub(f.At)
			return nil
		}
	}
	return nil
}
