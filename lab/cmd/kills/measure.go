package main

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"flink-ha-sidecar/lab"
)

const (
	// flinkVersion is what the JVMs run.
	flinkVersion = "2.3"
	// memoryMB is what a stand-in has touched, as much as a small JobManager's JVM:
	// the kernel takes a process down the slower the larger it is.
	memoryMB = 400
	// retryPeriod is the recommended one; the lease is Flink's default.
	retryPeriod = time.Second
	// killTimeout bounds the start of a cluster and the kill of its leader.
	killTimeout = 2 * time.Minute
)

// sample is one kill.
type sample struct {
	// gone is from just before kill(2) until the process was reaped, freed from
	// there until the independent watch showed the lock without a holder.
	gone, freed time.Duration
}

// standIns kills n stand-ins, each in a cluster of its own.
func (k *killer) standIns(ctx context.Context, n int) (*series, error) {
	s := &series{What: fmt.Sprintf("stand-ins with %d MB touched", memoryMB)}
	done := k.Progress.Step(fmt.Sprintf("kill %d stand-ins", n))
	for i := range n {
		one, err := k.standInOnce(ctx, i)
		if err != nil {
			done(err)
			return nil, fmt.Errorf("kill %d of %d: %w", i+1, n, err)
		}
		s.add(one)
	}
	done(nil)
	return s, nil
}

func (k *killer) standInOnce(ctx context.Context, i int) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	cluster, err := k.start(ctx, fmt.Sprintf("standin-%d", i+1), lab.ClusterOptions{
		StandIn: k.StandIn, StandInArgs: []string{"--memory", fmt.Sprint(memoryMB)}, JobManagers: 1,
	})
	if err != nil {
		return sample{}, err
	}
	defer os.RemoveAll(cluster.Settings.Dir)
	defer cluster.Stop()
	return killLeader(ctx, cluster)
}

// jvms kills the leader of one Flink cluster n times; each time the cluster gets
// ready again first.
func (k *killer) jvms(ctx context.Context, n int) (*series, error) {
	s := &series{What: "JVMs of Flink " + k.Flink.Version}
	done := k.Progress.Step(fmt.Sprintf("kill %d JVMs", n))
	starting, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	cluster, err := k.start(starting, "flink", lab.ClusterOptions{Flink: k.Flink, JobManagers: 2})
	if err != nil {
		done(err)
		return nil, err
	}
	defer cluster.Stop()
	for i := range n {
		one, err := k.jvmOnce(ctx, cluster)
		if err != nil {
			done(err)
			return nil, fmt.Errorf("kill %d of %d: %w", i+1, n, err)
		}
		s.add(one)
	}
	done(nil)
	return s, nil
}

// jvmOnce kills the leader and starts it again beside a sidecar that remembers
// nothing, as in a new pod.
func (k *killer) jvmOnce(ctx context.Context, cluster *lab.Cluster) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	leader, err := cluster.WaitReady(ctx)
	if err != nil {
		return sample{}, err
	}
	one, err := killLeader(ctx, cluster)
	if err != nil {
		return sample{}, err
	}
	sidecar := cluster.SidecarOf(leader)
	sidecar.Kill()
	if err := os.RemoveAll(sidecar.StateDir); err != nil {
		return sample{}, fmt.Errorf("empty state directory: %w", err)
	}
	if err := sidecar.Start(); err != nil {
		return sample{}, err
	}
	return one, leader.Start()
}

// start starts a cluster with sidecars in a folder of its own.
func (k *killer) start(ctx context.Context, name string, o lab.ClusterOptions) (*lab.Cluster, error) {
	o.Sidecar, o.SidecarKubeConfig, o.RetryPeriod = k.Sidecar, k.kubeConfig, retryPeriod
	return k.StartCluster(ctx, name, o)
}

// killLeader kills the leader once its sidecar knows it, and waits until its lock
// is free.
func killLeader(ctx context.Context, cluster *lab.Cluster) (sample, error) {
	leader, err := cluster.WaitForBinding(ctx)
	if err != nil {
		return sample{}, err
	}
	process, held := leader.Process(), cluster.Lock.Last()
	at, err := process.Signal(syscall.SIGKILL)
	if err != nil {
		return sample{}, err
	}
	freed, err := cluster.Lock.WaitFor(ctx, at, func(v lab.LockVersion) bool { return !v.SameTenure(held) })
	if err != nil {
		return sample{}, err
	}
	if !freed.Free() {
		return sample{}, fmt.Errorf("the lock was not freed: after %s it says %s", held.Record, freed.Record)
	}
	<-process.Done()
	gone := process.EndedAt()
	return sample{gone: gone.Sub(at), freed: freed.At.Sub(gone)}, nil
}
