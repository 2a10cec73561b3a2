package lab

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what a process has used so far.
type Usage struct {
	CPU time.Duration
	RSS int64 // bytes in memory now
}

// clockTick is the unit of CPU times in /proc: USER_HZ is 100 on Linux.
const clockTick = time.Second / 100

// UsageOf reads what a process has used (proc_pid_stat(5)).
func UsageOf(pid int) (Usage, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("read usage: %w", err)
	}
	// The name, in brackets, may hold anything; state is field 3.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 22 {
		return Usage{}, fmt.Errorf("read usage: /proc/%d/stat has %d fields behind the name", pid, len(fields))
	}
	number := func(field int) int64 {
		n, _ := strconv.ParseInt(fields[field-3], 10, 64) // the kernel writes numbers there
		return n
	}
	return Usage{CPU: time.Duration(number(14)+number(15)) * clockTick, RSS: number(24) * int64(os.Getpagesize())}, nil
}

// Usage is what the API server has used so far.
func (c *ControlPlane) Usage() (Usage, error) { return UsageOf(c.apiServerProcess().PID()) }

// MachineBusy reads how much CPU time all processes together have used, and how much
// there was.
func MachineBusy() (busy, all time.Duration, err error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("read machine's usage: %w", err)
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	for i, text := range strings.Fields(line)[1:] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("read machine's usage: %w", err)
		}
		if i > 7 { // guests are in user already
			break
		}
		all += time.Duration(n) * clockTick
		if i != 3 && i != 4 { // idle, iowait
			busy += time.Duration(n) * clockTick
		}
	}
	return busy, all, nil
}
