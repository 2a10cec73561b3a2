package leader

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// The addresses of our JobManager, of another one, and of a Service that
// stands for both.
const (
	ourDispatcher   = "pekko.tcp://flink@10.0.0.1:6123/user/rpc/dispatcher_1"
	ourREST         = "http://10.0.0.1:8081"
	theirDispatcher = "pekko.tcp://flink@10.0.0.2:6123/user/rpc/dispatcher_1"
	theirREST       = "http://10.0.0.2:8081"
	nameDispatcher  = "pekko.tcp://flink@flink-jobmanager:6123/user/rpc/dispatcher_1"
)

const testLease = 15 * time.Second

var testStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func testRules() Rules {
	r := DefaultRules()
	r.Self = Self{IP: netip.MustParseAddr("10.0.0.1")}
	return r
}

func process(pid int) Process {
	return Process{BootID: "boot", PID: pid, StartTime: uint64(1000 + pid)}
}

// script plays one member's story: the lock as it is in the store, the process
// of this pod, and Decide between them.
type script struct {
	testing.TB
	rules Rules
	state State
	now   time.Time
	// lock is the store's newest version.
	lock View
	d    Decision
	// events, actions and outcomes are all there were.
	events  []Event
	actions []Action
	seen    map[Outcome]bool
}

func newScript(tb testing.TB) *script {
	tb.Helper()
	x := &script{TB: tb, rules: testRules(), now: testStart, seen: map[Outcome]bool{}}
	x.lock = View{Revision: 10, Published: map[string]Publication{}}
	return x
}

// step feeds one input, and checks what holds for every input.
func (x *script) step(in Input) Decision {
	x.Helper()
	var next State
	next, x.d = checkedDecide(x, x.rules, x.state, in, x.now)
	x.state = next
	x.events = append(x.events, x.d.Events...)
	if x.d.Action.Kind != ActionNone {
		x.actions = append(x.actions, x.d.Action)
	}
	x.seen[x.d.Outcome] = true
	return x.d
}

// checkedDecide runs Decide and checks that it is a function: what it was
// given is untouched, and the same arguments give the same results.
func checkedDecide(tb testing.TB, r Rules, s State, in Input, now time.Time) (State, Decision) {
	tb.Helper()
	before := dump(s)
	next, d := r.Decide(s, in, now)
	first, firstDecision := dump(next), dumpDecision(d)
	again, dAgain := r.Decide(s, in, now)
	if dump(again) != first || dumpDecision(dAgain) != firstDecision {
		tb.Fatalf("the same arguments gave another result:\n%s %s\n%s %s", first, firstDecision, dump(again), dumpDecision(dAgain))
	}
	// A slice that both results share would show here.
	r.Decide(s, Ended{Death{Process: process(99), At: now}}, now)
	if dump(next) != first {
		tb.Fatalf("another decision on the same state changed the first one's:\n%s\n%s", first, dump(next))
	}
	if after := dump(s); after != before {
		tb.Fatalf("Decide changed the state it was given, input %T:\nbefore %s\nafter  %s", in, before, after)
	}
	if !d.Wake.IsZero() && !d.Wake.After(now) {
		tb.Fatalf("Decide wants to be woken at %v, which is not after %v", d.Wake, now)
	}
	if d.Action.Kind == ActionRelease && !d.Action.Before.After(now) {
		tb.Fatalf("a release that must be answered before %v was asked for at %v", d.Action.Before, now)
	}
	return next, d
}

// dump writes everything that a state holds, behind pointers too.
func dump(s State) string {
	open, last := s.open, s.last
	s.open, s.last = nil, nil
	return fmt.Sprintf("%+v open=%+v last=%+v", s, deref(open), deref(last))
}

func dumpDecision(d Decision) string {
	text := ""
	for _, e := range d.Events {
		c := e.Case
		e.Case = nil
		text += fmt.Sprintf("%+v case=%+v;", e, deref(c))
	}
	d.Events = nil
	return fmt.Sprintf("%+v %s", d, text)
}

func deref(c *Case) any {
	if c == nil {
		return "none"
	}
	return *c
}

// after lets time pass, in one step.
func (x *script) after(d time.Duration) Decision {
	x.Helper()
	x.now = x.now.Add(d)
	return x.step(Tick{})
}

// write changes the lock in the store; nobody has seen it yet.
func (x *script) write(change func(v *View)) View {
	v := x.lock
	v.Published = maps.Clone(v.Published)
	if v.Published == nil {
		v.Published = map[string]Publication{}
	}
	v.Revision += 10
	v.Resync = false
	change(&v)
	v.Record = fmt.Sprintf("%s %v %s", v.Lock, v.Tenure, v.Renewed)
	v.At = x.now
	x.lock = v
	return v
}

// shows delivers the store's newest version.
func (x *script) shows() Decision {
	x.Helper()
	return x.step(Viewed{x.lock})
}

