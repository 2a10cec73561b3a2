// Package health answers the kubelet. Evaluate is pure; the handlers only ask it
// and write the answer, so a probe costs nothing and waits for nobody.
package health

import (
	"fmt"
	"time"

	"flink-ha-sidecar/leader"
)

// Inputs is all that the probes look at.
type Inputs struct {
	Snapshot *leader.Snapshot
	// Beat is when the loop last turned, zero before it started.
	Beat time.Time
}

// stuckAfter is how long the loop may stand still. It turns at least every 5 s
// and does no IO, so only a defect or a starved machine holds it up that long.
const stuckAfter = 30 * time.Second

// Check is one line of a report.
type Check struct {
	Name string
	OK   bool
	// Reason says why not; empty when OK.
	Reason string
}

// Report is the answer to one probe.
type Report []Check

// OK reports whether every check passed.
func (r Report) OK() bool {
	for _, c := range r {
		if !c.OK {
			return false
		}
	}
	return true
}

// Started is what the kubelet waits for before it starts the JobManager beside a
// native sidecar: the sidecar's own loop turns. A JobManager or a backend that
// it waited for would be waited for for ever.
func Started(in Inputs, _ time.Time) Report {
	c := Check{Name: "loop", OK: !in.Beat.IsZero()}
	if !c.OK {
		c.Reason = "not started"
	}
	return Report{c}
}

// Live is about the sidecar's own loop alone: nothing that Kubernetes could mend
// by restarting the sidecar may hide behind anything else.
func Live(in Inputs, now time.Time) Report {
	c := Check{Name: "loop", OK: true}
	switch age := now.Sub(in.Beat); {
	case in.Beat.IsZero():
		c.OK, c.Reason = false, "not started"
	case age > stuckAfter:
		c.OK, c.Reason = false, fmt.Sprintf("has not turned for %s", age.Truncate(time.Second))
	}
	return Report{c}
}

// Ready says whether this pod's JobManager is worth counting on: the lock has
// been seen once, and the JobManager lives. Losing the backend later does not
// take readiness away: Flink goes on without it, and so does the pod.
func Ready(in Inputs, now time.Time) Report {
	s := in.Snapshot
	contact := Check{Name: "backend", OK: s.Contact}
	if !contact.OK {
		contact.Reason = "no contact yet"
		if s.Lost != "" {
			contact.Reason += ": " + s.Lost
		}
	}
	jm := Check{Name: "jobmanager", OK: s.Alive}
	if !jm.OK {
		jm.Reason = "no process"
		if s.Evidence.Problem != "" {
			jm.Reason = s.Evidence.Problem
		}
	}
	return append(Live(in, now), contact, jm)
}
