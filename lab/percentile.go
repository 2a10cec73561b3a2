package lab

import (
	"slices"
	"time"
)

// Percentile is the smallest of the values that at least p percent of them do not
// exceed; 0 of no values. Of less than 100 values p99 is the worst.
func Percentile(values []time.Duration, p int) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := (p*len(sorted) + 99) / 100
	return sorted[max(rank, 1)-1]
}
