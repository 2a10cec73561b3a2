// Package health answers the kubelet and load balancers. The evaluation is pure;
// the handlers only ask it and write the answer, so a probe costs nothing and
// waits for nobody. docs/health.md has the table of states and answers, and a test
// holds the two together.
package health

import (
	"fmt"
	"time"

	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
)

// Policy says when /readyz is 200.
type Policy string

const (
	// Serving: when the JobManager serves, whether it leads or stands by.
	Serving Policy = "serving"
	// LeaderOnly: when it leads. A rollout that waits for every pod to be ready
	// never completes by it.
	LeaderOnly Policy = "leader-only"
)

// Inputs is all that the probes look at.
type Inputs struct {
	Snapshot *leader.Snapshot
	Pulse    pulse.Verdict
	// Beat is when the loop that decides last turned, PulseBeat when the one that
	// asks the JobManager did; zero before each started.
	Beat, PulseBeat time.Time
	Policy          Policy
	// Kubernetes: the lock is that of Flink's Kubernetes HA.
	Kubernetes bool
}

const (
	// stuckAfter is how long a loop may stand still. Each turns at least every 5 s
	// and does nothing unbounded, so only a defect or a starved machine holds it up
	// that long.
	stuckAfter = 30 * time.Second
	// FreshFor is how long a verdict about the JobManager counts. It is made anew
	// at least every 6 s.
	FreshFor = 10 * time.Second
	// unseenFor is how long a lock without a lease is believed in when it is out of
	// sight: the longest session that ZooKeeper grants by its defaults.
	unseenFor = 40 * time.Second
)

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

// pass and fail make a check.
func pass(name string) Check { return Check{Name: name, OK: true} }

func fail(name, format string, args ...any) Check {
	return Check{Name: name, Reason: fmt.Sprintf(format, args...)}
}

// Probe is one question.
type Probe func(in Inputs, now time.Time) Report

// Started is what the kubelet waits for before it starts the JobManager beside a
// native sidecar: the sidecar's own loops turn. A JobManager or a backend that it
// waited for would be waited for for ever.
func Started(in Inputs, _ time.Time) Report {
	begun := func(name string, beat time.Time) Check {
		if beat.IsZero() {
			return fail(name, "not started")
		}
		return pass(name)
	}
	return Report{begun("loop", in.Beat), begun("pulse", in.PulseBeat)}
}

// Live is about the sidecar's own loops alone: nothing that Kubernetes could not
// mend by restarting the sidecar.
func Live(in Inputs, now time.Time) Report {
	turns := func(name string, beat time.Time) Check {
		switch age := now.Sub(beat); {
		case beat.IsZero():
			return fail(name, "not started")
		case age > stuckAfter:
			return fail(name, "has not turned for %s", age.Truncate(time.Second))
		}
		return pass(name)
	}
	return Report{turns("loop", in.Beat), turns("pulse", in.PulseBeat)}
}

// Ready says whether this pod's JobManager is worth counting on, by in.Policy.
func Ready(in Inputs, now time.Time) Report {
	if in.Policy == LeaderOnly {
		return Leader(in, now)
	}
	return ready(in, now)
}

// ready: the lock has been seen once, and the JobManager lives, serves and can
// lead. Losing the backend later does not take readiness away: Flink goes on
// without it, and so does the pod.
func ready(in Inputs, now time.Time) Report {
	return append(Live(in, now), contact(in), alive(in), serving(in), notStuck(in, now), mayLead(in, now))
}

// Leader is for load balancers: this pod's JobManager is known to hold the lock.
// What is too old to be known is denied.
func Leader(in Inputs, now time.Time) Report { return append(ready(in, now), leads(in, now)) }

// Standby is for load balancers: this pod's JobManager is ready to take over.
func Standby(in Inputs, now time.Time) Report {
	role := pass("standby")
	switch s := in.Snapshot; s.Outcome {
	case leader.Standby, leader.Vacant, leader.Absent, leader.Retired:
	default:
		role = fail("standby", "%s: %s", s.Outcome, s.Reason)
	}
	return append(ready(in, now), role)
}

// JobManager is what the JobManager's own liveness probe asks. It fails only on a
// fresh verdict about the very process that runs; whatever is not known passes.
func JobManager(in Inputs, now time.Time) Report { return Report{notStuck(in, now)} }

func contact(in Inputs) Check {
	switch s := in.Snapshot; {
	case s.Contact:
		return pass("backend")
	case s.Lost != "":
		return fail("backend", "no contact yet: %s", s.Lost)
	}
	return fail("backend", "no contact yet")
}

func alive(in Inputs) Check {
	switch s := in.Snapshot; {
	case s.Alive, s.Evidence.Waiting:
		return pass("jobmanager")
	case s.Evidence.Problem != "":
		return fail("jobmanager", "%s", s.Evidence.Problem)
	}
	return fail("jobmanager", "no process")
}

// serving holds a JobManager that has not come up yet against its pod. Several of
// them, or one that has not been asked yet, are another check's matter.
func serving(in Inputs) Check {
	p, sole := in.Snapshot.Evidence.Sole()
	switch {
	case !sole:
		return pass("serving")
	case in.Pulse.Process != p:
		return fail("serving", "not asked yet")
	case !in.Pulse.Serving:
		return fail("serving", "%s", in.Pulse.Reason())
	}
	return pass("serving")
}

func notStuck(in Inputs, now time.Time) Check {
	p, sole := in.Snapshot.Evidence.Sole()
	v := in.Pulse
	if !v.Stuck || !in.Snapshot.Alive || !sole || p != v.Process || now.Sub(v.At) > FreshFor {
		return pass("not-stuck")
	}
	return fail("not-stuck", "%s, for %s", v.Reason(), v.Silence().Truncate(time.Second))
}

// mayLead: in Flink 1.18.0 and 1.18.1 a JobManager that has lost the lock of
// Kubernetes HA never takes part in the election again (FLINK-34007).
func mayLead(in Inputs, now time.Time) Check {
	if v := in.Pulse.Version; in.Kubernetes && hasLost(in.Snapshot, now) && (v == "1.18.0" || v == "1.18.1") {
		return fail("may-lead", "it has lost the lock, and Flink %s then never leads again (FLINK-34007): restart it", v)
	}
	return pass("may-lead")
}

// hasLost: it had the lock, and has it no longer. Its name may stand there still, if
// nobody else has taken the lock: then it has given up when a whole lease has gone by
// since the last one ran out, since the renew-deadline is no longer than the lease.
func hasLost(s *leader.Snapshot, now time.Time) bool {
	e := s.View.Expiry()
	return s.Demoted || s.Own != "" && s.Lost == "" && !e.IsZero() && now.After(e.Add(s.View.Lease))
}

func leads(in Inputs, now time.Time) Check {
	s := in.Snapshot
	if s.Outcome != leader.Leading {
		return fail("leader", "%s: %s", s.Outcome, s.Reason)
	}
	if e := s.View.Expiry(); !e.IsZero() && now.After(e) {
		return fail("leader", "its lease ran out %s ago, as far as was seen", now.Sub(e).Truncate(time.Second))
	}
	if s.View.Lease == 0 && s.Lost != "" && now.Sub(s.LostAt) > unseenFor {
		return fail("leader", "the lock has been out of sight for %s", now.Sub(s.LostAt).Truncate(time.Second))
	}
	return pass("leader")
}
