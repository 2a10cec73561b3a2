package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"flink-ha-sidecar/lab"
)

const (
	// memoryMB is what a stand-in has touched, as much as a small JobManager's JVM.
	memoryMB = 400
	// maxSession is short, so that the old place of a candidate that changed its
	// session does not hold up the next kill for long; it is a hundred times what is
	// measured.
	maxSession  = 6 * time.Second
	killTimeout = 2 * time.Minute
	// bound is what a sidecar's log says once it would act on the leader's death.
	bound = "holder bound to this pod's JobManager"
)

// killer holds the cluster and what was measured.
type killer struct {
	servers *lab.ZooKeeper
	cluster *lab.Cluster
	audit   *lab.LatchAudit

	cancel context.CancelFunc
	tasks  sync.WaitGroup

	gone, freed []time.Duration
	// lives holds every process, changed when a living one gave up a session.
	lives   []*life
	changed map[string]time.Time
}

// life is one process with the sessions it had, the present one last.
type life struct {
	process  *lab.Process
	sessions []string
	killed   time.Time // when it was sent SIGKILL
}

func (k *killer) stop() {
	if k.cancel != nil {
		k.cancel()
	}
	if k.cluster != nil {
		k.cluster.Stop()
	}
	k.tasks.Wait()
	k.servers.Stop()
}

// once kills the leader and starts it again beside a sidecar that remembers
// nothing, as in a new pod.
func (k *killer) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	leader, err := k.cluster.WaitForLeader(ctx)
	if err != nil {
		return err
	}
	held := k.cluster.Lock.Last()
	sidecar := k.cluster.SidecarOf(leader)
	if err := waitForBinding(ctx, sidecar, held.Holder); err != nil {
		return err
	}
	if err := k.changeSession(ctx, leader); err != nil {
		return err
	}
	for _, j := range k.cluster.JobManagers {
		if err := k.note(j); err != nil {
			return err
		}
	}
	process := leader.Process()
	at, err := process.Signal(syscall.SIGKILL)
	if err != nil {
		return err
	}
	k.lifeOf(process).killed = at
	freed, err := k.cluster.Lock.WaitFor(ctx, at, func(v lab.LockVersion) bool { return !slices.Contains(v.Queue, held.Holder) })
	if err != nil {
		return err
	}
	<-process.Done()
	k.gone = append(k.gone, process.EndedAt().Sub(at))
	k.freed = append(k.freed, freed.At.Sub(process.EndedAt()))
	sidecar.Kill()
	if err := os.RemoveAll(sidecar.StateDir); err != nil {
		return fmt.Errorf("empty state directory: %w", err)
	}
	return errors.Join(sidecar.Start(), leader.Start())
}

// changeSession makes the last candidate in the queue change its session.
func (k *killer) changeSession(ctx context.Context, leader *lab.JobManager) error {
	var last *lab.JobManager
	var place int
	queue, err := k.waitForAll(ctx)
	if err != nil {
		return err
	}
	for _, j := range k.cluster.Standbys(leader) {
		sessions, err := lab.StandInSessions(j.Log())
		if err != nil {
			return err
		}
		if i := slices.Index(queue, sessions[len(sessions)-1]); last == nil || i > place {
			last, place = j, i
		}
	}
	sessions, err := lab.StandInSessions(last.Log())
	if err != nil {
		return err
	}
	old := sessions[len(sessions)-1]
	if k.changed[old], err = last.Signal(syscall.SIGUSR1); err != nil {
		return err
	}
	return wait(ctx, "a new session", func() (bool, error) {
		sessions, err := lab.StandInSessions(last.Log())
		if err != nil || sessions[len(sessions)-1] == old {
			return false, err
		}
		return slices.Contains(k.cluster.Lock.Last().Queue, sessions[len(sessions)-1]), nil
	})
}

// waitForAll waits until every candidate stands in the queue, and returns it.
func (k *killer) waitForAll(ctx context.Context) (queue []string, err error) {
	err = wait(ctx, "all candidates", func() (bool, error) {
		queue = k.cluster.Lock.Last().Queue
		for _, j := range k.cluster.JobManagers {
			sessions, err := lab.StandInSessions(j.Log())
			if errors.Is(err, os.ErrNotExist) || err == nil && len(sessions) == 0 {
				return false, nil
			}
			if err != nil || !slices.Contains(queue, sessions[len(sessions)-1]) {
				return false, err
			}
		}
		return true, nil
	})
	return queue, err
}

// note keeps the sessions of a process for the check.
func (k *killer) note(j *lab.JobManager) error {
	sessions, err := lab.StandInSessions(j.Log())
	if err != nil {
		return err
	}
	k.lifeOf(j.Process()).sessions = sessions
	return nil
}

func (k *killer) lifeOf(process *lab.Process) *life {
	for _, l := range k.lives {
		if l.process == process {
			return l
		}
	}
	l := &life{process: process}
	k.lives = append(k.lives, l)
	return l
}

// check holds every place that went away against who was alive then.
func (k *killer) check(w io.Writer) error {
	var ofDead, ofDying, expired int
	var wrong []error
	for _, d := range k.audit.Deletions() {
		i := slices.IndexFunc(k.lives, func(l *life) bool { return slices.Contains(l.sessions, d.Owner) })
		if i < 0 {
			wrong = append(wrong, fmt.Errorf("%s of %s: nobody knows that session", d.Name, d.Owner))
			continue
		}
		ended := k.lives[i].process.EndedAt()
		gaveUp, given := k.changed[d.Owner]
		switch {
		case !ended.IsZero() && !d.At.Before(ended):
			ofDead++
		case !k.lives[i].killed.IsZero() && d.At.After(k.lives[i].killed):
			ofDying++ // this program learned of the end later than the sidecar: both wait for the same event
		case given && d.At.Sub(gaveUp) > maxSession/2: // the server may count from the ping before
			expired++
		default:
			wrong = append(wrong, fmt.Errorf("%s of %s went away at %v while %s was alive", d.Name, d.Owner, d.At, k.lives[i].process.Name()))
		}
	}
	fmt.Fprintf(w, "audit: %d places went away: %d of a process that had ended, %d of one whose end after SIGKILL was seen here later, %d of sessions that expired by themselves, %d of living sessions\n",
		ofDead+ofDying+expired+len(wrong), ofDead, ofDying, expired, len(wrong))
	return errors.Join(wrong...)
}

// waitForBinding waits until the sidecar knows that its JobManager is holder.
func waitForBinding(ctx context.Context, sidecar *lab.Sidecar, holder string) error {
	return wait(ctx, "the binding of "+holder+" by "+sidecar.Name, func() (bool, error) {
		events, err := lab.ReadSidecarLog(sidecar.Log())
		return slices.ContainsFunc(events, func(e lab.SidecarEvent) bool {
			return e.Message == bound && e.Fields["holder"] == holder
		}), err
	})
}

func wait(ctx context.Context, what string, done func() (bool, error)) error {
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
}
