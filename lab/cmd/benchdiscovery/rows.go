package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"time"

	"flink-ha-sidecar/discovery"
)

// row is what one cell has shown. What concerns the API server is above what the
// server without followers has used in the same time, except in the rows of that.
type row struct {
	Followers   int     `json:"followers"`
	Source      string  `json:"source"`
	RetryPeriod float64 `json:"retry_period_s"`
	Requests    float64 `json:"requests_per_s"`
	// Events are watch events that the API server has sent.
	Events float64 `json:"events_per_s"`
	APICPU float64 `json:"api_cpu_s"`
	APIRSS float64 `json:"api_rss_mib"`
	// Of both sidecars together the CPU, of the larger one the memory; nothing is
	// subtracted.
	SidecarCPU float64 `json:"sidecar_cpu_s"`
	SidecarRSS float64 `json:"sidecar_rss_mib"`
	// Bytes are what the followers have read from the network, headers and TLS
	// included.
	Bytes float64 `json:"bytes_per_s"`
	// From the write after which Flink's lock holds the new leader's REST and RPC
	// addresses until a follower knows them.
	P50 float64 `json:"change_p50_ms"`
	P99 float64 `json:"change_p99_ms"`
	Max float64 `json:"change_max_ms"`
	// Missed is how often a follower has not heard of a leader at all.
	Missed    int     `json:"missed"`
	Seconds   float64 `json:"seconds"`
	Changes   int     `json:"changes"`
	Saturated bool    `json:"saturated"`
}

// results is the file.
type results struct {
	Machine string `json:"machine"`
	Rows    []row  `json:"rows"`
}

func load(file string) (results, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return results{}, nil
	}
	var r results
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		return results{}, fmt.Errorf("read OUT: %w", err)
	}
	return r, nil
}

func (r results) save(file string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write OUT: %w", err)
	}
	return discovery.ReplaceFile(file, append(raw, '\n'))
}

// find returns the row of a cell.
func (r results) find(c cell) (row, bool) {
	i := slices.IndexFunc(r.Rows, func(one row) bool { return one.is(c) })
	if i < 0 {
		return row{}, false
	}
	return r.Rows[i], true
}

func (r *results) put(c cell, one row) {
	r.Rows = append(slices.DeleteFunc(r.Rows, func(old row) bool { return old.is(c) }), one)
}

func (r row) is(c cell) bool {
	return r.Followers == c.followers && r.Source == c.name && r.RetryPeriod == c.retry.Seconds()
}

// above returns r without what base, the server without followers, has used.
func (r row) above(base row) row {
	scale := 1.0
	if base.Seconds > 0 {
		scale = r.Seconds / base.Seconds
	}
	r.Requests = round(r.Requests - base.Requests)
	r.Events = round(r.Events - base.Events)
	r.APICPU = round(r.APICPU - scale*base.APICPU)
	r.APIRSS = round(r.APIRSS - base.APIRSS)
	return r
}

func round(x float64) float64 { return math.Round(x*100) / 100 }

// percentile is the smallest value that p of 100 are not above; values are sorted.
func percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	return values[(len(values)*p+99)/100-1]
}

func milliseconds(d time.Duration) float64 { return math.Round(float64(d.Microseconds())/100) / 10 }
