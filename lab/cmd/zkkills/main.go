// Command zkkills measures with ZooKeeper HA how long the place of a killed leader
// stays in the queue for the lock: from the signal until the kernel has taken the
// process down, and from there until the place is gone, by a watch that has nothing
// to do with the sidecar.
//
// It kills KILLS stand-ins (200) of a JVM's size in one cluster of four. At each
// kill three other candidates live, and one of them has just changed its session, so
// that its old place still stands. An audit on a third connection sees every place
// that goes away, and ends the run with status 1 if one was of a living session.
package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"flink-ha-sidecar/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Getenv, os.Stdout))
}

func run(ctx context.Context, getenv func(string) string, w io.Writer) int {
	kills := 200
	if v := getenv("KILLS"); v != "" {
		var err error
		if kills, err = strconv.Atoi(v); err != nil || kills < 1 || kills > 10000 {
			fmt.Fprintf(w, "zkkills: KILLS is %q: give 1 to 10000\n", v)
			return 2
		}
	}
	dir, err := os.MkdirTemp("", "flink-ha-zkkills-")
	if err != nil {
		fmt.Fprintln(w, "zkkills:", err)
		return 1
	}
	err = killAll(ctx, dir, kills, w)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(w, "ended; everything that was started is stopped")
		return 130
	case err != nil:
		fmt.Fprintf(w, "zkkills: %v; logs and data are in %s\n", err, dir)
		return 1
	}
	os.RemoveAll(dir)
	return 0
}

func killAll(ctx context.Context, dir string, kills int, w io.Writer) error {
	progress := lab.NewProgress(w)
	k, err := prepare(ctx, dir, progress)
	if k != nil {
		defer k.stop()
	}
	if err != nil {
		return err
	}
	done := progress.Step(fmt.Sprintf("kill %d stand-ins", kills))
	for n := range kills {
		if err := k.once(ctx); err != nil {
			done(err)
			return fmt.Errorf("kill %d of %d: %w", n+1, kills, err)
		}
	}
	done(nil)
	fmt.Fprintf(w, "%d kills of stand-ins with %d MB touched, 3 other candidates, one with a new session\n", kills, memoryMB)
	printRow(w, "signal to process gone", k.gone)
	printRow(w, "process gone to place gone", k.freed)
	return k.check(w)
}

// printRow prints percentiles; of n values p is the one that p % are not above.
func printRow(w io.Writer, what string, values []time.Duration) {
	sorted := slices.Sorted(slices.Values(values))
	at := func(p float64) float64 {
		i := int(math.Ceil(p/100*float64(len(sorted)))) - 1
		return float64(sorted[max(i, 0)].Microseconds()) / 1000
	}
	fmt.Fprintf(w, "%-28s p50 %6.1f  p90 %6.1f  p99 %6.1f  max %6.1f ms\n", what, at(50), at(90), at(99), at(100))
}

func prepare(ctx context.Context, dir string, progress *lab.Progress) (*killer, error) {
	cache, err := lab.OpenCache(progress)
	if err != nil {
		return nil, err
	}
	sidecar, err := lab.BuildSidecar(ctx, progress, dir, false)
	if err != nil {
		return nil, err
	}
	standIn, err := lab.BuildZooKeeperStandIn(ctx, progress, dir)
	if err != nil {
		return nil, err
	}
	flink, err := cache.Flink(ctx, "2.3")
	if err != nil {
		return nil, err
	}
	folders := map[string]string{"zk": filepath.Join(dir, "zookeeper"), "cluster": filepath.Join(dir, "cluster")}
	for _, folder := range folders {
		if err := os.Mkdir(folder, 0o755); err != nil {
			return nil, fmt.Errorf("make folder: %w", err)
		}
	}
	k := &killer{changed: map[string]time.Time{}}
	k.servers, err = lab.StartZooKeeper(ctx, flink, lab.ZooKeeperOptions{Dir: folders["zk"], MaxSession: maxSession})
	if err != nil {
		return nil, err
	}
	k.cluster, err = lab.StartCluster(ctx, lab.ClusterOptions{
		ZooKeeper: k.servers, Dir: folders["cluster"], JobManagers: 4,
		StandIn: standIn, StandInArgs: []string{"--memory", strconv.Itoa(memoryMB)}, Sidecar: sidecar,
	})
	if err != nil {
		return k, err
	}
	k.audit = lab.NewLatchAudit(k.servers, k.cluster.Settings.LockPath())
	auditing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	k.cancel = cancel
	k.tasks.Go(func() { k.audit.Run(auditing) })
	return k, nil
}
