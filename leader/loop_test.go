package leader_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"flink-ha-sidecar/leader"
	"flink-ha-sidecar/leader/leadertest"
)

const (
	ourREST   = "http://10.0.0.1:8081"
	theirREST = "http://10.0.0.2:8081"
)

// pod is one member in a synctest bubble: the loop, its lock and its processes.
type pod struct {
	t         *testing.T
	lock      *leadertest.Memory
	processes *leadertest.Processes
	loop      *leader.Loop
	// stop asks Run to end; ended gives its error.
	stop  context.CancelFunc
	ended chan error

	mu     sync.Mutex
	events []leader.Event
	saved  []leader.Restored
}

// newPod starts the loop after setup, which may change it.
func newPod(t *testing.T, setup func(p *pod)) *pod {
	t.Helper()
	rules := leader.DefaultRules()
	rules.Self = leader.Self{IP: netip.MustParseAddr("10.0.0.1")}
	p := &pod{t: t, lock: leadertest.NewMemory(), processes: leadertest.NewProcesses(), ended: make(chan error, 1)}
	p.loop = &leader.Loop{
		Backend: p.lock, Processes: p.processes, Rules: rules, Grace: 25 * time.Second,
		Report: func(_ *leader.Snapshot, d leader.Decision) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events = append(p.events, d.Events...)
		},
		Save: func(r leader.Restored) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.saved = append(p.saved, r)
		},
	}
	if setup != nil {
		setup(p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.stop = cancel
	go func() { p.ended <- p.loop.Run(ctx) }()
	synctest.Wait()
	return p
}

// finish stops the loop and returns how Run ended.
func (p *pod) finish() error {
	p.stop()
	return <-p.ended
}

// lead lets the process be the leader, bound.
func (p *pod) lead(holder string) {
	p.t.Helper()
	p.lock.Acquire(p.t, holder, time.Now())
	synctest.Wait()
	time.Sleep(100 * time.Millisecond)
	p.lock.Publish(p.t, leader.RESTServer, leader.Publication{Session: holder, Address: ourREST})
	synctest.Wait()
	if s := p.loop.Snapshot(); s.Outcome != leader.Leading {
		p.t.Fatalf("the outcome is %s (%s), want leading", s.Outcome, s.Reason)
	}
}

// waitFor lets fake time pass until ok, and returns how long that took.
func (p *pod) waitFor(what string, bound time.Duration, ok func() bool) time.Duration {
	p.t.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > bound {
			s := p.loop.Snapshot()
			p.t.Fatalf("no %s within %v; the outcome is %s (%s)", what, bound, s.Outcome, s.Reason)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
	}
	return time.Since(begun)
}

// endings are how the cases ended, in order.
func (p *pod) endings() []leader.Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []leader.Outcome
	for _, e := range p.events {
		if e.Kind == leader.CaseClosed {
			all = append(all, e.Case.Ending)
		}
	}
	return all
}

func TestLoopFreesTheLockOfADeadLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPod(t, nil)
		first := p.processes.Start(1)
		p.lead("A")
		p.lock.Delay(4 * time.Millisecond)
		p.processes.End(first)
		// A read and a release of 4 ms each; the lock is free half way through
		// the second.
		if took := p.waitFor("free lock", time.Second, p.lockIsFree); took > 8*time.Millisecond {
			t.Errorf("the lock was free %v after the death, want at most 8 ms", took)
		}
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if got := p.endings(); !slices.Equal(got, []leader.Outcome{leader.Freed}) {
			t.Errorf("the cases ended as %v, want freed", got)
		}
		s := p.loop.Snapshot()
		if s.Outcome != leader.Vacant || s.Last == nil || s.Last.Freed.IsZero() || s.Open != nil || s.Alive {
			t.Errorf("the snapshot says %+v", s)
		}
		if err := p.finish(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// lockIsFree looks at the store itself, past delay and faults.
func (p *pod) lockIsFree() bool {
	r, err := leadertest.ParseRecord(p.lock.Fields(p.t)[leadertest.RecordField])
	return err == nil && r.Holder == ""
}

// The dying JVM of Flink 2.3 releases its lock and takes it again.
func TestLoopFreesTheLockThatADyingLeaderTookAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPod(t, nil)
		first := p.processes.Start(1)
		p.lead("A")
		p.lock.Vacate(t, time.Now())
		time.Sleep(9 * time.Millisecond)
		p.lock.Acquire(t, "A", time.Now())
		time.Sleep(50 * time.Millisecond)
		p.processes.End(first)
		p.waitFor("free lock", 50*time.Millisecond, p.lockIsFree)
		if err := p.finish(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestLoopLeavesALivingOrForeignLockAlone(t *testing.T) {
	for name, play := range map[string]func(p *pod){
		"the leader lives": func(p *pod) {
			p.processes.Start(1)
			p.lead("A")
		},
		"another leads and our standby dies": func(p *pod) {
			ours := p.processes.Start(1)
			p.lock.Acquire(p.t, "B", time.Now())
			p.lock.Publish(p.t, leader.RESTServer, leader.Publication{Session: "s", Address: theirREST})
			synctest.Wait()
			p.processes.End(ours)
		},
		"our leader dies before it has published": func(p *pod) {
			ours := p.processes.Start(1)
			synctest.Wait()
			p.lock.Acquire(p.t, "A", time.Now())
			synctest.Wait()
			p.processes.End(ours)
		},
		"another took the lock from our dead leader": func(p *pod) {
			ours := p.processes.Start(1)
			p.lead("A")
			p.lock.Freeze(true)
			p.processes.End(ours)
			p.lock.Acquire(p.t, "B", time.Now())
			synctest.Wait()
			p.lock.Freeze(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPod(t, func(p *pod) { p.loop.Grace = 0 })
				play(p)
				for range 10 {
					time.Sleep(time.Second)
					if p.lockIsFree() {
						t.Fatal("the lock was freed")
					}
					p.lock.Renew(t, time.Now())
				}
				if err := p.finish(); err != nil && !errors.Is(err, leader.ErrGraceOver) {
					t.Errorf("Run: %v", err)
				}
				if got := p.lock.Requests("patch"); got != 0 {
					t.Errorf("%d releases were sent, want none", got)
				}
			})
		})
	}
}

func TestLoopGetsThroughFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(p *pod)
		heal  func(p *pod)
		// within bounds the time from the healing to the free lock.
		within time.Duration
	}{
		{"a conflict", func(p *pod) { p.lock.ConflictNext(2) }, nil, 10 * time.Millisecond},
		{"a release that was lost", func(p *pod) { p.lock.LoseNext(1) }, nil, 100 * time.Millisecond},
		{"a reply that was lost", func(p *pod) { p.lock.LoseReplyNext(1) }, nil, 10 * time.Millisecond},
		{"a last renewal in flight", func(p *pod) { p.lock.Renew(p.t, time.Now()) }, nil, 10 * time.Millisecond},
		{"an outage of 5 s", func(p *pod) { p.lock.Outage(true) }, func(p *pod) { p.lock.Outage(false) }, 150 * time.Millisecond},
		{"5 s without an answer", func(p *pod) { p.lock.Freeze(true) }, func(p *pod) { p.lock.Freeze(false) }, 2100 * time.Millisecond},
		{"a permission that comes late", func(p *pod) { p.lock.Forbid("patch") }, func(p *pod) { p.lock.Forbid() }, 2100 * time.Millisecond},
		{"a gap in the watch", func(p *pod) { p.lock.Gap() }, nil, 10 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPod(t, nil)
				first := p.processes.Start(1)
				p.lead("A")
				tt.fault(p)
				p.processes.End(first)
				if tt.heal != nil {
					time.Sleep(5 * time.Second)
					if p.lockIsFree() {
						t.Fatal("the lock was freed through the fault")
					}
					tt.heal(p)
				}
				p.waitFor("free lock", tt.within, p.lockIsFree)
				time.Sleep(3 * time.Second)
				if got := p.endings(); !slices.Equal(got, []leader.Outcome{leader.Freed}) {
					t.Errorf("the cases ended as %v, want freed", got)
				}
				if err := p.finish(); err != nil {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

// Nothing that hangs keeps the loop from turning: liveness hangs on Beat.
func TestLoopBeatsWhateverHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPod(t, func(p *pod) {
			p.lock.Freeze(true) // from the start
			p.processes.Hang(true)
			p.loop.Grace = 0
		})
		first := p.processes.Start(1)
		for range 20 {
			time.Sleep(time.Second)
			if age := time.Since(p.loop.Beat()); age > 5*time.Second {
				t.Fatalf("the loop last turned %v ago", age)
			}
		}
		p.lock.Freeze(false)
		synctest.Wait()
		p.lock.Acquire(t, "A", time.Now())
		synctest.Wait()
		p.lock.Publish(t, leader.RESTServer, leader.Publication{Session: "s", Address: ourREST})
		synctest.Wait() // the look hangs
		p.processes.End(first)
		p.lock.Freeze(true)
		for range 20 {
			time.Sleep(time.Second)
			if age := time.Since(p.loop.Beat()); age > 5*time.Second {
				t.Fatalf("the loop last turned %v ago", age)
			}
		}
		// The look was given up, so nobody is bound and nothing is owed.
		if err := p.finish(); err != nil {
			t.Errorf("Run returned %v, want nothing", err)
		}
	})
}
