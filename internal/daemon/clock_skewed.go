//go:build labclock

package daemon

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"flink-ha-sidecar/leader/vvp"
)

// labClock is how the clock of a test build is off: rate and offset, as in "1.05,60s".
const labClock = "FLINK_HA_LAB_CLOCK"

// electionClock is off as labClock says.
func electionClock() (vvp.Clock, error) {
	text := os.Getenv(labClock)
	if text == "" {
		return vvp.BootClock, nil
	}
	first, second, _ := strings.Cut(text, ",")
	rate, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", labClock, err)
	}
	offset, err := time.ParseDuration(second)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", labClock, err)
	}
	return vvp.SkewedClock(rate, offset), nil
}
