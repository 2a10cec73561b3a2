// Package handover passes leadership on, on purpose: a checkpoint first, so that
// little is replayed, then the end of the leading JobManager, and the wait for the
// next one. What frees the lock is the guard, as after any other death.
package handover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"flink-ha-sidecar/leader"
)

// Request says how.
type Request struct {
	// Force goes on without a ready standby, and in a pause.
	Force bool `json:"force,omitempty"`
	// DeletePod deletes this pod instead of signalling the JobManager.
	DeletePod bool `json:"delete_pod,omitempty"`
	// PreStop takes the checkpoint and returns: the kubelet ends the JobManager next.
	PreStop bool `json:"pre_stop,omitempty"`
	// CheckpointSeconds bounds the wait for the checkpoint, WaitSeconds that for the
	// next leader.
	CheckpointSeconds float64 `json:"checkpoint_seconds"`
	WaitSeconds       float64 `json:"wait_seconds"`
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Report is how it went. Durations are in milliseconds after the JobManager was told
// to end, absent where that was not seen.
type Report struct {
	// Checkpoint says what became of it, in words.
	Checkpoint   string `json:"checkpoint"`
	CheckpointMS int64  `json:"checkpoint_ms"`
	// By is how the JobManager was told: SIGTERM or the deletion of its pod.
	By string `json:"by,omitempty"`
	// EndAt is when it was.
	EndAt   time.Time `json:"end_at,omitzero"`
	EndedMS *int64    `json:"ended_ms,omitempty"`
	// Outcome is what became of the lock: freed by us, vacated by Flink itself.
	Outcome     string `json:"outcome,omitempty"`
	FreedMS     *int64 `json:"freed_ms,omitempty"`
	GrantedMS   *int64 `json:"granted_ms,omitempty"`
	PublishedMS *int64 `json:"published_ms,omitempty"`
	// Leader is where the next one is, host:port of what it published first; Holder its name in the election.
	Leader string `json:"leader,omitempty"`
	Holder string `json:"holder,omitempty"`
	// Note is what to know about it.
	Note string `json:"note,omitempty"`
}

// Flink is the JobManager's REST API as it is needed here.
type Flink interface {
	// Jobs tells the state of each job.
	Jobs(ctx context.Context) ([]Job, error)
	// Trigger asks for a checkpoint of a job, Completed whether that has completed.
	Trigger(ctx context.Context, job string) (trigger string, err error)
	Completed(ctx context.Context, job, trigger string) (bool, error)
}

// Job is one and its state, as Flink writes it.
type Job struct{ ID, Status string }

// Ender ends the JobManager.
type Ender interface {
	// Check returns the error that End would return for want of a right.
	Check(ctx context.Context, p leader.Process) error
	// End begins the end.
	End(ctx context.Context, p leader.Process) error
	// String names it for people.
	String() string
}

// Handover does one at a time.
type Handover struct {
	Snapshot func() *leader.Snapshot
	Flink    Flink
	// Standbys names the JobManagers that are ready to take over. problem says in one
	// line why there may be more that are not known of.
	Standbys func(ctx context.Context) (ready []string, problem string)
	// Signal ends the process alone, Delete the pod; the latter may be nil.
	Signal, Delete Ender
	// Begins is told just before the end.
	Begins func(*leader.Snapshot)

	mu sync.Mutex
	// under is closed at the end of the one that is under way, nil if none is.
	under chan struct{}
}

// begin reports whether none was under way.
func (h *Handover) begin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.under != nil {
		return false
	}
	h.under = make(chan struct{})
	return true
}

func (h *Handover) done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.under)
	h.under = nil
}

// Idle waits until no handover is under way, or ctx is done: one that deletes its own
// pod has not come to its end when the sidecar is told to stop.
func (h *Handover) Idle(ctx context.Context) {
	h.mu.Lock()
	under := h.under
	h.mu.Unlock()
	if under == nil {
		return
	}
	select {
	case <-under:
	case <-ctx.Done():
	}
}

var errBusy = errors.New("a handover is under way already")

