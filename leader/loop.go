package leader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Processes is the local JobManager as the loop needs it.
type Processes interface {
	// Run tells every change of what is alive, and every proven death, until ctx
	// is done; it returns ctx's error.
	Run(ctx context.Context, changed func(Evidence), ended func(Death)) error
	// Look looks now: what it returns was true at a time after the call began.
	Look(ctx context.Context) Evidence
}

// Loop runs Decide: it feeds it what happens, starts the IO that it asks for,
// and publishes one Snapshot. One goroutine owns the state; no IO happens on it.
type Loop struct {
	Backend   Backend
	Processes Processes
	Rules     Rules
	// Restored is what an earlier run has left.
	Restored Restored
	// Report is called on the loop with every decision, in order. It must not
	// block. May be nil.
	Report func(*Snapshot, Decision)
	// Save keeps memory for a later run; calls do not overlap, and only the
	// newest memory is worth saving. May be nil.
	Save func(Restored)
	// Told brings what only the caller can know: Refused and Identified. May be
	// nil.
	Told <-chan Input
	// Now is time.Now if nil. It is the clock that the backend dates records by.
	Now func() time.Time
	// CallTimeout bounds each request to the backend; 2 s if zero.
	CallTimeout time.Duration
	// Grace is how long Run goes on after ctx is done while something is still
	// owed: a living JobManager to be watched, a dead one's lock to be freed.
	Grace time.Duration

	current atomic.Pointer[Snapshot]
	beat    atomic.Int64
}

// heartbeat is the longest time between two turns of a healthy loop.
const heartbeat = 5 * time.Second

// ErrGraceOver is returned by Run when Grace ended before everything was done.
var ErrGraceOver = errors.New("the shutdown grace is over")

// Snapshot returns the newest one, never nil.
func (l *Loop) Snapshot() *Snapshot {
	if s := l.current.Load(); s != nil {
		return s
	}
	return &Snapshot{}
}

// Beat returns when the loop last turned; zero before Run.
func (l *Loop) Beat() time.Time {
	if ns := l.beat.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// Run works until ctx is done, and then until nothing is owed any more or
// Grace is over. All that it started has ended when it returns.
func (l *Loop) Run(ctx context.Context) error {
	if err := l.Rules.Validate(); err != nil {
		return err
	}
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	r := &running{Loop: l, ctx: work, inputs: make(chan Input, 64), saves: make(chan Restored, 1)}
	r.start(stop)
	err := r.turn(ctx)
	stop(context.Canceled)
	close(r.saves)
	r.wg.Wait()
	return err
}

// running is one Run.
type running struct {
	*Loop
	ctx    context.Context
	inputs chan Input
	saves  chan Restored
	wg     sync.WaitGroup
	state  State
}

func (r *running) start(fail context.CancelCauseFunc) {
	r.state = NewState(r.Restored)
	watch := func(what string, run func() error) {
		r.wg.Go(func() {
			if err := run(); r.ctx.Err() == nil {
				fail(fmt.Errorf("%s ended: %w", what, err))
			}
		})
	}
	watch("observing the lock", func() error {
		return r.Backend.Observe(r.ctx,
			func(v View) { r.send(Viewed{v}) },
			func(err error) { r.send(Interrupted{err.Error()}) })
	})
	watch("watching the processes", func() error {
		return r.Processes.Run(r.ctx,
			func(e Evidence) { r.send(Looked{Evidence: e}) },
			func(d Death) { r.send(Ended{d}) })
	})
	r.wg.Go(func() {
		for m := range r.saves {
			if r.Save != nil {
				r.Save(m)
			}
		}
	})
}

func (r *running) send(in Input) {
	select {
	case r.inputs <- in:
	case <-r.ctx.Done():
	}
}

// turn is the loop.
func (r *running) turn(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var grace <-chan time.Time
	done := ctx.Done()
	told := r.Told
	for {
		var in Input = Tick{}
		select {
		case in = <-r.inputs:
		case said, open := <-told:
			if !open { // the caller has no more to say
				told = nil
				continue
			}
			in = said
		case <-timer.C:
		case <-done:
			done = nil
			t := time.NewTimer(r.Grace)
			defer t.Stop()
			grace = t.C
		case <-grace:
			return ErrGraceOver
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
		d := r.step(in)
		if done == nil && d.Settled {
			return nil
		}
		timer.Reset(pauseUntil(d.Wake, r.now()))
	}
}

func (r *running) step(in Input) Decision {
	now := r.now()
	r.beat.Store(time.Now().UnixNano())
	var d Decision
	r.state, d = r.Rules.Decide(r.state, in, now)
	snap := r.state.snapshot(d, now)
	r.current.Store(snap)
	if r.Report != nil {
		r.Report(snap, d)
	}
	if d.MemoryChanged {
		r.save()
	}
	r.do(d.Action)
	return d
}

// save hands the newest memory to the saver; an older one that still waits is
// replaced.
func (r *running) save() {
	select {
	case <-r.saves:
	default:
	}
	r.saves <- r.state.Memory()
}

// do starts the IO off the loop.
func (r *running) do(a Action) {
	switch a.Kind {
	case ActionLook:
		r.wg.Go(func() {
			ctx, cancel := context.WithTimeout(r.ctx, r.callTimeout())
			defer cancel()
			r.send(Looked{Evidence: r.Processes.Look(ctx), For: a.Holder})
		})
	case ActionRead:
		r.wg.Go(func() {
			ctx, cancel := context.WithTimeout(r.ctx, r.callTimeout())
			defer cancel()
			begun := r.now()
			v, err := r.Backend.Read(ctx)
			r.send(ReadDone{Begun: begun, View: v, Err: err})
		})
	case ActionRelease:
		r.wg.Go(func() {
			ctx, cancel := context.WithTimeout(r.ctx, min(a.Before.Sub(r.now()), r.callTimeout()))
			defer cancel()
			v, err := r.Backend.Release(ctx, a.View, a.Holder)
			r.send(ReleaseDone{View: v, Err: err})
		})
	}
}

func (r *running) callTimeout() time.Duration {
	if r.CallTimeout > 0 {
		return r.CallTimeout
	}
	return 2 * time.Second
}

func (l *Loop) now() time.Time {
	if l.Now != nil {
		return l.Now()
	}
	return time.Now()
}

// pauseUntil is the time from now to the next turn, within the heartbeat.
func pauseUntil(wake, now time.Time) time.Duration {
	if wake.IsZero() {
		return heartbeat
	}
	return min(max(wake.Sub(now), time.Millisecond), heartbeat)
}
