package follow

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// ring is a Source with places that a test plays.
type ring struct {
	places []func(ctx context.Context, tell func(News)) error
	next   int

	mu    sync.Mutex
	tries []time.Time
}

func (r *ring) Places() int { return len(r.places) }

func (r *ring) Run(ctx context.Context, tell func(News)) error {
	r.mu.Lock()
	r.tries = append(r.tries, time.Now())
	place := r.places[r.next%len(r.places)]
	r.next++
	r.mu.Unlock()
	return place(ctx, tell)
}

// says tells news and then lives on.
func says(n News) func(context.Context, func(News)) error {
	return func(ctx context.Context, tell func(News)) error {
		tell(n)
		for {
			sleep(ctx, 10*time.Second)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			tell(News{Alive: true, Age: n.Age})
		}
	}
}

func dead(context.Context, func(News)) error { return errors.New("connection refused") }

// dies tells news and breaks off after d.
func dies(n News, d time.Duration) func(context.Context, func(News)) error {
	return func(ctx context.Context, tell func(News)) error {
		tell(n)
		sleep(ctx, d)
		return errors.New("connection reset")
	}
}

// listen runs a follower in a bubble for d and returns all that it was told.
func listen(t *testing.T, r *ring, d time.Duration) (all []Told, logs *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.WarnLevel)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	f := &Follower{Source: r, MaxAge: time.Minute, Log: zap.New(core), Changed: func(told Told) { all = append(all, told) }}
	f.Run(ctx)
	return all, logs
}

func TestMovesOnWhenASourceDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := &ring{places: []func(context.Context, func(News)) error{
			dies(News{Leader: doc("g", 5, "a")}, 30*time.Second), dead, says(News{Leader: doc("g", 6, "b")}),
		}}
		all, logs := listen(t, r, 10*time.Minute)
		if last := all[len(all)-1]; last.Leader.Session != "b" || !last.Out.IsZero() {
			t.Errorf("told %+v at last", last)
		}
		if len(r.tries) != 3 || r.tries[2].Sub(start) > 30*time.Second+reconnectWithin+retryFrom {
			t.Errorf("tried at %v", r.tries)
		}
		for _, told := range all[1:] {
			if !told.Known {
				t.Errorf("told %+v in between", told)
			}
		}
		if logs.Len() > 2 {
			t.Errorf("said %v", logs.All())
		}
	})
}

func TestASourceThatIsBehindIsLeft(t *testing.T) {
	t.Parallel()
	for name, behind := range map[string]News{
		"an older epoch":         {Leader: doc("g", 4, "old")},
		"out of touch":           {Leader: doc("g", 5, "a"), Age: 30 * time.Second},
		"none, and out of touch": {Reason: "starting", Age: 30 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &ring{places: []func(context.Context, func(News)) error{
				dies(News{Leader: doc("g", 5, "a")}, time.Second), says(behind), says(News{Leader: doc("g", 6, "b")}),
			}}
			all, _ := listen(t, r, 20*time.Second)
			if last := all[len(all)-1]; last.Leader.Session != "b" || len(r.tries) != 3 {
				t.Errorf("%s: told %+v at last, after %d attempts", name, last, len(r.tries))
			}
		})
	}
}

func TestWhenAllAreOutOfTouchOneIsHeldOnTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := says(News{Leader: doc("g", 5, "a"), Age: 30 * time.Second})
		r := &ring{places: []func(context.Context, func(News)) error{behind, behind, behind}}
		listen(t, r, time.Hour)
		if len(r.tries) != 3 {
			t.Errorf("%d attempts, want each tried once and the last held on to", len(r.tries))
		}
	})
}

func TestStalenessIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &ring{places: []func(context.Context, func(News)) error{dies(News{Leader: doc("g", 5, "a")}, time.Second)}}
		first := true
		r.places = append(r.places, dead)
		r.places[0] = func(ctx context.Context, tell func(News)) error {
			if !first {
				return dead(ctx, tell)
			}
			first = false
			return dies(News{Leader: doc("g", 5, "a")}, time.Second)(ctx, tell)
		}
		start := time.Now()
		all, _ := listen(t, r, 10*time.Minute)
		last := all[len(all)-1]
		if last.Known || last.Reason != "no contact for more than 1m0s" || !last.Out.Equal(start) && last.Out.Sub(start) > time.Second {
			t.Errorf("told %+v at last", last)
		}
		if n := len(r.tries); n < 150 || n > 600 {
			t.Errorf("%d attempts in 10 minutes, want one each 2.5 s or so", n)
		}
	})
}