// Run hands over. say is told what is being done, a line a step. An error before the
// JobManager was told to end has changed nothing.
func (h *Handover) Run(ctx context.Context, r Request, say func(string)) (Report, error) {
	if !h.begin() {
		return Report{}, errBusy
	}
	defer h.done()
	s := h.Snapshot()
	p, err := check(s, r)
	if err != nil {
		return Report{}, err
	}
	var by Ender
	if !r.PreStop {
		if err := h.needStandby(ctx, r, say); err != nil {
			return Report{}, err
		}
		if by, err = h.ender(ctx, r, p); err != nil {
			return Report{}, err
		}
	}
	jobs, err := h.runningJobs(ctx, say)
	if err != nil {
		return Report{}, err
	}
	var report Report
	begun := time.Now()
	report.Checkpoint = h.checkpoint(ctx, jobs, seconds(r.CheckpointSeconds))
	report.CheckpointMS = time.Since(begun).Milliseconds()
	say("checkpoint: " + report.Checkpoint)
	if ctx.Err() != nil { // whoever asked has gone: nothing was ended yet
		return report, ctx.Err()
	}
	if now := h.Snapshot(); now.Outcome != leader.Leading || now.View.Tenure != s.View.Tenure {
		return report, fmt.Errorf("this pod's JobManager does not lead any more: %s: %s", now.Outcome, now.Reason)
	}
	h.Begins(h.Snapshot())
	if r.PreStop {
		report.Note = "the kubelet ends the JobManager next"
		return report, nil
	}
	return h.end(ctx, by, p, seconds(r.WaitSeconds), report, say)
}

// check says from what is known whether there is anything to hand over.
func check(s *leader.Snapshot, r Request) (leader.Process, error) {
	switch p, sole := s.Evidence.Sole(); {
	case s.Outcome != leader.Leading || s.Bound == nil:
		where := ""
		if a := hostPort(s.View.Address()); a != "" && s.View.Lock == leader.LockHeld && s.Outcome != leader.Unbound {
			where = "; the leader is at " + a
		}
		return p, fmt.Errorf("this pod's JobManager is not known to lead (%s: %s)%s", s.Outcome, s.Reason, where)
	case !sole || p != s.Bound.Process:
		return p, errors.New("there is not exactly one JobManager in this pod: " + s.Evidence.Problem)
	case s.Lost != "":
		return p, fmt.Errorf("the lock cannot be observed just now: %s", s.Lost)
	case s.Pause != nil && !r.Force && !r.PreStop:
		return p, fmt.Errorf("%s: nothing would be freed; 'flink-ha resume' first, or --force", s.Pause)
	default:
		return p, nil
	}
}

func (h *Handover) needStandby(ctx context.Context, r Request, say func(string)) error {
	ready, problem := h.Standbys(ctx)
	switch {
	case len(ready) > 0:
		say("ready to take over: " + strings.Join(ready, ", "))
		return nil
	case r.Force:
		say("no standby is known to be ready: going on, as --force says")
		return nil
	case problem != "":
		return fmt.Errorf("no standby is known to be ready (%s): the job would stand still until another JobManager has started; --force goes on", problem)
	}
	return errors.New("no standby is ready: the job would stand still until another JobManager has started; --force goes on")
}

// ender chooses how: a signal where that is permitted, else the deletion of the pod.
func (h *Handover) ender(ctx context.Context, r Request, p leader.Process) (Ender, error) {
	if r.DeletePod {
		if h.Delete == nil {
			return nil, errors.New("this pod cannot be deleted: its name or the API server is not known (--pod-name, --kubeconfig)")
		}
		return h.Delete, h.Delete.Check(ctx, p)
	}
	err := h.Signal.Check(ctx, p)
	if err == nil {
		return h.Signal, nil
	}
	if h.Delete == nil {
		return nil, err
	}
	if other := h.Delete.Check(ctx, p); other != nil {
		return nil, fmt.Errorf("%w; and its pod may not be deleted instead: %w", err, other)
	}
	return h.Delete, nil
}
