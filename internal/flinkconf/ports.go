package flinkconf

import (
	"fmt"
	"strconv"
	"strings"

	"flink-ha-sidecar/leader"
)

// ParsePorts reads a port, a range or a list of both, as "50000-50100,50200".
// The result is empty if any port may be used, which is what 0 means.
func ParsePorts(text string) ([]leader.PortRange, error) {
	var ranges []leader.PortRange
	random := false
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		first, err := parsePort(low)
		if err != nil {
			return nil, err
		}
		last, err := parsePort(high)
		if err != nil {
			return nil, err
		}
		if last < first {
			return nil, fmt.Errorf("range %q ends before it begins", part)
		}
		random = random || first == 0
		ranges = append(ranges, leader.PortRange{Low: first, High: last})
	}
	if random {
		return nil, nil
	}
	return ranges, nil
}

func parsePort(text string) (uint16, error) {
	port, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a port from 0 to 65535", text)
	}
	return uint16(port), nil
}
