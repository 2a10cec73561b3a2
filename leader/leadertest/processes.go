package leadertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"flink-ha-sidecar/leader"
)

// Processes stands in for the JobManager processes of a pod. A test starts and
// ends them; whoever runs it is told as by the real one, the death first and
// then what is still alive.
type Processes struct {
	mu      sync.Mutex
	alive   []leader.Process
	queue   []func(changed func(leader.Evidence), ended func(leader.Death))
	wake    chan struct{}
	started int
	problem string
	hang    bool
	thawed  chan struct{}
}

var _ leader.Processes = (*Processes)(nil)

// NewProcesses returns a pod in which no JobManager runs.
func NewProcesses() *Processes {
	return &Processes{wake: make(chan struct{}, 1), thawed: make(chan struct{})}
}

// Start adds a process and returns its identity. A PID may come again, a
// process never does.
func (p *Processes) Start(pid int) leader.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.started++
	proc := leader.Process{BootID: "boot", PIDNamespace: "pid:[1]", PID: pid, StartTime: uint64(p.started)}
	p.alive = append(p.alive, proc)
	p.tell(func(changed func(leader.Evidence), _ func(leader.Death)) { changed(p.evidence()) })
	return proc
}

// End ends a process. It panics if the process does not run.
func (p *Processes) End(proc leader.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.alive, proc)
	if i < 0 {
		panic(fmt.Sprintf("end %v: it does not run", proc))
	}
	p.alive = slices.Delete(slices.Clone(p.alive), i, i+1)
	death := leader.Death{Process: proc, At: time.Now(), Proof: leader.ProofPidfd}
	p.tell(func(changed func(leader.Evidence), ended func(leader.Death)) {
		ended(death)
		changed(p.evidence())
	})
}

// Blur makes every look report the problem and no process; empty ends that.
func (p *Processes) Blur(problem string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problem = problem
}

// Hang makes every Look wait for its context, until it is called with false.
func (p *Processes) Hang(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hang == on {
		return
	}
	p.hang = on
	if !on {
		close(p.thawed)
		p.thawed = make(chan struct{})
	}
}

// Run tells what is alive now, and then every change and every death.
func (p *Processes) Run(ctx context.Context, changed func(leader.Evidence), ended func(leader.Death)) error {
	changed(p.evidence())
	for {
		p.mu.Lock()
		queue := p.queue
		p.queue = nil
		p.mu.Unlock()
		for _, tell := range queue {
			tell(changed, ended)
		}
		select {
		case <-p.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Look returns what is alive now.
func (p *Processes) Look(ctx context.Context) leader.Evidence {
	p.mu.Lock()
	hang, thawed := p.hang, p.thawed
	p.mu.Unlock()
	if hang {
		select {
		case <-thawed:
		case <-ctx.Done():
			return leader.Evidence{At: time.Now(), Problem: ctx.Err().Error()}
		}
	}
	return p.evidence()
}

func (p *Processes) evidence() leader.Evidence {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := leader.Evidence{At: time.Now(), Problem: p.problem}
	if p.problem == "" {
		e.Alive = slices.Clone(p.alive)
	}
	return e
}

// tell queues a message; p.mu is held.
func (p *Processes) tell(message func(changed func(leader.Evidence), ended func(leader.Death))) {
	p.queue = append(p.queue, message)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
