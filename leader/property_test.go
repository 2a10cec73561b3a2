package leader

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Random inputs, and a twin of Decide that knows no state machine: it keeps the
// history and looks up in it, at each release, whether all that a release needs
// has happened.

// twin is the history, reduced to what the conditions ask for.
type twin struct {
	rules Rules
	// shown are the views that count, oldest first.
	shown []View
	// proof holds the holders that a change of addresses has tied to us.
	proof map[string]bool
	bound map[string]Process
	dead  map[Process]Death
	guard bool
	// pause stands until this time.
	pause time.Time
	// read is the last successful read, readBegun when it was asked for.
	read      View
	readBegun time.Time
	// freed holds when each holder's lock was first freed.
	freed    map[string]time.Time
	lastFree string
	inFlight ActionKind
	asked    Action
}

func newTwin(r Rules) *twin {
	return &twin{rules: r, proof: map[string]bool{}, bound: map[string]Process{}, dead: map[Process]Death{}, guard: true, freed: map[string]time.Time{}}
}

func (w *twin) current() View {
	if len(w.shown) == 0 {
		return View{}
	}
	return w.shown[len(w.shown)-1]
}

// show notes a view if it counts, and what it proves.
func (w *twin) show(v View) {
	prev := w.current()
	if len(w.shown) > 0 && v.Revision <= prev.Revision && !v.Resync {
		return
	}
	w.shown = append(w.shown, v)
	if len(w.shown) < 2 || !w.guard || v.Revision <= prev.Revision {
		return
	}
	if prev.Lock != LockHeld || v.Lock != LockHeld || prev.Tenure != v.Tenure {
		return
	}
	for _, c := range []string{"dispatcher", "resourcemanager", "restserver"} {
		after, there := v.Published[c]
		if there && after != prev.Published[c] && (after.Address == ourDispatcher || after.Address == ourREST) {
			w.proof[v.Tenure.Holder] = true
		}
	}
}

// note takes in what Decide is about to be given.
func (w *twin) note(in Input, now time.Time) {
	switch in := in.(type) {
	case Viewed:
		w.show(in.View)
	case Refused:
		w.guard = in.Reason == ""
	case PauseSet:
		w.pause = in.Pause.Until
	case Ended:
		if _, known := w.dead[in.Death.Process]; !known {
			w.dead[in.Death.Process] = in.Death
		}
	case Looked:
		if in.For == "" {
			return
		}
		w.inFlight = ActionNone
		if _, known := w.bound[in.For]; !known && w.proof[in.For] && w.guard && len(in.Evidence.Alive) == 1 {
			w.bound[in.For] = in.Evidence.Alive[0]
		}
	case ReadDone:
		w.inFlight = ActionNone
		if in.Err == nil && in.View.Lock != LockAbsent {
			w.show(in.View)
			w.read, w.readBegun = in.View, in.Begun
		} else if in.Err == nil {
			w.read = View{}
			w.shown = append(w.shown, View{Revision: w.current().Revision})
		}
	case ReleaseDone:
		w.inFlight = ActionNone
		if in.Err == nil {
			if _, known := w.freed[w.asked.Holder]; !known {
				w.freed[w.asked.Holder] = now
			}
			w.lastFree = w.asked.Holder
			w.show(in.View)
		}
	}
}

