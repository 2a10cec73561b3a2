package leadertest

import (
	"fmt"
	"time"

	"flink-ha-sidecar/leader"
)

// ObjectName is what Memory calls its object where it names it.
const ObjectName = "test-cluster-config-map"

type faults struct {
	conflicts, lost, lostAfter int
	delay                      time.Duration
	outage, frozen             bool
	forbidden                  string
}

// turn changes the faults and lets waiting calls look at them again.
func (m *Memory) turn(change func(*faults)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.faults)
	close(m.turned)
	m.turned = make(chan struct{})
}

// ConflictNext makes the next n releases find a record that has changed.
func (m *Memory) ConflictNext(n int) { m.turn(func(f *faults) { f.conflicts = n }) }

// LoseNext makes the next n releases end without a reply and without effect.
func (m *Memory) LoseNext(n int) { m.turn(func(f *faults) { f.lost = n }) }

// LoseReplyNext makes the next n releases take effect and end without a reply.
func (m *Memory) LoseReplyNext(n int) { m.turn(func(f *faults) { f.lostAfter = n }) }

// Delay makes every call take so long, half of it on the way to the store.
func (m *Memory) Delay(d time.Duration) { m.turn(func(f *faults) { f.delay = d }) }

// Freeze makes calls hang until their context ends, and holds back what is
// watched, until it is called with false.
func (m *Memory) Freeze(on bool) { m.turn(func(f *faults) { f.frozen = on }) }

// Forbid refuses the given verbs of "get", "watch" and "patch"; none lifts it.
func (m *Memory) Forbid(verbs ...string) {
	m.turn(func(f *faults) { f.forbidden = fmt.Sprint(verbs) })
}

// Outage refuses every connection and breaks every watch, until it is called
// with false.
func (m *Memory) Outage(on bool) {
	m.turn(func(f *faults) { f.outage = on })
	if on {
		m.breakWatches(fmt.Errorf("watch: %w: connection reset", leader.ErrUnavailable))
	}
}

// Gap breaks every watch once. What is written until they are back is seen
// only as its end result.
func (m *Memory) Gap() { m.breakWatches(fmt.Errorf("%w: %w", leader.ErrUnavailable, errBroken)) }

func (m *Memory) breakWatches(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for w := range m.watchers {
		w.pending, w.broken = nil, err
		w.poke()
	}
}

// Requests returns how many calls with this verb there were.
func (m *Memory) Requests(verb string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.requests[verb]
}
