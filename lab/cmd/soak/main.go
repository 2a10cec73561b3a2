// Command soak changes the leader of one cluster CHANGES times (500) and compares
// what its sidecars hold after the first 20 changes with what they hold after the
// last: memory, goroutines, file descriptors, watches. They must not grow.
//
// Three stand-ins for JobManagers contend on a real API server with a short lease;
// by turns the leader is killed and is asked to end, and it is started again each
// time. As many locks of killed leaders are freed as the damper allows; the rest
// run out. OUT names a file for the same as JSON. It exits with 2 if one of them is
// wrong, with 1 if something has grown, or if a lock was freed whose holder lived.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"flink-ha-sidecar/lab"
)

func main() {
	os.Exit(lab.Program("soak", os.Stdout, func(ctx context.Context) error { return run(ctx, os.Getenv, os.Stdout) }))
}

// settleAfter is how many changes come before the first measurement: by then
// every code path was taken and every pool filled.
const settleAfter = 20

type settings struct {
	changes int
	out     string
}

func parseSettings(getenv func(string) string) (s settings, err error) {
	s.changes = 500
	if v := getenv("CHANGES"); v != "" {
		if s.changes, err = strconv.Atoi(v); err != nil || s.changes <= settleAfter || s.changes > 100000 {
			return s, fmt.Errorf("CHANGES is %q: give a number above %d", v, settleAfter)
		}
	}
	if s.out = getenv("OUT"); s.out != "" {
		if info, err := os.Stat(filepath.Dir(s.out)); err != nil || !info.IsDir() {
			return s, fmt.Errorf("OUT is %q: its folder is not there", s.out)
		}
	}
	return s, nil
}

// The short lease leaves the sidecar time to act: it does so while there is more
// than a second left.
const (
	retryPeriod   = 250 * time.Millisecond
	renewDeadline = 2 * time.Second
	leaseDuration = 2500 * time.Millisecond
	// backAfter is how soon a JobManager that has ended is started again.
	backAfter = 100 * time.Millisecond
)

func run(ctx context.Context, getenv func(string) string, w io.Writer) (err error) {
	s, err := parseSettings(getenv)
	if err != nil {
		return lab.BadSetting{Err: err}
	}
	bench, err := lab.OpenBench(ctx, lab.NewProgress(w), lab.BenchOptions{Name: "soak", StandIn: true})
	if err != nil {
		return err
	}
	defer func() { bench.Close(ctx, err) }()
	cluster, err := bench.StartCluster(ctx, "cluster", lab.ClusterOptions{
		StandIn: bench.StandIn, Sidecar: bench.Sidecar, JobManagers: 3, StartAgain: backAfter,
		RetryPeriod: retryPeriod, RenewDeadline: renewDeadline, LeaseDuration: leaseDuration,
	})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	r := &result{Changes: s.changes}
	begin := time.Now()
	done := bench.Progress.Step(fmt.Sprintf("change the leader %d times", s.changes))
	err = r.soak(ctx, bench.Control, cluster, bench.Progress)
	done(err)
	if err != nil {
		return err
	}
	r.Seconds = time.Since(begin).Round(time.Second).Seconds()
	r.print(w)
	if s.out != "" {
		if err := r.write(s.out); err != nil {
			return err
		}
	}
	if err := cluster.CheckReleases(); err != nil {
		return err
	}
	return r.check()
}

// soak does all changes and both measurements.
func (r *result) soak(ctx context.Context, control *lab.ControlPlane, cluster *lab.Cluster, progress *lab.Progress) (err error) {
	for n := 1; n <= r.Changes; n++ {
		end := syscall.SIGKILL
		if n%2 == 0 {
			end = syscall.SIGTERM
		}
		if err := r.change(ctx, cluster, end); err != nil {
			return fmt.Errorf("change %d: %w", n, err)
		}
		if n%100 == 0 {
			progress.Say("  %d changes", n)
		}
		if n == settleAfter {
			if r.Before, err = measure(ctx, control, cluster); err != nil {
				return err
			}
		}
	}
	if r.After, err = measure(ctx, control, cluster); err != nil {
		return err
	}
	r.Releases, err = releases(ctx, cluster)
	return err
}

const (
	// changeFor bounds one change: the lease, and what a busy machine adds.
	changeFor = time.Minute
	// boundFor is how long a leader may take to be bound before it is ended anyway.
	boundFor = 5 * time.Second
)

// change ends the leader and waits for another holder of the lock.
func (r *result) change(ctx context.Context, cluster *lab.Cluster, end syscall.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, changeFor)
	defer cancel()
	leader, err := cluster.WaitForLeader(ctx)
	if err != nil {
		return err
	}
	binding, stop := context.WithTimeout(ctx, boundFor)
	defer stop()
	if bound, err := cluster.WaitForBinding(binding); err == nil {
		leader = bound
	} else {
		r.Unbound++
	}
	held := cluster.Lock.Last()
	at, err := leader.Signal(end)
	if err != nil {
		return err
	}
	_, err = cluster.Lock.WaitFor(ctx, at, func(v lab.LockVersion) bool { return v.Holder != "" && v.Holder != held.Holder })
	return err
}