// objection says what forbids the action, empty if nothing does.
func (w *twin) objection(a Action, now time.Time) string {
	if w.inFlight != ActionNone {
		return fmt.Sprintf("%s while %s is in flight", a.Kind, w.inFlight)
	}
	if a.Kind != ActionRelease {
		return ""
	}
	v := w.current()
	p, bound := w.bound[a.Holder]
	death, dead := w.dead[p]
	end := v.Renewed.Add(v.Lease - time.Second)
	latest := death.At.Add(time.Second)
	recent := 0
	for holder, at := range w.freed {
		if holder != a.Holder && at.After(now.Add(-time.Minute)) {
			recent++
		}
	}
	switch {
	case !bound:
		return "the holder is not bound"
	case !dead:
		return "its process is not dead"
	case v.Lock != LockHeld || v.Tenure.Holder != a.Holder:
		return "the last view shows another holder"
	case w.read.Lock != LockHeld || w.read.Record != v.Record || w.read.Tenure != v.Tenure || w.readBegun.Before(death.At):
		return "this record was not read after the death"
	case a.View.Record != v.Record:
		return "the release is conditional on another record"
	case now.After(end) || a.Before.After(end):
		return "the lease is past, or within a second of it"
	case v.Renewed.After(latest) || v.Acquired.After(latest):
		return "the record was written after the death"
	case !w.guard:
		return "the guard is off"
	case now.Before(w.pause):
		return "a pause stands"
	case recent >= 3 && w.lastFree != a.Holder:
		return "three deaths were acted on within a minute"
	}
	return ""
}

// picker chooses among n.
type picker func(n int) int

// chaos draws inputs from a world that makes sense often enough to get
// somewhere, and none the rest of the time.
type chaos struct {
	*script
	pick picker
	twin *twin
	// past are all versions of the lock.
	past []View
	next int
	// releases counts what was asked for and allowed.
	releases int
}

func (c *chaos) oneOf(of ...string) string { return of[c.pick(len(of))] }

// change writes to the lock.
func (c *chaos) change() {
	component := c.oneOf(Dispatcher, ResourceManager, RESTServer, "job-1")
	holder := c.oneOf("A", "B", "C", "D")
	if c.lock.Lock != LockHeld && c.pick(2) == 0 {
		c.acquire(holder)
	}
	switch kind := c.pick(32); {
	case kind < 2:
		c.acquire(holder)
	case kind < 20 && c.lock.Lock == LockHeld:
		c.renew()
	case kind < 28 && c.lock.Lock == LockHeld:
		c.next++
		c.publish(component, fmt.Sprint(c.next), c.oneOf(ourDispatcher, ourREST, ourREST, theirREST, nameDispatcher))
	case kind == 28:
		c.unpublish(component)
	case kind == 29:
		c.vacate()
	case kind == 30 && c.pick(4) == 0:
		c.remove()
	case kind == 31 && c.pick(4) == 0:
		c.corrupt()
	}
	c.past = append(c.past, c.lock)
}

// input draws the next one. Results come only when they were asked for.
func (c *chaos) input() Input {
	if c.twin.inFlight != ActionNone && c.pick(3) > 0 {
		return c.result()
	}
	switch c.pick(40) {
	case 0:
		return Interrupted{"closed"}
	case 1:
		return Looked{Evidence: c.processes()}
	case 2:
		return Ended{Death{Process: process(1 + c.pick(8)), At: c.now, Proof: ProofPidfd}}
	case 3:
		return Refused{c.oneOf("", "", "", "paused")}
	case 9:
		if c.pick(2) == 0 {
			return PauseSet{}
		}
		return PauseSet{Pause{At: c.now, Until: c.now.Add(time.Duration(1+c.pick(5)) * time.Second)}}
	case 4, 5:
		return Tick{}
	case 6:
		v := c.past[c.pick(len(c.past))]
		v.Resync = c.pick(2) == 0
		return Viewed{v}
	case 7, 8: // a leader's end
		if p, bound := c.twin.bound[c.twin.current().Tenure.Holder]; bound {
			return Ended{Death{Process: p, At: c.now, Proof: ProofPidfd}}
		}
	}
	v := c.lock
	v.Resync = c.pick(30) == 0
	return Viewed{v}
}

func (c *chaos) processes() Evidence {
	var alive []int
	for pid := 1; pid <= 8; pid++ {
		if _, dead := c.twin.dead[process(pid)]; !dead || c.pick(20) == 0 {
			alive = append(alive, pid)
		}
	}
	if len(alive) > 1 && c.pick(8) > 0 {
		alive = alive[:1]
	}
	return c.evidence(alive...)
}

