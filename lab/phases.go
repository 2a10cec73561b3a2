package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// Phase is a moment of a failover.
type Phase string

// The phases in their order. Plain Flink has no [DeathSeen]; it frees its lock
// only if it is ended by SIGTERM and wins its race.
const (
	// ProcessGone: the kernel has taken down the leader's process. With 400 MB of
	// heap that lasts some tens of milliseconds after the signal.
	ProcessGone Phase = "process gone"
	// DeathSeen: the leader's sidecar has noticed.
	DeathSeen Phase = "death seen"
	// LockFreed: the lock has no holder, by the independent watch.
	LockFreed Phase = "lock freed"
	// LeaderGranted: another process has the lock, by its own log.
	LeaderGranted Phase = "next leader granted"
	// JobRunning: the last of the job's tasks runs again, by the new leader's log.
	JobRunning Phase = "job running"
	// FirstCheckpoint: the new leader has completed a checkpoint, by its log: from
	// here on the failover cannot cost a record again.
	FirstCheckpoint Phase = "first checkpoint"
)

// Phases lists all in their order.
var Phases = []Phase{ProcessGone, DeathSeen, LockFreed, LeaderGranted, JobRunning, FirstCheckpoint}

// Failover is what one failover took.
type Failover struct {
	Signal syscall.Signal // 0 for a fault that is none
	// Leader is the name of the JobManager that was signalled, Next that of the
	// one that leads after it: with one JobManager the same, in a new process.
	Leader, Next string
	// At is the time just before kill(2).
	At time.Time
	// After has each phase reached, counted from At.
	After map[Phase]time.Duration
	// Replayed is how many records were processed again.
	Replayed int
	// Silence is the longest time without a record in the whole failover.
	Silence time.Duration
}

// Fail ends the leader with a signal and measures the failover until the next
// leader has completed a checkpoint, with stand-ins until it is granted the lock
// and has published its address. seen, if not nil, is called for each phase
// as soon as it is known. The leader must have a checkpoint, and each other
// JobManager must contend: see the WaitFor methods.
//
// All times come from one clock, this machine's: the wall clock of Flink's log in
// milliseconds, and of this program.
func (c *Cluster) Fail(ctx context.Context, s syscall.Signal, seen func(Phase, time.Duration)) (*Failover, error) {
	return c.fail(ctx, s, seen, func(leader *JobManager) (time.Time, error) { return leader.Signal(s) })
}

// Handover has the leader's sidecar hand over, and measures it as [Cluster.Fail] does,
// from the moment at which the JobManager was told to end: that was after a checkpoint.
// It returns the sidecar's own report as well.
func (c *Cluster) Handover(ctx context.Context, seen func(Phase, time.Duration), flags ...string) (*Failover, HandoverReport, error) {
	var report HandoverReport
	if err := c.waitForReadyStandby(ctx); err != nil {
		return nil, report, err
	}
	f, err := c.fail(ctx, syscall.SIGTERM, seen, func(leader *JobManager) (time.Time, error) {
		text, code := c.SidecarOf(leader).Command(ctx, append([]string{"handover", "-o", "json"}, flags...)...)
		if code != 0 {
			return time.Time{}, fmt.Errorf("hand over: exit code %d: %s", code, strings.TrimSpace(text))
		}
		err := json.Unmarshal([]byte(text), &report)
		return report.EndAt, err
	})
	return f, report, err
}

// waitForReadyStandby waits until the sidecar of another than the leader says that its
// JobManager is ready to take over.
func (c *Cluster) waitForReadyStandby(ctx context.Context) error {
	client := &http.Client{Timeout: time.Second}
	return c.poll(ctx, "a ready standby", func() (bool, error) {
		for _, j := range c.Standbys(c.LeaderNow()) {
			response, err := client.Get(c.SidecarOf(j).URL() + "/standby")
			if err != nil {
				continue
			}
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return true, nil
			}
		}
		return len(c.JobManagers) == 1, nil
	})
}

// HandoverReport is what a sidecar tells of a handover, as far as it is used here.
type HandoverReport struct {
	Checkpoint   string    `json:"checkpoint"`
	CheckpointMS int64     `json:"checkpoint_ms"`
	By           string    `json:"by"`
	EndAt        time.Time `json:"end_at"`
	EndedMS      *int64    `json:"ended_ms"`
	Outcome      string    `json:"outcome"`
	GrantedMS    *int64    `json:"granted_ms"`
	PublishedMS  *int64    `json:"published_ms"`
	Leader       string    `json:"leader"`
}

