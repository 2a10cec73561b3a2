package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/jobmanager"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/zookeeper"
)

const (
	// attributeEvery is how often a standby's session is looked for, attributeRest
	// how long not once the servers have refused to say.
	attributeEvery = 2 * time.Second
	attributeRest  = 5 * time.Minute
	attributeFor   = 3 * time.Second
)

// attributor finds out which session in the queue is our JobManager's while it has
// published nothing: by its connection, whose ends the servers and the kernel both
// tell.
type attributor struct {
	log       *zap.Logger
	snapshot  func() *leader.Snapshot
	look      func(context.Context) leader.Evidence
	ask       func(context.Context) ([]zookeeper.Connection, error)
	sockets   func(pid int) ([]jobmanager.Socket, bool, error)
	tell      func(context.Context, leader.Input)
	shared    bool
	told      leader.Attributed
	complaint string
}

// run goes on until ctx is done.
func (a *attributor) run(ctx context.Context) {
	t := time.NewTimer(attributeEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		pause := attributeEvery
		if a.wanted() {
			bounded, cancel := context.WithTimeout(ctx, attributeFor)
			err := a.attribute(bounded)
			cancel()
			if errors.Is(err, leader.ErrForbidden) {
				pause = attributeRest
			}
			a.complain(err)
		}
		t.Reset(pause)
	}
}

// wanted: one JobManager lives, and no session that is in the queue is known to be
// its own.
func (a *attributor) wanted() bool {
	s := a.snapshot()
	p, sole := s.Evidence.Sole()
	if !sole || s.Evidence.Proof == leader.ProofContainerStatus || s.GuardOff != "" || len(s.View.Contenders) == 0 || s.Bound != nil {
		return false
	}
	return a.told.Process != p || !slices.Contains(s.View.Contenders, a.told.Holder)
}

// attribute makes one attempt. The process is looked at before the servers are
// asked and again at the end: a connection that both saw in between is its own.
func (a *attributor) attribute(ctx context.Context) error {
	before, sole := a.look(ctx).Sole()
	if !sole {
		return nil
	}
	connections, err := a.ask(ctx)
	if err != nil {
		return err
	}
	sockets, exact, err := a.sockets(before.PID)
	if err != nil {
		return err
	}
	if !exact && a.shared {
		return errors.New("the JobManager's open files may not be read (another user's), and this network is shared")
	}
	holder, err := owner(connections, sockets, a.snapshot().View.Contenders)
	if err != nil || holder == "" {
		return err
	}
	if after, sole := a.look(ctx).Sole(); !sole || after != before {
		return nil
	}
	a.told = leader.Attributed{Holder: holder, Process: before}
	a.tell(ctx, a.told)
	return nil
}

// owner is the one session in the queue whose connection ends in one of sockets.
func owner(connections []zookeeper.Connection, sockets []jobmanager.Socket, queue []string) (string, error) {
	holder := ""
	for _, c := range connections {
		if !slices.Contains(sockets, jobmanager.Socket{Local: c.Client, Remote: c.Server}) {
			continue
		}
		for _, other := range connections {
			if other.Client == c.Client && other.Session != c.Session {
				return "", fmt.Errorf("the servers tell two sessions of the connection from %s", c.Client)
			}
		}
		if !slices.Contains(queue, c.Session) {
			continue
		}
		if holder != "" && holder != c.Session {
			return "", errors.New("two sessions in the queue have connections from here")
		}
		holder = c.Session
	}
	return holder, nil
}

// complain tells once why a standby is not bound.
func (a *attributor) complain(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != a.complaint {
		a.log.Info("which session is the standby JobManager's is not known: should it die, its place in the queue blocks the next leader until its session has ended", zap.String("reason", text))
	}
	a.complaint = text
}
