//go:build !labclock

package daemon

import "flink-ha-sidecar/leader/vvp"

// electionClock is this machine's.
func electionClock() (vvp.Clock, error) { return vvp.BootClock, nil }
