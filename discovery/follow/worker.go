package follow

import (
	"context"
	"sync"
)

// worker does something with the newest of what it is told, one at a time: what
// comes while it is busy waits, and only the newest of it is done then.
type worker struct {
	do func(ctx context.Context, t Told)
	// last says that what waits is still done at the end.
	last bool

	once sync.Once
	next chan Told
}

func (w *worker) init() { w.once.Do(func() { w.next = make(chan Told, 1) }) }

// tell never blocks. It is called by one goroutine.
func (w *worker) tell(t Told) {
	w.init()
	select {
	case <-w.next:
	default:
	}
	w.next <- t
}

// run works until ctx is done. What follows the same as the last time is left out.
func (w *worker) run(ctx context.Context) {
	w.init()
	var last Told
	for first := true; ; first = false {
		select {
		case t := <-w.next:
			if first || !t.Same(last) {
				w.do(ctx, t)
			}
			last = t
		case <-ctx.Done():
			w.finish(ctx, last, first)
			return
		}
	}
}

func (w *worker) finish(ctx context.Context, last Told, first bool) {
	select {
	case t := <-w.next:
		if w.last && (first || !t.Same(last)) {
			w.do(context.WithoutCancel(ctx), t)
		}
	default:
	}
}
