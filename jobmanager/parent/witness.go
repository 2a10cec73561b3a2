// Package parent takes the word of a JobManager's parent, `flink-ha gate`: it has
// forked the process and reaps it, so it knows of its end as the kernel does (proof
// P1), without a shared PID namespace.
package parent

import (
	"context"
	"slices"
	"sync"
	"time"

	"flink-ha-sidecar/leader"
)

// Process names a gate's child: no other gate has its name, and no gate starts two
// children with one PID in one millisecond.
func Process(bootID, gate string, pid int, startedMS int64) leader.Process {
	return leader.Process{BootID: bootID, PIDNamespace: "gate:" + gate, PID: pid, StartTime: uint64(startedMS)}
}

// Witness turns what gates say into evidence and deaths. Its methods never block.
type Witness struct {
	now func() time.Time

	mu      sync.Mutex
	current leader.Evidence
	pending []any // Evidence and Death, in order
	poke    chan struct{}
}

var _ leader.Processes = (*Witness)(nil)

// New returns a witness that has heard nothing. Its times are by now.
func New(now func() time.Time) *Witness {
	w := &Witness{now: now, poke: make(chan struct{}, 1)}
	w.Silent("no gate has asked yet: the JobManager must be started by 'flink-ha gate'")
	return w
}

// Runs tells that p lives.
func (w *Witness) Runs(p leader.Process) {
	w.set(leader.Evidence{Alive: []leader.Process{p}})
}

// Waits tells that a gate is there and no JobManager of it runs.
func (w *Witness) Waits() {
	w.set(leader.Evidence{Problem: "the gate runs no JobManager", Waiting: true})
}

// Silent tells that nothing is known of any JobManager, and why.
func (w *Witness) Silent(why string) { w.set(leader.Evidence{Problem: why}) }

// Ended tells that p has ended, for proof.
func (w *Witness) Ended(p leader.Process, proof leader.Proof) {
	at := w.now()
	w.push(leader.Death{Process: p, At: at, Seen: at, Proof: proof})
}

// set makes e the newest. A JobManager of which its gate says nothing any more counts as
// running until its end is known.
func (w *Witness) set(e leader.Evidence) {
	e.At, e.Proof = w.now(), leader.ProofPidfd
	w.tell(e)
}

// tell passes e on if it differs from the one before.
func (w *Witness) tell(e leader.Evidence) {
	w.mu.Lock()
	old := w.current
	w.mu.Unlock()
	if slices.Equal(old.Alive, e.Alive) && old.Problem == e.Problem && old.Waiting == e.Waiting && !old.At.IsZero() {
		return
	}
	w.mu.Lock()
	w.current = e
	w.mu.Unlock()
	w.push(e)
}

func (w *Witness) push(what any) {
	w.mu.Lock()
	w.pending = append(w.pending, what)
	w.mu.Unlock()
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// Run is leader.Processes'.
func (w *Witness) Run(ctx context.Context, changed func(leader.Evidence), ended func(leader.Death)) error {
	for {
		w.mu.Lock()
		todo := w.pending
		w.pending = nil
		w.mu.Unlock()
		for _, what := range todo {
			switch what := what.(type) {
			case leader.Evidence:
				changed(what)
			case leader.Death:
				ended(what)
			}
		}
		select {
		case <-w.poke:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Look is leader.Processes': what the gate has said last, some fraction of a second ago.
func (w *Witness) Look(context.Context) leader.Evidence {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current
}
