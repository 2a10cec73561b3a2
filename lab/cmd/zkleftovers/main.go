// Command zkleftovers looks for what fast takeovers leave behind with ZooKeeper HA:
// FAILOVERS (20) times it kills the leader of a Flink cluster that completes a
// checkpoint every second, plain and with sidecars, and then compares the pointers
// in ZooKeeper with the files of the HA storage: nodes whose file is gone, and files
// that no node points to.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"flink-ha-sidecar/lab"
)

const (
	flinkVersion = "2.3"
	// maxSession is how long plain Flink waits for each death; what is left behind
	// does not depend on it.
	maxSession      = 6 * time.Second
	failoverTimeout = 2 * time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Getenv, os.Stdout))
}

func run(ctx context.Context, getenv func(string) string, w io.Writer) int {
	failovers := 20
	if v := getenv("FAILOVERS"); v != "" {
		var err error
		if failovers, err = strconv.Atoi(v); err != nil || failovers < 1 || failovers > 1000 {
			fmt.Fprintf(w, "zkleftovers: FAILOVERS is %q: give 1 to 1000\n", v)
			return 2
		}
	}
	dir, err := os.MkdirTemp("", "flink-ha-zkleftovers-")
	if err == nil {
		err = compare(ctx, dir, failovers, w)
	}
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(w, "ended; everything that was started is stopped")
		return 130
	case err != nil:
		fmt.Fprintf(w, "zkleftovers: %v; logs and data are in %s\n", err, dir)
		return 1
	}
	os.RemoveAll(dir)
	return 0
}

// compare runs both sides and prints a row for each; more left behind by the second
// is an error.
func compare(ctx context.Context, dir string, failovers int, w io.Writer) error {
	progress := lab.NewProgress(w)
	cache, err := lab.OpenCache(progress)
	if err != nil {
		return err
	}
	flink, err := cache.Flink(ctx, flinkVersion)
	if err != nil {
		return err
	}
	sidecar, err := lab.BuildSidecar(ctx, progress, dir, false)
	if err != nil {
		return err
	}
	var sides []leftovers
	for _, side := range []struct{ name, sidecar string }{{"plain", ""}, {"sidecar", sidecar}} {
		done := progress.Step(fmt.Sprintf("%s: %d failovers", side.name, failovers))
		left, err := fail(ctx, filepath.Join(dir, side.name), flink, side.sidecar, failovers)
		done(err)
		if err != nil {
			return fmt.Errorf("%s: %w", side.name, err)
		}
		fmt.Fprintf(w, "%-8s %d failovers: %v\n", side.name, failovers, left)
		sides = append(sides, left)
	}
	if plain, fast := sides[0], sides[1]; len(fast.dangling) > len(plain.dangling) || len(fast.orphans) > len(plain.orphans) {
		return fmt.Errorf("with sidecars more is left behind: %s", strings.Join(append(fast.dangling, fast.orphans...), ", "))
	}
	return nil
}

// fail kills the leader again and again, and looks what is left.
func fail(ctx context.Context, dir string, flink *lab.Flink, sidecar string, failovers int) (leftovers, error) {
	data, servers := filepath.Join(dir, "cluster"), filepath.Join(dir, "zookeeper")
	for _, folder := range []string{data, servers} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return leftovers{}, fmt.Errorf("make folder: %w", err)
		}
	}
	z, err := lab.StartZooKeeper(ctx, flink, lab.ZooKeeperOptions{Dir: servers, MaxSession: maxSession})
	if err != nil {
		return leftovers{}, err
	}
	defer z.Stop()
	cluster, err := lab.StartCluster(ctx, lab.ClusterOptions{Flink: flink, ZooKeeper: z, Dir: data, Sidecar: sidecar})
	if err != nil {
		return leftovers{}, err
	}
	defer cluster.Stop()
	for n := range failovers {
		if err := once(ctx, cluster); err != nil {
			return leftovers{}, fmt.Errorf("failover %d: %w", n+1, err)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, failoverTimeout)
	defer cancel()
	if _, err := cluster.WaitReady(bounded); err != nil {
		return leftovers{}, err
	}
	return look(bounded, z, cluster.Settings)
}

// once kills the leader and starts it again, beside a sidecar that remembers
// nothing, as in a new pod.
func once(ctx context.Context, cluster *lab.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, failoverTimeout)
	defer cancel()
	leader, err := cluster.WaitReady(ctx)
	if err != nil {
		return err
	}
	if _, err := cluster.Fail(ctx, syscall.SIGKILL, nil); err != nil {
		return err
	}
	if s := cluster.SidecarOf(leader); s != nil {
		s.Kill()
		if err := os.RemoveAll(s.StateDir); err != nil {
			return fmt.Errorf("empty state directory: %w", err)
		}
		if err := s.Start(); err != nil {
			return err
		}
	}
	return leader.Start()
}
