// Command idle measures what a sidecar costs while nothing happens: two stand-ins
// for JobManagers, a live lock renewed every second, and beside each a sidecar
// with the rights that it asks for. FOR says how long (default 5m).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"flink-ha-sidecar/lab"
)

func main() {
	os.Exit(lab.Program("idle", os.Stdout, func(ctx context.Context) error { return run(ctx, os.Getenv, os.Stdout) }))
}

func run(ctx context.Context, getenv func(string) string, w io.Writer) (err error) {
	length, err := parseLength(getenv("FOR"))
	if err != nil {
		return lab.BadSetting{Err: err}
	}
	bench, err := lab.OpenBench(ctx, lab.NewProgress(w), lab.BenchOptions{Name: "idle", StandIn: true})
	if err != nil {
		return err
	}
	defer func() { bench.Close(ctx, err) }()
	if info, err := os.Stat(bench.Sidecar); err == nil {
		fmt.Fprintf(w, "binary: %.1f MiB\n", float64(info.Size())/(1<<20))
	}
	cluster, err := bench.StartCluster(ctx, "cluster", lab.ClusterOptions{
		StandIn: bench.StandIn, Sidecar: bench.Sidecar, RetryPeriod: time.Second,
	})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	if _, err := cluster.WaitReady(ctx); err != nil {
		return err
	}
	if _, err := cluster.WaitForBinding(ctx); err != nil {
		return err
	}
	before, err := measureAll(ctx, cluster)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "measuring for %v\n", length)
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := measureAll(ctx, cluster)
	if err != nil {
		return err
	}
	report(w, cluster, before, after, length)
	return nil
}

func parseLength(text string) (time.Duration, error) {
	if text == "" {
		return 5 * time.Minute, nil
	}
	length, err := time.ParseDuration(text)
	if err != nil || length < time.Second {
		return 0, fmt.Errorf("FOR is %q: give a duration of at least a second, as in 5m", text)
	}
	return length, nil
}

// cost is what one sidecar has used so far.
type cost struct {
	cpuSeconds, rssMiB, fds, goroutines float64
	requests, watches                   float64
}

func measureAll(ctx context.Context, cluster *lab.Cluster) ([]cost, error) {
	var all []cost
	for _, s := range cluster.Sidecars {
		m, err := s.Scrape(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, costOf(m))
	}
	return all, nil
}

func costOf(m lab.Scrape) cost {
	c := cost{
		cpuSeconds: m.Sum("process_cpu_seconds_total"), rssMiB: m.Sum("process_resident_memory_bytes") / (1 << 20),
		fds: m.Sum("process_open_fds"), goroutines: m.Sum("go_goroutines"),
	}
	for verb, n := range m.ByLabel("flink_ha_backend_requests_total", "verb") {
		if strings.HasPrefix(verb, "watch") {
			c.watches += n
		} else {
			c.requests += n
		}
	}
	return c
}

func report(w io.Writer, cluster *lab.Cluster, before, after []cost, length time.Duration) {
	fmt.Fprintf(w, "%-24s %8s %10s %14s %14s %6s %11s\n", "sidecar of", "RSS MiB", "CPU %", "requests/min", "watches/min", "fds", "goroutines")
	for i, s := range cluster.Sidecars {
		a, b := after[i], before[i]
		fmt.Fprintf(w, "%-24s %8.1f %10.3f %14.2f %14.2f %6.0f %11.0f\n", strings.TrimSuffix(s.Name, "-sidecar"), a.rssMiB,
			100*(a.cpuSeconds-b.cpuSeconds)/length.Seconds(), (a.requests-b.requests)/length.Minutes(),
			(a.watches-b.watches)/length.Minutes(), a.fds, a.goroutines)
	}
}
