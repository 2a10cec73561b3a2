package hastatetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"flink-ha-sidecar/hastate"
	"flink-ha-sidecar/leader"
)

// Harness is one empty place for a cluster's state.
type Harness struct {
	// Client makes one sidecar's store; it is ended with the test.
	Client func(t *testing.T) hastate.Store
	// Put writes raw past the stores, Delete deletes it.
	Put    func(t *testing.T, raw []byte)
	Delete func(t *testing.T)
	// Outage cuts every client off and back on. Forbid takes the right to write.
	Outage func(t *testing.T, on bool)
	Forbid func(t *testing.T)
}

// Contract runs the suite; open makes a new place for each test.
func Contract(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Harness){
		"a write is conditional on the version that was read": conditional,
		"the first write is one":                              firstWrite,
		"a node made anew is another version":                 madeAnew,
		"everybody sees a write at once":                      watched,
		"watching goes on after an outage":                    outage,
		"writers at once lose nothing":                        together,
		"what does not parse is kept aside":                   corrupt,
		"a missing right is told and stops nothing":           forbidden,
		"a pause is seen by all and ends":                     paused,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// patience bounds every wait.
const patience = 30 * time.Second

func load(t *testing.T, s hastate.Store) hastate.Version {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := s.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func save(t *testing.T, s hastate.Store, text string, over hastate.Version) hastate.Version {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := s.Save(ctx, []byte(text), over)
	if err != nil {
		t.Fatalf("write %q over %q: %v", text, over.Tag, err)
	}
	return v
}

func mustConflict(t *testing.T, s hastate.Store, over hastate.Version) {
	t.Helper()
	if _, err := s.Save(t.Context(), []byte(`{"format":1}`), over); !errors.Is(err, leader.ErrConflict) {
		t.Errorf("a write over version %q: %v, want a conflict", over.Tag, err)
	}
}

func conditional(t *testing.T, h Harness) {
	a, b := h.Client(t), h.Client(t)
	none := load(t, a)
	if none.Tag != "" || len(none.Raw) != 0 {
		t.Fatalf("nothing was written, and there is %q", none.Raw)
	}
	first := save(t, a, "one", none)
	seen := load(t, b)
	if string(seen.Raw) != "one" || seen.Tag != first.Tag && first.Tag != "" {
		t.Errorf("read %q %q, want what was written: %q", seen.Raw, seen.Tag, first.Tag)
	}
	second := save(t, b, "two", seen)
	if second.Order <= seen.Order {
		t.Errorf("the order goes from %d to %d", seen.Order, second.Order)
	}
	load(t, a)
	mustConflict(t, a, seen)
	mustConflict(t, a, none)
	if got := load(t, a); string(got.Raw) != "two" || got.Tag != second.Tag {
		t.Errorf("read %q %q, want two %q", got.Raw, got.Tag, second.Tag)
	}
}

func firstWrite(t *testing.T, h Harness) {
	const writers = 6
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for n := range writers {
		s := h.Client(t)
		wg.Go(func() {
			_, err := s.Save(t.Context(), fmt.Appendf(nil, "%d", n), hastate.Version{})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, leader.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d first writes succeeded, want 1", won)
	}
}

func madeAnew(t *testing.T, h Harness) {
	s := h.Client(t)
	save(t, s, "one", hastate.Version{})
	old := load(t, s)
	h.Delete(t)
	mustConflict(t, s, old)
	save(t, s, "two", load(t, s))
	if load(t, s).Tag == old.Tag {
		t.Fatal("another object has the same version")
	}
	mustConflict(t, s, old)
}

// follow watches until the test has ended, and returns what was seen last.
func follow(t *testing.T, s hastate.Store) func() string {
	t.Helper()
	var mu sync.Mutex
	last := "(nothing)"
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.Watch(ctx, func(v hastate.Version) {
			mu.Lock()
			defer mu.Unlock()
			last = string(v.Raw)
		}, func(error) {})
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !yes(); pause(t.Context(), 5*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

func sees(t *testing.T, last func() string, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q is seen", want), func() bool { return last() == want })
}

func watched(t *testing.T, h Harness) {
	a, last := h.Client(t), follow(t, h.Client(t))
	sees(t, last, "")
	save(t, a, "one", hastate.Version{})
	sees(t, last, "one")
	save(t, a, "two", load(t, a))
	sees(t, last, "two")
	h.Delete(t)
	sees(t, last, "")
	save(t, a, "three", load(t, a))
	sees(t, last, "three")
}

func outage(t *testing.T, h Harness) {
	a, last := h.Client(t), follow(t, h.Client(t))
	save(t, a, "one", hastate.Version{})
	sees(t, last, "one")
	h.Outage(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := a.Load(ctx); err == nil {
		t.Error("it was read in an outage")
	}
	h.Put(t, []byte("two"))
	h.Outage(t, false)
	sees(t, last, "two")
}

// keep runs the keeper of one pod until the test has ended.
func keep(t *testing.T, s hastate.Store, pod string, told func(leader.Pause)) *hastate.Keeper {
	t.Helper()
	k := hastate.NewKeeper(hastate.Options{Store: s, Log: zap.NewNop(), Pod: pod, URL: "http://" + pod, Told: func(_ context.Context, p leader.Pause) {
		if told != nil {
			told(p)
		}
	}})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { k.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return k
}

// change is the nth leader change as a pod may see it.
func change(n int, pod string) hastate.Change {
	at := time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC)
	return hastate.Change{
		Ended: hastate.Term{Generation: "g", Holder: fmt.Sprint("h", n), Acquired: fmt.Sprint(n), Counter: uint64(100 + n)},
		End:   hastate.End{Cause: hastate.CauseDied, Outcome: "freed", At: at, Pod: pod},
		Next: hastate.Next{Term: hastate.Term{Generation: "g", Holder: fmt.Sprint("h", n+1), Acquired: fmt.Sprint(n + 1), Counter: uint64(101 + n)},
			Granted: at.Add(time.Second), Published: at.Add(2 * time.Second), Pod: pod},
	}
}

func together(t *testing.T, h Harness) {
	const pods, each = 3, 10
	first := h.Client(t)
	var keepers []*hastate.Keeper
	for n := range pods {
		keepers = append(keepers, keep(t, h.Client(t), fmt.Sprint("pod-", n), nil))
	}
	var wg sync.WaitGroup
	for n, k := range keepers {
		wg.Go(func() {
			for i := range each {
				// One that all of them have seen, and one of its own.
				k.Record([]hastate.Change{change(i, fmt.Sprint("pod-", n)), change(1000*(n+1)+i, "x")}, true)
				pause(t.Context(), time.Millisecond)
			}
		})
	}
	wg.Wait()
	want := each * (pods + 1)
	var d hastate.Document
	eventually(t, "all changes and members are there", func() bool {
		d, _ = hastate.Decode(load(t, first).Raw, time.Now())
		return len(d.Changes) >= want && len(d.Members) == pods
	})
	if len(d.Changes) != want {
		t.Errorf("%d changes, want %d", len(d.Changes), want)
	}
	for _, k := range keepers {
		if why := k.Trouble(); why != "" {
			t.Errorf("trouble: %s", why)
		}
	}
}

func corrupt(t *testing.T, h Harness) {
	h.Put(t, []byte("{half"))
	first := h.Client(t)
	k := keep(t, h.Client(t), "pod-1", nil)
	k.Record([]hastate.Change{change(1, "pod-1")}, true)
	var d hastate.Document
	eventually(t, "it is written again, with the old text aside", func() bool {
		var err error
		d, err = hastate.Decode(load(t, first).Raw, time.Now())
		return err == nil && len(d.Changes) == 1
	})
	if d.Aside == nil || d.Aside.Text != "{half" {
		t.Errorf("aside is %+v, want the old text", d.Aside)
	}
	h.Put(t, []byte("again {half"))
	eventually(t, "what was known is written again", func() bool {
		d, err := hastate.Decode(load(t, first).Raw, time.Now())
		if err != nil { // nobody has to write for that alone
			k.Record([]hastate.Change{change(2, "pod-1")}, true)
		}
		return err == nil && len(d.Changes) == 2
	})
}

func forbidden(t *testing.T, h Harness) {
	k := keep(t, h.Client(t), "pod-1", nil)
	eventually(t, "it is a member", func() bool { d, _ := k.Document(); return len(d.Members) == 1 })
	h.Forbid(t)
	var err error
	eventually(t, "a pause is refused", func() bool {
		_, err = k.Pause(t.Context(), leader.Pause{At: time.Now(), Until: time.Now().Add(time.Minute)})
		return err != nil
	})
	if !errors.Is(err, leader.ErrForbidden) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %q, want one line that says it is not permitted", err)
	}
	if k.Trouble() == "" {
		t.Error("no trouble is told")
	}
}

func paused(t *testing.T, h Harness) {
	var mu sync.Mutex
	heard := map[string]leader.Pause{}
	hear := func(pod string) func(leader.Pause) {
		return func(p leader.Pause) {
			mu.Lock()
			defer mu.Unlock()
			heard[pod] = p
		}
	}
	a := keep(t, h.Client(t), "a", hear("a"))
	keep(t, h.Client(t), "b", hear("b"))
	at := time.Now()
	p, err := a.Pause(t.Context(), leader.Pause{At: at, Until: at.Add(time.Minute), By: "ops", Reason: "upgrade"})
	if err != nil {
		t.Fatal(err)
	}
	both := func(want leader.Pause) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return heard["a"].Equal(want) && heard["b"].Equal(want)
		}
	}
	eventually(t, "both hear of the pause", both(p))
	late := hastate.NewKeeper(hastate.Options{Store: h.Client(t), Log: zap.NewNop(), Pod: "c"})
	if got, known := late.First(t.Context()); !known || !got.Equal(p) {
		t.Errorf("a sidecar that starts now reads %v, %t; want %v", got, known, p)
	}
	if err := a.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both hear of its end", both(leader.Pause{}))
}
