package leadertest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"flink-ha-sidecar/leader"
)

// Simulation is one seeded run of a cluster of two or three members, each with
// a JobManager, a sidecar and a clock of its own, through a schedule of faults.
// The same Simulation always runs the same way.
type Simulation struct {
	Seed uint64
	// Rules changes the rules under test; DefaultRules if nil.
	Rules func(leader.Rules) leader.Rules
	// Without stops all sidecars at this time, for ever, and ends the run with
	// the next grant; the run until then is the same as with 0.
	Without time.Duration
	// Latch plays ZooKeeper HA instead of Kubernetes HA.
	Latch bool
	// Trace collects what happens, a line an event.
	Trace bool
}

// Result is what one run has shown.
type Result struct {
	// Err is the first broken invariant.
	Err      error
	Coverage Coverage
	// Losses are the deaths of leaders that held the lock.
	Losses []Loss
	Trace  []string
}

// Loss is the death of a process that held the lock, and what became of it.
type Loss struct {
	// At is when it died, Next when the next leader took the lock, 0 if never.
	At, Next time.Duration
	// Raced: in between a write of Flink's failed because of one of ours, which
	// costs its sender one pause of a candidate.
	Raced bool
	// Suicides are the JobManagers that gave themselves up in between.
	Suicides int
	// Pause is the longest pause of a candidate.
	Pause time.Duration
}

// Run runs the simulation to its end or to the first broken invariant.
func (s Simulation) Run() *Result {
	w := newWorld(s)
	w.begin()
	for w.result.Err == nil && w.queue.len() > 0 && !w.over {
		e := w.queue.pop()
		if e.at > w.horizon {
			break
		}
		w.now = e.at
		e.run()
	}
	return &w.result
}

// election is a model of one HA service: how JobManagers elect each other, and
// what a sidecar's backend finds and does in its store. fabric8 is one.
type election interface {
	// join lets a JobManager that has started take part.
	join(j *jobManager)
	// leave is the graceful end of a JobManager, on SIGTERM; the process goes on
	// until it is ended.
	leave(j *jobManager)
	// finish is the end of the job: the leader takes the cluster down.
	finish(j *jobManager)
	// noticed tells a JobManager that the lock's holder has changed.
	noticed(j *jobManager, holder string)
	// view is the store's newest version, read the version of a revision.
	view() *leader.View
	at(revision uint64) *leader.View
	// free is the arrival of a sidecar's release; check says whether Flink can
	// read what is there then.
	free(v leader.View, holder string) (leader.View, error)
	check() error
	// disturb is a write by somebody else, damage and repair of the lock one
	// that makes it unreadable for a while.
	disturb()
	damage()
	repair()
}

// world is a run.
type world struct {
	Simulation
	now time.Duration
	// troubles is when no more faults begin, horizon the end.
	troubles time.Duration
	horizon  time.Duration
	queue    queue
	election election
	members  []*member
	// processes are all JobManagers that ever ran, by holder.
	processes map[string]*jobManager
	timings   timings
	over      bool
	result    Result
	// crashing: whoever is granted the lock dies soon, until this time.
	crashing time.Duration
	// pause is the one that stands for all, as the cluster's state holds it.
	pause leader.Pause
	// early: the next one that is granted the lock dies after so long.
	early time.Duration
}

// timings are Flink's, the same for all members.
type timings struct {
	lease, deadline, retry time.Duration
	// releases says whether this Flink releases on SIGTERM, retakes how often
	// in eight it takes the lock again when it does.
	releases bool
	retakes  int
}

// longestPause is how long a candidate may sleep between two looks.
func (t timings) longestPause() time.Duration { return t.retry*22/10 + 50*time.Millisecond }

func newWorld(s Simulation) *world {
	w := &world{Simulation: s, processes: map[string]*jobManager{}}
	r := w.stream(0, "cluster")
	w.timings = timings{lease: 15 * time.Second, deadline: 15 * time.Second, releases: r.IntN(4) > 0, retakes: 3}
	w.timings.retry = []time.Duration{400 * time.Millisecond, time.Second, time.Second, time.Second, time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second}[r.IntN(10)]
	w.troubles = 36 * time.Second
	if r.IntN(16) == 0 {
		w.timings.lease, w.timings.deadline = time.Minute, 55*time.Second
		w.timings.retry = max(w.timings.retry, time.Second)
		w.troubles = 50 * time.Second
	}
	w.election = &fabric8{w: w}
	if s.Latch {
		w.election = newLatch(w)
		w.timings.lease = latchTimeout
		w.troubles = 36 * time.Second
	}
	for n := range 2 + r.IntN(2) {
		w.members = append(w.members, newMember(w, n+1))
	}
	return w
}