// acquire lets holder take the lock.
func (x *script) acquire(holder string) *script {
	x.write(func(v *View) {
		v.Lock = LockHeld
		v.Tenure = Tenure{Generation: "uid-1", Holder: holder, Acquired: x.now.Format(time.RFC3339Nano)}
		v.Acquired, v.Renewed, v.Lease = x.now, x.now, testLease
	})
	return x
}

func (x *script) renew() *script {
	x.write(func(v *View) { v.Renewed = x.now })
	return x
}

func (x *script) publish(component, session, address string) *script {
	x.write(func(v *View) { v.Published[component] = Publication{Session: session, Address: address} })
	return x
}

func (x *script) unpublish(component string) *script {
	x.write(func(v *View) { delete(v.Published, component) })
	return x
}

func (x *script) vacate() *script {
	x.write(func(v *View) { v.Lock, v.Tenure.Holder = LockVacant, "" })
	return x
}

func (x *script) remove() *script {
	x.write(func(v *View) { *v = View{Revision: v.Revision} })
	return x
}

func (x *script) corrupt() *script {
	x.write(func(v *View) { v.Lock, v.Tenure, v.Problem = LockUnreadable, Tenure{}, "not JSON" })
	return x
}

// runs says which processes are alive.
func (x *script) runs(pids ...int) Decision {
	x.Helper()
	return x.step(Looked{Evidence: x.evidence(pids...)})
}

func (x *script) evidence(pids ...int) Evidence {
	e := Evidence{At: x.now}
	for _, pid := range pids {
		e.Alive = append(e.Alive, process(pid))
	}
	return e
}

// looks answers the look that was asked for.
func (x *script) looks(pids ...int) Decision {
	x.Helper()
	a := x.wants(ActionLook)
	return x.step(Looked{Evidence: x.evidence(pids...), For: a.Holder})
}

// dies tells the proven end of a process, noticed now.
func (x *script) dies(pid int) Decision {
	x.Helper()
	return x.step(Ended{Death{Process: process(pid), At: x.now, Proof: ProofPidfd}})
}

// reads answers the read that was asked for with the store's newest version.
func (x *script) reads() Decision {
	x.Helper()
	x.wants(ActionRead)
	begun := x.now
	x.now = x.now.Add(2 * time.Millisecond)
	return x.step(ReadDone{Begun: begun, View: x.lock})
}

func (x *script) readFails(err error) Decision {
	x.Helper()
	x.wants(ActionRead)
	return x.step(ReadDone{Begun: x.now, Err: err})
}

// releases lets the release that was asked for take effect and answers it.
func (x *script) releases() Decision {
	x.Helper()
	a := x.wants(ActionRelease)
	if a.View.Record != x.lock.Record {
		x.Fatalf("the release is conditional on %q, the record is %q", a.View.Record, x.lock.Record)
	}
	x.vacate()
	x.now = x.now.Add(3 * time.Millisecond)
	return x.step(ReleaseDone{View: x.lock})
}

func (x *script) releaseFails(err error) Decision {
	x.Helper()
	x.wants(ActionRelease)
	return x.step(ReleaseDone{Err: err})
}

// wants checks the action that the last decision asked for.
func (x *script) wants(kind ActionKind) Action {
	x.Helper()
	if x.d.Action.Kind != kind {
		x.Fatalf("the action is %q (outcome %s, %s), want %q", x.d.Action.Kind, x.d.Outcome, x.d.Reason, kind)
	}
	return x.d.Action
}

// leads makes the process pid the leader named holder, bound.
func (x *script) leads(holder string, pid int) {
	x.Helper()
	if !x.state.contact {
		x.vacate().shows()
	}
	x.runs(pid)
	x.acquire(holder).shows()
	x.now = x.now.Add(100 * time.Millisecond)
	x.publish(RESTServer, holder, ourREST).shows()
	x.looks(pid)
	if x.d.Outcome != Leading {
		x.Fatalf("the outcome is %s (%s), want leading", x.d.Outcome, x.d.Reason)
	}
}

// isFreed lets a death that was just told run its course.
func (x *script) isFreed() {
	x.Helper()
	x.reads()
	x.releases()
	if got := x.lastEnding(); got != Freed {
		x.Fatalf("the case ended as %s, want freed", got)
	}
}

// lastEnding is how the last case ended.
func (x *script) lastEnding() Outcome {
	x.Helper()
	for _, e := range slices.Backward(x.events) {
		if e.Kind == CaseClosed {
			return e.Case.Ending
		}
	}
	x.Fatalf("no case has ended; the outcome is %s (%s)", x.d.Outcome, x.d.Reason)
	return 0
}

// count is how many events of a kind there were.
func (x *script) count(kind EventKind) int {
	n := 0
	for _, e := range x.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// did is how many actions of a kind were asked for.
func (x *script) did(kind ActionKind) int {
	n := 0
	for _, a := range x.actions {
		if a.Kind == kind {
			n++
		}
	}
	return n
}
