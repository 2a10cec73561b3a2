package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"flink-ha-sidecar/lab"
)

// settings are what the environment asks of the demo.
type settings struct {
	samples     int
	backend     lab.Backend
	flink       string
	jobManagers int
	signal      syscall.Signal
	// handover ends the leader that has a sidecar by "flink-ha handover".
	handover bool
	retry    time.Duration
	keep     bool
	out      string
}

// parseSettings reads the environment. An error names the variable and says what
// it may be.
func parseSettings(getenv func(string) string) (settings, error) {
	s := settings{samples: 1, backend: lab.Kubernetes, flink: "2.3.0", jobManagers: 2, signal: syscall.SIGKILL, retry: time.Second}
	var err error
	if v := getenv("SAMPLES"); v != "" {
		if s.samples, err = strconv.Atoi(v); err != nil || s.samples < 1 || s.samples > 1000 {
			return s, fmt.Errorf("SAMPLES is %q: give the number of pairs, 1 to 1000", v)
		}
	}
	switch v := lab.Backend(getenv("BACKEND")); v {
	case "":
	case lab.Kubernetes, lab.Zookeeper:
		s.backend = v
	default:
		return s, fmt.Errorf("BACKEND is %q: give kubernetes or zookeeper", v)
	}
	if v := getenv("FLINK"); v != "" {
		if s.flink, err = lab.FlinkVersion(v); err != nil {
			return s, fmt.Errorf("FLINK: %w", err)
		}
	}
	if v := getenv("JOBMANAGERS"); v != "" {
		if s.jobManagers, err = strconv.Atoi(v); err != nil || s.jobManagers < 1 || s.jobManagers > 3 {
			return s, fmt.Errorf("JOBMANAGERS is %q: give 1, 2 or 3", v)
		}
	}
	switch v := getenv("SIGNAL"); v {
	case "", "KILL":
	case "TERM":
		s.signal = syscall.SIGTERM
	case "HANDOVER":
		s.signal, s.handover = syscall.SIGTERM, true
	default:
		return s, fmt.Errorf("SIGNAL is %q: give KILL, TERM or HANDOVER", v)
	}
	if v := getenv("RETRY"); v != "" {
		// Flink demands a renew-deadline, 15 s by default, above 1.2 x retry-period.
		if s.retry, err = time.ParseDuration(v); err != nil || s.retry < 100*time.Millisecond || s.retry > 10*time.Second {
			return s, fmt.Errorf("RETRY is %q: give a duration from 100ms to 10s, as in 1s", v)
		}
	}
	switch v := getenv("KEEP"); v {
	case "", "0":
	case "1":
		s.keep = true
	default:
		return s, fmt.Errorf("KEEP is %q: give 1 to leave the last cluster running", v)
	}
	if s.out = getenv("OUT"); s.out != "" {
		if info, err := os.Stat(filepath.Dir(s.out)); err != nil || !info.IsDir() {
			return s, fmt.Errorf("OUT is %q: its folder is not there", s.out)
		}
	}
	return s, nil
}

func (s settings) String() string {
	plural := "s"
	if s.jobManagers == 1 {
		plural = ", started again 1 s after its end"
	}
	timing := fmt.Sprintf("retry-period %v", s.retry)
	if s.backend == lab.Zookeeper {
		timing = "sessions capped by the server at 40 s"
	}
	ended := "SIG" + s.signalName() + " to the leader"
	if s.handover {
		ended = "SIGTERM to the plain leader, 'flink-ha handover' to the one with a sidecar"
	}
	return fmt.Sprintf("Flink %s, HA service %s, %d JobManager%s, %s, %s",
		s.flink, s.backend, s.jobManagers, plural, timing, ended)
}

func (s settings) signalName() string {
	switch {
	case s.handover:
		return "HANDOVER"
	case s.signal == syscall.SIGTERM:
		return "TERM"
	}
	return "KILL"
}
