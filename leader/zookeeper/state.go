package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"time"

	"github.com/go-zookeeper/zk"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/leader"
)

// stateRest is how long a watch that was refused is not tried again.
const stateRest = time.Minute

// State keeps the document that the sidecars of a cluster share in the node
// flink-ha/state below the cluster's own. That one is Flink's: it is never made here,
// and when Flink removes it at the end of the application, the state goes with it.
type State struct {
	b    *Backend
	node string
}

var _ hastate.Store = (*State)(nil)

// NewState returns a store that has not connected yet; it has a session of its own.
// Its requests are counted with "-state" after the verb. Close ends it.
func NewState(o Options) (*State, error) {
	if count := o.Count; count != nil {
		o.Count = func(verb, outcome string) { count(verb+"-state", outcome) }
	}
	b, err := New(o)
	if err != nil {
		return nil, err
	}
	return &State{b: b, node: path.Join(o.Path, "flink-ha", "state")}, nil
}

// Close ends the session, and waits until it has ended.
func (s *State) Close() { s.b.Close() }

// Name is the node.
func (s *State) Name() string { return s.node }

// Load reads the node after a sync.
func (s *State) Load(ctx context.Context) (hastate.Version, error) {
	l, err := s.b.connected(ctx)
	if err != nil {
		return hastate.Version{}, fmt.Errorf("read %s: %w", s.node, err)
	}
	if err := s.b.sync(ctx, l); err != nil {
		return hastate.Version{}, err
	}
	return s.read(ctx, l)
}

func (s *State) read(ctx context.Context, l *link) (hastate.Version, error) {
	raw, stat, err := s.b.content(ctx, l, s.node)
	if errors.Is(err, zk.ErrNoNode) {
		return hastate.Version{}, nil
	}
	if err != nil {
		return hastate.Version{}, err
	}
	return stateVersion(raw, stat), nil
}

// stateVersion tells two nodes of one name apart by when each was made.
func stateVersion(raw []byte, stat *zk.Stat) hastate.Version {
	return hastate.Version{Raw: raw, Tag: fmt.Sprintf("%#x/%d", stat.Czxid, stat.Version), Order: uint64(stat.Mzxid)}
}

// Save sets the node if its version is the one of over. A version is counted from 0
// in each node anew, so a node that was deleted and made again since is told apart by
// a read just before.
func (s *State) Save(ctx context.Context, raw []byte, over hastate.Version) (hastate.Version, error) {
	l, err := s.b.connected(ctx)
	if err != nil {
		return hastate.Version{}, fmt.Errorf("write %s: %w", s.node, err)
	}
	if over.Tag == "" {
		return s.create(ctx, l, raw)
	}
	stat, err := s.b.stat(ctx, l, s.node, false)
	if err != nil {
		return hastate.Version{}, err
	}
	if stat == nil || stateVersion(nil, stat).Tag != over.Tag {
		return hastate.Version{}, fmt.Errorf("set %s: %w", s.node, leader.ErrConflict)
	}
	stat, err = write(ctx, s, l, "set", s.node, func(c *zk.Conn) (*zk.Stat, error) { return c.Set(s.node, raw, stat.Version) })
	if err != nil {
		return hastate.Version{}, err
	}
	return stateVersion(raw, stat), nil
}

// create makes the node, and the one above it, but not the cluster's.
func (s *State) create(ctx context.Context, l *link, raw []byte) (hastate.Version, error) {
	acl := zk.WorldACL(zk.PermAll)
	if s.b.o.Creator {
		acl = zk.AuthACL(zk.PermAll)
	}
	for _, n := range []struct {
		path string
		data []byte
	}{{path.Dir(s.node), nil}, {s.node, raw}} {
		_, err := write(ctx, s, l, "create", n.path, func(c *zk.Conn) (string, error) { return c.Create(n.path, n.data, 0, acl) })
		switch {
		case errors.Is(err, zk.ErrNoNode):
			return hastate.Version{}, fmt.Errorf("create %s: %w: Flink has not made %s", s.node, leader.ErrGone, s.b.o.Path)
		case errors.Is(err, zk.ErrNodeExists) && n.path != s.node:
		case err != nil:
			return hastate.Version{}, err
		}
	}
	// It may have been written again already, so its version is not known for certain.
	stat, err := s.b.stat(ctx, l, s.node, false)
	if err != nil || stat == nil || stat.Version != 0 {
		return hastate.Version{Raw: raw}, err
	}
	return stateVersion(raw, stat), nil
}

// write does one request that changes something, and counts it.
func write[T any](ctx context.Context, s *State, l *link, verb, node string, request func(*zk.Conn) (T, error)) (T, error) {
	var none T
	conn, err := l.client()
	if err != nil {
		<-l.down
		return none, l.err
	}
	v, err := call(ctx, l, func() (T, error) { return request(conn) })
	switch {
	case err == nil:
	case errors.Is(err, zk.ErrNodeExists):
		err = fmt.Errorf("%s %s: %w: %w", verb, node, leader.ErrConflict, err)
	default:
		err = fmt.Errorf("%s %s: %w", verb, node, classify(err, true))
	}
	s.b.counted(verb, err)
	return v, err
}

// Watch sets a watch on the node, there or not, and reads it each time that it has
// fired.
func (s *State) Watch(ctx context.Context, seen func(hastate.Version), lost func(error)) error {
	pause := retryFrom
	for ctx.Err() == nil {
		err := s.watch(ctx, func(v hastate.Version) {
			pause = retryFrom
			seen(v)
		})
		if ctx.Err() != nil {
			break
		}
		lost(err)
		if errors.Is(err, leader.ErrForbidden) {
			pause = stateRest
		}
		wait(ctx, pause/2+rand.N(pause/2+1))
		pause = min(2*pause, retryTo)
	}
	return ctx.Err()
}

// watch goes on until the link is lost.
func (s *State) watch(ctx context.Context, seen func(hastate.Version)) error {
	bounded, cancel := context.WithTimeout(ctx, readFor)
	l, err := s.b.connected(bounded)
	cancel()
	if err != nil {
		return err
	}
	for {
		bounded, cancel := context.WithTimeout(ctx, readFor)
		stat, err := s.b.stat(bounded, l, s.node, true)
		var v hastate.Version
		if err == nil && stat != nil {
			v, err = s.read(bounded, l)
		}
		cancel()
		if err != nil {
			return s.b.lost(l, err)
		}
		seen(v)
		select {
		case <-l.changed:
		case <-l.down:
			return l.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
