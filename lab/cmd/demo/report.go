package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"flink-ha-sidecar/lab"
)

// sample is what one failover took, in milliseconds after kill(2).
type sample struct {
	FreedMS      *int64 `json:"freed_ms,omitempty"`
	GrantedMS    int64  `json:"granted_ms"`
	RunningMS    int64  `json:"running_ms"`
	CheckpointMS int64  `json:"checkpoint_ms"`
	Replayed     int64  `json:"replayed"`
}

// side is one column of the comparison: its medians, then all samples.
type side struct {
	sample
	Samples []sample `json:"samples"`
}

// result is the file that OUT names.
type result struct {
	Backend     string  `json:"backend"`
	Flink       string  `json:"flink"`
	JobManagers int     `json:"jobmanagers"`
	Signal      string  `json:"signal"`
	RetryPeriod float64 `json:"retry_period_s"`
	Plain       side    `json:"plain"`
	Sidecar     side    `json:"sidecar"`
	Ratio       float64 `json:"ratio"`
}

// measured is what both sides took, in the order of their samples.
type measured struct {
	plain, sidecar []*lab.Failover
}

// result sums the samples up.
func (m measured) result(s settings) result {
	r := result{
		Backend: string(s.backend), Flink: s.flink, JobManagers: s.jobManagers, Signal: s.signalName(),
		RetryPeriod: s.retry.Seconds(), Plain: newSide(m.plain, false), Sidecar: newSide(m.sidecar, true),
	}
	if r.Sidecar.CheckpointMS > 0 {
		r.Ratio = math.Round(100*float64(r.Plain.CheckpointMS)/float64(r.Sidecar.CheckpointMS)) / 100
	}
	return r
}

func newSide(failovers []*lab.Failover, freed bool) side {
	s := side{Samples: []sample{}}
	for _, f := range failovers {
		one := sample{
			GrantedMS:    f.After[lab.LeaderGranted].Milliseconds(),
			RunningMS:    f.After[lab.JobRunning].Milliseconds(),
			CheckpointMS: f.After[lab.FirstCheckpoint].Milliseconds(),
			Replayed:     int64(f.Replayed),
		}
		if after, ok := f.After[lab.LockFreed]; ok && freed {
			ms := after.Milliseconds()
			one.FreedMS = &ms
		}
		s.Samples = append(s.Samples, one)
	}
	if freed {
		s.FreedMS = middle(phase(failovers, lab.LockFreed))
	}
	for _, field := range []struct {
		of   func(sample) int64
		into *int64
	}{
		{func(s sample) int64 { return s.GrantedMS }, &s.GrantedMS},
		{func(s sample) int64 { return s.RunningMS }, &s.RunningMS},
		{func(s sample) int64 { return s.CheckpointMS }, &s.CheckpointMS},
		{func(s sample) int64 { return s.Replayed }, &s.Replayed},
	} {
		var values []int64
		for _, one := range s.Samples {
			values = append(values, field.of(one))
		}
		if m := middle(values); m != nil {
			*field.into = *m
		}
	}
	return s
}

// phase returns the milliseconds of a phase in the samples that reached it.
func phase(failovers []*lab.Failover, p lab.Phase) []int64 {
	var values []int64
	for _, f := range failovers {
		if after, ok := f.After[p]; ok {
			values = append(values, after.Milliseconds())
		}
	}
	return values
}

// middle is the median, nil of nothing; of an even number the mean of the two in
// the middle.
func middle(values []int64) *int64 {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	m := (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
	return &m
}

// write writes the file that OUT names.
func (r result) write(file string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write OUT: %w", err)
	}
	if err := os.WriteFile(file, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("write OUT: %w", err)
	}
	return nil
}

// printTable prints one line a phase; with several samples median and worst of each side.
func (m measured) printTable(w io.Writer, ratio float64) {
	several := len(m.plain) > 1
	fmt.Fprintln(w)
	if several {
		fmt.Fprintf(w, "%-22s %12s %12s %14s %14s\n", "ms after the signal", "plain median", "plain worst", "sidecar median", "sidecar worst")
	} else {
		fmt.Fprintf(w, "%-22s %12s %14s\n", "ms after the signal", "plain Flink", "with sidecar")
	}
	row := func(name string, of func([]*lab.Failover) []int64) {
		plain, sidecar := of(m.plain), of(m.sidecar)
		if several {
			fmt.Fprintf(w, "%-22s %12s %12s %14s %14s\n", name,
				cell(plain, len(m.plain), false), cell(plain, len(m.plain), true),
				cell(sidecar, len(m.sidecar), false), cell(sidecar, len(m.sidecar), true))
			return
		}
		fmt.Fprintf(w, "%-22s %12s %14s\n", name, cell(plain, 1, false), cell(sidecar, 1, false))
	}
	for _, p := range lab.Phases {
		row(string(p), func(f []*lab.Failover) []int64 { return phase(f, p) })
	}
	row("longest silence", func(failovers []*lab.Failover) []int64 {
		return each(failovers, func(f *lab.Failover) int64 { return f.Silence.Milliseconds() })
	})
	row("records replayed", func(failovers []*lab.Failover) []int64 {
		return each(failovers, func(f *lab.Failover) int64 { return int64(f.Replayed) })
	})
	fmt.Fprintf(w, "ratio, signal to first checkpoint, plain : sidecar = %.1f : 1\n", ratio)
}

func each(failovers []*lab.Failover, of func(*lab.Failover) int64) []int64 {
	values := make([]int64, 0, len(failovers))
	for _, f := range failovers {
		values = append(values, of(f))
	}
	return values
}

// cell is a median or a worst value. A phase that only some samples reached says
// in how many: the others went by without it.
func cell(values []int64, samples int, worst bool) string {
	if len(values) == 0 {
		return "-"
	}
	value := *middle(values)
	if worst {
		value = slices.Max(values)
	}
	if len(values) < samples {
		return fmt.Sprintf("%s (%d of %d)", thousands(value), len(values), samples)
	}
	return thousands(value)
}

// thousands writes 15971 as 15,971.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && d != '-' && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

func milliseconds(d time.Duration) string { return thousands(d.Milliseconds()) }
