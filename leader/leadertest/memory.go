package leadertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"flink-ha-sidecar/leader"
)

// reconnectPause is how long an interrupted watch of Memory waits before it
// tries again.
const reconnectPause = 100 * time.Millisecond

// Memory is a leader.Backend over a lock object in memory. The methods of
// Flink and of the world around it are in flink.go, the faults in faults.go.
// It starts no goroutine and keeps time by package time alone, so it may be
// used in a synctest bubble in which it was made.
type Memory struct {
	mu       sync.Mutex
	store    Store
	watchers map[*watcher]bool
	faults   faults
	// turned is closed and made anew whenever a fault is switched.
	turned   chan struct{}
	requests map[string]int
}

var _ leader.Backend = (*Memory)(nil)

// NewMemory returns a store without an object and without faults.
func NewMemory() *Memory {
	return &Memory{watchers: map[*watcher]bool{}, turned: make(chan struct{}), requests: map[string]int{}}
}

// watcher is one Observe: what it has not delivered yet, and whether it broke.
type watcher struct {
	pending []*Object
	broken  error
	wake    chan struct{}
}

func (w *watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Observe implements leader.Backend.
func (m *Memory) Observe(ctx context.Context, sink func(leader.View), gap func(error)) error {
	resync := false
	for {
		w, first, err := m.subscribe(ctx)
		if err == nil {
			deliver(first, resync, sink)
			err = m.pump(ctx, w, sink)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		gap(err)
		resync = true
		if err := wait(ctx, reconnectPause); err != nil {
			return err
		}
	}
}

// subscribe reads the object and registers a watcher at that revision.
func (m *Memory) subscribe(ctx context.Context) (*watcher, *Object, error) {
	if err := m.request(ctx, "watch"); err != nil {
		return nil, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	w := &watcher{wake: make(chan struct{}, 1)}
	m.watchers[w] = true
	return w, m.store.Get(), nil
}

// pump delivers what was written since, until the watch breaks.
func (m *Memory) pump(ctx context.Context, w *watcher, sink func(leader.View)) error {
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers, w)
	}()
	for {
		m.mu.Lock()
		batch, broken, frozen, turned := w.pending, w.broken, m.faults.frozen, m.turned
		if frozen {
			batch, broken = nil, nil
		} else {
			w.pending = nil
		}
		m.mu.Unlock()
		if broken != nil {
			return broken
		}
		for _, o := range batch {
			deliver(o, false, sink)
		}
		select {
		case <-w.wake:
		case <-turned:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func deliver(o *Object, resync bool, sink func(leader.View)) {
	v := o.View()
	v.At, v.Resync = time.Now(), resync
	sink(v)
}

// Read implements leader.Backend.
func (m *Memory) Read(ctx context.Context) (leader.View, error) {
	if err := m.request(ctx, "get"); err != nil {
		return leader.View{}, err
	}
	m.mu.Lock()
	o := m.store.Get()
	delay := m.faults.delay
	m.mu.Unlock()
	if err := wait(ctx, delay/2); err != nil {
		return leader.View{}, unavailable(err)
	}
	v := o.View()
	v.At = time.Now()
	return v, nil
}

// Release implements leader.Backend.
func (m *Memory) Release(ctx context.Context, v leader.View, holder string) (leader.View, error) {
	if err := m.request(ctx, "patch"); err != nil {
		return leader.View{}, err
	}
	record, err := ParseRecord(v.Record)
	if err != nil || record.Holder != holder {
		return leader.View{}, fmt.Errorf("release the lock of %q by record %q: %w", holder, v.Record, leader.ErrConflict)
	}
	m.mu.Lock()
	o, err := m.swap(v.Record, record.Freed().String())
	delay := m.faults.delay
	m.mu.Unlock()
	if err != nil {
		return leader.View{}, fmt.Errorf("release: %w", err)
	}
	if err := wait(ctx, delay/2); err != nil {
		return leader.View{}, fmt.Errorf("release: %w: %w", leader.ErrUnclear, err)
	}
	after := o.View()
	after.At = time.Now()
	return after, nil
}

// swap writes, or fails as the faults for the next write want it; m.mu is held.
func (m *Memory) swap(old, new string) (*Object, error) {
	f := &m.faults
	switch {
	case f.conflicts > 0:
		f.conflicts--
		return nil, leader.ErrConflict
	case f.lost > 0:
		f.lost--
		return nil, fmt.Errorf("%w before the write", leader.ErrUnclear)
	case f.lostAfter > 0:
		f.lostAfter--
		if o, err := m.store.Swap(old, new); err == nil {
			m.announce(o)
		}
		return nil, fmt.Errorf("%w after the write", leader.ErrUnclear)
	}
	o, err := m.store.Swap(old, new)
	if err == nil {
		m.announce(o)
	}
	return o, err
}

// announce hands a version to every watcher; m.mu is held.
func (m *Memory) announce(o *Object) {
	for w := range m.watchers {
		w.pending = append(w.pending, o)
		w.poke()
	}
}

// request is the way of every call to the store: the delay, and the faults
// that keep it from getting there.
func (m *Memory) request(ctx context.Context, verb string) error {
	m.mu.Lock()
	m.requests[verb]++
	delay := m.faults.delay
	m.mu.Unlock()
	if err := wait(ctx, delay/2); err != nil {
		return unavailable(err)
	}
	for {
		m.mu.Lock()
		f, turned := m.faults, m.turned
		m.mu.Unlock()
		switch {
		case f.outage:
			return fmt.Errorf("%s: %w: connection refused", verb, leader.ErrUnavailable)
		case strings.Contains(f.forbidden, verb):
			return fmt.Errorf("%w: cannot %s configmaps %q", leader.ErrForbidden, verb, ObjectName)
		case !f.frozen:
			return nil
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return unavailable(ctx.Err())
		}
	}
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", leader.ErrUnavailable, err) }

// wait sleeps for d or until ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errBroken is why a watch broke when a test asked for it.
var errBroken = errors.New("the watch was closed")
