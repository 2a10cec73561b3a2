// Command outage measures what outages of the API server do to a Flink job, plain
// and with sidecars: an API server that is killed, frozen (it takes connections
// and answers nothing) or that flaps, with a leader that lives through it and with
// one that is killed meanwhile, with Flink's own lease and with a long one. Each
// cell of the table has a cluster of its own, of two JobManagers of Flink 2.3,
// retry-period 1 s and a checkpoint every second.
//
// The environment selects: KINDS, LEADER (alive, killed), SIDE (plain, sidecar),
// each a list with commas, all by default; SAMPLES=1; OUT names a file for the
// same as JSON. What that file has already is kept and not measured again, so that
// the same command goes on where it was ended.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"flink-ha-sidecar/lab"
)

func main() {
	os.Exit(lab.Program("outage", os.Stdout, func(ctx context.Context) error { return run(ctx, os.Getenv, os.Stdout) }))
}

const (
	flinkVersion = "2.3"
	retryPeriod  = time.Second
	// readyFor bounds the start of a cluster, settledFor what comes after the
	// outage and the lease.
	readyFor   = 5 * time.Minute
	settledFor = 2 * time.Minute
)

// run measures the cells that are missing and prints the table of all. A cell that
// fails does not end the others.
func run(ctx context.Context, getenv func(string) string, w io.Writer) (err error) {
	s, err := parseSettings(getenv)
	if err != nil {
		return lab.BadSetting{Err: err}
	}
	r, err := readResult(s.out)
	if err != nil {
		return lab.BadSetting{Err: err}
	}
	bench, err := lab.OpenBench(ctx, lab.NewProgress(w), lab.BenchOptions{Name: "outage", Flink: flinkVersion})
	if err != nil {
		return err
	}
	defer func() { bench.Close(ctx, err) }()
	r.Flink, r.RetryPeriod = bench.Flink.Version, retryPeriod.Seconds()
	var failed []error
	for _, c := range s.cells() {
		for n := r.samples(c); n < s.samples && ctx.Err() == nil; n++ {
			one, err := measure(ctx, bench, c, n)
			if err != nil {
				bench.Progress.Say("  %v", err)
				failed = append(failed, fmt.Errorf("%v: %w", c, err))
				break
			}
			r.add(c, one)
			if err := r.write(s.out); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.print(w)
	return errors.Join(failed...)
}

// measure starts a cluster, lets one outage happen to it and stops it.
func measure(ctx context.Context, bench *lab.Bench, c cell, n int) (_ sample, err error) {
	bench.Progress.Say("\n%v, sample %d", c, n+1)
	o := lab.ClusterOptions{
		Flink: bench.Flink, RetryPeriod: retryPeriod,
		// On a machine that has other work a JVM may need longer than 10 s to start.
		Extra: map[string]string{"pekko.startup-timeout": "180 s"},
	}
	if c.Sidecar {
		o.Sidecar = bench.Sidecar
	}
	if c.Long {
		o.LeaseDuration, o.RenewDeadline = longLease, longDeadline
	}
	starting, cancel := context.WithTimeout(ctx, readyFor)
	defer cancel()
	done := bench.Progress.Step("start Flink until the job has checkpoints")
	cluster, err := bench.StartCluster(starting, fmt.Sprintf("%s-%d", c.name(), n+1), o)
	if err != nil {
		done(err)
		return sample{}, err
	}
	defer func() {
		cluster.Stop()
		if err == nil {
			os.RemoveAll(cluster.Settings.Dir)
		}
	}()
	_, err = cluster.WaitReady(starting)
	if err == nil && c.Sidecar {
		_, err = cluster.WaitForBinding(starting)
	}
	done(err)
	if err != nil {
		return sample{}, err
	}
	k := kindOf(c.Kind)
	ctx, cancel = context.WithTimeout(ctx, k.lasts+c.lease()+settledFor)
	defer cancel()
	done = bench.Progress.Step("wait until the job is at rest after it")
	outage, err := cluster.Suffer(ctx, k.fault(bench.Control), c.Killed)
	done(err)
	if err != nil {
		return sample{}, err
	}
	one := newSample(outage)
	bench.Progress.Say("  %v", one)
	return one, one.check()
}