func (c *chaos) result() Input {
	err := []error{nil, nil, nil, nil, ErrUnavailable, ErrForbidden, ErrUnclear, errors.New("other")}[c.pick(8)]
	switch c.twin.inFlight {
	case ActionLook:
		return Looked{Evidence: c.processes(), For: c.oneOf(c.twin.asked.Holder, c.twin.asked.Holder, c.twin.asked.Holder, "B")}
	case ActionRead:
		begun := c.now.Add(-time.Duration(c.pick(3)) * time.Millisecond)
		return ReadDone{Begun: begun, View: c.lock, Err: err}
	}
	if err == nil && c.twin.asked.View.Record != c.lock.Record {
		err = ErrConflict
	}
	if err == nil {
		c.vacate()
		c.past = append(c.past, c.lock)
	}
	return ReleaseDone{View: c.lock, Err: err}
}

// while is the time to the next input.
func (c *chaos) while() time.Duration {
	switch c.pick(40) {
	case 0:
		return 20 * time.Second
	case 1, 2, 3:
		return 2 * time.Second
	case 4, 5, 6, 7, 8:
		return 300 * time.Millisecond
	}
	return time.Duration(c.pick(10)) * time.Millisecond
}

// run plays n inputs.
func (c *chaos) run(n int) {
	for i := range n {
		c.now = c.now.Add(c.while())
		if c.pick(3) == 0 {
			c.change()
		}
		in := c.input()
		if r, isRead := in.(ReadDone); isRead && r.Err == nil && r.View.Lock == LockAbsent && c.twin.current().At.After(r.Begun) {
			continue // whether this counts is a matter of its own (TestAbsentReadThat...)
		}
		c.twin.note(in, c.now)
		var d Decision
		if c.pick(400) == 0 { // checking that it is a function costs a hundred times as much
			d = c.step(in)
		} else {
			c.state, d = c.rules.Decide(c.state, in, c.now)
			c.seen[d.Outcome] = true
		}
		if d.Action.Kind == ActionNone {
			continue
		}
		if why := c.twin.objection(d.Action, c.now); why != "" {
			c.Errorf("input %d (%T): %s of %q (%s): %s", i, in, d.Action.Kind, d.Action.Holder, d.Outcome, why)
			return
		}
		c.twin.inFlight, c.twin.asked = d.Action.Kind, d.Action
		if d.Action.Kind == ActionRelease {
			c.releases++
		}
	}
}

func newChaos(tb testing.TB, pick picker) *chaos {
	tb.Helper()
	x := newScript(tb)
	return &chaos{script: x, pick: pick, twin: newTwin(x.rules), past: []View{x.lock}}
}

func TestNoReleaseWithoutEverythingItNeeds(t *testing.T) {
	const runs, inputs = 2000, 150
	releases := 0
	seen := map[Outcome]bool{}
	for seed := range uint64(runs) {
		random := rand.New(rand.NewPCG(seed, 1))
		c := newChaos(t, random.IntN)
		c.run(inputs)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		releases += c.releases
		for o := range c.seen {
			seen[o] = true
		}
	}
	t.Logf("%d inputs, %d releases, outcomes %v", runs*inputs, releases, slices.Sorted(maps.Keys(seen)))
	if releases < 800 {
		t.Errorf("only %d releases in %d runs: these inputs test nothing", releases, runs)
	}
}

func FuzzNoReleaseWithoutEverythingItNeeds(f *testing.F) {
	f.Add([]byte("a leader is seen, bound, dies, and its lock is freed"))
	f.Fuzz(func(t *testing.T, choices []byte) {
		i := 0
		newChaos(t, func(n int) int {
			if i >= len(choices) {
				return 0
			}
			i++
			return int(choices[i-1]) % n
		}).run(len(choices) / 4)
	})
}