// fail measures what comes of an end that end brings about, at the time it returns.
func (c *Cluster) fail(ctx context.Context, s syscall.Signal, seen func(Phase, time.Duration), end func(leader *JobManager) (time.Time, error)) (*Failover, error) {
	leader := c.LeaderNow()
	if leader == nil {
		return nil, errors.New("end the leader: nobody leads")
	}
	before, err := ReadTicks(c.Settings.Ticks())
	if err != nil {
		return nil, err
	}
	victim, tenure := leader.Process(), c.Lock.Last()
	f := &Failover{Signal: s, Leader: leader.Name, After: map[Phase]time.Duration{}}
	if f.At, err = end(leader); err != nil {
		return nil, err
	}
	told := map[Phase]bool{}
	err = c.poll(ctx, "the failover", func() (bool, error) {
		if err := c.measure(f, leader, victim, tenure); err != nil {
			return false, err
		}
		for _, phase := range Phases {
			if after, ok := f.After[phase]; ok && !told[phase] && seen != nil {
				told[phase] = true
				seen(phase, after)
			}
		}
		last := FirstCheckpoint
		if c.TaskManager == nil {
			last = LeaderGranted
		}
		_, done := f.After[last]
		return done, nil
	})
	if err != nil {
		return f, err
	}
	if c.TaskManager == nil {
		_, err := c.WaitForLeader(ctx)
		return f, err
	}
	var ticks []Tick
	err = c.poll(ctx, "the first tick after the failover", func() (bool, error) {
		ticks, err = ReadTicks(c.Settings.Ticks())
		return err == nil && len(ticks) > 0 && ticks[len(ticks)-1].JobManager == f.Next, err
	})
	if err != nil {
		return f, err
	}
	f.Replayed = Replayed(ticks) - Replayed(before)
	f.Silence = Silence(ticks, f.At)
	return f, CheckTicks(ticks)
}

// measure sets each phase that is known by now.
func (c *Cluster) measure(f *Failover, leader *JobManager, victim *Process, tenure LockVersion) error {
	f.After = map[Phase]time.Duration{}
	reached := func(phase Phase, at time.Time) { f.After[phase] = at.Sub(f.At) }
	if !victim.Alive() {
		reached(ProcessGone, victim.EndedAt())
	}
	if sidecar := c.SidecarOf(leader); sidecar != nil {
		lines, err := ReadSidecarLog(sidecar.Log())
		if err != nil {
			return err
		}
		for _, line := range lines {
			if line.Message == SidecarSawDeath && !line.At.Before(f.At) {
				reached(DeathSeen, line.At)
				break
			}
		}
	}
	if at, ok := freed(c.Lock.Versions(), tenure, f.At); ok {
		reached(LockFreed, at)
	}
	for _, j := range c.JobManagers {
		process := j.Process()
		if process == victim {
			continue
		}
		events, err := ReadFlinkLog(j.Log())
		if err != nil {
			return err
		}
		if t, ok := takeover(events, f.At); ok {
			f.Next = process.Name()
			for phase, at := range t {
				reached(phase, at)
			}
			break
		}
	}
	return nil
}

// freed returns when the lock that was held in a tenure got free for the next
// holder. A JVM that shuts down may free its lock and take it once more: then it
// is not free yet.
func freed(versions []LockVersion, tenure LockVersion, since time.Time) (at time.Time, ok bool) {
	for _, v := range versions {
		switch {
		case v.At.Before(since) || v.UID != tenure.UID:
		case v.Free() && !ok:
			at, ok = v.At, true
		case v.Free():
		case v.Queue != nil && v.Holder != tenure.Holder && !ok:
			return v.At, true // the next in the queue has it at once
		case v.Holder == tenure.Holder:
			ok = false
		default:
			return at, ok
		}
	}
	return at, ok
}

// takeover returns the phases that the log of a JobManager shows after a time,
// and whether it was granted the lead then. Tasks count up to the first
// checkpoint, since it waits for all of them.
func takeover(events []LogEvent, since time.Time) (map[Phase]time.Time, bool) {
	phases := map[Phase]time.Time{}
	var running time.Time
	for _, e := range events {
		_, granted := phases[LeaderGranted]
		switch {
		case e.At.Before(since):
		case e.Kind == LogGranted:
			phases[LeaderGranted] = e.At
		case !granted:
		case e.Kind == LogTaskRunning:
			running = e.At
		case e.Kind == LogCheckpoint:
			phases[JobRunning], phases[FirstCheckpoint] = running, e.At
			return phases, true
		}
	}
	return phases, len(phases) > 0
}

// String is for test logs.
func (f *Failover) String() string {
	what := "fault"
	if f.Signal != 0 {
		what = f.Signal.String()
	}
	text := fmt.Sprintf("%s to %s, next %s:", what, f.Leader, f.Next)
	for _, phase := range []Phase{StuckSeen, ProcessGone, DeathSeen, LockFreed, LeaderGranted, LeaderPublished, JobRunning, FirstCheckpoint} {
		if d, ok := f.After[phase]; ok {
			text += fmt.Sprintf(" %s %d ms,", phase, d.Milliseconds())
		}
	}
	return text + fmt.Sprintf(" replayed %d, silence %d ms", f.Replayed, f.Silence.Milliseconds())
}
