package pulse

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"flink-ha-sidecar/leader"
)

// Watcher asks round after round. Its fields are set before Run.
type Watcher struct {
	Rules Rules
	// Subject is the one JobManager process that is alive, and where it can be
	// asked; zero if there is not exactly one.
	Subject func() (leader.Process, Target)
	// REST and Port put one question each, bounded by ctx.
	REST func(ctx context.Context, base string) (Answer, string)
	Port func(ctx context.Context, address string) Answer
	// Lock says what the lock tells; silent is set when nobody answered, so that a
	// costly look is worth it.
	Lock func(ctx context.Context, p leader.Process, silent bool) Lock
	// Report is called with every verdict, in order. May be nil.
	Report func(Verdict)

	verdict atomic.Pointer[Verdict]
	beat    atomic.Int64
}

// Verdict returns the newest one; zero before the first round.
func (w *Watcher) Verdict() Verdict {
	if v := w.verdict.Load(); v != nil {
		return *v
	}
	return Verdict{}
}

// Beat returns when a round last began; zero before Run.
func (w *Watcher) Beat() time.Time {
	if ns := w.beat.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// Run asks until ctx is done. All that it started has ended when it returns.
func (w *Watcher) Run(ctx context.Context) {
	var s State
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		w.beat.Store(time.Now().UnixNano())
		in := w.round(ctx)
		if ctx.Err() != nil {
			return // what was cut short says nothing
		}
		var v Verdict
		s, v = w.Rules.Judge(s, in)
		w.verdict.Store(&v)
		if w.Report != nil {
			w.Report(v)
		}
		t.Reset(w.Rules.Every(v.Serving))
	}
}

// round puts the questions, both at once. A process that is not the same at its
// end was asked in vain: the answers may be another's.
func (w *Watcher) round(ctx context.Context) Round {
	in := Round{Begun: time.Now()}
	in.Process, in.Target = w.Subject()
	bounded, cancel := context.WithTimeout(ctx, w.Rules.AskFor())
	defer cancel()
	if in.Process != (leader.Process{}) {
		var asking sync.WaitGroup
		if in.Target.REST != "" {
			asking.Go(func() { in.REST, in.Version = w.REST(bounded, in.Target.REST) })
		}
		if in.Target.RPC != "" {
			asking.Go(func() { in.RPC = w.Port(bounded, in.Target.RPC) })
		}
		asking.Wait()
		locking, cancel := context.WithTimeout(ctx, w.Rules.AskFor())
		defer cancel()
		in.Lock = w.Lock(locking, in.Process, !in.REST.OK && !in.RPC.OK)
	}
	if p, _ := w.Subject(); p != in.Process {
		in = Round{Begun: in.Begun}
	}
	in.Ended = time.Now()
	return in
}
