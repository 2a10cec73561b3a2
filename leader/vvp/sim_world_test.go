package vvp

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"flink-ha-sidecar/leader"
)

// simulation is one seeded run of two or three pods, each with a sidecar, a gate,
// perhaps a JobManager, and clocks of its own, through a schedule of faults. The same
// one always runs the same way.
type simulation struct {
	seed uint64
	// broken breaks one rule on purpose.
	broken breach
	trace  bool
}

// breach is a rule broken on purpose; the zero value breaks none.
type breach struct {
	name string
	// permit changes what a gate is told, sight what a sidecar reads.
	permit func(r Rules, s State, p Permit, now Now) Permit
	sight  func(Sight) Sight
	// after changes the state after each decision.
	after func(before State, s *State, in Input, now Now)
	// blind: the store takes every write.
	blind bool
	// hasty: the lock is freed when the tenure is dropped, not at the child's end.
	hasty bool
	// mostly is the kind of share percent of all faults, where the rule is seldom needed.
	mostly, share int
}

// coverage counts what has happened in all runs.
type coverage struct {
	acquired, resumed, dropped, freed, lapsed, created, mended, troubles   int
	kills, terms, ends, gateKills, gatePauses, restarts, pauses, cuts      int
	lost, unclear, late, conflicts, edits, deletions, slow, children, runs int
	slowest                                                                time.Duration
}

func (c *coverage) add(o coverage) {
	for i, p := range c.fields() {
		*p += *o.fields()[i]
	}
	c.slowest = max(c.slowest, o.slowest)
}

func (c *coverage) fields() []*int {
	return []*int{
		&c.acquired, &c.resumed, &c.dropped, &c.freed, &c.lapsed, &c.created, &c.mended, &c.troubles,
		&c.kills, &c.terms, &c.ends, &c.gateKills, &c.gatePauses, &c.restarts, &c.pauses, &c.cuts,
		&c.lost, &c.unclear, &c.late, &c.conflicts, &c.edits, &c.deletions, &c.slow, &c.children, &c.runs,
	}
}

// world is a run.
type world struct {
	simulation
	rng     *rand.Rand
	now     time.Duration
	queue   events
	seq     int
	store   lockModel
	pods    []*pod
	calm    time.Duration // no more faults from here on
	until   time.Duration
	err     error
	cover   coverage
	lines   []string
	settled time.Duration // since when one JobManager has run without a change
}

type event struct {
	at  time.Duration
	seq int
	run func()
}

// events is a heap, written out because it is most of what a simulation does.
type events []event

func (q events) before(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}

func (q *events) push(e event) {
	*q = append(*q, e)
	h := *q
	for i := len(h) - 1; i > 0 && h.before(i, (i-1)/2); i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
}

func (q *events) pop() event {
	h, last := *q, len(*q)-1
	first := h[0]
	h[0], h[last] = h[last], event{}
	h = h[:last]
	*q = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && h.before(child+1, child) {
			child++
		}
		if !h.before(child, i) {
			return first
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

func (w *world) in(d time.Duration, run func()) {
	w.seq++
	w.queue.push(event{w.now + max(0, d), w.seq, run})
}

func (w *world) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.rng.Int64N(int64(high-low)+1))
}

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

func (w *world) tracef(format string, args ...any) {
	if w.trace {
		w.lines = append(w.lines, fmt.Sprintf("%9.3f ", w.now.Seconds())+fmt.Sprintf(format, args...))
	}
}

func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("at %v: %s", w.now, fmt.Sprintf(format, args...))
		w.tracef("FAILED %v", w.err)
	}
}

const (
	// faultsFor is how long faults go on.
	faultsFor = 50 * time.Second
	// quiet is for how long one JobManager must run without a change in the end: it has
	// been renewed several times then.
	quiet = 8 * time.Second
)

func (w *world) alive() (n int) {
	for _, p := range w.pods {
		if p.gate.child.alive {
			n++
		}
	}
	return n
}

func (s simulation) run() (*world, error) {
	w := &world{simulation: s, rng: rand.New(rand.NewPCG(s.seed, 9)), calm: faultsFor}
	t := DefaultTiming()
	w.until = w.calm + t.Bound() + 2*quiet
	w.store.version = 100
	for i := range 2 + w.rng.IntN(2) {
		w.pods = append(w.pods, newPod(w, i, t))
	}
	for _, p := range w.pods {
		p.begin()
	}
	w.in(w.between(0, 10*time.Second), w.fault)
	for w.err == nil && len(w.queue) > 0 {
		e := w.queue.pop()
		if e.at > w.until {
			break
		}
		w.now = e.at
		e.run()
		if w.seq%32 == 0 && w.now > w.calm && w.now-w.settled > quiet && w.alive() == 1 {
			break
		}
	}
	w.cover.runs++
	if w.err == nil {
		w.mustHaveSettled(t)
	}
	return w, w.err
}

// check holds the promise against the world: whoever runs or may still start a
// JobManager is alone.
func (w *world) check() {
	var alive, may []string
	for _, p := range w.pods {
		if p.gate.child.alive {
			alive = append(alive, p.name)
		}
		if p.gate.child.alive || p.gate.mayStart() {
			may = append(may, p.name)
		}
	}
	switch {
	case len(alive) > 1:
		w.fail("two JobManagers run: %v", alive)
	case len(may) > 1:
		w.fail("two gates may run a JobManager: %v", may)
	}
}

// changed notes that a JobManager has begun or ended.
func (w *world) changed() {
	w.settled = w.now
	w.check()
}

// mustHaveSettled: with the faults over one JobManager runs within the bound, and goes
// on running.
func (w *world) mustHaveSettled(t Timing) {
	n := w.alive()
	took := max(0, w.settled-w.calm)
	w.cover.slowest = took
	if n != 1 || took > t.Bound() {
		w.fail("%d JobManagers run; the last change was %v after the faults, the bound is %v", n, took, t.Bound())
	}
}

// lockModel is the lock on the API server.
type lockModel struct {
	exists, there bool
	uid           int
	version       int
	text          string
	old           []string // what has stood there
	parsed        Sight
}

func (s *lockModel) sight() Sight {
	if !s.exists {
		return Sight{Kind: Absent}
	}
	if s.parsed.Version != strconv.Itoa(s.version) {
		s.parsed = s.parse()
	}
	return s.parsed
}

func (s *lockModel) parse() Sight {
	return NewSight("uid-"+strconv.Itoa(s.uid), strconv.Itoa(s.version), s.text, s.there)
}

func (s *lockModel) put(text string, there bool) {
	s.version++
	s.text, s.there = text, there
	if there {
		s.old = append(s.old, text)
	}
}

// serve is the arrival of a request.
func (w *world) serve(a Action) (Sight, error) {
	s := &w.store
	switch a.Kind {
	case ActionCreate:
		if s.exists {
			w.cover.conflicts++
			return Sight{}, leader.ErrConflict
		}
		s.exists = true
		s.uid++
		s.put("", false)
		w.cover.created++
	case ActionWrite:
		switch {
		case !s.exists:
			return Sight{}, leader.ErrGone
		case !w.broken.blind && s.sight().Version != a.Over.Version:
			w.cover.conflicts++
			return Sight{}, leader.ErrConflict
		}
		s.put(a.Text, true)
	}
	return s.sight(), nil
}

// free is the arrival of what the loop does on proof of a death.
func (w *world) free(text string) bool {
	if !w.store.exists || w.store.text != text {
		return false
	}
	seen := w.store.sight()
	w.store.put(seen.Record.Freed(time.Unix(0, 0)).Text(seen.UID), true)
	w.cover.freed++
	return true
}
