package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// measured is one failover, in milliseconds after the kill.
type measured struct {
	// StartedMS is when the gate of the other pod had started its JobManager.
	StartedMS int64 `json:"started_ms"`
	// CheckpointMS is when that had completed a checkpoint.
	CheckpointMS int64 `json:"checkpoint_ms"`
	// SilenceMS is the longest time without a record. The TaskManager goes on until it
	// misses its JobManager.
	SilenceMS int64 `json:"silence_ms"`
	Replayed  int   `json:"replayed"`
}

type report struct {
	Flink  string     `json:"flink"`
	Timing string     `json:"timing"`
	Proof  []measured `json:"proof"`
	Lease  []measured `json:"lease_only"`
}

func (r *report) add(proof bool, m measured) {
	if proof {
		r.Proof = append(r.Proof, m)
	} else {
		r.Lease = append(r.Lease, m)
	}
}

// print prints median and worst of each side.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%-26s %16s %22s %22s %16s\n", "ms, median (worst)", "", "JobManager, proof", "pod, lease alone", "ratio")
	for _, row := range []struct {
		name string
		of   func(measured) int64
	}{
		{"next JobManager started", func(m measured) int64 { return m.StartedMS }},
		{"first checkpoint", func(m measured) int64 { return m.CheckpointMS }},
		{"longest silence", func(m measured) int64 { return m.SilenceMS }},
		{"records processed again", func(m measured) int64 { return int64(m.Replayed) }},
	} {
		proof, worstProof := middle(r.Proof, row.of)
		lease, worstLease := middle(r.Lease, row.of)
		fmt.Fprintf(w, "%-43s %22s %22s %16.1f\n", row.name, cell(proof, worstProof), cell(lease, worstLease), float64(lease)/float64(max(1, proof)))
	}
}

func cell(median, worst int64) string { return fmt.Sprintf("%d (%d)", median, worst) }

func middle(all []measured, of func(measured) int64) (median, worst int64) {
	var values []int64
	for _, m := range all {
		values = append(values, of(m))
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2, values[len(values)-1]
}

// write writes the file that OUT names.
func (r *report) write(file string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(content, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("write OUT: %w", err)
	}
	return nil
}
