package discovery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"flink-ha-sidecar/leader"
)

// shelf is a Store in memory that enforces versions, and fails as a test asks.
type shelf struct {
	mu       sync.Mutex
	object   Object
	revision uint64
	watchers map[chan Object]bool
	fail     error         // of every request
	slow     time.Duration // of every request
	writes   []Leader
	inFlight int
	most     int
}

func newShelf() *shelf {
	return &shelf{object: Object{Seen: true}, watchers: map[chan Object]bool{}}
}

func (s *shelf) Name() string { return "shelf" }
func (s *shelf) Kind() string { return "shelf" }

func (s *shelf) begin(ctx context.Context) error {
	s.mu.Lock()
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	err, slow := s.fail, s.slow
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.inFlight--; s.mu.Unlock() }()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (s *shelf) Read(ctx context.Context) (Object, error) {
	if err := s.begin(ctx); err != nil {
		return Object{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.object, nil
}

func (s *shelf) Write(ctx context.Context, o Object, l Leader) (Object, error) {
	if err := s.begin(ctx); err != nil {
		return Object{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.Exists != s.object.Exists || o.Version != s.object.Version {
		return Object{}, ErrConflict
	}
	s.writes = append(s.writes, l)
	return s.set(l, true), nil
}

// set must be called with mu held.
func (s *shelf) set(l Leader, exists bool) Object {
	s.revision++
	s.object = Object{Seen: true, Exists: exists, Version: strconv.FormatUint(s.revision, 10), Revision: s.revision, Leader: l, Raw: l}
	for w := range s.watchers {
		select {
		case <-w: // only the newest is of interest
		default:
		}
		w <- s.object
	}
	return s.object
}

func (s *shelf) edit(l Leader, exists bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(l, exists)
}

func (s *shelf) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *shelf) now() (Leader, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.object.Leader, len(s.writes)
}

func (s *shelf) Holds(o Object, l Leader) bool { return o.Raw == l }

func (s *shelf) Watch(ctx context.Context, seen func(Object), _ func(error)) {
	w := make(chan Object, 1)
	s.mu.Lock()
	s.watchers[w] = true
	w <- s.object
	s.mu.Unlock()
	defer func() { s.mu.Lock(); delete(s.watchers, w); s.mu.Unlock() }()
	for {
		select {
		case o := <-w:
			seen(o)
		case <-ctx.Done():
			return
		}
	}
}

// bench is a publisher on a shelf, and the lock that it asks.
type bench struct {
	shelf *shelf
	*Publisher
	mu     sync.Mutex
	tenure leader.Tenure
	asked  int
	logs   *observer.ObservedLogs
	counts map[string]int
}

func newBench(s *shelf) *bench {
	core, logs := observer.New(zapcore.InfoLevel)
	b := &bench{shelf: s, logs: logs, counts: map[string]int{}}
	b.Publisher = &Publisher{Store: s, Log: zap.New(core), Count: func(outcome string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.counts[outcome]++
	}, Lock: func(context.Context) (leader.View, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.asked++
		return leader.View{Tenure: b.tenure}, nil
	}}
	return b
}

// start runs it until stop is called.
func (b *bench) start(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { b.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

func (b *bench) counted(outcome string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[outcome]
}

func (b *bench) warned() int { return b.logs.FilterLevelExact(zapcore.WarnLevel).Len() }

func (b *bench) leads(generation string, counter uint64, holder string) State {
	tenure := leader.Tenure{Generation: generation, Holder: holder}
	b.mu.Lock()
	b.tenure = tenure
	b.mu.Unlock()
	return State{Mine: true, Tenure: tenure, Leader: Leader{
		Format: 1, Epoch: Epoch{Generation: generation, Counter: counter}, Session: holder, RESTURL: "http://10.0.0.1:8081/" + holder,
	}}
}

func TestPublisherPublishesRestoresAndWithdraws(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(newShelf())
		defer b.start(t)()
		s := b.leads("g", 5, "us")
		must := func(what string, want Leader, writes int) {
			t.Helper()
			synctest.Wait()
			if got, n := b.shelf.now(); got != want || n != writes {
				t.Errorf("%s: %+v after %d writes, want %+v after %d", what, got, n, want, writes)
			}
		}
		b.Tell(s)
		must("published", s.Leader, 1)
		b.Tell(s)
		must("told again", s.Leader, 1)
		edited := s.Leader
		edited.RESTURL = "http://evil"
		b.shelf.edit(edited, true)
		time.Sleep(time.Second)
		must("edited by hand", s.Leader, 2)
		b.shelf.edit(Leader{}, true)
		time.Sleep(time.Second)
		must("emptied by hand", s.Leader, 3)
		b.shelf.edit(Leader{}, false)
		time.Sleep(time.Second)
		must("deleted by hand", s.Leader, 4)

		b.Tell(State{Retired: "g"})
		must("withdrawn", s.Leader.Withdrawn(), 5)
		next := b.leads("h", 1, "us again")
		b.Tell(next)
		must("a redeployed cluster", next.Leader, 6)
		if b.shelf.most != 1 {
			t.Errorf("%d requests in flight at once, want 1", b.shelf.most)
		}
	})
}

func TestPublisherSkipsWhatIsOldWhenItsTurnComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(newShelf())
		b.shelf.slow = time.Second
		defer b.start(t)()
		var last State
		for n := range uint64(10) {
			last = b.leads("g", n+1, fmt.Sprint("h", n))
			b.Tell(last)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		if got, n := b.shelf.now(); got != last.Leader || n > 3 || b.shelf.most != 1 {
			t.Errorf("%+v after %d writes, %d at once; want the last after at most 3, one at once", got, n, b.shelf.most)
		}
	})
}

func TestAnOlderLeaderNeverOverwritesANewerOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		old, next := newBench(s), newBench(s)
		defer old.start(t)()
		defer next.start(t)()
		first := old.leads("g", 5, "old")
		old.Tell(first)
		synctest.Wait()
		second := next.leads("g", 9, "new")
		old.mu.Lock()
		old.tenure = second.Tenure // the lock has gone over; the old one has not heard yet
		old.mu.Unlock()
		next.Tell(second)
		time.Sleep(time.Hour)
		if got, _ := s.now(); got != second.Leader {
			t.Errorf("it tells %+v, want the new leader", got)
		}
		for _, l := range s.writes[1:] {
			if l != second.Leader {
				t.Errorf("%+v was written after the new leader", l)
			}
		}
		old.mu.Lock()
		defer old.mu.Unlock()
		if old.asked == 0 {
			t.Error("the old publisher has not asked the lock")
		}
	})
}

