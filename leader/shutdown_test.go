package leader_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"flink-ha-sidecar/leader"
)

// A classic sidecar gets SIGTERM together with its JobManager: it stays until
// the JobManager has ended and its lock is free.
func TestShutdownWaitsForTheJobManagerAndItsLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPod(t, nil)
		first := p.processes.Start(1)
		p.lead("A")
		p.lock.Delay(4 * time.Millisecond)
		p.stop()
		time.Sleep(10 * time.Second)
		select {
		case err := <-p.ended:
			t.Fatalf("Run returned %v while the JobManager lived", err)
		default:
		}
		died := time.Now()
		p.processes.End(first)
		if err := <-p.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if !p.lockIsFree() {
			t.Error("the lock is still held")
		}
		if took := time.Since(died); took > 20*time.Millisecond {
			t.Errorf("Run returned %v after the death", took)
		}
	})
}

func TestShutdownEndsAtOnceWhenNothingIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPod(t, nil)
		p.lock.Acquire(t, "B", time.Now())
		synctest.Wait()
		begun := time.Now()
		if err := p.finish(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("Run returned after %v", took)
		}
	})
}

func TestShutdownGivesUpWhenTheGraceIsOver(t *testing.T) {
	for name, play := range map[string]func(p *pod){
		"the JobManager does not end": func(p *pod) {
			p.processes.Start(1)
			p.lead("A")
			p.stop()
		},
		"the backend does not answer": func(p *pod) {
			first := p.processes.Start(1)
			p.lead("A")
			p.lock.Freeze(true)
			p.stop()
			p.processes.End(first)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPod(t, func(p *pod) { p.loop.Grace = 9 * time.Second })
				play(p)
				begun := time.Now()
				if err := <-p.ended; !errors.Is(err, leader.ErrGraceOver) {
					t.Errorf("Run returned %v, want %v", err, leader.ErrGraceOver)
				}
				if took := time.Since(begun); took != 9*time.Second {
					t.Errorf("Run returned after %v, want 9 s", took)
				}
			})
		})
	}
}

func TestRunRefusesRulesThatCannotWork(t *testing.T) {
	var l leader.Loop
	if err := l.Run(t.Context()); err == nil {
		t.Error("Run accepted empty rules")
	}
}

func TestRunEndsWhenItsSourcesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPod(t, func(p *pod) { p.loop.Backend = ended{p.loop.Backend} })
		if err := <-p.ended; !errors.Is(err, errSource) {
			t.Errorf("Run returned %v, want %v", err, errSource)
		}
	})
}

var errSource = errors.New("the source is dry")

type ended struct{ leader.Backend }

func (ended) Observe(context.Context, func(leader.View), func(error)) error { return errSource }

// A slow disk must not delay the loop, and what it writes last is the newest.
func TestSaveGetsTheNewestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var saved []leader.Restored
		p := newPod(t, func(p *pod) {
			p.loop.Save = func(r leader.Restored) {
				<-gate
				saved = append(saved, r)
			}
		})
		for i, holder := range []string{"A", "B", "C"} {
			proc := p.processes.Start(i + 1)
			p.lead(holder)
			p.processes.End(proc)
			p.waitFor("free lock", time.Second, p.lockIsFree)
			synctest.Wait()
			time.Sleep(time.Second)
		}
		close(gate)
		if err := p.finish(); err != nil {
			t.Fatalf("Run: %v", err)
		}
		last := saved[len(saved)-1]
		if len(last.Bindings) != 3 || len(last.Releases) != 3 || last.Bindings[2].Holder != "C" {
			t.Errorf("the last memory saved is %+v, want 3 bindings and 3 releases", last)
		}
		if len(saved) > 2 {
			t.Errorf("%d memories were saved, want the first and the newest", len(saved))
		}
	})
}

func TestLoopStartsWithWhatItsPredecessorLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newPod(t, func(p *pod) { p.loop.Grace = 0 })
		proc := first.processes.Start(1)
		first.lead("A")
		if err := first.finish(); !errors.Is(err, leader.ErrGraceOver) {
			t.Fatalf("Run returned %v, want %v", err, leader.ErrGraceOver)
		}
		memory := first.saved[len(first.saved)-1]
		memory.Deaths = []leader.Death{{Process: proc, At: time.Now(), Proof: leader.ProofPidfd}}
		second := newPod(t, func(p *pod) {
			p.lock, p.loop.Backend = first.lock, first.lock
			p.loop.Restored = memory
		})
		second.waitFor("free lock", 50*time.Millisecond, second.lockIsFree)
		if err := second.finish(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestWhatTheCallerTellsSwitchesTheGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan leader.Input)
		p := newPod(t, func(p *pod) { p.loop.Told = told })
		first := p.processes.Start(1)
		p.lead("A")
		told <- leader.Refused{Reason: "paused by hand"}
		p.processes.End(first)
		time.Sleep(time.Second)
		if s := p.loop.Snapshot(); s.Outcome != leader.GuardOff || p.lockIsFree() {
			t.Fatalf("the outcome is %s, the lock is free: %t; want guard-off and held", s.Outcome, p.lockIsFree())
		}
		told <- leader.Refused{}
		p.waitFor("free lock", 50*time.Millisecond, p.lockIsFree)
		if err := p.finish(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
