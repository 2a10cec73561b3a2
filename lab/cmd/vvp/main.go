// Command vvp measures the HA service vvp-kubernetes with real Flink: how long the job
// is without a JobManager when the leader's is killed, so that the sidecar frees the
// lock on proof, and when its whole pod is, so that the lease has to run out. Both with
// the same timings, in turns.
//
// The environment says what to run: SAMPLES, FLINK, LEASE, RENEW, RETRY and OUT.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"flink-ha-sidecar/lab"
)

func main() {
	os.Exit(lab.Program("vvp", os.Stdout, func(ctx context.Context) error { return run(ctx, os.Getenv, os.Stdout) }))
}

// timeout bounds one sample.
const timeout = 4 * time.Minute

type settings struct {
	samples int
	flink   string
	timing  lab.VVPTiming
	out     string
}

func parse(getenv func(string) string) (s settings, err error) {
	s = settings{samples: 3, flink: "2.3.0", out: getenv("OUT"), timing: lab.VVPTiming{LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second}}
	if v := getenv("SAMPLES"); v != "" {
		if s.samples, err = strconv.Atoi(v); err != nil || s.samples < 1 {
			return s, lab.BadSetting{Err: fmt.Errorf("SAMPLES=%s: give a number from 1 on", v)}
		}
	}
	if v := getenv("FLINK"); v != "" {
		if s.flink, err = lab.FlinkVersion(v); err != nil {
			return s, lab.BadSetting{Err: err}
		}
	}
	for name, into := range map[string]*time.Duration{"LEASE": &s.timing.LeaseDuration, "RENEW": &s.timing.RenewDeadline, "RETRY": &s.timing.RetryPeriod} {
		if v := getenv(name); v != "" {
			if *into, err = time.ParseDuration(v); err != nil {
				return s, lab.BadSetting{Err: fmt.Errorf("%s=%s: give a duration, as in 2s", name, v)}
			}
		}
	}
	return s, nil
}

func run(ctx context.Context, getenv func(string) string, w io.Writer) (err error) {
	s, err := parse(getenv)
	if err != nil {
		return err
	}
	progress := lab.NewProgress(w)
	bench, err := lab.OpenBench(ctx, progress, lab.BenchOptions{Name: "vvp", Flink: s.flink})
	if err != nil {
		return err
	}
	defer func() { bench.Close(ctx, err) }()
	r := report{Flink: s.flink, Timing: fmt.Sprintf("lease %v, renew deadline %v, retry period %v", s.timing.LeaseDuration, s.timing.RenewDeadline, s.timing.RetryPeriod)}
	progress.Say("Flink %s without HA, two pods, checkpoints every second, %s", r.Flink, r.Timing)
	for n := range s.samples {
		for _, proof := range []bool{true, false} {
			one, err := sample(ctx, bench, s, n, proof)
			if err != nil {
				return err
			}
			r.add(proof, one)
			progress.Say("%-26s next JobManager after %6d ms, first checkpoint after %6d ms, %d records again", kind(proof), one.StartedMS, one.CheckpointMS, one.Replayed)
		}
	}
	r.print(w)
	if s.out != "" {
		return r.write(s.out)
	}
	return nil
}

func kind(proof bool) string {
	if proof {
		return "JobManager killed, proof"
	}
	return "pod killed, lease alone"
}

// sample starts a cluster, ends its leader and measures.
func sample(ctx context.Context, bench *lab.Bench, s settings, n int, proof bool) (one measured, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dir, err := bench.Folder(fmt.Sprintf("%d-%t", n+1, proof))
	if err != nil {
		return one, err
	}
	c, err := lab.NewGatedCluster(lab.GatedOptions{
		Flink: bench.Flink, Binary: bench.Sidecar, Dir: dir, Sidecar: lab.VVPSidecars(ctx, bench.Control, bench.Sidecar, s.timing),
	})
	if err != nil {
		return one, err
	}
	defer c.Stop()
	done := bench.Progress.Step("start Flink until the job has checkpoints")
	leader, err := ready(ctx, c)
	done(err)
	if err != nil {
		return one, err
	}
	killed := time.Now()
	if proof {
		err = leader.KillJobManager()
	} else {
		c.SidecarOf(leader).Kill()
		err = leader.KillContainer()
	}
	if err != nil {
		return one, err
	}
	started, err := c.WaitForStart(ctx, c.Other(leader), killed)
	if err != nil {
		return one, err
	}
	checkpoint, err := c.WaitForCheckpoint(ctx, started)
	if err != nil {
		return one, err
	}
	ticks, err := lab.ReadTicks(c.Settings.Ticks())
	if err == nil {
		err = lab.CheckTicks(ticks)
	}
	if err == nil && len(ticks) > 0 && ticks[len(ticks)-1].Count < 50 {
		err = errors.New("the job has begun from scratch")
	}
	return measured{
		StartedMS: started.Sub(killed).Milliseconds(), CheckpointMS: checkpoint.Sub(killed).Milliseconds(),
		SilenceMS: lab.Silence(ticks, killed).Milliseconds(), Replayed: lab.Replayed(ticks),
	}, err
}

// ready starts a cluster and waits for a leader with checkpoints, and some ticks.
func ready(ctx context.Context, c *lab.GatedCluster) (*lab.GatedPod, error) {
	if err := c.Start(); err != nil {
		return nil, err
	}
	leader, err := c.WaitForLeader(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.WaitForTicks(ctx, time.Now(), 150); err != nil {
		return nil, err
	}
	_, err = c.WaitForCheckpoint(ctx, time.Now())
	return leader, err
}