func TestARefusalIsSaidOnceAndMendedLater(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{ErrForbidden, ErrRefused} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(newShelf())
			b.shelf.failWith(fmt.Errorf("create configmaps x: %w", cause))
			defer b.start(t)()
			s := b.leads("g", 5, "us")
			b.Tell(s)
			time.Sleep(time.Hour + time.Second)
			if n := b.counted(outcomeOf(cause)); b.warned() != 1 || n < 10 || n > 14 {
				t.Errorf("%d warnings, %d attempts; want one and an attempt every 5 minutes", b.warned(), n)
			}
			b.shelf.failWith(nil)
			time.Sleep(5*time.Minute + time.Second)
			if got, _ := b.shelf.now(); got != s.Leader {
				t.Errorf("it tells %+v once it may", got)
			}
		})
	}
}

func TestAnOutageIsSaidOnceAndEndsInThePublication(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(newShelf())
		b.shelf.failWith(errors.New("connection refused"))
		defer b.start(t)()
		s := b.leads("g", 5, "us")
		b.Tell(s)
		time.Sleep(10 * time.Minute)
		if n := b.counted("unavailable"); b.warned() != 1 || n < 100 || n > 300 {
			t.Errorf("%d warnings, %d attempts; want one, and one each 2.5 to 5 s", b.warned(), n)
		}
		b.shelf.failWith(nil)
		time.Sleep(5 * time.Second)
		if got, _ := b.shelf.now(); got != s.Leader {
			t.Errorf("it tells %+v after the outage", got)
		}
	})
}

func TestAnotherOwnerOfTheObjectIsNotFought(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(newShelf())
		defer b.start(t)()
		s := b.leads("g", 5, "us")
		b.Tell(s)
		synctest.Wait()
		const minutes = 10
		for range minutes * 60 {
			b.shelf.edit(Leader{RESTURL: "theirs"}, true)
			time.Sleep(time.Second)
		}
		if _, n := b.shelf.now(); n > minutes+12 {
			t.Errorf("%d writes in %d minutes against a controller that undoes each", n, minutes)
		}
	})
}

func TestReassertedWithoutAWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(newShelf())
		b.Store = deaf{b.shelf}
		defer b.start(t)()
		s := b.leads("g", 5, "us")
		b.Tell(s)
		synctest.Wait()
		b.shelf.edit(Leader{}, false)
		time.Sleep(5*time.Minute + time.Second)
		if got, _ := b.shelf.now(); got != s.Leader {
			t.Errorf("it tells %+v five minutes after it was deleted", got)
		}
	})
}

// deaf is a shelf whose changes by others nobody tells.
type deaf struct{ *shelf }

func (deaf) Watch(ctx context.Context, _ func(Object), _ func(error)) { <-ctx.Done() }

func TestWhatIsOwedIsWrittenBeforeTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(newShelf())
		stop := b.start(t)
		s := b.leads("g", 5, "us")
		b.Tell(s)
		synctest.Wait()
		b.shelf.failWith(errors.New("connection refused"))
		b.Tell(State{Retired: "g"})
		synctest.Wait()
		b.shelf.failWith(nil)
		stop()
		if got, _ := b.shelf.now(); got.Known() {
			t.Errorf("it still tells %+v", got)
		}
	})
}
