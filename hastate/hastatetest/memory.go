// Package hastatetest holds the behaviour that every store of the cluster's state
// has to show, and a store in memory.
package hastatetest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/leader"
)

// Memory is a store shared by the stores that Client returns.
type Memory struct {
	mu      sync.Mutex
	raw     []byte
	order   uint64
	exists  bool
	down    error
	changed chan struct{} // closed with each change
}

// NewMemory returns an empty one.
func NewMemory() *Memory { return &Memory{changed: make(chan struct{})} }

// Client is one sidecar's way to it.
func (m *Memory) Client() hastate.Store { return &client{m} }

// Put writes raw past all conditions; nil deletes.
func (m *Memory) Put(raw []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(raw)
}

func (m *Memory) put(raw []byte) {
	m.raw, m.exists = raw, raw != nil
	m.order++
	m.wake()
}

func (m *Memory) wake() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// Fail makes every request fail with err, nil ends that.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = err
	m.wake()
}

type client struct{ m *Memory }

func (c *client) Name() string { return "memory" }

func (c *client) Load(context.Context) (hastate.Version, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	return c.m.version(), c.m.down
}

func (m *Memory) version() hastate.Version {
	if !m.exists || m.down != nil {
		return hastate.Version{}
	}
	return hastate.Version{Raw: m.raw, Tag: fmt.Sprint(m.order), Order: m.order}
}

func (c *client) Save(_ context.Context, raw []byte, over hastate.Version) (hastate.Version, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.m.down != nil {
		return hastate.Version{}, c.m.down
	}
	if c.m.version().Tag != over.Tag {
		return hastate.Version{}, leader.ErrConflict
	}
	c.m.put(raw)
	return c.m.version(), nil
}

func (c *client) Watch(ctx context.Context, seen func(hastate.Version), lost func(error)) error {
	for ctx.Err() == nil {
		c.m.mu.Lock()
		v, down, changed := c.m.version(), c.m.down, c.m.changed
		c.m.mu.Unlock()
		if down != nil {
			lost(down)
		} else {
			seen(v)
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
		if down != nil {
			pause(ctx, time.Millisecond)
		}
	}
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
