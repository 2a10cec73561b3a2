package leader

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// One row a situation; together they show every outcome that a decision or the
// end of a case can have.
func TestDecide(t *testing.T) {
	forbidden := fmt.Errorf("%w: cannot patch configmaps %q", ErrForbidden, "c")
	tests := []struct {
		name string
		play func(x *script)
		want Outcome
		// ending is how the last case ended, where want does not say.
		ending Outcome
		action ActionKind
		reason string
	}{
		{name: "nothing has been seen yet", want: Connecting,
			play: func(x *script) { x.after(time.Second) }},
		{name: "the backend does not answer at the start", want: Connecting, reason: "refused",
			play: func(x *script) { x.step(Interrupted{"connection refused"}) }},
		{name: "Flink has not made the object yet", want: Absent,
			play: func(x *script) { x.remove().shows() }},
		{name: "Flink has removed the object", want: Retired,
			play: func(x *script) { x.leads("A", 1); x.remove().shows() }},
		{name: "Flink has removed the object, and a read says so", want: Retired,
			play: func(x *script) { x.leads("A", 1); x.remove(); x.after(time.Minute); x.reads() }},
		{name: "the record does not parse", want: Unreadable, reason: "not JSON",
			play: func(x *script) { x.corrupt().shows() }},
		{name: "nobody holds the lock", want: Vacant,
			play: func(x *script) { x.runs(1); x.vacate().shows() }},
		{name: "our JobManager leads", want: Leading,
			play: func(x *script) { x.leads("A", 1) }},
		{name: "another JobManager leads", want: Standby,
			play: func(x *script) { x.runs(1); x.acquire("B").publish(Dispatcher, "s", theirDispatcher).shows() }},
		{name: "the leader has not published yet", want: Standby, reason: "not published",
			play: func(x *script) { x.runs(1); x.acquire("B").shows() }},
		{name: "another JobManager leads and none runs here", want: Observing,
			play: func(x *script) { x.acquire("B").shows() }},
		{name: "our address was there at the first view", want: Unbound, reason: "first saw",
			play: func(x *script) { x.runs(1); x.acquire("A").publish(Dispatcher, "s", ourDispatcher).shows() }},
		{name: "two JobManagers run where one is expected", want: Unbound,
			play: func(x *script) {
				x.runs(1, 2)
				x.acquire("A").shows()
				x.publish(Dispatcher, "s", ourDispatcher).shows()
				x.looks(1, 2)
			}},
		{name: "our JobManager died before it published", want: UnboundDeath, reason: "not published",
			play: func(x *script) { x.runs(1); x.vacate().shows(); x.acquire("A").shows(); x.dies(1) }},
		{name: "our JobManager died leading since before the sidecar", want: UnboundDeath, reason: "first saw",
			play: func(x *script) {
				x.runs(1)
				x.acquire("A").publish(Dispatcher, "s", ourDispatcher).shows()
				x.dies(1)
			}},
		{name: "the configuration rules out binding", want: GuardOff, reason: "a Service name",
			play: func(x *script) { x.runs(1); x.acquire("B").shows(); x.step(Refused{"a Service name"}) }},
		{name: "the guard was switched off for a bound holder that is dead", want: GuardOff,
			play: func(x *script) { x.leads("A", 1); x.step(Refused{"paused"}); x.dies(1) }},
		{name: "the guard is switched on again for a dead holder", want: Freeing, action: ActionRelease,
			play: func(x *script) {
				x.leads("A", 1)
				x.step(Refused{"paused"})
				x.dies(1)
				x.wants(ActionRead) // the state of the lock is of interest all the same
				x.reads()
				x.step(Refused{})
			}},
		{name: "a person has asked that nothing be freed", want: Paused, reason: "paused until 2026-01-01T01:00:00Z by ops (upgrade)",
			play: func(x *script) { x.pauses(time.Hour); x.leads("A", 1); x.dies(1); x.reads() }},
		{name: "the leader has died", want: Freeing, action: ActionRead,
			play: func(x *script) { x.leads("A", 1); x.dies(1) }},
		{name: "a read after the death shows that the dead hold the lock", want: Freeing, action: ActionRelease,
			play: func(x *script) { x.leads("A", 1); x.dies(1); x.reads() }},
		{name: "the dead leader's lock is freed", want: Vacant, ending: Freed,
			play: func(x *script) { x.leads("A", 1); x.dies(1); x.reads(); x.releases() }},
		{name: "the backend cannot be asked after the death", want: Waiting, reason: "unavailable",
			play: func(x *script) { x.leads("A", 1); x.dies(1); x.readFails(ErrUnavailable) }},
		{name: "the read after the death is not permitted", want: Forbidden, reason: "cannot patch",
			play: func(x *script) { x.leads("A", 1); x.dies(1); x.readFails(forbidden) }},
		{name: "the release is not permitted", want: Forbidden, reason: "cannot patch",
			play: func(x *script) { x.leads("A", 1); x.dies(1); x.reads(); x.releaseFails(forbidden) }},
		{name: "an error of no known kind counts as unavailable", want: Waiting, reason: "surprise",
			play: func(x *script) { x.leads("A", 1); x.dies(1); x.reads(); x.releaseFails(errors.New("surprise")) }},
		{name: "the record changed between read and write", want: Freeing, action: ActionRead,
			play: func(x *script) { x.leads("A", 1); x.dies(1); x.reads(); x.releaseFails(ErrConflict) }},
		{name: "the object was gone at the write", want: Freeing, action: ActionRead,
			play: func(x *script) { x.leads("A", 1); x.dies(1); x.reads(); x.releaseFails(ErrGone) }},
		{name: "a fourth JobManager of this pod died leading within a minute", want: Damped, reason: "3 JobManagers",
			play: func(x *script) { crashLoop(x, 4) }},
		{name: "the lock was renewed after the death", want: Refuted, ending: Refuted,
			play: func(x *script) {
				x.leads("A", 1)
				x.dies(1)
				x.now = x.now.Add(1100 * time.Millisecond)
				x.renew()
				x.reads()
			}},
		{name: "the dead holder's lease is nearly over", want: Expired,
			play: func(x *script) { x.leads("A", 1); x.after(14 * time.Second); x.dies(1) }},
		{name: "the dead holder's lease is over", want: Expired, ending: Expired,
			play: func(x *script) {
				x.leads("A", 1)
				x.after(14 * time.Second)
				x.dies(1)
				x.after(time.Second)
			}},
		{name: "the backend could not be asked until the lease was over", want: Expired, ending: Waiting,
			play: func(x *script) {
				x.leads("A", 1)
				x.dies(1)
				x.readFails(ErrUnavailable)
				x.after(14 * time.Second)
				x.after(time.Second)
			}},
		{name: "another JobManager took the lock before the read", want: Standby, ending: Superseded,
			play: func(x *script) {
				died(x)
				x.acquire("B").unpublish(RESTServer)
				x.reads()
			}},
		{name: "another JobManager took the lock before the write", want: Standby, ending: Superseded,
			play: func(x *script) {
				died(x)
				x.reads()
				x.acquire("B").unpublish(RESTServer)
				x.releaseFails(ErrConflict)
				x.reads()
			}},
		{name: "the dying JobManager had released the lock itself", want: Vacant, ending: Vacated,
			play: func(x *script) { died(x); x.vacate(); x.reads() }},
		{name: "the object was removed before the lock could be freed", want: Retired, ending: Retired,
			play: func(x *script) { died(x); x.remove(); x.reads() }},
		{name: "the record was damaged before the lock could be freed", want: Unreadable, ending: Unreadable,
			play: func(x *script) { died(x); x.corrupt(); x.reads() }},
	}
	covered := map[Outcome]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newScript(t)
			tt.play(x)
			if x.d.Outcome != tt.want || !strings.Contains(x.d.Reason, tt.reason) {
				t.Errorf("the outcome is %s (%s), want %s (%s)", x.d.Outcome, x.d.Reason, tt.want, tt.reason)
			}
			if tt.action != ActionNone {
				x.wants(tt.action)
			}
			covered[x.d.Outcome] = true
			if tt.ending != Connecting {
				if got := x.lastEnding(); got != tt.ending {
					t.Errorf("the case ended as %s, want %s", got, tt.ending)
				}
				covered[tt.ending] = true
			}
		})
	}
	for _, o := range Outcomes() {
		if !covered[o] {
			t.Errorf("no row shows the outcome %s", o)
		}
	}
}

// died brings the script to the moment after a bound leader's death, with the
// other process of the pod running on. A read has been asked for.
func died(x *script) {
	x.Helper()
	x.leads("A", 1)
	x.runs(2)
	x.dies(1)
}

// crashLoop lets n JobManagers of this pod lead and die within a minute, and
// frees what may be freed.
func crashLoop(x *script, n int) {
	x.Helper()
	for pid := 1; pid <= n; pid++ {
		x.leads(fmt.Sprintf("H%d", pid), pid)
		x.dies(pid)
		if x.d.Outcome == Freeing {
			x.isFreed()
		}
		x.now = x.now.Add(5 * time.Second)
	}
	x.now = x.now.Add(-5 * time.Second)
}
