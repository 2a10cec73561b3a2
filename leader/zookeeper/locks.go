package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"
)

// lockNode is an ephemeral node by which a JobManager keeps others from removing
// a checkpoint, a job or an application (ZooKeeperStateHandleStore).
type lockNode struct {
	path    string
	owner   int64 // a session
	version int32
}

// listLocks finds them all: below <path>/<sub path>/<id>/locks, and below
// <path>/jobs/<job>/checkpoints/<number>/locks. What goes away meanwhile is left
// out.
func (b *Backend) listLocks(ctx context.Context, l *link) ([]lockNode, error) {
	var held []string // what may be locked
	for _, sub := range b.o.SubPaths {
		paths, err := b.below(ctx, l, path.Join(b.o.Path, sub))
		if err != nil {
			return nil, err
		}
		held = append(held, paths...)
	}
	jobs, err := b.below(ctx, l, path.Join(b.o.Path, "jobs"))
	if err != nil {
		return nil, err
	}
	checkpoints, err := each(jobs, func(job string) ([]string, error) { return b.below(ctx, l, path.Join(job, "checkpoints")) })
	if err != nil {
		return nil, err
	}
	held = append(held, slices.Concat(checkpoints...)...)
	paths, err := each(held, func(p string) ([]string, error) { return b.below(ctx, l, path.Join(p, "locks")) })
	if err != nil {
		return nil, err
	}
	locks, err := each(slices.Concat(paths...), func(p string) (lockNode, error) {
		stat, err := b.stat(ctx, l, p, false)
		if err != nil || stat == nil {
			return lockNode{}, err
		}
		return lockNode{path: p, owner: stat.EphemeralOwner, version: stat.Version}, nil
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(locks, func(n lockNode) bool { return !isSession(n.owner) }), nil
}

// below returns the paths of a node's children, none if it is not there.
func (b *Backend) below(ctx context.Context, l *link, parent string) ([]string, error) {
	names, _, err := b.children(ctx, l, parent, false)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		names[i] = path.Join(parent, name)
	}
	return names, nil
}

// deleteLocks deletes the lock nodes of a session. The owner was read just before;
// a node that is gone by then was deleted by ZooKeeper itself.
func (b *Backend) deleteLocks(ctx context.Context, l *link, session int64) error {
	locks, err := b.listLocks(ctx, l)
	if err != nil {
		return err
	}
	locks = slices.DeleteFunc(locks, func(n lockNode) bool { return n.owner != session })
	_, err = each(locks, func(n lockNode) (struct{}, error) {
		err := b.delete(ctx, l, n.path, n.version)
		if errors.Is(err, zk.ErrNoNode) {
			err = nil
		}
		return struct{}{}, err
	})
	if err != nil {
		return fmt.Errorf("locks of session %s: %w", sessionName(session), err)
	}
	return nil
}

// staleOwners lists the released sessions without a place in the queue that own
// lock nodes all the same: requests that were on their way when they died.
func (b *Backend) staleOwners(ctx context.Context, l *link, queue []place) ([]int64, error) {
	released := b.releasedSessions(time.Now())
	if len(released) == 0 {
		return nil, nil
	}
	locks, err := b.listLocks(ctx, l)
	if err != nil {
		return nil, err
	}
	var stale []int64
	for _, n := range locks {
		queued := slices.ContainsFunc(queue, func(p place) bool { return p.owner == n.owner })
		if slices.Contains(released, n.owner) && !queued && !slices.Contains(stale, n.owner) {
			stale = append(stale, n.owner)
		}
	}
	slices.Sort(stale)
	return stale, nil
}

// remember keeps a session on the list of those whose nodes are looked for until
// it must have expired.
func (b *Backend) remember(session int64) {
	b.mu.Lock()
	b.released[session] = time.Now().Add(b.o.SessionTimeout)
	b.mu.Unlock()
	select {
	case b.sweep <- struct{}{}:
	default:
	}
}

func (b *Backend) releasedSessions(now time.Time) []int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	var sessions []int64
	for session, until := range b.released {
		if now.After(until) {
			delete(b.released, session)
			continue
		}
		sessions = append(sessions, session)
	}
	return sessions
}
