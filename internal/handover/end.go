package handover

import (
	"context"
	"fmt"
	"slices"
	"time"

	"flink-ha-sidecar/leader"
)

// look is how often the snapshot is looked at.
const look = 5 * time.Millisecond

// backoff is what a person should know who ends containers in place (Kubernetes: Pod
// Lifecycle, "container restart policy": 10 s, doubling up to 5 min, back to the start
// after 10 min without a failure).
const backoff = "the kubelet starts this container again at once the first time, and waits 10 s and more, doubling, from the second within 10 minutes; --delete-pod gets a new pod without that"

// end tells the JobManager to end and follows what comes of it.
func (h *Handover) end(ctx context.Context, by Ender, p leader.Process, wait time.Duration, report Report, say func(string)) (Report, error) {
	before := h.Snapshot().View
	report.By = by.String()
	begun := time.Now()
	report.EndAt = begun
	if err := by.End(ctx, p); err != nil {
		return report, err
	}
	say(report.By + " to " + p.String())
	if by == h.Signal {
		report.Note = backoff
	}
	f := &follower{before: before, process: p, begun: begun, report: &report, say: say}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	t := time.NewTicker(look)
	defer t.Stop()
	for !f.see(h.Snapshot()) {
		select {
		case <-t.C:
		case <-ctx.Done():
			return report, f.given(h.Snapshot(), wait)
		}
	}
	return report, nil
}

// follower notes each phase once.
type follower struct {
	before  leader.View
	process leader.Process
	begun   time.Time
	report  *Report
	say     func(string)
}

// see takes in a snapshot, and reports whether the next leader has published.
func (f *follower) see(s *leader.Snapshot) bool {
	r := f.report
	f.once(&r.EndedMS, s.Looked && !slices.Contains(s.Evidence.Alive, f.process), "the JobManager has ended")
	if c := s.Last; c != nil && c.Death.Process == f.process && c.Tenure.Generation == f.before.Tenure.Generation {
		r.Outcome = c.Ending.String()
		if c.Ending == leader.Freed {
			f.at(&r.FreedMS, c.Freed, "its lock is freed")
		}
	}
	next := s.View.Lock == leader.LockHeld && s.View.Tenure.Holder != f.before.Tenure.Holder
	f.once(&r.FreedMS, s.Contact && s.View.Lock == leader.LockVacant, "it has given its lock back")
	if !next {
		f.retaken(s)
		return false
	}
	r.Holder = s.View.Tenure.Holder
	f.at(&r.GrantedMS, s.Since, "another JobManager has the lock")
	for _, c := range leader.Components {
		if now, there := s.View.Published[c]; r.PublishedMS == nil && there && now != f.before.Published[c] {
			r.Leader = hostPort(now.Address)
			f.once(&r.PublishedMS, true, "it has published its address")
		}
	}
	// The story ends with the process: one that has handed its lock on may still be
	// shutting down.
	return r.PublishedMS != nil && r.EndedMS != nil
}

// retaken: a JobManager that shuts down may give its lock back and take it once more.
func (f *follower) retaken(s *leader.Snapshot) {
	if f.report.FreedMS != nil && s.Contact && s.View.Lock == leader.LockHeld && !s.Since.Before(f.begun) {
		f.report.FreedMS = nil
		f.say("it has taken its lock again")
	}
}

// hostPort is the address in short, or as it was published.
func hostPort(published string) string {
	if a, err := leader.ParseAddress(published); err == nil {
		return a.String()
	}
	return published
}

func (f *follower) once(phase **int64, reached bool, what string) {
	if reached && *phase == nil {
		f.at(phase, time.Now(), what)
	}
}

func (f *follower) at(phase **int64, at time.Time, what string) {
	if *phase != nil {
		return
	}
	ms := max(0, at.Sub(f.begun).Milliseconds())
	*phase = &ms
	f.say(fmt.Sprintf("%d ms: %s", ms, what))
}

// given says what has not happened in time.
func (f *follower) given(s *leader.Snapshot, wait time.Duration) error {
	switch {
	case f.report.EndedMS == nil:
		return fmt.Errorf("the JobManager (%s) has not ended within %v; it was not killed", f.process, wait)
	case f.report.GrantedMS == nil:
		return fmt.Errorf("no JobManager has taken the lock within %v (%s: %s)", wait, s.Outcome, s.Reason)
	}
	return fmt.Errorf("the next leader has not published its address within %v", wait)
}
