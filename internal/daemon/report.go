package daemon

import (
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/metrics"
)

// reporter turns decisions into log lines and counts. It is called on the loop,
// so it keeps what it needs and never waits.
type reporter struct {
	log     *zap.Logger
	metrics *metrics.Metrics
	// lease is what the configuration says, to be compared with the record.
	lease time.Duration

	outcome leader.Outcome
	// led is the last epoch in which this pod's JobManager led.
	led         leader.Epoch
	since       time.Time
	lost        string
	problem     string
	leaseWarned time.Duration
	odd         string
}

func (r *reporter) report(s *leader.Snapshot, d leader.Decision) {
	r.metrics.Decided(d)
	for _, e := range d.Events {
		r.event(e)
	}
	r.contact(s)
	r.evidence(s)
	r.leaseMismatch(s)
	r.oddity(s)
	if d.Outcome != r.outcome || r.since.IsZero() {
		r.transition(s, d)
	}
}

// transition is one line a change of the outcome.
func (r *reporter) transition(s *leader.Snapshot, d leader.Decision) {
	fields := []zap.Field{
		zap.Stringer("from", r.outcome), zap.Stringer("to", d.Outcome), zap.Stringer("epoch", s.Epoch),
		zap.String("reason", d.Reason),
	}
	if !r.since.IsZero() {
		fields = append(fields, zap.Duration("elapsed", s.At.Sub(r.since)))
	}
	r.outcome, r.since = d.Outcome, s.At
	if d.Outcome == leader.Leading {
		r.led = s.Epoch
	}
	switch d.Outcome {
	case leader.Unreadable, leader.Forbidden, leader.Refuted, leader.UnboundDeath, leader.Damped, leader.GuardOff:
		r.log.Warn("outcome changed", fields...)
	default:
		r.log.Info("outcome changed", fields...)
	}
	// The one that led to the end is about to end itself; Flink has it release the lock
	// before it removes it.
	if d.Outcome == leader.Retired && s.Alive && (r.led.IsZero() || r.led != s.Epoch) {
		r.log.Warn("the application has ended and Flink has removed its HA data, but this standby JobManager lives: " +
			"it will make a new lock and run the job again from the start; end the standbys of a job that ends, or run it with one JobManager")
	}
}

func (r *reporter) event(e leader.Event) {
	holder, pid := zap.String("holder", e.Holder), zap.Int("pid", e.Process.PID)
	switch e.Kind {
	case leader.LeaderChanged:
		r.log.Info("leader changed", holder)
	case leader.HolderBound:
		r.log.Info("holder bound to this pod's JobManager", holder, pid)
	case leader.BindingFailed:
		r.log.Warn("holder not bound", holder, zap.String("reason", e.Reason))
	case leader.JobManagerEnded:
		r.log.Info("JobManager ended", pid, zap.String("proof", e.Reason))
	case leader.DiedUnbound:
		r.log.Warn("JobManager ended without being bound to the lock: if it held the lock, the lease runs out", holder, pid, zap.String("reason", e.Reason))
	case leader.CaseOpened:
		fields := []zap.Field{holder, pid}
		if e.Case.Lease > 0 {
			fields = append(fields, zap.Duration("lease", e.Case.Lease), zap.Time("renewed", e.Case.LastRenewed))
		}
		r.log.Info("a dead JobManager holds the lock", fields...)
	case leader.CaseClosed:
		r.closed(e, holder, pid)
	case leader.PauseBegan:
		r.log.Warn("paused: no lock is freed", zap.Time("until", e.Pause.Until), zap.String("by", e.Pause.By), zap.String("reason", e.Pause.Reason))
	case leader.PauseEnded:
		r.log.Info("the pause is over")
	case leader.LeaderPublished:
		r.log.Info("next leader published", holder, zap.Duration("since_death", e.Case.Published.Sub(e.Case.Death.At)))
	}
}

func (r *reporter) closed(e leader.Event, holder, pid zap.Field) {
	c := e.Case
	if c.Ending == leader.Freed {
		r.log.Info("lock freed", holder, pid, zap.Duration("since_death", c.Freed.Sub(c.Death.At)), zap.String("proof", string(c.Death.Proof)))
		return
	}
	log := r.log.Warn
	switch c.Ending {
	case leader.Vacated, leader.Superseded, leader.Retired:
		log = r.log.Info
	}
	log("lock of a dead JobManager not freed by this sidecar", holder, pid, zap.Stringer("outcome", c.Ending), zap.String("reason", c.Reason))
}

// contact tells once that the lock is out of sight, and once that it is back.
func (r *reporter) contact(s *leader.Snapshot) {
	switch {
	case s.Lost != "" && r.lost == "":
		r.log.Warn("the lock cannot be observed, trying again", zap.String("error", s.Lost))
	case s.Lost == "" && r.lost != "":
		r.log.Info("the lock can be observed again")
	}
	if s.Lost != "" && s.Lost != r.lost {
		r.metrics.WatchRestart()
	}
	r.lost = s.Lost
}

func (r *reporter) evidence(s *leader.Snapshot) {
	if !s.Looked || s.Evidence.Problem == r.problem {
		return
	}
	r.problem = s.Evidence.Problem
	switch {
	case r.problem == "":
	case len(s.Evidence.Alive) == 0:
		r.log.Info("no JobManager process", zap.String("reason", r.problem))
	default:
		r.log.Warn("no one JobManager process", zap.String("reason", r.problem))
	}
}

// oddity tells once what in the election does not parse though the lock itself
// does.
func (r *reporter) oddity(s *leader.Snapshot) {
	if s.View.Problem != r.odd && s.View.Problem != "" && s.View.Lock != leader.LockUnreadable {
		r.log.Warn("the election is not as Flink writes it", zap.String("reason", s.View.Problem))
	}
	r.odd = s.View.Problem
}

// leaseMismatch cross-checks the configuration with what Flink really writes.
func (r *reporter) leaseMismatch(s *leader.Snapshot) {
	if s.Outcome != leader.Leading || r.lease == 0 || s.View.Lease == r.lease || s.View.Lease == r.leaseWarned {
		return
	}
	r.leaseWarned = s.View.Lease
	r.log.Warn("Flink runs with another lease-duration than its configuration file says; the record counts",
		zap.Duration("record", s.View.Lease), zap.Duration("configuration", r.lease))
}
