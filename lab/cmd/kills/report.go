package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"flink-ha-sidecar/lab"
)

// target is what p99 of "process gone to lock freed" may be at most.
const target = 50 * time.Millisecond

// series are the kills of one kind.
type series struct {
	What    string
	samples []sample
}

// result is the file that OUT names; a kind that was not asked for is absent.
type result struct {
	StandIns *series `json:"standins,omitempty"`
	JVMs     *series `json:"jvms,omitempty"`
}

func (s *series) add(one sample) { s.samples = append(s.samples, one) }

// column is one quantity of all kills, sorted.
type column struct {
	name, key string
	values    []time.Duration
}

func (s *series) columns() []column {
	columns := []column{
		{name: "signal to process gone", key: "gone_ms"},
		{name: "process gone to lock freed", key: "freed_ms"},
		{name: "signal to lock freed", key: "total_ms"},
	}
	for _, one := range s.samples {
		for i, d := range []time.Duration{one.gone, one.freed, one.gone + one.freed} {
			columns[i].values = append(columns[i].values, d)
		}
	}
	for _, c := range columns {
		slices.Sort(c.values)
	}
	return columns
}

func milliseconds(d time.Duration) float64 { return math.Round(float64(d.Microseconds())/100) / 10 }

func (s *series) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d %s\n%-28s %8s %8s %8s\n", len(s.samples), s.What, "ms", "p50", "p99", "max")
	for _, c := range s.columns() {
		fmt.Fprintf(w, "%-28s %8.1f %8.1f %8.1f\n", c.name,
			milliseconds(lab.Percentile(c.values, 50)), milliseconds(lab.Percentile(c.values, 99)), milliseconds(lab.Percentile(c.values, 100)))
	}
	verdict := "met"
	if lab.Percentile(s.columns()[1].values, 99) > target {
		verdict = "missed"
	}
	fmt.Fprintf(w, "target, process gone to lock freed, p99 at most %v: %s\n", target, verdict)
}

// MarshalJSON writes the columns and, in the order of the kills, the samples.
func (s *series) MarshalJSON() ([]byte, error) {
	document := map[string]any{"what": s.What, "kills": len(s.samples)}
	for _, c := range s.columns() {
		document[c.key] = map[string]float64{
			"p50": milliseconds(lab.Percentile(c.values, 50)), "p99": milliseconds(lab.Percentile(c.values, 99)), "max": milliseconds(lab.Percentile(c.values, 100)),
		}
	}
	samples := []map[string]float64{}
	for _, one := range s.samples {
		samples = append(samples, map[string]float64{"gone_ms": milliseconds(one.gone), "freed_ms": milliseconds(one.freed)})
	}
	document["samples"] = samples
	return json.Marshal(document)
}

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
