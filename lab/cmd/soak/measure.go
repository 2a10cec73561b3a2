package main

import (
	"context"
	"fmt"
	"time"

	"flink-ha-sidecar/lab"
)

// holding is what one sidecar holds while nothing changes.
type holding struct {
	RSSMiB     float64 `json:"rss_mib"`
	HeapMiB    float64 `json:"heap_after_gc_mib"`
	Goroutines float64 `json:"goroutines"`
	FDs        float64 `json:"open_fds"`
}

// measurement is that of all sidecars, and what the API server serves.
type measurement struct {
	Sidecars []holding `json:"sidecars"`
	// Watches are those of ConfigMaps and Pods that the API server has open, by
	// whomever: beside the sidecars' they are the lab's own.
	Watches float64 `json:"watches"`
}

const (
	readyFor = time.Minute
	// collections is how many garbage collections a measurement waits for, and
	// collectedFor how long at most: each scrape leaves garbage behind.
	collections  = 8
	collectedFor = 2 * time.Minute
)

// measure waits until all JobManagers contend, and measures.
func measure(ctx context.Context, control *lab.ControlPlane, cluster *lab.Cluster) (m measurement, err error) {
	ready, cancel := context.WithTimeout(ctx, readyFor)
	defer cancel()
	if _, err := cluster.WaitReady(ready); err != nil {
		return m, err
	}
	if _, err := cluster.WaitForBinding(ready); err != nil {
		return m, err
	}
	for _, s := range cluster.Sidecars {
		one, err := hold(ctx, s)
		if err != nil {
			return m, err
		}
		m.Sidecars = append(m.Sidecars, one)
	}
	served, err := control.Scrape(ctx)
	if err != nil {
		return m, err
	}
	for _, resource := range []string{"configmaps", "pods"} {
		m.Watches += served.Sum("apiserver_longrunning_requests", `verb="WATCH"`, `resource="`+resource+`"`)
	}
	if m.Watches == 0 {
		return m, fmt.Errorf("the API server counts no watches")
	}
	return m, nil
}

// hold scrapes a sidecar until it has collected its garbage some times. What it
// holds is the least that was seen: the rest was in flight.
func hold(ctx context.Context, s *lab.Sidecar) (holding, error) {
	ctx, cancel := context.WithTimeout(ctx, collectedFor)
	defer cancel()
	var h holding
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for first := -1.0; ; {
		m, err := s.Scrape(ctx)
		if err != nil {
			return h, err
		}
		now := holding{
			RSSMiB: m.Sum("process_resident_memory_bytes") / (1 << 20), HeapMiB: m.Sum("go_memstats_heap_alloc_bytes") / (1 << 20),
			Goroutines: m.Sum("go_goroutines"), FDs: m.Sum("process_open_fds"),
		}
		collected := m.Sum("go_gc_duration_seconds_count")
		if first < 0 {
			first, h = collected, now
		}
		h.RSSMiB = now.RSSMiB
		h.HeapMiB, h.Goroutines, h.FDs = min(h.HeapMiB, now.HeapMiB), min(h.Goroutines, now.Goroutines), min(h.FDs, now.FDs)
		if collected >= first+collections {
			return h, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return h, fmt.Errorf("wait for %s to collect garbage: %w", s.Name, ctx.Err())
		}
	}
}

// releases counts by outcome what became of the locks of the dead.
func releases(ctx context.Context, cluster *lab.Cluster) (map[string]int, error) {
	sums := map[string]int{}
	for _, s := range cluster.Sidecars {
		m, err := s.Scrape(ctx)
		if err != nil {
			return nil, err
		}
		for outcome, n := range m.ByLabel("flink_ha_releases_total", "outcome") {
			if n > 0 {
				sums[outcome] += int(n)
			}
		}
	}
	return sums, nil
}
