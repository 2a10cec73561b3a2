// Command demo shows what the sidecar is for: it ends the leading JobManager of a
// plain Flink cluster and of one with sidecars, on this machine and with the same
// settings, and compares how long the job took to be safe again.
//
// The environment says what to run: SAMPLES, BACKEND, FLINK, JOBMANAGERS, SIGNAL,
// RETRY, KEEP and OUT. It exits with 2 if one of them is wrong, with 1 if the demo
// could not be brought to its end, with 130 after Ctrl-C.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"flink-ha-sidecar/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends the demo at once; the kernel then ends what it started.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Getenv, os.Stdout))
}

func run(ctx context.Context, getenv func(string) string, w io.Writer) int {
	s, err := parseSettings(getenv)
	if err != nil {
		fmt.Fprintln(w, "demo:", err)
		return 2
	}
	d := &demo{settings: s, progress: lab.NewProgress(w), w: w}
	switch err := d.run(ctx); {
	case errors.Is(ctx.Err(), context.Canceled):
		d.progress.Say("ended; everything that was started is stopped")
		if d.finished {
			return 0
		}
		return 130
	case err != nil:
		d.progress.Say("demo: %v", err)
		return 1
	}
	return 0
}

// failoverTimeout bounds each wait: plain Flink takes up to 26 s by its default
// timings, and on SIGTERM once more.
const failoverTimeout = 3 * time.Minute

type demo struct {
	settings settings
	progress *lab.Progress
	w        io.Writer

	*lab.Bench
	servers  *lab.ZooKeeper // instead of the bench's control plane
	finished bool
}

// run does all samples, prints the table and, with KEEP=1, waits for Ctrl-C.
func (d *demo) run(ctx context.Context) (err error) {
	d.progress.Say("%v", d.settings)
	zookeeper := d.settings.backend == lab.Zookeeper
	d.Bench, err = lab.OpenBench(ctx, d.progress, lab.BenchOptions{Name: "demo", Flink: d.settings.flink, NoControlPlane: zookeeper})
	if err != nil {
		return err
	}
	defer func() { d.Close(ctx, err) }()
	if zookeeper {
		if err := d.startZooKeeper(ctx); err != nil {
			return err
		}
		defer d.servers.Stop()
	}

	var m measured
	for n := range d.settings.samples {
		for _, with := range []bool{false, true} {
			keep := d.settings.keep && with && n == d.settings.samples-1
			f, cluster, err := d.sample(ctx, n, with)
			if cluster != nil && (err != nil || !keep) {
				cluster.Stop()
			}
			if err != nil {
				return err
			}
			if keep {
				defer cluster.Stop()
				defer d.show(ctx, cluster) // before the cluster is stopped
			}
			if with {
				m.sidecar = append(m.sidecar, f)
			} else {
				m.plain = append(m.plain, f)
			}
		}
	}
	r := m.result(d.settings)
	m.printTable(d.w, r.Ratio)
	d.finished = true
	if d.settings.out != "" {
		return r.write(d.settings.out)
	}
	return nil
}

func (d *demo) startZooKeeper(ctx context.Context) error {
	dir, err := d.Folder("zookeeper")
	if err != nil {
		return err
	}
	done := d.progress.Step("start ZooKeeper")
	d.servers, err = lab.StartZooKeeper(ctx, d.Flink, lab.ZooKeeperOptions{Dir: dir})
	done(err)
	return err
}

// sample starts a cluster, ends its leader and measures. The caller stops the
// cluster, which is there even with an error if it was started.
func (d *demo) sample(ctx context.Context, n int, with bool) (*lab.Failover, *lab.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, failoverTimeout)
	defer cancel()
	title, folder := "plain Flink", fmt.Sprintf("plain-%d", n+1)
	options := lab.ClusterOptions{
		Flink: d.Flink, ZooKeeper: d.servers, Backend: d.settings.backend, JobManagers: d.settings.jobManagers,
		RetryPeriod: d.settings.retry,
	}
	if with {
		title, folder = "with sidecar", fmt.Sprintf("sidecar-%d", n+1)
		options.Sidecar = d.Sidecar
	}
	if options.JobManagers == 1 {
		options.StartAgain = time.Second
	}
	d.progress.Say("\n%s, sample %d of %d", title, n+1, d.settings.samples)
	cluster, err := d.StartCluster(ctx, folder, options)
	if err != nil {
		return nil, nil, err
	}
	done := d.progress.Step("start Flink until the job has checkpoints")
	leader, err := cluster.WaitReady(ctx)
	done(err)
	if err != nil {
		return nil, cluster, err
	}
	d.progress.Say("  %s leads, %d standby, the job writes 50 ticks a second", leader.Name, len(cluster.JobManagers)-1)
	f, err := d.end(ctx, cluster, leader, with)
	if err != nil {
		return nil, cluster, err
	}
	d.progress.Say("  %s leads; %d records replayed, longest silence %s ms", f.Next, f.Replayed, milliseconds(f.Silence))
	return f, cluster, nil
}

// end ends the leader and measures.
func (d *demo) end(ctx context.Context, cluster *lab.Cluster, leader *lab.JobManager, with bool) (f *lab.Failover, err error) {
	seen := func(p lab.Phase, after time.Duration) {
		d.progress.Say("  %9s  %s", milliseconds(after)+" ms", p)
	}
	if d.settings.handover && with {
		var flags []string
		if d.settings.jobManagers == 1 {
			flags = []string{"--force"}
		}
		d.progress.Say("  flink-ha handover in the pod of %s", leader.Name)
		done := d.progress.Step("wait for the next leader's first checkpoint")
		f, report, err := cluster.Handover(ctx, seen, flags...)
		done(err)
		if err == nil {
			d.progress.Say("  checkpoint %s after %d ms, then %s: the times above count from there", report.Checkpoint, report.CheckpointMS, report.By)
		}
		return f, err
	}
	name := "KILL"
	if d.settings.signal == syscall.SIGTERM {
		name = "TERM"
	}
	d.progress.Say("  %9s  kill -%s %d: the leader", "0 ms", name, leader.Process().PID())
	done := d.progress.Step("wait for the next leader's first checkpoint")
	defer func() { done(err) }()
	return cluster.Fail(ctx, d.settings.signal, seen)
}

// show leaves a cluster running until Ctrl-C.
func (d *demo) show(ctx context.Context, cluster *lab.Cluster) {
	leader := cluster.LeaderNow()
	if leader == nil || !d.finished {
		return
	}
	d.progress.Say("\nweb UI of the leader, %s: %s", leader.Name, leader.REST())
	for _, s := range cluster.Sidecars {
		d.progress.Say("%s: %s/metrics", s.Name, s.URL())
	}
	if d.Control != nil {
		d.progress.Say("kubectl --kubeconfig %s get configmap %s -o yaml", d.Control.KubeConfig(), cluster.Settings.LockName())
	}
	d.progress.Say("Ctrl-C ends it all")
	<-ctx.Done()
}
