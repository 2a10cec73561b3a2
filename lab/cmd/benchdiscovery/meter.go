package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"flink-ha-sidecar/lab"
)

// reading is what everybody has used so far.
type reading struct {
	at         time.Time
	api        lab.Usage
	sidecarCPU time.Duration
	sidecarRSS int64 // the larger one's
	requests   float64
	events     float64
	busy, all  time.Duration // of the machine
}

func (s *site) read(ctx context.Context) (r reading, err error) {
	if r.requests, r.events, err = s.counters(ctx); err != nil {
		return r, err
	}
	r.at = time.Now()
	if r.api, err = s.control.Usage(); err != nil {
		return r, err
	}
	for _, one := range s.sidecars {
		u, err := lab.UsageOf(one.Process().PID())
		if err != nil {
			return r, err
		}
		r.sidecarCPU += u.CPU
		r.sidecarRSS = max(r.sidecarRSS, u.RSS)
	}
	r.busy, r.all, err = lab.MachineBusy()
	return r, err
}

// counters reads the API server's own: requests that it has answered, watches left
// out since they are answered for as long as they last, and watch events that it has
// sent.
func (s *site) counters(ctx context.Context) (requests, events float64, err error) {
	config := s.control.Config()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0, 0, fmt.Errorf("read the API server's metrics: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/metrics", nil)
	if err != nil {
		return 0, 0, fmt.Errorf("read the API server's metrics: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, 0, fmt.Errorf("read the API server's metrics: %w", err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		series, text, _ := strings.Cut(lines.Text(), "} ")
		value, err := strconv.ParseFloat(text, 64)
		switch name, labels, _ := strings.Cut(series, "{"); {
		case err != nil:
		case name == "apiserver_request_total" && strings.Contains(labels, `resource="configmaps"`) && !strings.Contains(labels, `verb="WATCH"`):
			requests += value
		case name == "apiserver_watch_events_total" && strings.Contains(labels, `"configmaps"`) || name == "apiserver_watch_events_total" && strings.Contains(labels, `kind="ConfigMap"`):
			events += value
		}
	}
	return requests, events, lines.Err()
}

// saturatedFrom is the share of the machine's CPU time above which times say more
// about this machine than about what was to be measured.
const saturatedFrom = 0.9

// since makes a row of what was used between two readings.
func (r reading) since(before reading) row {
	seconds := r.at.Sub(before.at).Seconds()
	busy := float64(r.busy-before.busy) / float64(max(1, r.all-before.all))
	const mib = 1 << 20
	return row{
		Requests: round((r.requests - before.requests) / seconds), Events: round((r.events - before.events) / seconds),
		APICPU: round((r.api.CPU - before.api.CPU).Seconds()), APIRSS: round(float64(r.api.RSS) / mib),
		SidecarCPU: round((r.sidecarCPU - before.sidecarCPU).Seconds()), SidecarRSS: round(float64(r.sidecarRSS) / mib),
		Seconds: round(seconds), Saturated: busy > saturatedFrom,
	}
}
