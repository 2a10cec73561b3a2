package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"flink-ha-sidecar/lab"
)

// sample is one outage. Times in milliseconds are counted from the API server's
// return, without an outage from the kill.
type sample struct {
	OutageS      float64        `json:"outage_s"`
	Restarts     int            `json:"job_restarts"`
	Replayed     int            `json:"records_replayed"`
	SilenceMS    int64          `json:"longest_silence_ms"`
	Kept         bool           `json:"leader_kept"`
	FreedMS      *int64         `json:"freed_ms,omitempty"`
	PublishedMS  *int64         `json:"published_ms,omitempty"` // absent if the leader was kept
	CheckpointMS int64          `json:"checkpoint_ms"`
	Ended        int            `json:"jobmanagers_ended"` // by themselves
	Requests     []float64      `json:"sidecar_requests,omitempty"`
	Releases     map[string]int `json:"releases,omitempty"`
}

func newSample(o *lab.Outage) sample {
	s := sample{
		OutageS: o.Back.Sub(o.Began).Round(100 * time.Millisecond).Seconds(), Restarts: o.Restarts, Replayed: o.Replayed,
		SilenceMS: o.Silence.Milliseconds(), Kept: o.Kept, CheckpointMS: o.Checkpoint.Milliseconds(), Ended: o.Ended,
		Requests: o.Requests, Releases: o.Releases,
	}
	if o.Freed != nil {
		ms := o.Freed.Milliseconds()
		s.FreedMS = &ms
	}
	if !o.Kept {
		ms := o.Published.Milliseconds()
		s.PublishedMS = &ms
	}
	return s
}

// A sidecar makes at most so many requests while the API server does not answer.
// Two watches begin anew every 2.5 to 5 s, and one whose JobManager has died reads
// the lock every 1.5 to 2 s; all of them begin with shorter pauses.
const (
	firstRequests     = 30
	requestsPerMinute = 90
)

// check returns an error if a sidecar asked more often than it may.
func (s sample) check() error {
	most := firstRequests + requestsPerMinute*s.OutageS/60
	for _, n := range s.Requests {
		if n > most {
			return fmt.Errorf("a sidecar made %.0f requests in an outage of %.0f s, at most %.0f are fine", n, s.OutageS, most)
		}
	}
	return nil
}

func (s sample) String() string {
	return fmt.Sprintf("gone for %.1f s; %d restarts, %d records replayed, longest silence %d ms; freed %s, published %s, checkpoint %d ms after; releases %s",
		s.OutageS, s.Restarts, s.Replayed, s.SilenceMS, optional(s.FreedMS, "-"), optional(s.PublishedMS, "kept"), s.CheckpointMS, s.releases())
}

func optional(ms *int64, otherwise string) string {
	if ms == nil {
		return otherwise
	}
	return fmt.Sprint(*ms)
}

func (s sample) releases() string {
	var parts []string
	for _, outcome := range slices.Sorted(maps.Keys(s.Releases)) {
		parts = append(parts, fmt.Sprintf("%d %s", s.Releases[outcome], outcome))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// row is a cell with its samples.
type row struct {
	cell
	Samples []sample `json:"samples"`
}

// result is the file that OUT names.
type result struct {
	Flink       string  `json:"flink"`
	RetryPeriod float64 `json:"retry_period_s"`
	Rows        []row   `json:"rows"`
}

// readResult reads what an earlier run has written; no file is an empty one.
func readResult(file string) (*result, error) {
	r := &result{}
	if file == "" {
		return r, nil
	}
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(content, r)
	}
	if err != nil {
		return nil, fmt.Errorf("OUT is %s, which cannot be gone on with: %w", file, err)
	}
	return r, nil
}

func (r *result) samples(c cell) int {
	for _, row := range r.Rows {
		if row.cell == c {
			return len(row.Samples)
		}
	}
	return 0
}

func (r *result) add(c cell, s sample) {
	for i := range r.Rows {
		if r.Rows[i].cell == c {
			r.Rows[i].Samples = append(r.Rows[i].Samples, s)
			return
		}
	}
	r.Rows = append(r.Rows, row{c, []sample{s}})
}

func (r *result) write(file string) error {
	if file == "" {
		return nil
	}
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write OUT: %w", err)
	}
	if err := os.WriteFile(file, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write OUT: %w", err)
	}
	return nil
}

// print writes a Markdown table: a line a sample, in the order of the cells.
func (r *result) print(w io.Writer) {
	fmt.Fprintf(w, "\nFlink %s, retry-period %v s, a checkpoint each second. Times are after the API server's return, without an outage after the kill.\n\n", r.Flink, r.RetryPeriod)
	head := []string{"API server", "leader", "Flink", "lease s", "gone for s", "job restarts", "replayed", "longest silence ms",
		"lock freed ms", "next leader ms", "first checkpoint ms", "JobManagers ended", "releases", "requests a sidecar"}
	fmt.Fprintf(w, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, c := range allCells() {
		for _, row := range r.Rows {
			if row.cell != c {
				continue
			}
			for _, s := range row.Samples {
				fmt.Fprintf(w, "| %s |\n", strings.Join(s.columns(c), " | "))
			}
		}
	}
}

func (s sample) columns(c cell) []string {
	gone, requests := fmt.Sprintf("%.1f", s.OutageS), "-"
	if c.Kind == untouched {
		gone = "-"
	} else if len(s.Requests) > 0 {
		var each []string
		for _, n := range s.Requests {
			each = append(each, fmt.Sprintf("%.0f", n))
		}
		requests = strings.Join(each, ", ")
	}
	return []string{
		c.Kind, c.leader(), c.side(), fmt.Sprintf("%.0f", c.lease().Seconds()), gone, fmt.Sprint(s.Restarts), fmt.Sprint(s.Replayed), fmt.Sprint(s.SilenceMS),
		optional(s.FreedMS, "-"), optional(s.PublishedMS, "kept"), fmt.Sprint(s.CheckpointMS), fmt.Sprint(s.Ended), s.releases(), requests,
	}
}
