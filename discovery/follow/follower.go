package follow

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"
)

// Source is one way to hear of the leader.
type Source interface {
	// Run hears from one place until that fails, and returns why. The first news are
	// the present state. It makes one attempt: the next call may try another place.
	Run(ctx context.Context, tell func(News)) error
	// Places is how many there are to try.
	Places() int
}

const (
	// reconnectWithin spreads those who have lost the same source.
	reconnectWithin = 250 * time.Millisecond
	// retryFrom and retryTo bound the pause after an attempt that brought nothing.
	retryFrom = 100 * time.Millisecond
	retryTo   = 5 * time.Second
	// outOfTouch is how old the contact of a source may be before another is tried.
	outOfTouch = 15 * time.Second
)

var errBehind = errors.New("it is behind what is known, or has lost contact itself")

// Follower keeps up with the leader.
type Follower struct {
	Source Source
	// MaxAge is how long an address is good without contact.
	MaxAge time.Duration
	// Changed is called with what is known first, and with every change, in order and
	// one at a time. It must not block.
	Changed func(Told)
	Log     *zap.Logger

	news chan News
	// attempts brings what ends the present one.
	attempts chan context.CancelCauseFunc
}

// Run works until ctx is done.
func (f *Follower) Run(ctx context.Context) {
	f.news, f.attempts = make(chan News), make(chan context.CancelCauseFunc)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.hear(ctx)
	}()
	f.turn(ctx)
	cancel()
	<-done
}

// hear tries one place after the other.
func (f *Follower) hear(ctx context.Context) {
	pause, complaint := time.Duration(0), ""
	for ctx.Err() == nil {
		attempt, cut := context.WithCancelCause(ctx)
		select {
		case f.attempts <- cut:
		case <-ctx.Done():
		}
		good := false
		err := f.Source.Run(attempt, func(n News) {
			good = good || n.Age == 0
			select {
			case f.news <- n:
			case <-attempt.Done():
			}
		})
		if cause := context.Cause(attempt); cause != nil {
			err, good = cause, false
		}
		cut(nil)
		if ctx.Err() != nil {
			return
		}
		// Each attempt fails in its own words; only another kind of end is worth a line.
		if text := kindOf(err); text != complaint {
			complaint = text
			f.Log.Warn("a source of the leader's address is lost, trying the next", zap.Error(err))
		}
		wait := rand.N(reconnectWithin)
		if good {
			pause, complaint = 0, ""
		} else {
			pause = min(max(2*pause, retryFrom), retryTo)
			wait = rand.N(pause) + 1
		}
		sleep(ctx, wait)
	}
}

// turn owns the belief.
func (f *Follower) turn(ctx context.Context) {
	var b belief
	var cut context.CancelCauseFunc
	var said Told
	first, behind := true, 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		if told := b.told(now, f.MaxAge); first || told != said {
			said, first = told, false
			f.Changed(told)
		}
		if said.Known {
			timer.Reset(b.contact.Add(f.MaxAge).Sub(now))
		}
		select {
		case n := <-f.news:
			switch trusted := b.take(n, time.Now()); {
			case trusted && n.Age < outOfTouch:
				behind = 0
			case behind < f.Source.Places()-1 && cut != nil:
				// Once all were tried, staying is the quickest way to hear.
				behind++
				cut(errBehind)
			}
		case cut = <-f.attempts:
			b.left()
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// kindOf is the part of an error that does not differ from attempt to attempt.
func kindOf(err error) string {
	if errors.Is(err, errBehind) {
		return errBehind.Error()
	}
	return "lost"
}

// sleep pauses for d or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
