package daemon

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"flink-ha-sidecar/jobmanager/pulse"
	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/zookeeper"
)

// signs tells what the lock says of our JobManager's life.
type signs struct {
	snapshot func() *leader.Snapshot
	// activity asks ZooKeeper's servers what a session has done; nil where the lock
	// is a record with a time of its own.
	activity func(ctx context.Context, session string) (string, error)
}

// lock is pulse.Watcher's.
func (g *signs) lock(ctx context.Context, _ leader.Process, silent bool) pulse.Lock {
	l, session := lockSign(g.snapshot())
	if g.activity == nil || !l.Counts || l.Hidden || !silent {
		return l
	}
	mark, err := g.activity(ctx, session)
	// A session that its servers do not talk about may be doing things until it
	// has ended.
	l.Mark, l.Hidden = mark, err != nil
	return l
}

// lockSign is pure. The lock counts unless it is known to be another's: what an
// unknown holder does may be our JobManager's doing. The holder is the session
// where the lock is a queue.
func lockSign(s *leader.Snapshot) (l pulse.Lock, holder string) {
	switch {
	case s.Own != "":
		holder = s.Own
	case !s.Contact:
		return pulse.Lock{Counts: true, Hidden: true}, ""
	case s.View.Lock != leader.LockHeld:
		return pulse.Lock{}, ""
	case s.Demoted, s.Outcome == leader.Standby && s.View.Address() != "":
		return pulse.Lock{}, ""
	default:
		holder = s.View.Tenure.Holder
	}
	l = pulse.Lock{Counts: true, Hidden: s.Lost != "", Mark: holder}
	if !s.View.Renewed.IsZero() {
		l.Mark += " " + s.View.Renewed.Format(time.RFC3339Nano)
	}
	return l, holder
}

// sessionActivity counts what a session's connections have received at the servers.
func sessionActivity(z *zookeeper.Backend) func(context.Context, string) (string, error) {
	return func(ctx context.Context, session string) (string, error) {
		connections, err := z.Connections(ctx)
		if err != nil {
			return "", err
		}
		mark := ""
		// A server that does not answer is left out: then nothing is known.
		for _, c := range connections {
			if c.Session == session {
				mark += c.Client.String() + " " + strconv.FormatUint(c.Received, 10) + ";"
			}
		}
		if mark == "" {
			return "", fmt.Errorf("no server tells of a connection of session %s", session)
		}
		return mark, nil
	}
}
