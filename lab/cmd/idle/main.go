// Command idle measures what a sidecar costs while nothing happens: two stand-ins
// for JobManagers, a live lock renewed every second, and a sidecar beside each.
// FOR says how long (default 5m).
package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"flink-ha-sidecar/lab"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	length := 5 * time.Minute
	if v := os.Getenv("FOR"); v != "" {
		var err error
		if length, err = time.ParseDuration(v); err != nil || length < time.Second {
			return fmt.Errorf("FOR is %q: give a duration of at least a second, as in 5m", v)
		}
	}
	dir, err := os.MkdirTemp("", "flink-ha-idle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cluster, stopAll, err := begin(ctx, dir)
	if err != nil {
		return err
	}
	defer stopAll()
	before := make([]cost, len(cluster.Sidecars))
	for i, s := range cluster.Sidecars {
		if before[i], err = measure(ctx, s); err != nil {
			return err
		}
	}
	fmt.Printf("measuring for %v\n", length)
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return report(ctx, cluster, before, length)
}

// begin starts everything and waits until the leader's sidecar is at rest.
func begin(ctx context.Context, dir string) (*lab.Cluster, func(), error) {
	progress := lab.NewProgress(os.Stderr)
	cache, err := lab.OpenCache(progress)
	if err != nil {
		return nil, nil, err
	}
	sidecar, err := lab.BuildSidecar(ctx, progress, dir, false)
	if err != nil {
		return nil, nil, err
	}
	if info, err := os.Stat(sidecar); err == nil {
		fmt.Printf("binary: %.1f MiB\n", float64(info.Size())/(1<<20))
	}
	standIn, err := lab.BuildStandIn(ctx, progress, dir)
	if err != nil {
		return nil, nil, err
	}
	for _, folder := range []string{"control-plane", "cluster"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, nil, err
		}
	}
	control, err := lab.StartControlPlane(ctx, cache, filepath.Join(dir, "control-plane"))
	if err != nil {
		return nil, nil, err
	}
	cluster, err := lab.StartCluster(ctx, lab.ClusterOptions{
		ControlPlane: control, Dir: filepath.Join(dir, "cluster"), StandIn: standIn, Sidecar: sidecar, RetryPeriod: time.Second,
	})
	if err != nil {
		control.Stop()
		return nil, nil, err
	}
	stopAll := func() { cluster.Stop(); control.Stop() }
	if _, err := cluster.WaitReady(ctx); err != nil {
		stopAll()
		return nil, nil, err
	}
	return cluster, stopAll, nil
}

// cost is what one sidecar has used so far.
type cost struct {
	cpuSeconds, rssMiB, fds, goroutines float64
	requests, watches                   float64
}

func measure(ctx context.Context, s *lab.Sidecar) (cost, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/metrics", nil)
	if err != nil {
		return cost{}, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return cost{}, fmt.Errorf("metrics of %s: %w", s.Name, err)
	}
	defer response.Body.Close()
	var c cost
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		series, text, _ := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue // a comment
		}
		switch name, _, _ := strings.Cut(series, "{"); {
		case name == "process_cpu_seconds_total":
			c.cpuSeconds = value
		case name == "process_resident_memory_bytes":
			c.rssMiB = value / (1 << 20)
		case name == "process_open_fds":
			c.fds = value
		case name == "go_goroutines":
			c.goroutines = value
		case name == "flink_ha_backend_requests_total" && strings.Contains(series, `verb="watch`):
			c.watches += value
		case name == "flink_ha_backend_requests_total":
			c.requests += value
		}
	}
	return c, nil
}

func report(ctx context.Context, cluster *lab.Cluster, before []cost, length time.Duration) error {
	fmt.Printf("%-24s %8s %10s %14s %14s %6s %11s\n", "sidecar of", "RSS MiB", "CPU %", "requests/min", "watches/min", "fds", "goroutines")
	for i, s := range cluster.Sidecars {
		after, err := measure(ctx, s)
		if err != nil {
			return err
		}
		fmt.Printf("%-24s %8.1f %10.3f %14.2f %14.2f %6.0f %11.0f\n", strings.TrimSuffix(s.Name, "-sidecar"), after.rssMiB,
			100*(after.cpuSeconds-before[i].cpuSeconds)/length.Seconds(), (after.requests-before[i].requests)/length.Minutes(),
			(after.watches-before[i].watches)/length.Minutes(), after.fds, after.goroutines)
	}
	return nil
}
