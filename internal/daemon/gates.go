package daemon

import (
	"os"
	"strings"
	"time"

	"flink-ha-sidecar/internal/control"
	"flink-ha-sidecar/jobmanager/parent"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/vvp"
)

// withGate adds the word of a gate that observes: what is seen directly counts before it,
// and it before the kubelet's.
func (d *daemon) withGate(direct leader.Processes) leader.Processes {
	if d.gates == nil {
		return direct
	}
	return &witnesses{who: "gate", direct: direct, word: d.gates}
}

// observeGate hears gates that only observe.
func observeGate(o *parent.Observer) func(control.PermitRequest, time.Time) control.Permit {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // an empty one names a process no less exactly: gates draw names
	bootID := strings.TrimSpace(string(boot))
	return func(r control.PermitRequest, now time.Time) control.Permit {
		answer := control.Permit{Format: control.PermitFormat}
		switch {
		case !r.Observe:
			answer.Reason = "this sidecar does not elect, Flink does: run the gate with --observe"
			return answer
		case r.Gate == "" || len(r.Gate) > 64:
			answer.Reason = "the gate has no name"
			return answer
		}
		report := parent.Report{Gate: r.Gate}
		if c := r.Child; c != nil {
			report.Has, report.Ended = true, c.Ended
			report.Process = parent.Process(bootID, r.Gate, c.PID, c.Started)
			report.Started = now.Add(time.Duration(c.Started)*time.Millisecond - vvp.BootClock().Boot)
		}
		o.Hear(report)
		return answer
	}
}