// begin starts every member, and draws the faults.
func (w *world) begin() {
	r := w.stream(0, "begin")
	for _, m := range w.members {
		w.in(time.Duration(r.IntN(1500))*time.Millisecond, func() { m.startJobManager() })
		w.in(time.Duration(r.IntN(3000))*time.Millisecond, func() { m.side.start(leader.Restored{}) })
	}
	for _, f := range w.schedule() {
		w.in(f.at, func() {
			w.result.Coverage.Faults[f.kind]++
			w.tracef("fault: %s", f.kind)
			f.kind.strike(w, f)
		})
		// What the last one does is seen when a lease has run out.
		w.horizon = max(w.horizon, f.at+f.lasts+w.timings.lease+5*time.Second)
	}
}

// stream returns the random numbers of one member for one purpose. Each has
// its own, so that what one draws changes nothing for the others.
func (w *world) stream(member int, purpose string) *rand.Rand {
	h := uint64(14695981039346656037)
	for _, c := range []byte(purpose) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(w.Seed*2654435761+uint64(member), h))
}

// in runs do after so much true time.
func (w *world) in(d time.Duration, do func()) { w.queue.push(w.now+d, do) }

// broken ends the run with an invariant that does not hold.
func (w *world) broken(invariant, format string, args ...any) {
	if w.result.Err == nil {
		w.result.Err = fmt.Errorf("%s at %v: %s", invariant, w.now, fmt.Sprintf(format, args...))
		w.tracef("BROKEN %v", w.result.Err)
	}
}

func (w *world) tracef(format string, args ...any) {
	if w.Trace {
		w.result.Trace = append(w.result.Trace, fmt.Sprintf("%12v  ", w.now)+fmt.Sprintf(format, args...))
	}
}

// changed tells everybody who watches of a new version of the lock.
func (w *world) changed(before *leader.View) {
	v := w.election.view()
	if w.Trace {
		w.tracef("lock: %s %s, revision %d, published %v", v.Lock, v.Tenure.Holder, v.Revision, v.PublishedComponents())
	}
	if before.Tenure != v.Tenure {
		w.succeeded(v.Tenure.Holder)
	}
	for _, m := range w.members {
		if j := m.jm; j != nil && before.Tenure != v.Tenure {
			j.in(m.link.watch(m.notice.between(1, 20)), func() { w.election.noticed(j, v.Tenure.Holder) })
		}
		m.side.stream(v)
	}
}

// succeeded notes that a living JobManager has taken the lock, which ends every
// loss; whether it is stopped before it knows is not the sidecars' matter.
func (w *world) succeeded(holder string) {
	if j := w.processes[holder]; j == nil || !j.alive || j.ending {
		return
	}
	w.openLosses(func(l *Loss) { l.Next = w.now })
	if w.Without > 0 && w.now >= w.Without {
		w.over = true
	}
}

// granted is when a JobManager has heard that the lock is its own.
func (w *world) granted(j *jobManager) {
	w.tracef("JobManager %s is granted the lock", j.uuid)
	switch {
	case w.early > 0:
		w.in(w.early, func() { j.die("killed early") })
		w.early = 0
	case w.now < w.crashing:
		w.in(time.Duration(w.members[0].boot.IntN(800)+300)*time.Millisecond, func() { j.die("crashed in recovery") })
	}
}

// lost notes the death of a holder.
func (w *world) lost(j *jobManager) {
	if v := w.election.view(); v.Lock == leader.LockHeld && v.Tenure.Holder == j.uuid {
		w.result.Losses = append(w.result.Losses, Loss{At: w.now, Pause: w.timings.longestPause()})
	}
}

// openLosses are those that nobody has taken over yet.
func (w *world) openLosses(do func(l *Loss)) {
	for i := range w.result.Losses {
		if l := &w.result.Losses[i]; l.Next == 0 {
			do(l)
		}
	}
}

// leading is the member whose JobManager holds the lock and lives, or nil.
func (w *world) leading() *member {
	v := w.election.view()
	if j := w.processes[v.Tenure.Holder]; j != nil && j.alive {
		return j.m
	}
	return nil
}

func memberIP(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}) }
