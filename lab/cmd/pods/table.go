package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"flink-ha-sidecar/lab"
)

// The two sides of a comparison.
const (
	plainSide = iota
	sidecarSide
)

var sideNames = [2]string{"plain Flink", "with sidecar"}

// writeFailovers writes medians, and the worst in brackets, in milliseconds.
func writeFailovers(w io.Writer, sides [2][]*lab.Failover) {
	fmt.Fprintf(w, "| ms, median (worst) of %d |", len(sides[sidecarSide]))
	phases := []lab.Phase{lab.ProcessGone, lab.LockFreed, lab.LeaderPublished, lab.FirstCheckpoint}
	if slices.ContainsFunc(sides[sidecarSide], func(f *lab.Failover) bool { _, ok := f.After[lab.StuckSeen]; return ok }) {
		phases = append([]lab.Phase{lab.StuckSeen}, phases...)
	}
	var columns []string
	for _, phase := range phases {
		columns = append(columns, string(phase))
	}
	columns = append(columns, "records replayed", "longest silence")
	fmt.Fprintf(w, " %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for side, failovers := range sides {
		fmt.Fprintf(w, "| %s |", sideNames[side])
		for _, phase := range phases {
			var values []time.Duration
			for _, f := range failovers {
				if after, ok := f.After[phase]; ok {
					values = append(values, after)
				}
			}
			cell := spread(values)
			if 0 < len(values) && len(values) < len(failovers) {
				cell += fmt.Sprintf(", in %d", len(values))
			}
			fmt.Fprintf(w, " %s |", cell)
		}
		var replayed []int
		var silence []time.Duration
		for _, f := range failovers {
			replayed, silence = append(replayed, f.Replayed), append(silence, f.Silence)
		}
		fmt.Fprintf(w, " %s | %s |\n", numbers(replayed), spread(silence))
	}
}

func writeRollouts(w io.Writer, sides [2][]*lab.Rollout) {
	fmt.Fprintf(w, "| ms, median (worst) of %d | without a leader, together | switches | whole update | records replayed | longest silence |\n|---|---|---|---|---|---|\n",
		len(sides[sidecarSide]))
	for side, rollouts := range sides {
		var sums, took, silence []time.Duration
		var switches, replayed []int
		for _, r := range rollouts {
			sums, took, silence = append(sums, lab.Sum(r.Gaps)), append(took, r.End.Sub(r.Begin)), append(silence, r.Silence)
			switches, replayed = append(switches, len(r.Gaps)), append(replayed, r.Replayed)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", sideNames[side], spread(sums), numbers(switches), spread(took), numbers(replayed), spread(silence))
	}
}

// writeWord writes the whole distribution.
func writeWord(w io.Writer, failovers []*lab.Failover) {
	columns := map[lab.Phase][]time.Duration{}
	phases := []lab.Phase{lab.ProcessGone, lab.LockFreed, lab.LeaderPublished}
	for _, f := range failovers {
		for _, phase := range phases {
			if after, ok := f.After[phase]; ok {
				columns[phase] = append(columns[phase], after)
			}
		}
	}
	fmt.Fprintf(w, "| ms after SIGKILL, %d kills | p50 | p99 | worst |\n|---|---|---|---|\n", len(failovers))
	for _, phase := range phases {
		values := columns[phase]
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", phase,
			milliseconds(lab.Percentile(values, 50)), milliseconds(lab.Percentile(values, 99)), milliseconds(lab.Percentile(values, 100)))
	}
	fmt.Fprintf(w, "\nSIGKILL to lock freed, all:")
	for _, d := range slices.Sorted(slices.Values(columns[lab.LockFreed])) {
		fmt.Fprintf(w, " %d", d.Milliseconds())
	}
	fmt.Fprintln(w)
}

// spread is "median (worst)", or a dash of nothing.
func spread(values []time.Duration) string {
	if len(values) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s)", milliseconds(lab.Percentile(values, 50)), milliseconds(lab.Percentile(values, 100)))
}

func numbers(values []int) string {
	var asDurations []time.Duration
	for _, v := range values {
		asDurations = append(asDurations, time.Duration(v)*time.Millisecond)
	}
	return spread(asDurations)
}

// milliseconds writes 12,345.
func milliseconds(d time.Duration) string {
	text := fmt.Sprint(d.Milliseconds())
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
